//! Element, type and value set tables of R4, generated from its definitions.
