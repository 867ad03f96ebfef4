//! What the check accepts and what it refuses.
