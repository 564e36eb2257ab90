//! What a simulated prompt cache gives a request: the interface between the
//! simulation and the cost model.

/// What a simulated prompt cache held of one request's prompt when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulatedReuse {
    /// The bytes of the prompt's elements.
    pub prompt_bytes: u64,
    /// Of these, what the cache still held; 0 where that is less than 10 % of them.
    pub reusable_bytes: u64,
    /// The earlier request whose whole prompt is the beginning of this one and was still in
    /// the cache; `None` where another request gives more.
    pub continues: Option<Continued>,
}

/// An earlier request that a later one continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continued {
    /// Its place among the requests that went into the simulation.
    pub from: usize,
    /// The bytes of the later prompt's elements behind the answer to the earlier request.
    /// They cannot have been in the cache.
    pub bytes_behind_answer: u64,
}
