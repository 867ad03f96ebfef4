//! Search parameters of R4 and the values they find in a resource.
