//! Whether a request comes from a page of our own. A browser says where a request comes from, and no page can make it
//! say otherwise: `Sec-Fetch-Site` (Fetch Metadata), `Origin` (RFC 6454).

use super::cookies;
use http::header::{HOST, HeaderName, ORIGIN};
use http::{Method, Request, Uri};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What our own pages say. A form cannot say it, and a foreign page not without asking us first, which is refused.
const MARK: HeaderName = HeaderName::from_static("x-tidegate-dashboard");

/// Whether a request changes something.
pub(super) fn changes<B>(request: &Request<B>) -> bool {
    !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether a browser says that somebody else's page, be it another program's on this machine, has it sent. Programs
/// that are no browsers say nothing, and are not meant.
pub(super) fn is_foreign<B>(request: &Request<B>) -> bool {
    of_our_page(request) == Some(false)
}

/// Whether it is surely from one of our pages: a browser says so, and it bears the mark.
pub(super) fn is_own<B>(request: &Request<B>) -> bool {
    of_our_page(request) == Some(true) && request.headers().contains_key(MARK)
}

/// What a browser says of it; `None`: nothing. The word on the site comes first, as it holds also behind a proxy that
/// changes `Host`; older browsers say `Origin` only, whose scheme is not compared: TLS may end before us.
fn of_our_page<B>(request: &Request<B>) -> Option<bool> {
    let headers = request.headers();
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        // `none`: somebody has typed the address.
        return Some(site == "same-origin" || site == "none");
    }
    let origin = Uri::try_from(headers.get(ORIGIN)?.as_bytes()).ok();
    let origin = origin.as_ref().and_then(|origin| origin.authority());
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    Some(origin.zip(host).is_some_and(|(origin, host)| origin.as_str().eq_ignore_ascii_case(host)))
}

/// The name that our cookie has: that of the port, as browsers keep one for all ports of a host.
pub(super) fn cookie_name<B>(request: &Request<B>) -> String {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let port = host.rsplit_once(':').map(|(_, port)| port);
    let port = port.filter(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    format!("tidegate_session_{}", port.unwrap_or("0"))
}

/// What our cookie says.
pub(super) fn session<B>(request: &Request<B>) -> Option<&str> {
    let name = cookie_name(request);
    cookies(request).find(|(named, _)| *named == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{cookie_name, is_foreign, is_own, session};
    use http::Request;

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::post("/").header("host", "localhost:4001");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn browsers_say_where_a_request_comes_from() {
        let mark = ("x-tidegate-dashboard", "1");
        let (site, origin) = ("sec-fetch-site", "origin");
        // (headers, foreign, own)
        let cases = [
            (vec![], false, false),
            (vec![mark], false, false),
            (vec![mark, (site, "same-origin")], false, true),
            (vec![mark, (origin, "http://localhost:4001")], false, true),
            (vec![mark, (origin, "https://LOCALHOST:4001")], false, true),
            (vec![mark, (site, "same-origin"), (origin, "https://behind.a.proxy")], false, true),
            (vec![(site, "same-origin")], false, false),
            (vec![(site, "none")], false, false),
            (vec![mark, (site, "same-site")], true, false),
            (vec![mark, (site, "cross-site")], true, false),
            (vec![mark, (origin, "http://localhost:3000")], true, false),
            (vec![mark, (origin, "null")], true, false),
            (vec![mark, (site, "cross-site"), (origin, "http://localhost:4001")], true, false),
        ];
        for (headers, foreign, own) in cases {
            let request = request(&headers);
            assert_eq!((is_foreign(&request), is_own(&request)), (foreign, own), "{headers:?}");
        }
    }

    #[test]
    fn two_gateways_on_one_host_have_cookies_of_their_own() {
        assert_eq!(cookie_name(&request(&[])), "tidegate_session_4001");
        let bare = Request::get("/").header("host", "admin.example").body(()).unwrap();
        assert_eq!(cookie_name(&bare), "tidegate_session_0");
        let both = request(&[("cookie", "a=1; tidegate_session_4002=x; tidegate_session_4001=y")]);
        assert_eq!(session(&both), Some("y"));
        assert_eq!(session(&request(&[("cookie", "tidegate_session_4002=x")])), None);
    }
}
