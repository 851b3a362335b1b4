//! Reads the members of a JSON object that a caller sent, and tells what is wrong with them by name.

use std::borrow::Cow;
use wire::failure::{Failure, Kind};
use wire::json::{self, Object, Value};

/// The members of an object, and where it stands: empty, or `job.`.
pub(super) struct Members<'a> {
    object: Object<'a>,
    place: &'static str,
}

impl<'a> Members<'a> {
    /// The members of a whole body.
    ///
    /// # Errors
    /// 400 where it is no JSON object, or one with members that are not among `known`.
    pub(super) fn read(body: &'a [u8], known: &[&str]) -> Result<Self, Failure> {
        let object = json::object(body).map_err(|fault| {
            let public = format!("We could not parse the JSON body of your request: {fault}.");
            Failure::new(Kind::InvalidRequest, public).with_code("invalid_json")
        })?;
        Self::of(object, "", known)
    }

    /// The members of an object that stands at `place`.
    ///
    /// # Errors
    /// 400 where there are any that are not among `known`.
    pub(super) fn of(object: Object<'a>, place: &'static str, known: &[&str]) -> Result<Self, Failure> {
        if let Some((name, _)) = object.iter().find(|(name, _)| !known.contains(&&**name)) {
            let param: String = format!("{place}{name}").chars().take(128).collect();
            let public = format!("Unknown parameter: '{param}'; there are: {}.", known.join(", "));
            return Err(refusal(param, public).with_code("unknown_parameter"));
        }
        Ok(Self { object, place })
    }

    /// The member, unless it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<Value<'a>> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// The member, which must be there.
    ///
    /// # Errors
    /// 400 where it is not.
    pub(super) fn required(&self, name: &str) -> Result<Value<'a>, Failure> {
        self.get(name).ok_or_else(|| {
            let param = self.param(name);
            let public = format!("Missing required parameter: '{param}'.");
            refusal(param, public).with_code("missing_required_parameter")
        })
    }

    /// A text.
    ///
    /// # Errors
    /// 400 where it is something else.
    pub(super) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(name, "a string"))
    }

    /// A text of 1 to `bytes_max` bytes.
    ///
    /// # Errors
    /// 400 where it is something else.
    pub(super) fn word(&self, name: &str, bytes_max: usize) -> Result<Option<Cow<'a, str>>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        if text.is_empty() || text.len() > bytes_max {
            return Err(self.wrong(name, &format!("a string of 1 to {bytes_max} bytes")));
        }
        Ok(Some(text))
    }

    /// An object.
    ///
    /// # Errors
    /// 400 where it is something else.
    pub(super) fn object(&self, name: &str) -> Result<Option<Object<'a>>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.object().map(Some).ok_or_else(|| self.wrong(name, "an object"))
    }

    /// What the member is called from outside.
    pub(super) fn param(&self, name: &str) -> String {
        format!("{}{name}", self.place)
    }

    /// The member is not what it should be.
    pub(super) fn wrong(&self, name: &str, expected: &str) -> Failure {
        let param = self.param(name);
        let public = format!("Invalid value for '{param}': expected {expected}.");
        refusal(param, public).with_code("invalid_value")
    }
}

/// 400, with the place.
pub(super) fn refusal(param: impl Into<Cow<'static, str>>, public: impl Into<Cow<'static, str>>) -> Failure {
    Failure::new(Kind::InvalidRequest, public).with_param(param)
}
