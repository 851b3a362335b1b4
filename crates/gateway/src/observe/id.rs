//! A request's id as it is kept, or the name that a provider gives its model: a copy, as the header that an id came in
//! may be a slice of the request's whole head; and none that is allocated by one thread and let go of by another, where
//! it is no longer than the ids that are made here.

use http::HeaderValue;

/// Room for an id as they are made here, `req_` and 32 digits, and behind it the number of a part of a batch.
const SHORT: usize = 46;

/// An id.
#[derive(Clone, Debug)]
pub struct Id(Text);

#[derive(Clone, Debug)]
enum Text {
    Short([u8; SHORT], u8),
    Long(Box<[u8]>),
}

impl Id {
    /// None.
    pub const NONE: Self = Self(Text::Short([0; SHORT], 0));

    fn of(text: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        Self(match bytes.get_mut(..text.len()) {
            Some(start) => {
                start.copy_from_slice(text);
                Text::Short(bytes, text.len() as u8)
            }
            None => Text::Long(text.into()),
        })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // It was read as text before it was taken for an id.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The same as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Short(bytes, length) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Text::Long(bytes) => bytes,
        }
    }
}

impl From<&HeaderValue> for Id {
    fn from(value: &HeaderValue) -> Self {
        Self::of(value.as_bytes())
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        Self::of(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Id, SHORT};
    use http::HeaderValue;

    #[test]
    fn an_id_of_any_length_is_kept_whole() {
        assert_eq!(Id::NONE.as_str(), "");
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 128] {
            let text: String = ('a'..='z').cycle().take(length).collect();
            let id = Id::from(&HeaderValue::from_str(&text).unwrap());
            assert_eq!(id.as_str(), text);
            assert_eq!(Id::from(text.as_str()).as_str(), text);
        }
    }
}
