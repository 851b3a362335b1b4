//! Requests that can be read in two ways, and so are not read at all.
//!
//! The parser has refused most of them. What it lets pass is a list of transfer codings that ends in
//! `chunked`, and more than one `Host`.

use super::body::Body;
use super::error;
use http::header::{CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response};
use wire::failure::{Failure, Kind};

/// Checks the headers that say where a request ends and whom it is for (RFC 9112, sections 3.2 and 6).
///
/// # Errors
/// 400; answer it with [`refusal`].
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Failure> {
    let headers = request.headers();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let plain = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        _ => false,
    };
    if !plain {
        return Err(Failure::new(
            Kind::InvalidRequest,
            "The only transfer coding that is read is 'chunked', once.",
        ));
    }
    if headers.get_all(HOST).iter().nth(1).is_some() {
        return Err(Failure::new(Kind::InvalidRequest, "A request has one 'Host' header."));
    }
    Ok(())
}

/// The answer, and the end of the connection: nobody knows what the next bytes on it are.
pub(super) fn refusal(failure: &Failure) -> Response<Body> {
    let mut response = error::response(failure);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::check;
    use http::Request;

    #[test]
    fn one_host_and_one_coding_are_let_pass() {
        for (headers, passes) in [
            (vec![("host", "a")], true),
            (vec![("transfer-encoding", "chunked")], true),
            (vec![("transfer-encoding", "Chunked")], true),
            (vec![("transfer-encoding", "chunked, chunked")], false),
            (vec![("transfer-encoding", "gzip, chunked")], false),
            (vec![("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], false),
            (vec![("host", "a"), ("host", "a")], false),
        ] {
            let mut request = Request::builder();
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            assert_eq!(check(&request.body(()).unwrap()).is_ok(), passes, "{headers:?}");
        }
    }
}
