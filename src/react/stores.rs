//! Stores: which Organizations the facts of a story name, and in which zone each of them counts its days.
//! Follows <https://hl7.org/fhir/R4/organization.html>.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::json::each;
use super::{Resource, Rules, Store};
use crate::fhir::kinds;

/// Ids of the Organizations that these facts were done in.
#[must_use]
pub fn organizations<'a>(facts: impl Iterator<Item = &'a Resource>) -> BTreeSet<String> {
    facts.filter_map(|fact| kinds::of(&fact.kind).store(&fact.value)).map(str::to_owned).collect()
}

impl Store {
    /// The one that stands for all whose own is not known.
    #[must_use]
    pub fn unknown(zone: &TimeZone) -> Self {
        Self { organization: String::new(), zone: zone.clone() }
    }

    /// A store as its Organization describes it: an address that lies in one zone alone tells it; else it is the given one.
    #[must_use]
    pub fn of(rules: &Rules, id: &str, organization: &Value, otherwise: &TimeZone) -> Self {
        let own = each(organization, "address").iter().map(|address| rules.zones.of(address));
        let zone = own.into_iter().find_map(|zones| if let [one] = zones { Some(one.clone()) } else { None });
        Self { organization: id.to_owned(), zone: zone.unwrap_or_else(|| otherwise.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_store_stands_where_its_address_says_when_that_is_one_zone() {
        let (rules, _) = Rules::read(&super::super::shipped());
        for (organization, expected) in [
            (json!({"address": [{"state": "MA", "country": "US"}]}), "America/New_York"),
            (json!({"address": [{"country": "US"}]}), "Asia/Tokyo"),
            (json!({}), "Asia/Tokyo"),
        ] {
            let store = Store::of(&rules, "elm", &organization, &TimeZone::get("Asia/Tokyo").unwrap());
            assert_eq!((store.organization.as_str(), store.zone.iana_name()), ("elm", Some(expected)), "{organization}");
        }
    }
}
