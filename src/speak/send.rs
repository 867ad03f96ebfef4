//! One attempt: a signed request to an endpoint, and what its answer means.
//! Follows <https://hl7.org/fhir/R4/subscription.html#channel>.

use std::error::Error as _;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode, redirect};

use super::lane::Outcome;
use super::{Error, Settings, Verb, address, signature, subscription};
use crate::ledger::{self, Secrets};

/// Bytes of an answer that are read so that its connection can be used again; what is longer is cut off.
const ANSWER_MAX: usize = 64 * 1024;
/// Connections kept open to one host.
const IDLE_MAX: usize = 16;

/// Sends requests to endpoints, and to nowhere else.
#[derive(Clone)]
pub(super) struct Sender {
    client: Client,
    settings: Arc<Settings>,
}

/// Where a request goes; the same for all notices of a subscription.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) endpoint: String,
    pub(super) payload: String,
    headers: HeaderMap,
}

/// What one request carries.
#[derive(Debug)]
pub(super) struct Parcel {
    /// The stable name of the notice.
    pub(super) id: String,
    /// Now, UTC milliseconds.
    pub(super) now: i64,
    /// Empty where the channel has no payload.
    pub(super) body: Bytes,
    /// `Type/id` of the resource in the body; empty where there is none.
    pub(super) resource: String,
}

impl Channel {
    pub(super) fn new(row: &ledger::Subscription) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in row.headers.iter().filter_map(|line| subscription::header(line).ok()) {
            headers.append(name, value);
        }
        Self { endpoint: row.endpoint.clone(), payload: row.payload.clone(), headers }
    }
}

impl Sender {
    pub(super) fn new(settings: Arc<Settings>) -> Result<Self, Error> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(address::Resolver::new(Arc::clone(&settings))))
            .pool_max_idle_per_host(IDLE_MAX)
            .tcp_nodelay(true)
            .timeout(settings.attempt_max)
            .user_agent(concat!("signa/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|fault| Error::Never(format!("no client can be made: {fault}")))?;
        Ok(Self { client, settings })
    }

    /// Makes one attempt, signed with these.
    pub(super) async fn send(&self, channel: &Channel, secrets: &Secrets, parcel: Parcel) -> Outcome {
        let Ok(mut url) = address::endpoint(&channel.endpoint, &self.settings) else {
            return Outcome::Unanswered(String::from("the endpoint may not be called any more"));
        };
        let mut method = Method::POST;
        if self.settings.verb == Verb::Put && !parcel.resource.is_empty() {
            method = Method::PUT;
            url.set_path(&format!("{}/{}", url.path().trim_end_matches('/'), parcel.resource));
        }
        let headers = signed(channel, secrets, &parcel);
        let request = self.client.request(method, url).headers(headers).body(parcel.body);
        match request.send().await {
            Ok(answer) => {
                let status = answer.status();
                drain(answer).await;
                judge(status)
            }
            Err(fault) => Outcome::Unanswered(sentence(&fault)),
        }
    }
}

fn signed(channel: &Channel, secrets: &Secrets, parcel: &Parcel) -> HeaderMap {
    let mut headers = channel.headers.clone();
    let seconds = parcel.now.div_euclid(1_000);
    let signature = signature::signatures(secrets, &parcel.id, seconds, &parcel.body);
    for (name, value) in
        [(signature::ID, parcel.id.as_str()), (signature::TIMESTAMP, &seconds.to_string()), (signature::SIGNATURE, &signature)]
    {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if !channel.payload.is_empty()
        && let Ok(payload) = HeaderValue::try_from(channel.payload.as_str())
    {
        headers.insert(CONTENT_TYPE, payload);
    }
    headers
}

async fn drain(mut answer: reqwest::Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > ANSWER_MAX {
            return;
        }
    }
}

/// What a status means. Of some that refuse it is known that they rather speak of the endpoint than of what it was sent. A redirect is not followed, but may be a sign of repair work: the lane waits.
fn judge(status: StatusCode) -> Outcome {
    match status.as_u16() {
        200..300 => Outcome::Arrived,
        408 | 429 | 500..600 => Outcome::Unanswered(format!("the endpoint answered {}", status.as_u16())),
        401 | 403 | 404 | 410 => Outcome::Shut(format!("the endpoint answered {}", status.as_u16())),
        300..=399 => Outcome::Unanswered(format!("the endpoint answered {}; redirects are not followed", status.as_u16())),
        _ => Outcome::Refused(format!("the endpoint answered {}", status.as_u16())),
    }
}

/// A sentence without addresses: it is shown to clients.
fn sentence(fault: &reqwest::Error) -> String {
    let mut source = fault.source();
    while let Some(cause) = source {
        if let Some(refusal) = cause.downcast_ref::<address::Closed>() {
            return refusal.to_string();
        }
        source = cause.source();
    }
    let text = if fault.is_timeout() {
        "the endpoint did not answer in time"
    } else if fault.is_connect() {
        "the endpoint could not be reached"
    } else {
        "the endpoint broke off the connection"
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_whether_the_lane_or_the_notice_waits() {
        for (statuses, expected) in [
            (&[200, 204][..], "Arrived"),
            (&[302, 408, 429, 500, 503], "Unanswered"),
            (&[401, 403, 404, 410], "Shut"),
            (&[400, 405, 409, 413, 422], "Refused"),
        ] {
            for status in statuses {
                let outcome = format!("{:?}", judge(StatusCode::from_u16(*status).unwrap()));
                assert!(outcome.starts_with(expected), "{status} {outcome}");
            }
        }
    }
}
