use super::*;

/// What every host says, and then what a test says.
fn said(more: &str) -> Result<Facts, String> {
    read(&format!(
        "#runbook os\nID=debian\nVERSION_ID=\"12\"\n\n#runbook kernel\n6.1.0-18-amd64\n\n#runbook manager\napt\n\n\
         #runbook arch\namd64\n\n#runbook boot\n8fab5988\n{more}\n#runbook end\n"
    ))
}

fn reboot(more: &str) -> Vec<String> {
    said(more).expect("facts").reboot_needed
}

#[test]
fn an_answer_that_is_cut_off_is_no_answer() {
    assert_eq!(
        read("#runbook os\nID=debian\n#runbook manager\napt\n").expect_err("cut"),
        "the host's answer about itself is cut off"
    );
    let why = read("#runbook os\nID=alpine\n#runbook manager\n\n#runbook end\n").expect_err("apk");
    assert!(why.contains("no package manager that is known"), "{why}");
}

#[test]
fn a_host_that_says_little_has_little() {
    let facts = said("").expect("facts");
    assert_eq!((facts.os.as_str(), facts.os_name.as_str()), ("debian", "Linux"));
    assert_eq!(facts.platform(), "debian-12-amd64");
    assert!(facts.reboot_needed.is_empty() && facts.free.is_empty() && facts.last_patched.is_none());
    assert!(!facts.transactional && !facts.systemd);
}

#[test]
fn each_sign_of_a_reboot_is_told_in_words() {
    assert_eq!(
        reboot("#runbook reboot-file\n*** System restart required ***\n"),
        ["system restart required"]
    );
    assert_eq!(
        reboot(
            "#runbook reboot-file\n*** System restart required ***\n#runbook reboot-packages\nlibc6\nlibssl3\n"
        ),
        ["libc6 wants it", "libssl3 wants it"]
    );
    // needrestart 3.6
    let needrestart = |state: &str| {
        format!(
            "#runbook needrestart\nNEEDRESTART-VER: 3.6\nNEEDRESTART-KCUR: 6.1.0-18-amd64\nNEEDRESTART-KEXP: 6.1.0-20-amd64\nNEEDRESTART-KSTA: {state}\n"
        )
    };
    let newer = ["kernel 6.1.0-20-amd64 is installed, 6.1.0-18-amd64 runs"];
    assert_eq!(reboot(&needrestart("3")), newer);
    assert_eq!(reboot(&needrestart("2")), newer);
    assert!(reboot(&needrestart("1")).is_empty());
    assert!(reboot(&needrestart("0")).is_empty());
    // Without needrestart: what linux-version lists, of the same flavour, where the running one is one of them.
    assert_eq!(reboot("#runbook kernels\n6.1.0-18-amd64\n6.1.0-20-amd64\n"), newer);
    assert!(reboot("#runbook kernels\n6.1.0-20-amd64\n").is_empty());
    assert!(reboot("#runbook kernels\n6.1.0-18-amd64\n6.1.0-20-cloud-amd64\n").is_empty());
}

#[test]
fn needs_restarting_is_believed_for_its_sentence_only() {
    // dnf 4.14, plugin needs_restarting
    let yes = "#runbook needs-restarting\nCore libraries or services have been updated since boot-up:\n  * glibc\n  * kernel\n\nReboot is required to fully utilize these updates.\nMore information: https://access.redhat.com/solutions/27943\n";
    assert_eq!(reboot(yes), ["glibc has been updated", "kernel has been updated"]);
    // yum-utils 1.1.31
    let yum = "#runbook needs-restarting\nCore libraries or services have been updated:\n  systemd -> 219-78.el7\n\nReboot is required to ensure that your system benefits from these updates.\n";
    assert_eq!(reboot(yum), ["core libraries or services have been updated"]);
    let kernels = "#runbook rpm-kernels\n1\t6.1.0-18-amd64\n2\t6.1.0-20-amd64\n";
    let no = "#runbook needs-restarting\nNo core libraries or services have been updated since boot-up.\nReboot should not be necessary.\n";
    assert!(reboot(&format!("{no}{kernels}")).is_empty(), "it knows better than the list of kernels");
    let absent = "#runbook needs-restarting\n";
    assert_eq!(
        reboot(&format!("{absent}{kernels}")),
        ["kernel 6.1.0-20-amd64 is installed, 6.1.0-18-amd64 runs"]
    );
    assert_eq!(reboot("#runbook needs-rebooting\nReboot is suggested.\nexit 102\n").len(), 1);
    assert!(reboot("#runbook needs-rebooting\nReboot is probably not necessary.\nexit 0\n").is_empty());
}

#[test]
fn lists_are_read_without_their_decoration() {
    let facts = said(
        "#runbook failed-units\n● nginx.service loaded failed failed A server\ncron.service loaded failed failed cron\n\
         #runbook free\n/dev/vda1 264212084 36129220 59156668 38% /\n/dev/vda1 264212084 36129220 59156668 38% /\n\
         //server/a share 100 50 50 50% /var\nnone - - - - /boot\n\
         #runbook holds\nnginx\nnginx\n#runbook automatic\nunattended-upgrades\nunattended-upgrades\npackagekit\n\
         #runbook broken\ndpkg\n#runbook last-patched\n1795357939.6295535510\n",
    )
    .expect("facts");
    assert_eq!(facts.failed_units, ["nginx.service", "cron.service"]);
    assert_eq!(facts.free, BTreeMap::from([("/".into(), 59_156_668 * 1024), ("/var".into(), 50 * 1024)]));
    assert_eq!(facts.holds, ["nginx"]);
    assert_eq!(facts.automatic, ["unattended-upgrades", "packagekit"]);
    assert_eq!(facts.broken, ["dpkg"]);
    assert_eq!(facts.last_patched.map(|at| at.as_second()), Some(1_795_357_939));
}
