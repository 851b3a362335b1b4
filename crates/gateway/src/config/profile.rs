//! What each profile changes of the defaults: the log and the drain, nothing that guards.

use super::Profile;
use super::tree::{Kind, Node, Origin};

/// The profile's layer.
pub(super) fn layer(profile: Profile) -> Node {
    let origin = Origin::Profile(profile.name());
    let mut layer = Node::table(origin.clone());
    for (path, value) in changes(profile) {
        let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
        layer.put(&keys, Node::new(Kind::Text((*value).to_owned()), origin.clone()));
    }
    layer
}

fn changes(profile: Profile) -> &'static [(&'static str, &'static str)] {
    match profile {
        // Someone at a terminal waits for the prompt, not for a stream to end.
        Profile::Development => {
            &[("log.level", "info,gateway=debug"), ("log.format", "text"), ("server.timeouts.drain", "2s")]
        }
        Profile::Staging => &[("log.level", "info,gateway=debug")],
        Profile::Production => &[],
    }
}

/// A profile by its name in the file.
pub(super) fn by_name(name: &str) -> Option<Profile> {
    [Profile::Development, Profile::Staging, Profile::Production]
        .into_iter()
        .find(|profile| profile.name() == name)
}
