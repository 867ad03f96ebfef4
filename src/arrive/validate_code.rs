//! Whether a code is of a value set or of a code system.
//! Follows <https://hl7.org/fhir/R4/valueset-operation-validate-code.html> and
//! <https://hl7.org/fhir/R4/codesystem-operation-validate-code.html>.

use axum::response::Response;

use super::call::Call;
use super::inputs::{Coded, Inputs};
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::terms::{self, out, parameters};
use crate::check::canon::Canon;
use crate::fhir::terms::{Member, Set, System};

/// `ValueSet/$validate-code`, `CodeSystem/$validate-code`, and both with an id.
pub(super) const OPERATION: Operation = Operation {
    name: "validate-code",
    at: &[(Level::Type, Methods::Both), (Level::Instance, Methods::Both)],
    types: &["ValueSet", "CodeSystem"],
    definition: "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
    documentation: "Whether a code, Coding or CodeableConcept is of a value set or code system that is on board.",
    changes: false,
    answer: |call, asked| Box::pin(validate_code(call, asked)),
};

async fn validate_code(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let (kind, id) = (asked.kind.unwrap_or_default(), asked.id);
    let inputs = Inputs::read(call, asked, None).await?;
    let canon = terms::known(call).await?;
    let coded = inputs.coded("code");
    if coded.is_empty() {
        return Err(Refusal::bad("missing-code", "Say which code is meant: code with system, coding, or codeableConcept."));
    }
    if kind == "CodeSystem" {
        let system = system(call, id, &inputs, &canon, &coded).await?;
        return Ok(verdicts(&coded, |one| of_system(&system, one)));
    }
    let set = terms::set(call, id, &inputs, &canon).await?;
    Ok(verdicts(&coded, |one| of_set(&canon, &set, one)))
}

/// The answer about one code: whether it is right, what it is called, and what is to be said of it.
struct Verdict {
    member: Member,
    display: String,
    message: Option<String>,
}

/// Of several codings one suffices; the best verdict is told.
fn verdicts(coded: &[Coded], judge: impl Fn(&Coded) -> Verdict) -> Response {
    let mut all: Vec<Verdict> = coded.iter().map(judge).collect();
    all.sort_by_key(|verdict| (verdict.member != Member::Yes, verdict.message.is_some()));
    let mut told = Vec::new();
    if let Some(best) = all.into_iter().next() {
        told.push(out("result", "valueBoolean", best.member == Member::Yes && best.message.is_none()));
        told.extend(best.message.map(|message| out("message", "valueString", message)));
        told.extend((!best.display.is_empty()).then(|| out("display", "valueString", best.display)));
    }
    parameters(&told)
}

async fn system(
    call: &Call<'_>,
    id: Option<&str>,
    inputs: &Inputs,
    canon: &Canon,
    coded: &[Coded],
) -> Result<std::sync::Arc<System>, Refusal> {
    if let Some(id) = id {
        return match terms::instance(call, "CodeSystem", id).await? {
            Ok(value) => Ok(std::sync::Arc::new(System::read(&value))),
            Err(url) => canon.terms.system(url).ok_or_else(|| terms::unknown("code system", url)),
        };
    }
    if let Some(sent) = inputs.object("codeSystem") {
        return Ok(std::sync::Arc::new(System::read(sent)));
    }
    let url = inputs.text("url").or_else(|| coded.first().map(|one| one.system.as_str())).filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| Refusal::bad("missing-url", "Say with url which code system is meant."))?;
    canon.terms.system(url).ok_or_else(|| terms::unknown("code system", url))
}

fn of_system(system: &System, one: &Coded) -> Verdict {
    let is_other = !one.system.is_empty() && one.system != system.url;
    match system.concept(&one.code).filter(|_| !is_other) {
        Some(concept) => called(Member::Yes, &concept.display, &concept.designations, one),
        None if is_other || system.is_complete => {
            let message = format!("The code {} is not of the code system {}.", one.code, system.url);
            Verdict { member: Member::No, display: String::new(), message: Some(message) }
        }
        None => {
            let message =
                format!("Of the code system {} only a part is here, and the code {} is not in it.", system.url, one.code);
            Verdict { member: Member::Unknown, display: String::new(), message: Some(message) }
        }
    }
}

fn of_set(canon: &Canon, set: &Set, one: &Coded) -> Verdict {
    let system = Some(one.system.as_str()).filter(|system| !system.is_empty());
    let name = if set.url.is_empty() { "that was sent" } else { set.url.as_str() };
    match canon.terms.holds(set, system, &one.code) {
        Member::Yes => {
            let (display, designations) = canon.terms.display(set, system, &one.code);
            called(Member::Yes, &display, &designations, one)
        }
        Member::No => {
            let message = format!("The code {} is not in the value set {name}.", one.code);
            Verdict { member: Member::No, display: String::new(), message: Some(message) }
        }
        Member::Unknown => {
            let message = format!(
                "Whether the code {} is in the value set {name} cannot be known: a code system of it is not on board.",
                one.code
            );
            Verdict { member: Member::Unknown, display: String::new(), message: Some(message) }
        }
    }
}

/// A right code; a display that nobody gives it is said to be wrong.
fn called(member: Member, display: &str, designations: &[(String, String)], one: &Coded) -> Verdict {
    let is_name = |name: &str| name.trim().eq_ignore_ascii_case(one.display.as_deref().unwrap_or_default().trim());
    let is_wrong =
        one.display.is_some() && !display.is_empty() && !is_name(display) && !designations.iter().any(|(_, name)| is_name(name));
    let message = is_wrong.then(|| format!("The code {} is right; it is called \"{display}\".", one.code));
    Verdict { member, display: display.to_owned(), message }
}
