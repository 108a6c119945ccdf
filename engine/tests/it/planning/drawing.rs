//! Plans drawn.

use super::fleet::{EXAMPLE, plan};

const SMALL: &str = r#"
runbook: small
targets:
  web: { aws: { tags: { Role: web } } }
blocks:
  patch:
    backup: { uses: aws/snapshot }
    install:
      needs: [backup]
      uses: aws/patch
      with: { operation: Install }
      on_failure: [restore]
    healthy: { needs: [install], uses: check/tcp, with: { host: "{{ target.private_ip }}" }, on_failure: [restore] }
    restore: { uses: aws/restore, with: { from: backup } }
steps:
  approve: { uses: gate/approval, with: { approvers: [ann], expires: 1h } }
  web: { needs: [approve], run: patch, targets: web, rollout: { waves: [1], soak: 5m } }
"#;

#[test]
fn mermaid() {
    insta::assert_snapshot!(plan(SMALL, &[("web", 3)]).to_mermaid(), @r#"
    flowchart TD
      classDef changes fill:#fde2e2,stroke:#b3392f
      classDef reads fill:#e6f4ea,stroke:#2e7d43
      classDef gate fill:#fff4d6,stroke:#a97a00
      classDef branch fill:#f3e8fd,stroke:#7b3fa0,stroke-dasharray:4 3
      classDef skipped fill:#f2f2f2,stroke:#999999,color:#777777
      b6["approve<br/>gate/approval"]:::gate
      subgraph b1["web: 3 machines, 0 may fail"]
        subgraph b2["wave 1 of 2: 1 machine"]
          b7["backup<br/>aws/snapshot, 1 machine"]:::reads
          b8["install<br/>aws/patch, 1 machine"]:::changes
          b9["healthy<br/>check/tcp, 1 machine"]:::reads
          b10["restore<br/>aws/restore"]:::branch
          b11["verify healthy<br/>check/tcp"]:::branch
          b7 --> b8
          b8 --> b9
          b8 -. fails .-> b10
          b9 -. fails .-> b10
          b10 --> b11
        end
        subgraph b3["soak of wave 1"]
          b12["wait<br/>gate/wait"]:::gate
          b13["healthy<br/>check/tcp, 1 machine"]:::reads
          b14["restore<br/>aws/restore"]:::branch
          b15["verify healthy<br/>check/tcp"]:::branch
          b12 --> b13
          b13 -. fails .-> b14
          b14 --> b15
        end
        subgraph b4["wave 2 of 2: 2 machines"]
          b16["backup<br/>aws/snapshot, 2 machines"]:::reads
          b17["install<br/>aws/patch, 2 machines"]:::changes
          b18["healthy<br/>check/tcp, 2 machines"]:::reads
          b19["restore<br/>aws/restore"]:::branch
          b20["verify healthy<br/>check/tcp"]:::branch
          b16 --> b17
          b17 --> b18
          b17 -. fails .-> b19
          b18 -. fails .-> b19
          b19 --> b20
        end
        subgraph b5["soak of wave 2"]
          b21["wait<br/>gate/wait"]:::gate
          b22["healthy<br/>check/tcp, 3 machines"]:::reads
          b23["restore<br/>aws/restore"]:::branch
          b24["verify healthy<br/>check/tcp"]:::branch
          b21 --> b22
          b22 -. fails .-> b23
          b23 --> b24
        end
        b2 --> b3
        b3 --> b4
        b4 --> b5
      end
      b6 --> b1
    "#);
}

#[test]
fn dot() {
    insta::assert_snapshot!(plan(SMALL, &[("web", 3)]).to_dot(), @r##"
    digraph plan {
      label="small"; labelloc=t; compound=true; fontname=Helvetica;
      node [shape=box, style="rounded,filled", fontname=Helvetica, fontsize=11];
      edge [color="#555555"];
      b6 [label="approve\ngate/approval", fillcolor="#fff4d6"];
      subgraph cluster_b1 {
        label="web: 3 machines, 0 may fail"; style=rounded; color="#888888"; fontsize=12;
        subgraph cluster_b2 {
          label="wave 1 of 2: 1 machine"; style=rounded; color="#888888"; fontsize=12;
          b7 [label="backup\naws/snapshot, 1 machine", fillcolor="#e6f4ea"];
          b8 [label="install\naws/patch, 1 machine", fillcolor="#fde2e2"];
          b9 [label="healthy\ncheck/tcp, 1 machine", fillcolor="#e6f4ea"];
          b10 [label="restore\naws/restore", fillcolor="#f3e8fd", style="rounded,filled,dashed"];
          b11 [label="verify healthy\ncheck/tcp", fillcolor="#f3e8fd", style="rounded,filled,dashed"];
          b7 -> b8;
          b8 -> b9;
          b8 -> b10 [style=dashed, label="fails", fontsize=9];
          b9 -> b10 [style=dashed, label="fails", fontsize=9];
          b10 -> b11;
        }
        subgraph cluster_b3 {
          label="soak of wave 1"; style=rounded; color="#888888"; fontsize=12;
          b12 [label="wait\ngate/wait", fillcolor="#fff4d6"];
          b13 [label="healthy\ncheck/tcp, 1 machine", fillcolor="#e6f4ea"];
          b14 [label="restore\naws/restore", fillcolor="#f3e8fd", style="rounded,filled,dashed"];
          b15 [label="verify healthy\ncheck/tcp", fillcolor="#f3e8fd", style="rounded,filled,dashed"];
          b12 -> b13;
          b13 -> b14 [style=dashed, label="fails", fontsize=9];
          b14 -> b15;
        }
        subgraph cluster_b4 {
          label="wave 2 of 2: 2 machines"; style=rounded; color="#888888"; fontsize=12;
          b16 [label="backup\naws/snapshot, 2 machines", fillcolor="#e6f4ea"];
          b17 [label="install\naws/patch, 2 machines", fillcolor="#fde2e2"];
          b18 [label="healthy\ncheck/tcp, 2 machines", fillcolor="#e6f4ea"];
          b19 [label="restore\naws/restore", fillcolor="#f3e8fd", style="rounded,filled,dashed"];
          b20 [label="verify healthy\ncheck/tcp", fillcolor="#f3e8fd", style="rounded,filled,dashed"];
          b16 -> b17;
          b17 -> b18;
          b17 -> b19 [style=dashed, label="fails", fontsize=9];
          b18 -> b19 [style=dashed, label="fails", fontsize=9];
          b19 -> b20;
        }
        subgraph cluster_b5 {
          label="soak of wave 2"; style=rounded; color="#888888"; fontsize=12;
          b21 [label="wait\ngate/wait", fillcolor="#fff4d6"];
          b22 [label="healthy\ncheck/tcp, 3 machines", fillcolor="#e6f4ea"];
          b23 [label="restore\naws/restore", fillcolor="#f3e8fd", style="rounded,filled,dashed"];
          b24 [label="verify healthy\ncheck/tcp", fillcolor="#f3e8fd", style="rounded,filled,dashed"];
          b21 -> b22;
          b22 -> b23 [style=dashed, label="fails", fontsize=9];
          b23 -> b24;
        }
        b11 -> b12 [ltail=cluster_b2, lhead=cluster_b3];
        b15 -> b16 [ltail=cluster_b3, lhead=cluster_b4];
        b20 -> b21 [ltail=cluster_b4, lhead=cluster_b5];
      }
      b6 -> b7 [lhead=cluster_b1];
    }
    "##);
}

#[test]
fn svg() {
    let svg = plan(SMALL, &[("web", 3)]).to_svg();
    insta::assert_snapshot!(svg);
    assert_eq!(
        svg.matches("<rect").count(),
        1 + plan(SMALL, &[("web", 3)]).tasks.len() + 5,
        "a box for everything"
    );
}

#[test]
fn the_example_in_every_language() {
    let plan = plan(EXAMPLE, &[("dev", 2), ("staging", 3), ("production", 40)]);
    for text in [plan.to_mermaid(), plan.to_dot(), plan.to_svg()] {
        assert!(text.contains("wave 4 of 4: 30 machines"));
        assert!(text.contains("gate/approval"));
    }
}
