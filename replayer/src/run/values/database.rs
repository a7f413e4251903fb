//! Addresses of databases.

use std::fmt;

use twintap_plan::Spoken;

use super::Authority;

/// What the address of a database says beside host and port. The password is never in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseAddress {
    /// What it speaks.
    pub spoken: Spoken,
    /// As whom to log in.
    pub user: Option<String>,
    /// Which of the server's databases; of Redis a number.
    pub name: Option<String>,
}

/// Schemes, each with its usual port.
const SCHEMES: [(&str, Spoken, u16); 3] = [
    ("redis://", Spoken::Redis, 6379),
    ("postgres://", Spoken::Postgres, 5432),
    ("postgresql://", Spoken::Postgres, 5432),
];

/// What addresses of databases begin with.
pub(in crate::run) fn database_schemes() -> impl Iterator<Item = &'static str> {
    SCHEMES.into_iter().map(|(scheme, ..)| scheme)
}

impl DatabaseAddress {
    /// Reads `scheme://user@host:port/database`; none where the scheme is no database's.
    pub(super) fn parse(text: &str) -> Option<Result<(Authority, DatabaseAddress), String>> {
        let mut schemes = SCHEMES.into_iter();
        let (scheme, spoken, port) = schemes.find(|(scheme, ..)| text.starts_with(scheme))?;
        let rest = &text[scheme.len()..];
        // The text may have a password in it, and is not shown.
        let wrong = |what: &str| {
            Some(Err(format!(
                "an address that begins with `{scheme}` {what}"
            )))
        };
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => {
                return wrong(
                    "has no password in it: name the environment variable that has it by `password_env`",
                );
            }
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        let (authority, name) = match rest.split_once('/') {
            Some((authority, name)) => (authority, Some(name)),
            None => (rest, None),
        };
        let Some(authority) = Authority::parse(authority, Some(port)) else {
            return wrong("needs a host, and a port where it is not the usual one");
        };
        let user = user.filter(|user| !user.is_empty());
        let name = name.filter(|name| !name.is_empty());
        let is_number = |name: &str| name.parse::<u32>().is_ok();
        match spoken {
            Spoken::Redis if !name.is_none_or(is_number) => {
                return wrong("ends with the number of a database, if with any");
            }
            Spoken::Postgres if user.is_none() => {
                return wrong("needs a user: write `user@host:port/database`");
            }
            _ => {}
        }
        let database = DatabaseAddress {
            spoken,
            user: user.map(str::to_owned),
            name: name.map(str::to_owned),
        };
        Some(Ok((authority, database)))
    }

    /// Writes it as a run file has it.
    pub(super) fn write(&self, authority: &Authority, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut schemes = SCHEMES.into_iter();
        let scheme = schemes.find(|(_, spoken, _)| *spoken == self.spoken);
        f.write_str(scheme.map_or("", |(scheme, ..)| scheme))?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        write!(f, "{authority}")?;
        match &self.name {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Address;

    #[test]
    fn addresses_of_databases_are_written_as_they_were_read() {
        for (text, written) in [
            ("redis://cache", "redis://cache:6379"),
            ("redis://127.0.0.1:7000/2", "redis://127.0.0.1:7000/2"),
            ("redis://app@[::1]:7000", "redis://app@[::1]:7000"),
            ("postgres://app@db/shop", "postgres://app@db:5432/shop"),
            ("postgresql://app@db:1", "postgres://app@db:1"),
        ] {
            let address: Address = text.parse().expect("an address");
            assert_eq!(address.to_string(), written);
            assert_eq!(written.parse(), Ok(address));
        }
    }

    #[test]
    fn a_password_is_refused_and_not_shown() {
        for text in [
            "redis://:hunter2@cache",
            "postgres://app:hunter2@db/shop",
            "postgresql://a:hunter2@b@db",
        ] {
            let error = text.parse::<Address>().expect_err("a password");
            assert!(error.contains("password_env"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, expected) in [
            ("postgres://db/shop", "needs a user"),
            ("redis://cache/sessions", "number of a database"),
            ("redis://:6379", "needs a host"),
        ] {
            let error = text.parse::<Address>().expect_err("no address");
            assert!(error.contains(expected), "{error}");
        }
    }
}
