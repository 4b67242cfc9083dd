//! [`Sasl`]: whether and how viewers prove who they are.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::ValueError;

/// How viewers prove who they are with SASL. Nothing set means tickets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sasl {
    /// SASL it is, which needs `users`.
    pub on: bool,
    /// The file of users and their keys, as `sumac passwd` writes it; naming one turns SASL on.
    pub users: Option<PathBuf>,
    /// The only mechanisms that are offered, the most wanted first. Default: all that there are.
    pub mechanisms: Vec<SaslMechanism>,
    /// Whether tickets are taken, too. Default: no.
    pub or_ticket: bool,
}

/// The name of a mechanism: 1 to 20 of `A-Z`, `0-9`, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaslMechanism(String);

impl Sasl {
    /// Whether there is to be SASL.
    pub fn is_wanted(&self) -> bool {
        self.on || self.users.is_some()
    }

    /// Takes over what `other` says.
    pub fn overrule(&mut self, other: Self) {
        self.on |= other.on;
        self.or_ticket |= other.or_ticket;
        self.users = other.users.or(self.users.take());
        if !other.mechanisms.is_empty() {
            self.mechanisms = other.mechanisms;
        }
    }
}

impl SaslMechanism {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SaslMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SaslMechanism {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if (1..=20).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.into()))
        } else {
            Err(ValueError::Invalid { value: text.into(), expected: "a mechanism such as SCRAM-SHA-256".into() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_mechanisms() {
        for good in ["PLAIN", "SCRAM-SHA-256", "GSS-SPNEGO", "9798-M-RSA-SHA1-ENC"] {
            assert_eq!(good.parse::<SaslMechanism>().unwrap().to_string(), good);
        }
        for bad in ["", "plain", "A B", "A,B", "SCRAM-SHA-256-PLUS-PLUS"] {
            assert!(bad.parse::<SaslMechanism>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_said_later_overrules() {
        let mut sasl = Sasl { on: true, users: Some("a".into()), ..Sasl::default() };
        let plain = vec!["PLAIN".parse().unwrap()];
        sasl.overrule(Sasl { mechanisms: plain.clone(), ..Sasl::default() });
        assert_eq!(sasl, Sasl { on: true, users: Some("a".into()), mechanisms: plain, or_ticket: false });
        assert!(sasl.is_wanted() && !Sasl::default().is_wanted());
    }
}
