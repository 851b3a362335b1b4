//! Variables that are nearly Tidegate's own. Others that begin like them are nobody's business here: a cluster sets
//! `TIDEGATE_SERVICE_HOST` and its like for every service of that name.

use super::super::fault::{Finding, Findings};
use super::super::schema::Schema;
use super::super::tree::Origin;
use super::{ADMIN_KEY, Environment, PREFIX};

/// Those with one underscore. The last two are of commands.
const OURS: [&str; 3] = [ADMIN_KEY, "TIDEGATE_API_KEY", "TIDEGATE_AGAINST_API_KEY"];

/// Slips of the pen by which one is still known. `TIDEGATE_ADMIN_PORT` is farther away than that.
const SLIPS_MAX: usize = 2;

/// Tells of those that are passed over although they were likely meant.
pub(super) fn tell(environment: &Environment, warnings: &mut Findings) {
    for name in environment.0.keys().filter(|name| !OURS.contains(&name.as_str())) {
        let Some(rest) = name.strip_prefix("TIDEGATE_") else { continue };
        if name.starts_with(PREFIX) {
            continue;
        }
        let near = OURS.into_iter().find(|ours| strsim::osa_distance(name, ours) <= SLIPS_MAX);
        let meant = key(rest).or_else(|| near.map(str::to_owned));
        if let Some(meant) = meant {
            let finding =
                Finding::new(format!("{name} means nothing here"), format!("did you mean {meant}?"));
            warnings.push(finding.given_at(Origin::Variable(name.clone())));
        }
    }
}

/// The variable of the key that was named with single underscores, in whole or in part: `SERVER_LISTEN`.
fn key(rest: &str) -> Option<String> {
    let (section, below) = rest.split_once('_')?;
    let key = below.trim_start_matches('_').split("__").next()?;
    Schema::root().child(&section.to_ascii_lowercase())?.child(&key.to_ascii_lowercase())?;
    Some(format!("{PREFIX}{section}__{}", below.trim_start_matches('_')))
}
