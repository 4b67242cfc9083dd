//! Which channels may be linked in clear and which over TLS.

use crate::proto::common::ChannelType;

/// What a channel's link may travel over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Clear or TLS.
    #[default]
    Any,
    /// TLS only; a client in clear is told NEED_SECURED.
    Secured,
    /// Clear only; a client over TLS is told NEED_UNSECURED.
    Unsecured,
}

/// [`Security`] by channel type, with a default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    default: Security,
    /// By number of the type.
    own: [Option<Security>; TYPES],
}

/// Types have the numbers 1 to 11.
const TYPES: usize = 12;

impl Policy {
    /// The same for all types.
    #[must_use]
    pub const fn all(security: Security) -> Self {
        Self { default: security, own: [None; TYPES] }
    }

    /// With another one for this type; types without a name cannot have their own.
    #[must_use]
    pub fn with(mut self, channel_type: ChannelType, security: Security) -> Self {
        if let Some(own) = self.own.get_mut(usize::from(channel_type.0)) {
            *own = Some(security);
        }
        self
    }

    /// What holds for this type.
    #[must_use]
    pub fn of(&self, channel_type: ChannelType) -> Security {
        self.own.get(usize::from(channel_type.0)).copied().flatten().unwrap_or(self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_its_own_or_the_default() {
        let policy = Policy::all(Security::Secured).with(ChannelType::PLAYBACK, Security::Any);
        assert_eq!(policy.of(ChannelType::PLAYBACK), Security::Any);
        assert_eq!(policy.of(ChannelType::MAIN), Security::Secured);
        assert_eq!(policy.of(ChannelType::WEBDAV), Security::Secured);
        assert_eq!(policy.with(ChannelType(255), Security::Any).of(ChannelType(255)), Security::Secured);
    }

    #[test]
    fn every_named_type_can_have_its_own() {
        for &named in ChannelType::KNOWN {
            assert_eq!(Policy::default().with(named, Security::Unsecured).of(named), Security::Unsecured, "{named:?}");
        }
    }
}
