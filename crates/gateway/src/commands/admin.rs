//! Where a command finds the admin plane of a running gateway, what opens it, and how it is asked. What is asked
//! is the command's own business.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use rig::load::{Url, UrlError};
use serde_json::Value;
use tokio::runtime::Builder;

use super::client::{Client, Error, Line};
use super::refusal::Refusal;
use crate::config::{self, Config, Environment, Faults, Secret, Sources};

/// For a whole answer: a sweep of every tier takes its time.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest file that is taken for a key.
const KEY_BYTES_MAX: u64 = 4096;

/// Which admin plane, and what opens it.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Admin plane")]
pub(super) struct AdminArgs {
    /// The admin plane. Without it: where the configuration says, by default http://127.0.0.1:4001.
    #[arg(long, value_name = "URL", value_parser = url)]
    admin: Option<Url>,
    /// The gateway's configuration file, for its `admin.listen` and `admin.key`. Without it and without --admin
    /// the first that is there of ./tidegate.toml, ./tidegate.yaml, ./tidegate.yml and ./tidegate.json.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File that holds the admin key. Without it: TIDEGATE_ADMIN_KEY, else the configuration's.
    #[arg(long, value_name = "FILE")]
    admin_key_file: Option<PathBuf>,
    /// PEM file of certificates to trust besides the system's.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl AdminArgs {
    /// Sends one request and gives the JSON that comes back.
    ///
    /// # Errors
    /// Why there is none, with the mend.
    pub(super) fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Refusal> {
        let client = self.client(&Environment::of_process())?;
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Refusal::Failed(error.to_string()))?;
        let answer = runtime.block_on(client.ask(&mut Line::default(), method, path, body));
        let answer = answer.map_err(|error| refusal(&error))?;
        let url = client.url();
        match answer.status {
            StatusCode::OK | StatusCode::CREATED => {
                serde_json::from_slice(&answer.body).map_err(|_| Refusal::Failed(foreign(url)))
            }
            StatusCode::UNAUTHORIZED if client.has_key() => Err(Refusal::Failed(format!(
                "{url} does not take this admin key; it is `admin.key` of the running gateway's configuration"
            ))),
            StatusCode::UNAUTHORIZED => Err(Refusal::Failed(format!(
                "{url} wants the admin key: set TIDEGATE_ADMIN_KEY, or name a file with --admin-key-file"
            ))),
            StatusCode::NOT_FOUND if answer.complaint().contains("no such") => {
                Err(Refusal::Failed(answer.complaint()))
            }
            StatusCode::NOT_FOUND => Err(Refusal::Failed(foreign(url))),
            _ => Err(Refusal::Failed(format!("{url} answers {}", answer.complaint()))),
        }
    }

    fn client(&self, environment: &Environment) -> Result<Client, Refusal> {
        let (url, key) = self.place(environment)?;
        Client::new(url, key.as_ref(), self.ca_file.as_deref(), PATIENCE).map_err(|error| refusal(&error))
    }

    /// The address and the key. A configuration's key goes to that configuration's address, or where both were
    /// named.
    fn place(&self, environment: &Environment) -> Result<(Url, Option<Secret>), Refusal> {
        let given = match &self.admin_key_file {
            Some(path) => Some(key_file("--admin-key-file", path)?),
            None => environment.get("TIDEGATE_ADMIN_KEY").filter(|key| !key.is_empty()).map(Secret::new),
        };
        if let (Some(url), None) = (&self.admin, &self.config) {
            return Ok((url.clone(), given));
        }
        let sources =
            Sources { path: self.config.clone(), environment: environment.clone(), ..Sources::default() };
        let admin = Config::load(&sources).map_err(|faults| self.faulty(faults))?.config.admin;
        let url = match &self.admin {
            Some(url) => url.clone(),
            None => url_of(&admin)?,
        };
        Ok((url, given.or(admin.key)))
    }

    /// Whoever names a file wants it read.
    fn faulty(&self, faults: Faults) -> Refusal {
        let note = "note: with --admin URL no configuration is read";
        Refusal::Configuration(faults, self.config.is_none().then_some(note))
    }
}

fn url(text: &str) -> Result<Url, String> {
    text.parse().map_err(|error: UrlError| {
        format!("{}; write it like http://127.0.0.1:4001, or https://gateway.example:4001", error.why())
    })
}

