//! Speaks to another server by its FHIR interface: what an import does with `--to`, and what the conformance suite does.
//! Follows <https://hl7.org/fhir/R4/http.html>.

use std::time::Duration;

use reqwest::{Client, Method, Url, redirect};

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

/// A request, as it is to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// The HTTP method.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// Names and values of the headers.
    pub headers: Vec<(String, String)>,
    /// The body; without one none is sent, which is not the same as an empty one.
    pub body: Option<Vec<u8>>,
}

/// An answer, as it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names, in small letters, and values of the headers.
    pub headers: Vec<(String, String)>,
    /// The body; empty where there was none.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name, which is in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
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

    /// The base, without a final slash.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Puts a resource under its id, as `Type/id`.
    pub async fn put(&self, place: &str, text: Vec<u8>) -> Result<Said, Error> {
        self.send("PUT", format!("{}/{place}", self.base), Some(text)).await
    }

    /// Deletes a resource, `Type/id`.
    pub async fn delete(&self, place: &str) -> Result<Said, Error> {
        self.send("DELETE", format!("{}/{place}", self.base), None).await
    }

    /// Posts a batch or transaction.
    pub async fn bundle(&self, text: Vec<u8>) -> Result<Said, Error> {
        self.send("POST", self.base.clone(), Some(text)).await
    }

    /// An answer, or `Later` when there was none or it says to come again.
    async fn send(&self, method: &str, url: String, body: Option<Vec<u8>>) -> Result<Said, Error> {
        let headers = [("Content-Type", "application/fhir+json"), ("Prefer", "return=OperationOutcome")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let Answer { status, body, .. } = self.exchange(Asked { method: method.to_owned(), url, headers, body }).await?;
        match status {
            408 | 429 | 502..=504 => Err(Error::Later(format!("the gateway answered {status}"))),
            _ => Ok(Said { status, text: String::from_utf8_lossy(&body).into_owned() }),
        }
    }

    /// The answer to one request, whatever it says; `Later` when there was none, `Never` when it cannot be sent. Another
    /// server than that of the base is not called, whatever a link says.
    pub async fn exchange(&self, asked: Asked) -> Result<Answer, Error> {
        let origin = |url: &str| Url::parse(url).ok().map(|url| url.origin());
        if origin(&asked.url).is_none_or(|asked| Some(asked) != origin(&self.base)) {
            return Err(Error::Never(format!("the address {} is not of the server at {}", asked.url, self.base)));
        }
        let method =
            Method::from_bytes(asked.method.as_bytes()).map_err(|_| Error::Never(format!("{} is no method", asked.method)))?;
        let mut request = self.client.request(method, asked.url);
        for (name, value) in &asked.headers {
            request = request.header(name, value);
        }
        if let Some(body) = asked.body {
            request = request.body(body);
        }
        let request = request.build().map_err(|fault| Error::Never(format!("this cannot be sent: {fault}")))?;
        let mut answer = self.client.execute(request).await.map_err(|fault| Error::Later(format!("no answer: {fault}")))?;
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|fault| Error::Later(format!("the answer broke off: {fault}")))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_MAX {
                break;
            }
        }
        Ok(Answer { status, headers, body })
    }
}
