//! RESTful addresses of resources, taken apart.
//! Follows <https://hl7.org/fhir/R4/references.html#literal>.

use super::bundle::is_id;
use crate::fhir::definitions;

/// `[root]/Type/id`, perhaps with a version; or, without a root, `Type/id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// What stands before the type, with the slash at its end; empty where nothing does.
    pub root: &'a str,
    /// The address without its version.
    pub resource: &'a str,
    /// The version that it names.
    pub version: Option<&'a str>,
}

impl<'a> Address<'a> {
    /// Takes an address apart; `None` if this is no address of a resource.
    #[must_use]
    pub fn of(text: &'a str) -> Option<Self> {
        let parts = text.split_once("/_history/");
        let (resource, version) = parts.map_or((text, None), |(resource, version)| (resource, Some(version)));
        let (front, id) = resource.rsplit_once('/')?;
        let (root, kind) = front.split_at(front.rfind('/').map_or(0, |at| at + 1));
        let is_rooted = root.is_empty() || root.starts_with("http://") || root.starts_with("https://");
        let is_one = is_rooted && definitions::is_resource(kind) && is_id(id) && version.is_none_or(is_id);
        is_one.then_some(Self { root, resource, version })
    }
}

/// What an entry with this fullUrl is known by: it is the identity of a resource, never of one of its versions.
#[must_use]
pub fn identity(full_url: &str) -> &str {
    Address::of(full_url).map_or(full_url, |address| address.resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_root_a_resource_and_perhaps_a_version() {
        let of = |text| Address::of(text).map(|address| (address.root, address.resource, address.version));
        for (text, expected) in [
            ("Patient/1", Some(("", "Patient/1", None))),
            ("Patient/1/_history/2", Some(("", "Patient/1", Some("2")))),
            ("http://a.example/fhir/Patient/1", Some(("http://a.example/fhir/", "http://a.example/fhir/Patient/1", None))),
            ("https://a.example/Patient/1/_history/2", Some(("https://a.example/", "https://a.example/Patient/1", Some("2")))),
            ("urn:uuid:0a1b2c3d-0000-4000-8000-000000000001", None),
            ("ftp://a.example/Patient/1", None),
            ("sub/Patient/1", None),
            ("/Patient/1", None),
            ("http://a.example/fhir/Banana/1", None),
            ("http://a.example/fhir/Patient", None),
            ("Patient/", None),
            ("Patient/a b", None),
            ("Patient/1/_history/", None),
            ("Patient/1/_history/2/3", None),
            ("Patient?identifier=1", None),
            ("#p", None),
            ("", None),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn an_entry_is_known_without_a_version() {
        assert_eq!(identity("http://a.example/fhir/Patient/1/_history/2"), "http://a.example/fhir/Patient/1");
        assert_eq!(identity("urn:uuid:1"), "urn:uuid:1");
        assert_eq!(identity("http://a.example/odd"), "http://a.example/odd");
    }
}
