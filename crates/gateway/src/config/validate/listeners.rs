//! The two listeners: addresses, bounds, TLS files, and the rule that nothing unguarded leaves loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path as FilePath;

use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use super::Judge;
use crate::config::base_url::host_name;
use crate::config::quantity::{Size, Span};
use crate::config::tree::Path;
use crate::config::{Admin, Secret, Server, ServerTimeouts, Tls};
use crate::config::{files, raw};
use crate::keys::CallerKey;
use crate::listener::tls::{pem, untimely};

/// Fewest bytes of an admin key that may guard a listener beyond loopback.
const ADMIN_KEY_BYTES_MIN: usize = 32;
/// What may be missing of what guards one.
const ADMIN_KEY: &str = "TIDEGATE_ADMIN_KEY of 32 bytes or more (`openssl rand -hex 32`)";
const LONGER_ADMIN_KEY: &str =
    "a longer admin key: the one that is set has fewer than 32 bytes (`openssl rand -hex 32`)";
const CALLERS_KEYS: &str =
    "callers' keys (`tidegate keys create`; for those of the store, `server.keys = \"required\"`)";
/// Longest time-out taken: a day.
const TIMEOUT_MAX: Span = Span::seconds(86_400);
/// Shortest time-out taken: below it every request would fail.
const TIMEOUT_MIN: Span = Span(std::time::Duration::from_millis(10));

impl Judge<'_> {
    pub(super) fn server(&mut self, raw: &raw::Server) -> Server {
        let at = Path::of(&["server"]);
        // Judged also where it is not in force: it may be tomorrow.
        let compress_above =
            self.size(&at.key("compress_above"), raw.compress_above, Size(0)..=Size(64 << 20));
        Server {
            listen: self.address(&at.key("listen"), &raw.listen),
            workers: raw.workers.map(|workers| workers as usize),
            body_bytes_max: self.size(
                &at.key("body_bytes_max"),
                raw.body_bytes_max,
                Size(1 << 10)..=Size(1 << 30),
            ),
            header_bytes_max: self.size(
                &at.key("header_bytes_max"),
                raw.header_bytes_max,
                Size(8 << 10)..=Size(1 << 20),
            ),
            connections_max: raw.connections_max as usize,
            upstream_connections_max: files::given(raw.upstream_connections_max),
            hosts: self.hosts(&at.key("hosts"), &raw.hosts),
            keys_required: raw.keys == raw::KeysNeeded::Required,
            compress_above: raw.compress.then_some(compress_above),
            timeouts: self.server_timeouts(&raw.timeouts),
            tls: raw.tls.as_ref().and_then(|tls| self.tls(&at.key("tls"), tls)),
        }
    }

    /// Whether all connections may be open at once.
    pub(super) fn open_files(&mut self, server: &Server, allowed: Option<u64>) {
        let (callers, upstream) = (server.connections_max, server.upstream_connections_max);
        if let Some(allowed) = allowed.filter(|allowed| *allowed < files::needed(callers, upstream)) {
            let what = format!(
                "{callers} connections of callers and {upstream} to providers are more than the {allowed} files \
                 allow that may be open"
            );
            let mend = "raise the limit (`ulimit -Hn`, `LimitNOFILE=`), or lower `connections_max`";
            self.warn(&Path::of(&["server", "connections_max"]), what, mend);
        }
    }

    fn server_timeouts(&mut self, raw: &raw::ServerTimeouts) -> ServerTimeouts {
        let at = Path::of(&["server", "timeouts"]);
        let mut within = |key: &str, span| self.duration(&at.key(key), span, TIMEOUT_MIN..=TIMEOUT_MAX);
        let (header, idle, body, total) = (
            within("header", raw.header),
            within("idle", raw.idle),
            within("body", raw.body),
            within("total", raw.total),
        );
        // Zero is allowed here: whoever wants to cut requests off may.
        let drain = self.duration(&at.key("drain"), raw.drain, Span::seconds(0)..=Span::seconds(3_600));
        ServerTimeouts { header, idle, body, total, drain }
    }

    pub(super) fn admin(&mut self, raw: &raw::Admin) -> Admin {
        let at = Path::of(&["admin"]);
        Admin {
            listen: self.address(&at.key("listen"), &raw.listen),
            key: self.admin_key(&at.key("key"), raw.key.as_ref()),
            hosts: self.hosts(&at.key("hosts"), &raw.hosts),
            tls: raw.tls.as_ref().and_then(|tls| self.tls(&at.key("tls"), tls)),
        }
    }

    fn admin_key(&mut self, at: &Path, raw: Option<&raw::SecretText>) -> Option<Secret> {
        let key = raw.map(|raw| raw.0.as_str()).filter(|key| !key.is_empty())?;
        if key.len() > 1024 || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.fault(
                at,
                "the admin key cannot be sent in a header",
                "use at most 1024 letters, digits and signs; no spaces",
            );
        } else if CallerKey::parse(key.as_bytes()).is_some() {
            self.fault(
                at,
                "the admin key is a caller's key",
                "make another: no caller may open the admin plane",
            );
        } else if key.len() < ADMIN_KEY_BYTES_MIN {
            self.warn(
                at,
                format!(
                    "the admin key has fewer than {ADMIN_KEY_BYTES_MIN} bytes; it serves on loopback only"
                ),
                "make one with `openssl rand -hex 32`",
            );
        }
        Some(Secret::new(key))
    }

    fn address(&mut self, at: &Path, text: &str) -> SocketAddr {
        text.parse().unwrap_or_else(|_| {
            let mend = match text.rsplit_once(':') {
                Some((host, port)) if matches!(host, "localhost" | "") && port.parse::<u16>().is_ok() => {
                    format!("write 127.0.0.1:{port}")
                }
                _ => "write an address and a port: 127.0.0.1:4000, [::1]:4000".to_owned(),
            };
            let what = format!("{} is not an address with a port", self.quoted(at, text));
            self.fault(at, what, mend);
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    fn hosts(&mut self, at: &Path, raw: &[String]) -> Vec<String> {
        raw.iter().enumerate().filter_map(|(index, host)| self.host(&at.index(index), host)).collect()
    }

    fn host(&mut self, at: &Path, text: &str) -> Option<String> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if text == "*" {
            return Some(text.to_owned());
        }
        let host =
            bare.parse::<Ipv6Addr>().map(|address| format!("[{address}]")).ok().or_else(|| host_name(text));
        if host.is_none() {
            let what = format!("{} is not a host name", self.quoted(at, text));
            self.fault(at, what, "write a name without scheme, port or path, or `*` for any");
        }
        host
    }

    fn tls(&mut self, at: &Path, raw: &raw::Tls) -> Option<Tls> {
        let (at_cert, at_key) = (at.key("cert"), at.key("key"));
        let cert = raw.cert.as_deref().map(|cert| self.path(&at_cert, cert));
        let chain = cert.as_deref().and_then(|cert| self.certificates(&at_cert, cert));
        let key = raw.key.as_deref().map(|key| self.path(&at_key, key));
        let private = key.as_deref().and_then(|key| self.private_key(&at_key, key));
        if let Some((chain, private)) = chain.zip(private) {
            self.certificate_and_key(at, chain, private);
        }
        // What is missing has been told by the shape check.
        Some(Tls { cert: cert?, key: key? })
    }

    fn private_key(&mut self, at: &Path, file: &FilePath) -> Option<PrivateKeyDer<'static>> {
        let read = pem::private_key(file, &mut self.inputs);
        self.sound(at, file, read)
    }

    /// The certificates that a file holds; `None` once it has been told that there is none.
    pub(super) fn certificates(
        &mut self,
        at: &Path,
        file: &FilePath,
    ) -> Option<Vec<CertificateDer<'static>>> {
        let read = pem::certificates(file, &mut self.inputs);
        self.sound(at, file, read)
    }

    /// What was read of a file; `None` once it has been told what is wrong with it.
    fn sound<T>(&mut self, at: &Path, file: &FilePath, read: Result<T, pem::Fault>) -> Option<T> {
        match read {
            Ok(sound) => return Some(sound),
            Err(pem::Fault::Unreadable(why)) => self.unreadable(at, file, &why),
            Err(fault) => self.fault(at, fault.to_string(), fault.mend()),
        }
        None
    }

    /// Whether a listener can show this certificate, and whether callers will take it.
    fn certificate_and_key(
        &mut self,
        at: &Path,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) {
        let odd = chain.first().and_then(|own| untimely(own, UnixTime::now()));
        if let Some(what) = odd {
            let mend = "replace both files; what is in them is shown without a restart";
            self.warn(&at.key("cert"), what, mend);
        }
        if let Err(fault) = pem::pair(chain, key) {
            let at_fault = at.key(if fault.is_of_certificate() { "cert" } else { "key" });
            self.fault(&at_fault, fault.to_string(), fault.mend());
        }
    }

    /// No listener leaves loopback unguarded, and no two share an address.
    pub(super) fn exposure(&mut self, server: &Server, admin: &Admin, raw: &raw::File) {
        let Unguarded { planes, mut missing } = unguarded(server, admin, !raw.keys.is_empty());
        if self.is_told(&Path::of(&["admin", "key"])) {
            missing.retain(|what| ![ADMIN_KEY, LONGER_ADMIN_KEY].contains(what));
        }
        for (plane, listen) in planes.into_iter().filter(|_| !missing.is_empty()) {
            let what = format!("{listen} is not loopback, and the gateway is not guarded");
            let mend = format!("listen on 127.0.0.1, or add {}", missing.join(" and "));
            self.fault(&Path::of(&[plane, "listen"]), what, mend);
        }
        if clash(server.listen, admin.listen) {
            let what = "the data plane listens there already";
            self.fault(&Path::of(&["admin", "listen"]), what, "give the two planes different ports");
        }
    }
}

