use std::collections::BTreeSet;

use proptest::prelude::{any, proptest};
use serde_json::{Value, json};

use super::{ExpressionError, Expressions, Scope, Secrets, Uses, segments};

struct Vault;

impl Secrets for Vault {
    fn secret(&self, name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "s3cr3t".to_owned())
    }
}

fn render(text: &str) -> Result<Value, ExpressionError> {
    let scope = Scope::new()
        .params(json!({ "n": 3, "on": true, "name": "it's", "list": ["a b", "c"], "map": { "k": "v" }, "nothing": null }))
        .target(json!({ "id": "i-0a", "tags": { "Patch Group": "x" } }))
        .env(json!({}))
        .secrets(&Vault);
    Expressions::new().render(&json!(text), &scope)
}

#[test]
fn a_whole_scalar_keeps_its_type() {
    assert_eq!(render("{{ params.n }}").unwrap(), json!(3));
    assert_eq!(render("{{ params.on }}").unwrap(), json!(true));
    assert_eq!(render("{{ params.list }}").unwrap(), json!(["a b", "c"]));
    assert_eq!(render("{{ params.map }}").unwrap(), json!({ "k": "v" }));
    assert_eq!(render("{{ params.nothing }}").unwrap(), Value::Null);
    assert_eq!(render("{{ params.n + 1 }}").unwrap(), json!(4));
}

#[test]
fn a_text_stays_a_text() {
    assert_eq!(render("n={{ params.n }} on={{ params.on }}").unwrap(), json!("n=3 on=true"));
    assert_eq!(
        render("no expression, ${#list} and {% raw %}").unwrap(),
        json!("no expression, ${#list} and {% raw %}")
    );
    assert_eq!(render("{{ '{{' }} }}").unwrap(), json!("{{ }}"));
    assert_eq!(render("{{ target.tags['Patch Group'] }}").unwrap(), json!("x"));
    assert_eq!(render("x {{ {'a': {'b': '}}'}}.a.b }}").unwrap(), json!("x }}"));
}

#[test]
fn undefined_is_an_error_with_its_name() {
    let undefined = |name: &str| Err(ExpressionError::Undefined { name: name.into() });
    assert_eq!(render("{{ params.x }}"), undefined("params.x"));
    assert_eq!(render("a {{ params.map.x.y }}"), undefined("params.map.x"));
    assert_eq!(render("a {{ steps.a.outputs }}"), undefined("steps"));
    assert_eq!(render("{{ env.HOME | default('/root') }}").unwrap(), json!("/root"));
    assert_eq!(render("{{ params.x | sh }}"), undefined("params.x"));
}

#[test]
fn nothing_and_lists_do_not_stand_in_texts() {
    assert_eq!(
        render("a {{ params.nothing }}").unwrap_err().to_string(),
        "`params.nothing` is nothing, which cannot stand inside a text"
    );
    assert_eq!(
        render("a {{ params.list }}").unwrap_err().to_string(),
        "`params.list` is a list, which cannot stand inside a text"
    );
}

#[test]
fn shell_words() {
    assert_eq!(render("echo {{ params.name | sh }}").unwrap(), json!(r"echo 'it'\''s'"));
    assert_eq!(render("echo {{ params.list | sh }}").unwrap(), json!("echo 'a b' 'c'"));
    assert_eq!(render("echo {{ params.name | ps }}").unwrap(), json!("echo 'it''s'"));
    assert_eq!(render("echo {{ '\u{2019}; rm' | ps }}").unwrap(), json!("echo '\u{2019}\u{2019}; rm'"));
    assert!(render("echo {{ params.map | sh }}").is_err());
}

#[test]
fn secrets_are_looked_up_by_their_literal_name() {
    assert_eq!(render("Bearer {{ secret('TOKEN') }}").unwrap(), json!("Bearer s3cr3t"));
    assert_eq!(
        render("{{ secret('OTHER') }}").unwrap_err(),
        ExpressionError::MissingSecret { name: "OTHER".into() }
    );
    assert!(render("{{ secret(params.name) }}").is_err());
}

#[test]
fn names_used() {
    let names = |text: &str| Expressions::new().names_used(text).unwrap();
    assert_eq!(
        names("{{ params.a }} {{ target.id | sh }}"),
        BTreeSet::from(["params".into(), "target".into()])
    );
    assert_eq!(
        names("{{ secret('X') ~ steps.a.outputs.b }}"),
        BTreeSet::from(["secret".into(), "steps".into()])
    );
    assert_eq!(names("plain"), BTreeSet::new());
}

#[test]
fn conditions() {
    let scope = Scope::new().params(json!({ "stage": "dev", "n": 2 }));
    let test = |when: &str| Expressions::new().test(when, &scope).unwrap();
    assert!(test("params.stage == 'dev'"));
    assert!(test("{{ params.stage == 'dev' }}"));
    assert!(!test("params.n > 2 or params.stage in ['a', 'b']"));
}

#[test]
fn places_of_names_filters_and_calls() {
    let text = " params.a.b | default('x') ~ secret('S') | nosuch ";
    let uses = Uses::of(text).unwrap();
    assert_eq!(&text[uses.paths[0].start..uses.paths[0].end], "params.a.b");
    assert!(uses.paths[0].optional);
    let filters: Vec<&str> = uses.filters.iter().map(|filter| &text[filter.start..filter.end]).collect();
    assert_eq!(filters, ["default", "nosuch"]);
    assert_eq!(&text[uses.calls[0].start..uses.calls[0].end], "secret('S')");
    assert_eq!(uses.calls[0].argument.as_deref(), Some("S"));
}

#[test]
fn every_filter_is_known_to_the_environment() {
    for filter in Expressions::filters() {
        let error = Expressions::new().render(&json!(format!("{{{{ 'x' | {filter} }}}}")), &Scope::new());
        let unknown = error.is_err_and(|error| error.to_string().contains("unknown filter"));
        assert!(!unknown, "{filter}");
    }
}

#[test]
fn syntax_errors_say_where() {
    let error = |text: &str| Expressions::new().names_used(text).unwrap_err();
    assert!(matches!(error("abc {{ params. }}"), ExpressionError::Syntax { offset: 6..=15, .. }));
    assert!(matches!(error("abc {{ params.a "), ExpressionError::Syntax { offset: 4, .. }));
    assert!(matches!(error("{{ }}"), ExpressionError::Syntax { .. }));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), inner in "[ -~]{0,40}") {
        let _ = segments(&text);
        let _ = Expressions::new().names_used(&text);
        let _ = Expressions::new().render(&json!(format!("{{{{{inner}}}}}")), &Scope::new());
    }

    #[test]
    fn a_quoted_word_is_one_word(text in "[^\0]*") {
        let quoted = Expressions::new()
            .render(&json!("{{ params.x | sh }}"), &Scope::new().params(json!({ "x": text })))
            .unwrap();
        let quoted = quoted.as_str().unwrap();
        assert_eq!(quoted.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap().replace(r"'\''", "'"), text);
    }
}
