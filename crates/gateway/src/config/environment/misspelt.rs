//! Variables that are nearly Tidegate's own. Others that begin like them are nobody's business here: a cluster sets
//! `TIDEGATE_SERVICE_HOST` and its like for every service of that name.

use super::super::fault::{Finding, Findings};
use super::super::schema::{self, Schema};
use super::super::tree::Origin;
use super::{ADMIN_KEY, Environment, PREFIX};

/// Those with one underscore. The last two are of commands.
const OURS: [&str; 3] = [ADMIN_KEY, "TIDEGATE_API_KEY", "TIDEGATE_AGAINST_API_KEY"];

/// Tells of those that are passed over although they were likely meant.
pub(super) fn tell(environment: &Environment, warnings: &mut Findings) {
    for name in environment.0.keys().filter(|name| !OURS.contains(&name.as_str())) {
        let Some(rest) = name.strip_prefix("TIDEGATE_") else { continue };
        if name.starts_with(PREFIX) || is_of_a_service(rest) {
            continue;
        }
        let meant = key(rest).or_else(|| schema::nearest(name, OURS).map(str::to_owned));
        if let Some(meant) = meant {
            let finding =
                Finding::new(format!("{name} means nothing here"), format!("did you mean {meant}?"));
            warnings.push(finding.given_at(Origin::Variable(name.clone())));
        }
    }
}

/// Whether a cluster sets it, for a service whose name begins like ours.
fn is_of_a_service(rest: &str) -> bool {
    let rest = format!("_{rest}_");
    ["_SERVICE_HOST_", "_SERVICE_PORT_", "_PORT_"].iter().any(|part| rest.contains(part))
}

/// The variable of the key that was named with single underscores, in whole or in part: `SERVER_LISTEN`.
fn key(rest: &str) -> Option<String> {
    let (section, below) = rest.split_once('_')?;
    let key = below.trim_start_matches('_').split("__").next()?;
    Schema::root().child(&section.to_ascii_lowercase())?.child(&key.to_ascii_lowercase())?;
    Some(format!("{PREFIX}{section}__{}", below.trim_start_matches('_')))
}