/// What of a gateway may be reached from beyond this machine though it should not be.
pub struct Unguarded {
    /// `server`, `admin` or both, and where they listen; none where nothing is missing.
    pub planes: Vec<(&'static str, SocketAddr)>,
    /// What would guard them.
    pub missing: Vec<&'static str>,
}

/// Which listeners leave loopback without what guards them; `has_keys`: callers' keys stand in the configuration.
pub fn unguarded(server: &Server, admin: &Admin, has_keys: bool) -> Unguarded {
    let is_strong = |key: &Secret| key.expose().len() >= ADMIN_KEY_BYTES_MIN;
    let admin_key = match &admin.key {
        Some(key) if is_strong(key) => None,
        Some(_) => Some(LONGER_ADMIN_KEY),
        None => Some(ADMIN_KEY),
    };
    let keys = (!has_keys && !server.keys_required).then_some(CALLERS_KEYS);
    let missing: Vec<_> = admin_key.into_iter().chain(keys).collect();
    let mut planes = vec![("server", server.listen), ("admin", admin.listen)];
    planes.retain(|(_, listen)| !listen.ip().is_loopback() && !missing.is_empty());
    Unguarded { planes, missing }
}

/// Whether two listeners would want the same port of the same address.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    // Port 0 asks for any free one.
    let same_port = one.port() == other.port() && one.port() != 0;
    let is_any = |address: IpAddr| {
        address == IpAddr::V4(Ipv4Addr::UNSPECIFIED) || address == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    };
    same_port && (one.ip() == other.ip() || is_any(one.ip()) || is_any(other.ip()))
}