/// Where a listener is reached from its own machine.
fn url_of(admin: &config::Admin) -> Result<Url, Refusal> {
    if admin.listen.port() == 0 {
        let why = "the configuration has the admin plane take any free port; name it with --admin URL";
        return Err(Refusal::Usage(why.to_owned()));
    }
    let ip = match admin.listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let scheme = if admin.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", SocketAddr::new(ip, admin.listen.port()));
    url.parse().map_err(|error: UrlError| Refusal::Usage(error.to_string()))
}

/// The key that a file holds, without the white space around it.
pub(super) fn key_file(flag: &str, path: &Path) -> Result<Secret, Refusal> {
    use std::io::Read as _;
    let refuse = |why: &dyn std::fmt::Display| Refusal::Usage(format!("{flag} {}: {why}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| refuse(&error))?;
    file.take(KEY_BYTES_MAX).read_to_string(&mut text).map_err(|error| refuse(&error))?;
    match text.trim() {
        "" => Err(refuse(&"there is no key in it")),
        key => Ok(Secret::new(key)),
    }
}

/// What keeps a command from being answered, with the mend.
fn refusal(error: &Error) -> Refusal {
    match error {
        Error::Option(why) => Refusal::Usage(why.clone()),
        Error::Plain(_) => Refusal::Failed(error.to_string()),
        Error::Unreachable { .. } => Refusal::Failed(format!(
            "{error}; is the gateway running there? another place is named with --admin URL"
        )),
        Error::Broken { .. } => {
            Refusal::Failed(format!("{error}; does the admin plane listen there, and is it http or https?"))
        }
    }
}

fn foreign(url: &Url) -> String {
    format!("{url} is no admin plane of a Tidegate that has this command; by default it is on port 4001")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const NO_VARIABLES: [(&str, &str); 0] = [];

    fn file(ending: &str, text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::Builder::new().suffix(ending).tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn the_address_and_the_key_come_from_whoever_says_them_most_plainly() {
        let config = file(".toml", "[admin]\nlisten = '127.0.0.1:7001'\nkey = 'of-the-file'\n");
        let key = file("", "  of-the-key-file\n");
        let (config, key) = (Some(config.path().to_owned()), Some(key.path().to_owned()));
        let there: Option<Url> = Some("http://h:1".parse().unwrap());
        let variable = [("TIDEGATE_ADMIN_KEY", "of-the-variable")];
        let check = |args: AdminArgs, variables: &[(&str, &str)], url: &str, key: Option<&str>| {
            let environment = variables.iter().copied().collect();
            let (found, secret) = args.place(&environment).unwrap();
            assert_eq!(
                (found.to_string().as_str(), secret.as_ref().map(Secret::expose)),
                (url, key),
                "{args:?}"
            );
        };
        let plain = AdminArgs::default;
        let of_file = || AdminArgs { config: config.clone(), ..plain() };
        let both = || AdminArgs { admin: there.clone(), ..of_file() };
        check(of_file(), &NO_VARIABLES, "http://127.0.0.1:7001", Some("of-the-file"));
        check(of_file(), &variable, "http://127.0.0.1:7001", Some("of-the-variable"));
        check(
            AdminArgs { admin_key_file: key, ..of_file() },
            &variable,
            "http://127.0.0.1:7001",
            Some("of-the-key-file"),
        );
        check(both(), &NO_VARIABLES, "http://h:1", Some("of-the-file"));
        check(AdminArgs { admin: there.clone(), ..plain() }, &NO_VARIABLES, "http://h:1", None);
    }

    #[test]
    fn a_listener_is_reached_from_its_own_machine() {
        let check = |listen: &str, url: Option<&str>| {
            let admin =
                config::Admin { listen: listen.parse().unwrap(), key: None, hosts: vec![], tls: None };
            assert_eq!(url_of(&admin).ok().map(|url| url.to_string()).as_deref(), url, "{listen}");
        };
        check("127.0.0.1:4001", Some("http://127.0.0.1:4001"));
        check("0.0.0.0:4001", Some("http://127.0.0.1:4001"));
        check("[::]:4001", Some("http://[::1]:4001"));
        check("10.1.2.3:4001", Some("http://10.1.2.3:4001"));
        check("127.0.0.1:0", None);
    }

    #[test]
    fn an_empty_or_missing_key_file_is_wrong_usage() {
        let empty = file("", " \n");
        for path in [empty.path(), Path::new("/no/such/file")] {
            assert!(matches!(key_file("--admin-key-file", path), Err(Refusal::Usage(_))), "{path:?}");
        }
    }
}
