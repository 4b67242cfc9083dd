//! SASL, server role: byte by byte, and its limits.

use super::*;

#[test]
fn sasl_byte_by_byte() {
    let mut served = Served::new(SASL_HOST);
    served.hear(&hello());
    served.sent.clear();
    assert_eq!(served.hear(b"\x02\0\0\0"), None);
    assert_eq!(served.sent, b"\x0c\0\0\0,PLAIN,TEST,");
    served.sent.clear();
    assert!(matches!(served.hear(&sasl_bytes()[4..]), Some(LinkPoll::Open(_))));
    assert_eq!(served.sent, b"\x01\0\0\0\0\x01\0\0\0\0\0\0\0\0", "challenge, outcome, result");
    let mut served = Served::new(Host { verdict: Verdict::Denied, ..SASL_HOST });
    served.hear(&hello());
    served.hear(&sasl_bytes()[..12]);
    served.sent.clear();
    assert_eq!(served.closed(b"\0\0\0\0"), Some(LinkClosed::Denied));
    assert_eq!(served.sent, b"\0\0\0\0\x01\x01\0\0\0\x16\0\0\0Authentication failed\0");
    let mut served = Served::new(Host { verdict: Verdict::BadConnectionId, ..SASL_HOST });
    assert_eq!(served.closed(&[hello(), sasl_bytes()].concat()), Some(LinkClosed::BadConnectionId));
    assert_eq!(served.sent[served.sent.len() - 8..], [0, 0, 0, 0, 8, 0, 0, 0]);
}

#[test]
fn sasl_limits_hold() {
    let mechanism = |n: usize| {
        let mut bytes = b"\x02\0\0\0".to_vec();
        bytes.extend((n as u32).to_le_bytes());
        bytes
    };
    let ends = |tail: &[u8]| Served::new(SASL_HOST).closed(&[&hello()[..], tail].concat());
    for n in [0, limits::SASL_MECHANISM + 1, u32::MAX as usize] {
        assert!(matches!(ends(&mechanism(n)), Some(LinkClosed::Size { what: "SASL mechanism", .. })), "{n}");
    }
    assert_eq!(ends(&mechanism(limits::SASL_MECHANISM)), None);
    assert_eq!(ends(b"\x02\0\0\0\x05\0\0\0OTHER"), Some(LinkClosed::SaslMechanism));
    assert_eq!(ends(b"\x02\0\0\0\x05\0\0\0TEST,"), Some(LinkClosed::SaslMechanism));
    let data = |n: u32| [&sasl_bytes()[..12], &n.to_le_bytes()].concat();
    assert_eq!(ends(&data(1 << 20)), None);
    for n in [(1 << 20) + 1, u32::MAX] {
        assert!(matches!(ends(&data(n)), Some(LinkClosed::Size { what: "SASL response", .. })), "{n}");
    }
    let forever = [&sasl_bytes()[..12], &[0; 4 * limits::SASL_ROUNDS as usize]].concat();
    let host = Host { rounds: u32::MAX, ..SASL_HOST };
    assert_eq!(Served::new(host).closed(&[&hello()[..], &forever].concat()), None);
    assert_eq!(Served::new(host).closed(&[&hello()[..], &forever, &[0; 4]].concat()), Some(LinkClosed::SaslRounds));
}
