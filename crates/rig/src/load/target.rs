//! One side of a run, ready to be loaded: its address looked up, its request written. Shared by all
//! threads and never changed.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use super::prompt::Bodies;
use super::tls::Tls;
use super::{Error, Options, Url};

/// Where a load goes and what it says there.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Tls>,
    pub(super) stream: bool,
    pub(super) timeout: Duration,
    path: Uri,
    headers: HeaderMap,
    bodies: Bodies,
}

/// The longest that the first look at a server may take.
const LOOK_MAX: Duration = Duration::from_secs(10);

impl Target {
    /// The sides that `options` name: the target and, where given, what it is compared with.
    pub(super) fn all(options: &Options) -> Result<Vec<Self>, Error> {
        let key = options.api_key.as_deref();
        let mut sides = vec![Self::new(options, &options.url, &options.model, key)?];
        if let Some(url) = &options.against {
            let model = options.against_model.as_ref().unwrap_or(&options.model);
            let key = options.against_api_key.as_deref();
            sides.push(Self::new(options, url, model, key)?);
        }
        Ok(sides)
    }

    fn new(options: &Options, url: &Url, model: &str, key: Option<&str>) -> Result<Self, Error> {
        let path = format!("{}/chat/completions", url.path());
        let path = path.parse().map_err(|_| Error::Option(format!("{path} cannot be a request's path")))?;
        let headers = headers(options, url, key)?;
        let tls = url.https().then(|| Tls::new(url, options.ca_file.as_deref())).transpose()?;
        Ok(Self {
            address: reach(url, options.timeout.min(LOOK_MAX))?,
            tls,
            stream: options.stream,
            timeout: options.timeout,
            path,
            headers,
            bodies: Bodies::new(options, model)?,
        })
    }

    /// The next request.
    pub(super) fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.bodies.next()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// Looks the host up once, so that no lookup is ever part of a measurement, and sees whether
/// something listens there.
fn reach(url: &Url, patience: Duration) -> Result<SocketAddr, Error> {
    let resolve = |source| Error::Resolve { host: url.host().to_owned(), source };
    let addresses = (url.host(), url.port()).to_socket_addrs().map_err(resolve)?;
    let mut refused = std::io::Error::other("its name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(_) => return Ok(address),
            Err(error) => refused = error,
        }
    }
    Err(Error::Connect { url: url.to_string(), source: refused })
}

fn headers(options: &Options, url: &Url, key: Option<&str>) -> Result<HeaderMap, Error> {
    let agent = concat!("tidegate-bench/", env!("CARGO_PKG_VERSION"));
    let mut headers = HeaderMap::new();
    headers.insert(HOST, value("host", &url.authority())?);
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = key {
        let mut bearer = value("api key", &format!("Bearer {key}"))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    for (name, text) in &options.headers {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::Option(format!("{name:?} cannot be a header's name")))?;
        headers.insert(header, value(name, text)?);
    }
    Ok(headers)
}

/// The value is not repeated in the error: it may be secret.
fn value(name: &str, text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text)
        .map_err(|_| Error::Option(format!("the value of {name} holds a character that no header may")))
}
