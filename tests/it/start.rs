//! What stops the start, in a sentence and before any port opens.

use std::process::Command;

/// Runs `signa` in an empty folder; how it ended and what it said.
fn signa(arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wrong.toml"), "[serve]\nlisten_on = \"127.0.0.1:0\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_signa"));
    let done = command.args(arguments).current_dir(folder.path()).env("RUST_BACKTRACE", "0").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(!folder.path().join("signa.db").exists(), "{arguments:?} made a database");
    (done.status.code(), said)
}

// Without authorization it serves nobody, unless that is said, and then only this machine.
#[test]
fn without_authorization_it_does_not_serve() {
    let (code, said) = signa(&["serve"]);
    assert!(code != Some(0) && said.contains("--auth off"), "{code:?} {said}");
    let (code, said) = signa(&["serve", "--auth", "off", "--listen", "0.0.0.0:0"]);
    assert!(code != Some(0) && said.contains("loopback"), "{code:?} {said}");
}

// A setting that does not exist, a flag that does not exist, a database that is none: each is told by name.
#[test]
fn what_it_does_not_understand_stops_it() {
    for (arguments, named) in [
        (&["serve", "--auth", "off", "--config", "wrong.toml"][..], "serve.listen_on"),
        (&["serve", "--auth", "off", "--config", "missing.toml"][..], "missing.toml"),
        (&["serve", "--shout"][..], "--shout"),
        (&["sing"][..], "sing"),
        (&["serve", "--auth", "off", "--mappings", "nowhere"][..], "nowhere"),
    ] {
        let (code, said) = signa(arguments);
        assert!(code != Some(0) && said.contains(named), "{arguments:?}: {code:?} {said}");
    }
}

// What it can do is told.
#[test]
fn it_says_what_it_can_do() {
    let (code, said) = signa(&["--help"]);
    assert_eq!(code, Some(0));
    for command in ["serve", "ledger"] {
        assert!(said.contains(command), "{said}");
    }
}
