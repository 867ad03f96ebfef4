//! The way in over HTTP: takes a request apart, hands it to the flow or asks the ledger, and puts the answer together.
//! Follows <https://hl7.org/fhir/R4/http.html>.
//!
//! A new interaction is one file here, one arm in [`dispatch`], and its line in `route.rs` and `capability.rs`;
//! a new operation is one file here and its line in `operations.rs`.

mod adherence;
mod body;
mod bundle;
mod call;
mod capability;
mod changes;
mod coding;
mod counters;
mod create;
mod crowd;
mod delete;
mod drain;
mod effect;
mod everything;
mod expand;
mod format;
mod given;
mod health;
mod history;
mod inputs;
mod ledger;
mod links;
mod listen;
mod lookup;
mod made;
mod matching;
mod meta;
mod negotiate;
mod openapi;
mod operations;
mod outcome;
mod pace;
mod patch;
mod pix;
mod read;
mod route;
mod search;
mod searchset;
mod secret;
mod settings;
mod several;
mod simulate;
mod spoken;
mod status;
mod subsumes;
mod terms;
#[cfg(test)]
mod tests;
mod translate;
mod update;
mod validate;
mod validate_code;
mod why;

pub use listen::serve;
pub use settings::Settings;

use std::borrow::Cow;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY};
use axum::http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use futures_util::FutureExt;
use tokio::sync::{Semaphore, SemaphorePermit};

use call::Call;
use capability::{Capability, is_kept};
use counters::{Counters, Interaction};
use crowd::Crowd;
use format::Wanted;
use operations::Asked;
use outcome::Refusal;
use pace::Pace;
use route::Route;
use search::Place;

use crate::fhir::definitions::is_resource;
use crate::fhir::search::{decode, is_id};
use crate::flow::{Flow, Sender, Shelf, Teller};
use crate::ledger::{How, Scope};

const REQUEST_ID: &str = "x-request-id";

/// Where requests come in. One for a running gateway.
pub struct Door {
    flow: Flow,
    /// For questions about what was decided.
    teller: Teller,
    settings: Settings,
    sender: Sender,
    capability: Capability,
    counters: Counters,
    crowd: Arc<Crowd>,
    /// Places for trials of rules, which take long.
    trials: Arc<Semaphore>,
    pace: Pace,
    /// What readers of `$everything` go on with.
    gathered: Shelf,
    /// What the ids of requests without an id of their own begin with.
    opened: String,
    requests: AtomicU64,
}

/// A request that was dealt with. It keeps its place until the answer is put into words.
struct Handled<'a> {
    interaction: Interaction,
    answer: Result<Response, Refusal>,
    place: Option<SemaphorePermit<'a>>,
}

impl Handled<'_> {
    fn refused(refusal: Refusal) -> Self {
        Self { interaction: Interaction::Other, answer: Err(refusal), place: None }
    }
}

impl Door {
    /// A door to this flow.
    #[must_use]
    pub fn new(flow: Flow, teller: Teller, settings: Settings) -> Arc<Self> {
        let scope = Scope { tenant: Arc::from(settings.tenant.as_str()) };
        let sender = Sender { scope, source: String::from("anonymous"), how: How::Live };
        let opened = format!("{:x}", flow.clock.now());
        let (capability, counters) = (Capability::of_this_house(), Counters::default());
        let crowd = Arc::new(Crowd::new(settings.requests_max, Duration::from_millis(settings.turn_ms_max)));
        let trials = Arc::new(Semaphore::new(settings.simulations_max.min(Semaphore::MAX_PERMITS)));
        let pace = Pace::new(settings.requests_per_minute);
        let (gathered, requests) = (Shelf::default(), AtomicU64::new(0));
        Arc::new(Self { flow, teller, settings, sender, capability, counters, crowd, trials, pace, gathered, opened, requests })
    }

