//! A resource made ready for the store: its text in two parts, its search rows, whose it is and when it happened.
//! Follows <https://hl7.org/fhir/R4/resource.html>.
