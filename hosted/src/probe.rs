//! `sumac probe`: what can be encoded here, per backend and device, or why not.
//!
//! As text one paragraph per backend and device. With `--json` one object:
//!
//! ```text
//! {"backends": [{"name", "device", "encoders": [{"codec", "profiles", "max", "formats", "modifiers", "rate_control"}],
//!                "unavailable"}]}
//! ```
//!
//! `device` is the path of a node or null, `unavailable` a line for the operator or null, `max` the
//! largest picture as `[width, height]`, `formats` DRM's four letters, `modifiers` DRM's numbers in
//! hexadecimal, as text because JSON's readers keep 53 bits: empty where only the device can tell,
//! for each dmabuf.

use std::io::{self, Write};

use serde_json::{Value, json};
use sumac_backends::dmabuf::modifier_name;
use sumac_backends::{Offer, Report};

/// Asks all backends and writes what they say: for people, or with `json` for programs. Nothing is
/// changed on any device. It takes about a second per device at most.
///
/// # Errors
/// What `out` answers to the writing.
pub fn probe(out: &mut impl Write, json: bool) -> io::Result<()> {
    let reports = sumac_backends::registry::probe();
    if json { write_json(out, &reports) } else { write_text(out, &reports) }
}

fn write_json(out: &mut impl Write, reports: &[Report]) -> io::Result<()> {
    let backends: Vec<Value> = reports.iter().map(backend_value).collect();
    writeln!(out, "{:#}", json!({ "backends": backends }))
}

fn backend_value(report: &Report) -> Value {
    let offers = report.encoders.as_deref().unwrap_or_default();
    json!({
        "name": report.backend,
        "device": report.device.as_ref().map(|path| path.to_string_lossy()),
        "encoders": offers.iter().map(encoder_value).collect::<Vec<_>>(),
        "unavailable": report.encoders.as_ref().err().map(ToString::to_string),
    })
}

fn encoder_value(offer: &Offer) -> Value {
    let (width, height) = offer.max;
    json!({
        "codec": offer.codec.name(),
        "profiles": offer.profiles,
        "max": [width, height],
        "formats": offer.formats.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "modifiers": offer.modifiers.iter().map(|modifier| format!("{modifier:#x}")).collect::<Vec<_>>(),
        "rate_control": offer.rate_control.iter().map(|control| control.name()).collect::<Vec<_>>(),
    })
}

fn write_text(out: &mut impl Write, reports: &[Report]) -> io::Result<()> {
    for report in reports {
        write!(out, "{}", report.backend)?;
        if let Some(device) = &report.device {
            write!(out, " {}", device.display())?;
        }
        match &report.encoders {
            Err(why) => writeln!(out, ": {why}")?,
            Ok(offers) => {
                writeln!(out, ":")?;
                offers.iter().try_for_each(|offer| write_offer(out, offer))?;
            }
        }
    }
    Ok(())
}

fn write_offer(out: &mut impl Write, offer: &Offer) -> io::Result<()> {
    let (width, height) = offer.max;
    let formats: Vec<_> = offer.formats.iter().map(ToString::to_string).collect();
    let modifiers: Vec<_> = offer.modifiers.iter().copied().map(modifier_name).collect();
    let modifiers = if modifiers.is_empty() { "those that the device imports".to_owned() } else { modifiers.join(" ") };
    let rate: Vec<_> = offer.rate_control.iter().map(|control| control.name()).collect();
    writeln!(out, "  {:<6} by {}", offer.codec, offer.by)?;
    writeln!(out, "         profiles {}; at most {width}x{height}; rate {}", listed(&offer.profiles), rate.join(" "))?;
    writeln!(out, "         formats {}; modifiers {modifiers}", formats.join(" "))
}

/// A codec without profiles has none to list.
fn listed(profiles: &[&str]) -> String {
    if profiles.is_empty() { "-".to_owned() } else { profiles.join(" ") }
}

#[cfg(test)]
mod tests {
    use sumac_backends::dmabuf::Fourcc;
    use sumac_backends::{Codec, RateControl, Unavailable};

    use super::*;

    fn reports() -> Vec<Report> {
        let offer = Offer {
            codec: Codec::H264,
            profiles: vec!["constrained-baseline", "high"],
            max: (4096, 2304),
            formats: vec![Fourcc::XRGB8888, Fourcc::NV12],
            modifiers: vec![0, 0x0100_0000_0000_0009],
            rate_control: vec![RateControl::Cbr, RateControl::Cqp],
            by: "a driver".into(),
        };
        let any = Offer { codec: Codec::Fwht, profiles: Vec::new(), modifiers: Vec::new(), ..offer.clone() };
        let denied = Unavailable::Permission { node: "/dev/video1".into(), group: "video".into() };
        vec![
            Report { backend: "vaapi", device: Some("/dev/dri/renderD128".into()), encoders: Ok(vec![offer, any]) },
            Report { backend: "v4l2", device: None, encoders: Err(denied) },
        ]
    }

    #[test]
    fn json_has_these_keys_and_no_others() {
        let mut out = Vec::new();
        write_json(&mut out, &reports()).unwrap();
        let expected = json!({"backends": [
            {
                "name": "vaapi",
                "device": "/dev/dri/renderD128",
                "encoders": [
                    {
                        "codec": "h264",
                        "profiles": ["constrained-baseline", "high"],
                        "max": [4096, 2304],
                        "formats": ["XR24", "NV12"],
                        "modifiers": ["0x0", "0x100000000000009"],
                        "rate_control": ["cbr", "cqp"],
                    },
                    {
                        "codec": "fwht",
                        "profiles": [],
                        "max": [4096, 2304],
                        "formats": ["XR24", "NV12"],
                        "modifiers": [],
                        "rate_control": ["cbr", "cqp"],
                    },
                ],
                "unavailable": null,
            },
            {
                "name": "v4l2",
                "device": null,
                "encoders": [],
                "unavailable": "no permission on /dev/video1: add the user to group video",
            },
        ]});
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected);
    }

    #[test]
    fn people_read_the_same() {
        let mut out = Vec::new();
        write_text(&mut out, &reports()).unwrap();
        let expected = "\
vaapi /dev/dri/renderD128:
  h264   by a driver
         profiles constrained-baseline high; at most 4096x2304; rate cbr cqp
         formats XR24 NV12; modifiers Linear 0x0100000000000009
  fwht   by a driver
         profiles -; at most 4096x2304; rate cbr cqp
         formats XR24 NV12; modifiers those that the device imports
v4l2: no permission on /dev/video1: add the user to group video
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