    /// Answers one request, of the client at this address. It never fails: every fault is an answer.
    pub(super) async fn answer(&self, client: Option<IpAddr>, request: Request) -> Response {
        let started = self.flow.clock.elapsed();
        let id = self.request_id(request.headers());
        let origin = (!self.settings.origins.is_empty()).then(|| request.headers().get(ORIGIN).cloned()).flatten();
        let wanted = format::wanted(request.uri().query(), request.headers());
        let method = request.method().clone();
        let codings = request.headers().get(ACCEPT_ENCODING).cloned();
        let handled = AssertUnwindSafe(self.handle(client, &id, wanted.is_some(), request)).catch_unwind().await;
        let Handled { interaction, answer, place } =
            handled.unwrap_or_else(|_| Handled::refused(Refusal::ours("a handler panicked")));
        let mut response = answer.unwrap_or_else(|refusal| refusal.response(&id));
        let wanted = response.extensions_mut().remove::<Wanted>().or(wanted);
        // What few ask for stands apart, here and below, so that it takes no room in every answer.
        let mut response = match wanted.unwrap_or_default() {
            plain if plain == Wanted::default() => response,
            wanted => Box::pin(spoken::spoken(wanted, &method, &id, response)).await,
        };
        if let Some(codings) = codings {
            response = Box::pin(coding::packed(codings, response)).await;
        }
        response = response.map(|body| self.crowd.by_turns(body));
        drop(place);
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        if let Ok(value) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        if let Some(origin) = origin {
            self.allow_origin(&origin, response.headers_mut());
        }
        let taken = self.flow.clock.elapsed().saturating_sub(started);
        self.counters.count(interaction, response.status(), taken);
        response
    }

