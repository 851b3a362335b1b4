//! Parameters of statements, each with its type: an unnamed statement that says its types needs no round trip to
//! ask for them.

use tokio_postgres::types::{ToSql, Type};

/// A value and its type.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// A Rust type that has one type in PostgreSQL.
pub(super) trait Typed: ToSql + Sync {
    /// That.
    const TYPE: Type;
}

/// Values, each with its type.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::postgres::param::typed(&$value)),*] };
}
pub(super) use params;

/// A value with its type.
pub(super) fn typed<T: Typed>(value: &T) -> Param<'_> {
    (value, T::TYPE)
}

impl<T: Typed> Typed for &T {
    const TYPE: Type = T::TYPE;
}

macro_rules! typed {
    ($($rust:ty => $one:ident, $many:ident;)*) => { $(
        impl Typed for $rust {
            const TYPE: Type = Type::$one;
        }
        impl Typed for Option<$rust> {
            const TYPE: Type = Type::$one;
        }
        impl Typed for Vec<$rust> {
            const TYPE: Type = Type::$many;
        }
        impl Typed for Vec<Option<$rust>> {
            const TYPE: Type = Type::$many;
        }
    )* };
}

typed! {
    bool => BOOL, BOOL_ARRAY;
    i16 => INT2, INT2_ARRAY;
    i32 => INT4, INT4_ARRAY;
    i64 => INT8, INT8_ARRAY;
    f64 => FLOAT8, FLOAT8_ARRAY;
    &str => TEXT, TEXT_ARRAY;
    String => TEXT, TEXT_ARRAY;
    &[u8] => BYTEA, BYTEA_ARRAY;
    Vec<u8> => BYTEA, BYTEA_ARRAY;
}
