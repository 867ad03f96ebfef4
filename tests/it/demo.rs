//! `signa demo` as a newcomer runs it: it tells its month, says how to look at it, and leaves nothing behind.

use std::process::Command;

/// Runs the demo with this folder for temporary files; whether it ended well and what it said.
fn demo(folder: &std::path::Path, listen: &str) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signa"));
    command.args(["demo", "--once", "--listen", listen]).env("TMPDIR", folder).env("RUST_BACKTRACE", "0");
    let done = command.current_dir(folder).output().unwrap();
    (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr))
}

// Every line of the story names what was recorded or why nothing was, and the folder is empty afterwards.
#[test]
fn the_demo_tells_its_month_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (is_well, said) = demo(folder.path(), "127.0.0.1:0");
    assert!(is_well, "{said}");
    for line in [
        "day 25  ",
        "SIGNA says        Margaret Okafor: refill reminder",
        "“Ask at the counter about this month's offers for members.”",
        "SIGNA asks for    Margaret Okafor: refill call",
        "SIGNA takes back  Helen Novak: refill advice",
        "because of stop: Somebody said STOP for an address of the recipient. → recorded: this decision alone",
        "because of alive: The person has died. → recorded: this decision alone",
        "records of one dispense count once",
        "for Organization/harbor-elm-street: requested",
    ] {
        assert!(said.contains(line), "\"{line}\" is not in\n{said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

// A port that is taken is told with what to do.
#[test]
fn a_port_that_is_taken_is_told_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (is_well, said) = demo(folder.path(), &taken.local_addr().unwrap().to_string());
    assert!(!is_well && said.contains("is taken by another program: choose another port"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
