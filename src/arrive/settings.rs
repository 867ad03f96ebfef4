//! What an operator may choose about the way in.

/// Settings of the way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Our address as clients see it, for example `https://clinic.example/fhir`; empty takes it from each request.
    pub base: String,
    /// Whether `Forwarded` and `X-Forwarded-*` are believed when `base` is empty.
    pub forwarded: bool,
    /// Origins of browsers that may call (CORS); `*` allows all.
    pub origins: Vec<String>,
    /// The organisation whose ledger is served.
    pub tenant: String,
    /// Bytes of one resource at most.
    pub resource_bytes_max: usize,
    /// Bytes of a Bundle at most; as many may the resources have that answer one.
    pub bundle_bytes_max: usize,
    /// Milliseconds that a client may take from one answer, or from its connection, to the end of its next request's head.
    pub head_ms_max: u64,
    /// Requests that one client may send in a minute; 0 sets no bound.
    pub requests_per_minute: u32,
    /// Seconds that a client may take to send a body.
    pub body_seconds_max: u64,
    /// Requests that are answered at a time; what comes above waits.
    pub requests_max: usize,
    /// Milliseconds that a request waits for its turn before it is asked to come again.
    pub turn_ms_max: u64,
    /// Milliseconds that a person's story waits for what is still to be reacted to.
    pub drain_ms_max: u64,
    /// Rules that are tried on the ledger at a time; who comes above is asked to come again.
    pub simulations_max: usize,
    /// What one trial may cost: entries that are told, questions to the rules, and resources that are looked at for them.
    pub simulation_steps_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base: String::new(),
            forwarded: true,
            origins: Vec::new(),
            tenant: String::from("default"),
            resource_bytes_max: 16 << 20,
            bundle_bytes_max: 64 << 20,
            head_ms_max: 75_000,
            requests_per_minute: 0,
            body_seconds_max: 120,
            requests_max: 1_024,
            turn_ms_max: 5_000,
            drain_ms_max: 2_000,
            simulations_max: 2,
            simulation_steps_max: 10_000_000,
        }
    }
}
