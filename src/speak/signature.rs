//! The signature of a notice, so that its receiver knows who sent it and that nobody changed it.
//! Follows <https://www.standardwebhooks.com>.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::ledger::{Secret, Secrets};

/// Names the notice; the same in every attempt, so a receiver can drop what it has already.
pub const ID: &str = "webhook-id";
/// When this attempt was made, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// `v1,` and the Base64 of the HMAC.
pub const SIGNATURE: &str = "webhook-signature";

/// Bytes of a secret, as the specification asks (24 to 64).
const SECRET_BYTES: usize = 32;
/// How long notices bear the signature of the secret before, too, in milliseconds: so long a receiver has to change over.
pub const BOTH_MAX: i64 = 24 * 3_600_000;

/// A new secret; `None` if the machine gives no randomness.
#[must_use]
pub fn secret() -> Option<Secret> {
    let mut bytes = [0_u8; SECRET_BYTES];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(Secret(STANDARD.encode(bytes)))
}

/// How a secret is shown to its owner, once.
#[must_use]
pub fn shown(secret: &Secret) -> String {
    format!("whsec_{}", secret.0)
}

/// The stable name of a notice.
#[must_use]
pub fn notice_id(subscription: &str, number: i64) -> String {
    format!("{subscription}.{number}")
}

/// What goes into [`SIGNATURE`] of an attempt at this time, in seconds: one signature for each secret that holds, the newest first.
#[must_use]
pub fn signatures(secrets: &Secrets, id: &str, seconds: i64, body: &[u8]) -> String {
    let newest = sign(&secrets.now, id, seconds, body);
    if secrets.before.0.is_empty() || seconds >= secrets.both_until.div_euclid(1_000) {
        return newest;
    }
    format!("{newest} {}", sign(&secrets.before, id, seconds, body))
}

/// One signature.
#[must_use]
pub fn sign(secret: &Secret, id: &str, seconds: i64, body: &[u8]) -> String {
    // A secret is always written by `secret`; one that is not Base64 signs with its own letters rather than with nothing.
    let key = STANDARD.decode(&secret.0).unwrap_or_else(|_| secret.0.as_bytes().to_vec());
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
    context.update(format!("{id}.{seconds}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_hmac_of_id_time_and_body() {
        // Computed apart with another implementation of HMAC-SHA256.
        let secret = Secret(STANDARD.encode(b"0123456789abcdef0123456789abcdef"));
        assert_eq!(sign(&secret, "sub-1.7", 1_700_000_000, b"{\"a\":1}"), EXPECTED);
        assert_ne!(sign(&secret, "sub-1.8", 1_700_000_000, b"{\"a\":1}"), EXPECTED);
        assert_ne!(sign(&secret, "sub-1.7", 1_700_000_001, b"{\"a\":1}"), EXPECTED);
        assert_ne!(sign(&secret, "sub-1.7", 1_700_000_000, b"{\"a\":2}"), EXPECTED);
    }

    const EXPECTED: &str = "v1,1UbeCvqNFOTl2/N3cyTKFi3xWy5VQj/ZnkeecmPJzhU=";

    #[test]
    fn the_secret_before_signs_too_while_it_holds() {
        let (now, before) = (secret().unwrap(), secret().unwrap());
        let secrets = Secrets { now: now.clone(), before: before.clone(), both_until: 9_000 };
        let each = |secret| sign(secret, "s.1", 8, b"x");
        assert_eq!(signatures(&secrets, "s.1", 8, b"x"), format!("{} {}", each(&now), each(&before)));
        assert_eq!(signatures(&secrets, "s.1", 9, b"x"), sign(&now, "s.1", 9, b"x"));
        let only = Secrets { before: Secret::default(), ..secrets };
        assert_eq!(signatures(&only, "s.1", 8, b"x"), each(&now));
    }

    #[test]
    fn secrets_are_long_and_never_the_same() {
        let (one, other) = (secret().unwrap(), secret().unwrap());
        assert_ne!(one, other);
        assert_eq!(STANDARD.decode(&one.0).unwrap().len(), SECRET_BYTES);
        assert!(shown(&one).starts_with("whsec_") && !format!("{one:?}").contains(&one.0));
    }
}
