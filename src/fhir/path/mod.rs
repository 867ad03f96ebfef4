//! FHIRPath: parsed once, run over the working form of a resource.
