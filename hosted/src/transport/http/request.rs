//! [`Head`]: a request's first line and headers, and whether it may become a WebSocket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A request without its content, which is never read.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(super) target: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

/// Why a request gets nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(super) status: u16,
    reason: &'static str,
    /// Told to the client.
    text: &'static str,
    /// A header of its own, with its line end.
    header: &'static str,
}

impl Refusal {
    pub(super) const TOO_LARGE: Self =
        Self::new(431, "Request Header Fields Too Large", "the request is longer than 16 KiB");
    pub(super) const NOT_FOUND: Self = Self::new(404, "Not Found", "there is no such file");
    pub(super) const NO_FILES: Self = Self::new(
        404,
        "Not Found",
        "this is a SPICE server; it has files for browsers when it is started with --web-root",
    );
    pub(crate) const METHOD: Self = Self {
        header: "Allow: GET, HEAD\r\n",
        ..Self::new(405, "Method Not Allowed", "only GET and HEAD are answered")
    };
    pub(crate) const MALFORMED: Self = Self::new(400, "Bad Request", "this is no HTTP/1.1 request");
    const VERSION: Self = Self {
        header: "Sec-WebSocket-Version: 13\r\n",
        ..Self::new(426, "Upgrade Required", "only version 13 of WebSocket is known")
    };
    const KEY: Self = Self::new(400, "Bad Request", "Sec-WebSocket-Key is not 16 bytes in base64");
    const PROTOCOL: Self = Self::new(400, "Bad Request", "of Sec-WebSocket-Protocol, only binary is known");
    const ORIGIN: Self = Self::new(403, "Forbidden", "without a password, only pages of this host may connect");

    const fn new(status: u16, reason: &'static str, text: &'static str) -> Self {
        Self { status, reason, text, header: "" }
    }

    /// The whole response.
    pub(crate) fn response(&self) -> Vec<u8> {
        let Self { status, reason, text, header } = self;
        format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n{header}\
             Connection: close\r\n\r\n{text}\n",
            text.len() + 1
        )
        .into()
    }
}

/// Reads a request up to its empty line.
pub(crate) fn parse(bytes: &[u8]) -> Result<Head, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::MALFORMED)?;
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let first: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1" | "HTTP/1.0"] = first[..] else { return Err(Refusal::MALFORMED) };
    let visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible(method) || !visible(target) {
        return Err(Refusal::MALFORMED);
    }
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').filter(|(name, _)| visible(name)).ok_or(Refusal::MALFORMED)?;
        Ok((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
    });
    Ok(Head { method: method.into(), target: target.into(), headers: headers.collect::<Result<_, _>>()? })
}

impl Head {
    /// The path that it asks for, without what follows a question mark.
    pub(crate) fn path(&self) -> Option<&str> {
        self.target.split('?').next().filter(|path| path.starts_with('/'))
    }

    /// Whether it asks for a WebSocket, rightly or not.
    pub(super) fn wants_websocket(&self) -> bool {
        self.method == "GET" && self.has_token("upgrade", "websocket")
    }

    /// The key of a request that may become a WebSocket; `any_page`: of whatever page it is.
    pub(super) fn websocket_key(&self, any_page: bool) -> Result<&str, Refusal> {
        if !self.has_token("connection", "upgrade") {
            return Err(Refusal::MALFORMED);
        }
        if self.header("sec-websocket-version") != Some("13") {
            return Err(Refusal::VERSION);
        }
        if self.header("sec-websocket-protocol").is_some() && !self.has_protocol() {
            return Err(Refusal::PROTOCOL);
        }
        if !any_page && !self.is_of_this_host() {
            return Err(Refusal::ORIGIN);
        }
        let key = self.header("sec-websocket-key").ok_or(Refusal::KEY)?;
        STANDARD.decode(key).ok().filter(|key| key.len() == 16).map(|_| key).ok_or(Refusal::KEY)
    }

    /// Whether the subprotocol `binary` is offered.
    pub(super) fn has_protocol(&self) -> bool {
        self.has_token("sec-websocket-protocol", "binary")
    }

    /// Whether the page that asks came from this host, whatever its port. Programs that are no
    /// browsers name no page.
    fn is_of_this_host(&self) -> bool {
        let Some(origin) = self.header("origin") else { return true };
        let page = origin.split_once("://").map(|(_, host)| without_port(host));
        page.is_some() && page == self.header("host").map(without_port)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a header that is a list has this word.
    fn has_token(&self, name: &str, token: &str) -> bool {
        let values = self.headers.iter().filter(|(known, _)| known == name);
        values.flat_map(|(_, value)| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
    }
}

/// A host without its port; an IPv6 address has colons of its own, and brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPGRADE: &str = "GET /x HTTP/1.1\r\nHost: desk:5900\r\nConnection: keep-alive, Upgrade\r\n\
        upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    fn key(request: &str, any_page: bool) -> Result<String, u16> {
        let head = parse(format!("{request}\r\n").as_bytes()).map_err(|refusal| refusal.status)?;
        assert!(head.wants_websocket());
        head.websocket_key(any_page).map(str::to_owned).map_err(|refusal| refusal.status)
    }

    #[test]
    fn what_becomes_a_websocket() {
        assert_eq!(key(UPGRADE, false).unwrap(), "dGhlIHNhbXBsZSBub25jZQ==");
        for (header, result) in [
            ("Sec-WebSocket-Protocol: binary", Ok(())),
            ("Sec-WebSocket-Protocol: chat, binary", Ok(())),
            ("Sec-WebSocket-Protocol: base64", Err(400)),
            ("Origin: http://desk:8080", Ok(())),
            ("Origin: https://desk", Ok(())),
            ("Origin: https://evil.example", Err(403)),
            ("Origin: null", Err(403)),
        ] {
            assert_eq!(key(&format!("{UPGRADE}{header}\r\n"), false).map(drop), result, "{header}");
        }
        assert_eq!(key(&format!("{UPGRADE}Origin: https://evil.example\r\n"), true).map(drop), Ok(()));
        assert_eq!(key(&UPGRADE.replace("13", "8"), false), Err(426));
        assert_eq!(key(&UPGRADE.replace("dGhl", "####"), false), Err(400));
        assert_eq!(key(&UPGRADE.replace("dGhl", ""), false), Err(400));
        assert_eq!(key(&UPGRADE.replace(", Upgrade", ""), false), Err(400));
    }

    #[test]
    fn what_is_no_request() {
        for bad in ["", "GET /", "GET  / HTTP/1.1", "GET / HTTP/2", "GET /\x01 HTTP/1.1", "GET / HTTP/1.1\r\nno colon"]
        {
            assert_eq!(parse(format!("{bad}\r\n\r\n").as_bytes()).unwrap_err().status, 400, "{bad}");
        }
        assert!(parse(b"GET /\xff HTTP/1.1\r\n\r\n").is_err());
    }

    #[test]
    fn hosts_and_ports() {
        for (host, name) in [("h", "h"), ("h:1", "h"), ("[::1]", "[::1]"), ("[::1]:5900", "[::1]"), ("h:", "h")] {
            assert_eq!(without_port(host), name);
        }
    }
}
