//! The chain proves itself: a flipped byte, a removed row and a cut tail are each found and named.

use std::process::Command;

use crate::builders::{hypertension, patient};
use crate::database::Database;
use crate::house::House;

/// `signa ledger verify` over the house's database: what it said, `Err` when it found something wrong.
pub(crate) fn verify(house: &House) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signa"));
    let done =
        command.args(["ledger", "verify", "--database", &house.database.url]).env("SIGNA_LEDGER_KEY", house.database.key());
    let done = done.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    match done.status.code() {
        Some(0) => Ok(said),
        Some(1) => Err(said),
        code => panic!("verify ended with {code:?}: {said}"),
    }
}

/// Two patients with a diagnosis each, sealed by a checkpoint, and the gateway stopped.
async fn sealed() -> House {
    let mut house = House::over(Database::sqlite()).await;
    for (id, diagnosis) in [("ada", "c1"), ("bob", "c2")] {
        house.put(&patient(id)).await.is(201);
        house.put(&hypertension(diagnosis, id)).await.is(201);
    }
    house.beat().await;
    house.engine().seal().await;
    house.stop().await;
    house
}

/// What is done to the database, statement by statement, and what the verification must name.
const TAMPERED: [(&[&str], &str); 8] = [
    (&["UPDATE resources SET body = replace(body, '38341003', '38341004') WHERE id = 'c1'"], "Condition/c1"),
    (&["UPDATE entries SET happened = happened + 1 WHERE id = 'c2'"], "entry 2"),
    (&["UPDATE resources SET salt = 'AAAAAAAAAAAAAAAAAAAAAA' WHERE kind = 'Patient' AND id = 'ada'"], "Patient/ada"),
    // A row removed from the middle, from the end, and from the end by a hand that mends the head, too.
    (&["DELETE FROM entries WHERE id = 'bob'"], "entry 1"),
    (&["DELETE FROM entries WHERE id = 'c1'"], "entry 2"),
    (
        &[
            "DELETE FROM entries WHERE id = 'c1'",
            "UPDATE people SET ordinal = 1, head = (SELECT hash FROM entries WHERE id = 'ada') WHERE person = 1",
        ],
        "person 1",
    ),
    // A whole chain, and a resource that no entry tells of.
    (&["DELETE FROM entries WHERE person = 2", "DELETE FROM people WHERE person = 2"], ""),
    (&["UPDATE checkpoints SET entries = entries + 1"], "checkpoint"),
];

// An untouched ledger verifies; each kind of touch is found and named.
#[tokio::test(flavor = "multi_thread")]
async fn each_touch_of_the_ledger_is_found() {
    verify(&sealed().await).unwrap();
    for (statements, named) in TAMPERED {
        let house = sealed().await;
        for statement in statements {
            assert!(house.database.tamper(statement).await > 0, "{statement} touches nothing");
        }
        let found = verify(&house).expect_err(statements[0]);
        assert!(found.contains(named), "{statements:?}: {found}");
    }
}

// The verification reads beside a gateway that writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_verified_beside_its_gateway() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house.engine().seal().await;
    house.put(&hypertension("c", "ada")).await.is(201);
    let said = verify(&house).unwrap();
    // The form that comes with the program, and what was sent.
    assert!(said.contains("3 entries"), "{said}");
}
