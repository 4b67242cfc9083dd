//! The subject of an X.509 certificate, as spice-gtk's `host-subject` spells it.

use std::fmt::Write;

/// DER tags.
const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const T61_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0] EXPLICIT`, the version of a certificate.
const VERSION: u8 = 0xa0;

/// Object identifiers of what names are made of, with the short names that OpenSSL gives them.
const ATTRIBUTES: [(&[u8], &str); 12] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "street"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "title"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
];

/// The subject of the certificate `der`, like `C=DE,O=Sumac,CN=desk`; `None` when this is no
/// certificate.
pub(super) fn subject(der: &[u8]) -> Option<String> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (mut fields, _) = take(certificate, SEQUENCE)?;
    if let Some((_, rest)) = take(fields, VERSION) {
        fields = rest;
    }
    let (_, fields) = take(fields, INTEGER)?;
    // The algorithm of the signature, the issuer, the time in which it is valid.
    let fields = (0..3).try_fold(fields, |fields, _| Some(take(fields, SEQUENCE)?.1))?;
    let (mut names, _) = take(fields, SEQUENCE)?;
    let mut text = String::new();
    while !names.is_empty() {
        let (mut set, rest) = take(names, SET)?;
        names = rest;
        while !set.is_empty() {
            let (attribute, rest) = take(set, SEQUENCE)?;
            set = rest;
            let (oid, value) = take(attribute, OID)?;
            if !text.is_empty() {
                text.push(',');
            }
            push_attribute(oid, value, &mut text)?;
        }
    }
    Some(text)
}

fn push_attribute(oid: &[u8], value: &[u8], text: &mut String) -> Option<()> {
    match ATTRIBUTES.iter().find(|(known, _)| *known == oid) {
        Some((_, name)) => text.push_str(name),
        None => push_oid(oid, text)?,
    }
    text.push('=');
    let (tag, value, _) = element(value)?;
    let value = match tag {
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => std::str::from_utf8(value).ok()?.to_owned(),
        T61_STRING => value.iter().map(|&byte| char::from(byte)).collect(),
        BMP_STRING => {
            let units = value.chunks_exact(2).filter_map(|unit| Some(u16::from_be_bytes(*unit.first_chunk()?)));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => return None,
    };
    for c in value.chars() {
        if matches!(c, ',' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    Some(())
}

/// An object identifier in digits.
fn push_oid(oid: &[u8], text: &mut String) -> Option<()> {
    let first = *oid.first()?;
    write!(text, "{}.{}", (first / 40).min(2), first - (first / 40).min(2) * 40).ok()?;
    let mut number = 0_u64;
    for byte in oid.get(1..)? {
        number = number.checked_mul(128)? + u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            write!(text, ".{number}").ok()?;
            number = 0;
        }
    }
    Some(())
}

/// The content of the first element, which must have this tag, and what follows it.
fn take(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(tag, ..)| *tag == wanted).map(|(_, content, rest)| (content, rest))
}

/// Tag and content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, short], rest) = der.split_first_chunk()?;
    let (len, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        // A length of 1 to 4 bytes follows.
        0x81..=0x84 => {
            let (len, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (len.iter().fold(0, |len, &byte| len << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn certificate(attributes: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let names: Vec<u8> = attributes
            .iter()
            .flat_map(|(oid, tag, text)| tlv(SET, &tlv(SEQUENCE, &[tlv(OID, oid), tlv(*tag, text)].concat())))
            .collect();
        let empty = tlv(SEQUENCE, &[]);
        let version = tlv(VERSION, &tlv(INTEGER, &[2]));
        let fields = [version, tlv(INTEGER, &[1]), empty.clone(), empty.clone(), empty, tlv(SEQUENCE, &names)].concat();
        tlv(SEQUENCE, &tlv(SEQUENCE, &fields))
    }

    #[test]
    fn names_are_spelled_as_openssl_does() {
        let der = certificate(&[
            (&[0x55, 4, 6], PRINTABLE_STRING, b"DE"),
            (&[0x55, 4, 10], UTF8_STRING, "a,b\\c ä".as_bytes()),
            (&[0x2a, 0x86, 0x48, 1], IA5_STRING, b"x"),
            (&[0x55, 4, 3], BMP_STRING, &[0, b'd', 0, b'e']),
        ]);
        assert_eq!(subject(&der).unwrap(), "C=DE,O=a\\,b\\\\c ä,1.2.840.1=x,CN=de");
        assert_eq!(subject(&certificate(&[])).unwrap(), "");
    }

    #[test]
    fn no_bytes_break_it() {
        let der = certificate(&[(&[0x55, 4, 3], UTF8_STRING, b"desk")]);
        assert!(subject(&der).is_some());
        for len in 0..der.len() {
            assert_eq!(subject(&der[..len]), None);
        }
        for at in 0..der.len() {
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut broken = der.clone();
                broken[at] = value;
                let _ = subject(&broken);
            }
        }
    }
}
