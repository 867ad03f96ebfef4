//! Hands resources to another gateway by its FHIR interface: what an import does with `--to`.
//! Follows <https://hl7.org/fhir/R4/http.html#update>.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, redirect};

use super::Error;

/// Bytes of an answer that are read; a longer one is cut off.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
/// A large transaction may take so long.
const ANSWER_WAIT: Duration = Duration::from_mins(2);

/// Sends to one FHIR base, which the operator names: no other address is ever called.
#[derive(Debug, Clone)]
pub struct Post {
    client: Client,
    base: String,
}

/// What the other gateway said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
}

impl Post {
    /// To this base, for example `https://host/fhir`.
    pub fn to(base: &str) -> Result<Self, Error> {
        if !(base.starts_with("http://") || base.starts_with("https://")) {
            return Err(Error::Never(format!("\"{base}\" is no address such as https://host/fhir")));
        }
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .tcp_nodelay(true)
            .timeout(ANSWER_WAIT)
            .user_agent(concat!("signa/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|fault| Error::Never(format!("no client can be made: {fault}")))?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned() })
    }

    /// Puts a resource under its id, as `Type/id`.
    pub async fn put(&self, place: &str, text: Vec<u8>) -> Result<Said, Error> {
        self.send(Method::PUT, format!("{}/{place}", self.base), text).await
    }

    /// Posts a batch or transaction.
    pub async fn bundle(&self, text: Vec<u8>) -> Result<Said, Error> {
        self.send(Method::POST, self.base.clone(), text).await
    }

    /// An answer, or `Later` when there was none or it says to come again.
    async fn send(&self, method: Method, url: String, text: Vec<u8>) -> Result<Said, Error> {
        let kind = HeaderValue::from_static("application/fhir+json");
        let request = self.client.request(method, url).header(CONTENT_TYPE, kind).header("Prefer", "return=OperationOutcome");
        let mut answer = request.body(text).send().await.map_err(|fault| Error::Later(format!("no answer: {fault}")))?;
        let status = answer.status().as_u16();
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|fault| Error::Later(format!("the answer broke off: {fault}")))? {
            text.extend_from_slice(&chunk);
            if text.len() > ANSWER_MAX {
                break;
            }
        }
        match status {
            408 | 429 | 502..=504 => Err(Error::Later(format!("the gateway answered {status}"))),
            _ => Ok(Said { status, text: String::from_utf8_lossy(&text).into_owned() }),
        }
    }
}
