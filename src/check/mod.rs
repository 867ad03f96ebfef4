//! Says whether what came in is well-formed and true to its definition. No I/O.
