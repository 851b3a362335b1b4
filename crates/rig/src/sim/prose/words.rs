//! The words of the simulator's sentences: ASCII letters and spaces only, for
//! nothing of them is ever escaped. Changing a word changes every reply.

/// Openings of a sentence.
#[rustfmt::skip]
pub(super) const ADVERBS: &[&str] = &[
    "Usually", "Today", "Later", "Quietly", "Often", "Slowly", "Tonight", "Again", "Elsewhere", "Inland",
    "Offshore", "Meanwhile", "Yesterday", "Sometimes", "Eventually", "Clearly", "Perhaps", "Indeed",
    "Typically", "Carefully", "Gradually", "Naturally", "Rarely", "Lately", "Upstream", "Downstream",
    "Outside", "Nearby", "Tomorrow", "Finally", "Overnight", "Seasonally",
];

/// What a noun may be.
#[rustfmt::skip]
pub(super) const ADJECTIVES: &[&str] = &[
    "quiet", "narrow", "old", "silver", "patient", "northern", "distant", "careful", "broad", "early",
    "hidden", "calm", "restless", "bright", "cold", "shallow", "steady", "empty", "southern", "wooden",
    "grey", "tidal", "gentle", "late", "western", "heavy", "salted", "weathered", "modern", "rising",
    "falling", "eastern", "curious", "deep", "foggy", "green", "humble", "inner", "jagged", "keen",
    "lonely", "misty", "nimble", "outer", "painted", "rusty", "sandy", "tall", "useful", "vivid", "windy",
    "young", "austere", "brisk", "chalky", "dim", "earnest", "faint", "granite", "honest", "idle",
    "lively", "modest", "open",
];

/// Who and what acts.
#[rustfmt::skip]
pub(super) const NOUNS: &[&str] = &[
    "tide", "harbour", "keeper", "river", "lantern", "pilot", "gate", "channel", "bridge", "estuary",
    "ferry", "wharf", "current", "signal", "engineer", "barge", "lock", "mooring", "chart", "gull",
    "storm", "market", "cargo", "beacon", "crew", "dredger", "island", "ledger", "captain", "shore",
    "anchor", "basin", "cable", "deck", "engine", "fleet", "gauge", "hull", "inlet", "jetty", "kelp",
    "lagoon", "marsh", "net", "oar", "pier", "quay", "reef", "sail", "tower", "valve", "warehouse",
    "yard", "buoy", "crane", "dock", "embankment", "fog", "gangway", "heron", "ice", "mast", "rope",
    "sluice",
];

/// What they do to one another.
#[rustfmt::skip]
pub(super) const VERBS: &[&str] = &[
    "follows", "watches", "carries", "opens", "meets", "measures", "guides", "leaves", "finds", "crosses",
    "raises", "keeps", "answers", "turns", "holds", "reads", "counts", "lowers", "passes", "shelters",
    "draws", "mends", "reaches", "closes", "lifts", "warns", "feeds", "steadies", "marks", "clears",
    "joins", "tows",
];

/// When and where.
#[rustfmt::skip]
pub(super) const PHRASES: &[&str] = &[
    "before dawn", "at high water", "after the rain", "in the early light", "with the morning ebb",
    "by the old wall", "under a low sky", "for most of the year", "on the way home", "without a sound",
    "near the outer bank", "as the charts foretold", "until the lamps are lit", "along the western shore",
    "in good order", "at slack water", "against the wind", "once the ice has gone",
    "behind the salt works", "for an hour or two", "when the bell rings", "with great care",
    "in plain view", "at the turn of the tide", "from the far side", "over the sand bar",
    "between two storms", "as far as the locks", "in every season", "to the last rope",
    "beside the customs house", "while others sleep",
];
