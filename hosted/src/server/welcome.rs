//! What the operator gets at start: the password, the connection file, and a few words on stderr.

use std::io::{self, Write};
use std::time::Instant;

use crate::auth::{Password, TicketCheck};
use crate::config::{Config, Ticketing, channel_policy};
use crate::transport::{Gate, Listeners};
use crate::vv::{self, Secure, Target};

/// The password of this run, and whether the operator has to be told.
pub(super) struct Access {
    password: Option<Password>,
    made_up: bool,
    /// No ticket lets anybody in.
    locked: bool,
}

impl Access {
    /// Reads or makes the password.
    pub(super) fn prepare(config: &Config) -> anyhow::Result<Self> {
        if config.sasl.is_wanted() && !config.sasl.or_ticket {
            return Ok(Self { password: None, made_up: false, locked: true });
        }
        let ticketing = &config.ticketing;
        let password = match ticketing {
            Ticketing::Disabled => None,
            Ticketing::Generated => Some(Password::generate()?),
            Ticketing::Password(password) => Some(password.clone()),
            Ticketing::File(path) => Some(Password::from_file(path)?),
        };
        Ok(Self { password, made_up: matches!(ticketing, Ticketing::Generated), locked: false })
    }

    /// What clients must know.
    pub(super) fn ticket_check(&self, now: Instant) -> TicketCheck {
        match &self.password {
            Some(password) => TicketCheck::password(password.clone(), None, now),
            None if self.locked => TicketCheck::locked(),
            None => TicketCheck::disabled(),
        }
    }
}

/// Writes the connection file (failing to is only a warning), then tells how to connect.
pub(super) fn welcome(config: &Config, access: &Access, listeners: &Listeners, gate: &Gate) {
    let name = config.name.clone().unwrap_or_default();
    let policy = channel_policy(&config.channel_security);
    let secure = gate.identity().map(|identity| Secure::new(listeners, identity.subject, identity.ca, &policy));
    let clear = listeners.tcp_addresses();
    let tcp = if clear.is_empty() { listeners.tls_addresses() } else { clear };
    let target = Target::choose(tcp, listeners.unix_address());
    let file = config.vv.as_deref().filter(|path| match &target {
        None => {
            tracing::warn!("no connection file: it cannot name the socket");
            false
        }
        Some(target) => match vv::write(path, target, secure.as_ref(), access.password.as_ref(), name.as_str()) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot write the connection file");
                false
            }
        },
    });
    let mut text = format!("{} listens on {}\n", name.as_str(), places(listeners));
    if let Some(Target::Tcp(address)) = target.as_ref().filter(|_| gate.has_files()) {
        let scheme = if secure.is_some() { "https" } else { "http" };
        text.push_str(&format!("for browsers: {scheme}://{address}/\n"));
    }
    if let Some(password) = access.password.as_ref().filter(|_| access.made_up) {
        text.push_str(&format!("password for this run: {}\n", password.reveal()));
    }
    if let Some(file) = file {
        text.push_str(&format!("connect with: remote-viewer {}\n", file.display()));
    }
    // Whoever closed stderr does not want to know.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Where it listens.
pub(super) fn places(listeners: &Listeners) -> String {
    let tcp = listeners.tcp_addresses().iter().map(ToString::to_string);
    let tls = listeners.tls_addresses().iter().map(|address| format!("{address} (TLS)"));
    let unix = listeners.unix_address().map(ToString::to_string);
    tcp.chain(tls).chain(unix).collect::<Vec<_>>().join(", ")
}