    async fn handle(&self, client: Option<IpAddr>, id: &str, acceptable: bool, request: Request) -> Handled<'_> {
        let (parts, body) = request.into_parts();
        let Some(path) = plain_path(parts.uri.path()) else {
            return Handled::refused(no_path());
        };
        let route = Route::of(&path);
        // Who asks how the gateway fares is answered however full it is.
        let is_watcher = matches!(route, Route::Live | Route::Ready | Route::Metrics);
        let now = self.flow.clock.elapsed();
        if let Some(Err(wait)) = client.filter(|_| !is_watcher).map(|client| self.pace.allows(client, now)) {
            return Handled::refused(Refusal::throttled(wait));
        }
        if let Err(refusal) = admit(route, &parts.method, acceptable) {
            return Handled::refused(refusal);
        }
        let place = if is_watcher { None } else { self.crowd.enter().await };
        if place.is_none() && !is_watcher {
            return Handled::refused(Refusal::busy());
        }
        let call = Call { door: self, headers: &parts.headers, query: parts.uri.query(), id, is_inside: false };
        let (interaction, mut answer) = dispatch(&call, &parts.method, route, body).await;
        // What was recorded is durable before it is answered. What was only read may be newer than what the disk has.
        if !is_watcher && (answer.is_err() || !interaction.records()) {
            answer = self.flow.ledger.settled().await.map_err(Refusal::from).and(answer);
        }
        Handled { interaction, answer, place }
    }

    /// The id that the client gave the request, or one of ours.
    fn request_id(&self, headers: &HeaderMap) -> String {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        match given {
            Some(given) if (1..=128).contains(&given.len()) => given.to_owned(),
            _ => format!("{}-{}", self.opened, self.requests.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn allow_origin(&self, origin: &HeaderValue, headers: &mut HeaderMap) {
        let known = self.settings.origins.iter().any(|known| known == "*" || known.as_bytes() == origin.as_bytes());
        if known {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers
                .insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
            let sent = "accept, authorization, content-encoding, content-type, if-match, if-modified-since, if-none-exist, if-none-match, prefer, x-request-id";
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(sent));
            let told = HeaderValue::from_static("etag, last-modified, location, retry-after, x-request-id");
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, told);
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
    }
}

/// A path that [`plain_path`] cannot take.
fn no_path() -> Refusal {
    Refusal::bad("invalid-escape", "The path must be UTF-8, percent-encoded, and no name in it has a slash (%2F).")
}

/// The path without percent escapes; an escaped slash is no part of any name here.
fn plain_path(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    if path.contains("%2F") || path.contains("%2f") {
        return None;
    }
    decode(path, false).map(Cow::Owned)
}

/// Refuses what no interaction would answer: unknown places, formats, types and ids.
fn admit(route: Route<'_>, method: &Method, acceptable: bool) -> Result<(), Refusal> {
    match route {
        Route::Nowhere => return Err(Refusal::not_found("There is nothing at this address; the FHIR base is /fhir.")),
        Route::Live | Route::Ready | Route::Metrics | Route::OpenApi => return Ok(()),
        _ => {}
    }
    // What is posted as a form may say in it what is wanted, and is asked when it was read.
    let tells_later = matches!(route, Route::Search(_) | Route::SystemSearch | Route::CompartmentSearch(..));
    if method != Method::OPTIONS && !acceptable && !tells_later {
        return Err(format::not_acceptable());
    }
    let (kind, id) = route.subject();
    let may_be_asked = |kind| is_kept(kind) || (is_resource(kind) && matches!(route, Route::Operation(..)));
    if kind.is_some_and(|kind| !may_be_asked(kind)) {
        let words = "This is no resource type of FHIR R4 that is kept here.";
        return Err(Refusal::one(StatusCode::NOT_FOUND, "not-supported", "unknown-type", words));
    }
    if id.is_some_and(|id| !is_id(id)) {
        return Err(Refusal::bad("invalid-id", "An id has 1 to 64 letters, digits, hyphens and dots."));
    }
    Ok(())
}

/// Hands the request to its interaction. All but a read are boxed: they are large, and a read would carry their size.
async fn dispatch(call: &Call<'_>, method: &Method, route: Route<'_>, body: Body) -> (Interaction, Result<Response, Refusal>) {
    use Interaction as I;
    let get = method == Method::GET || method == Method::HEAD;
    // A write without an id is conditional; without any query it is not offered.
    let conditional = call.query.is_some();
    match route {
        Route::Instance(kind, id) if get => (I::Read, read::read(call, kind, id).await),
        Route::Kind(kind) if get => (I::Search, Box::pin(search::get(call, Place::Kind(kind))).await),
        Route::Kind(kind) if method == Method::POST => (I::Create, Box::pin(create::create(call, kind, body)).await),
        Route::Instance(kind, id) if method == Method::PUT => (I::Update, Box::pin(update::update(call, kind, id, body)).await),
        Route::Base if method == Method::POST => (I::Bundle, Box::pin(bundle::bundle(call, body)).await),
        Route::Search(kind) if method == Method::POST => (I::Search, Box::pin(search::post(call, Place::Kind(kind), body)).await),
        Route::Instance(kind, id) if method == Method::DELETE => (I::Delete, Box::pin(delete::delete(call, kind, id)).await),
        Route::Kind(kind) if method == Method::PUT && conditional => {
            (I::Update, Box::pin(update::update_where(call, kind, body)).await)
        }
        Route::Instance(kind, id) if method == Method::PATCH => (I::Patch, Box::pin(patch::patch(call, kind, id, body)).await),
        Route::Kind(kind) if method == Method::PATCH && conditional => {
            (I::Patch, Box::pin(patch::patch_where(call, kind, body)).await)
        }
        Route::Kind(kind) if method == Method::DELETE && conditional => {
            (I::Delete, Box::pin(delete::delete_where(call, kind)).await)
        }
        Route::Version(kind, id, version) if get => (I::Read, Box::pin(read::vread(call, kind, id, version)).await),
        Route::Changes(kind) if get => (I::History, Box::pin(changes::changes(call, kind)).await),
        Route::History(kind, id) if get => (I::History, Box::pin(history::history(call, kind, id)).await),
        Route::Operation(operation, methods, kind, id) if methods.allow_method(method) => {
            (I::Operation, (operation.answer)(call, Asked { method, kind, id, body }).await)
        }
        Route::OpenApi if get => (I::Capabilities, Ok(openapi::openapi(call))),
        Route::Base if get => (I::Search, Box::pin(search::get(call, Place::System)).await),
        Route::SystemSearch if method == Method::POST => (I::Search, Box::pin(search::post(call, Place::System, body)).await),
        Route::Compartment(of, id, kind) if get => {
            (I::Search, Box::pin(search::get(call, Place::Compartment(of, id, kind))).await)
        }
        Route::CompartmentSearch(of, id, kind) if method == Method::POST => {
            (I::Search, Box::pin(search::post(call, Place::Compartment(of, id, kind), body)).await)
        }
        Route::Metadata if get => (I::Capabilities, Ok(capability::metadata(call))),
        Route::Live if get => (I::Other, Ok(health::live())),
        Route::Ready if get => (I::Other, Ok(Box::pin(health::ready(call)).await)),
        Route::Metrics if get => (I::Other, Ok(health::metrics(call))),
        route if method == Method::OPTIONS => (I::Other, Ok(options(route.allow(conditional)))),
        route => (I::Other, Err(Refusal::not_allowed(route.allow(conditional)))),
    }
}

fn options(allow: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    if let Some(formats) = HeaderValue::try_from(patch::FORMATS.join(", ")).ok().filter(|_| allow.contains("PATCH")) {
        response.headers_mut().insert("accept-patch", formats);
    }
    response
}
