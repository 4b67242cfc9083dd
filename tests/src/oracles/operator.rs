//! What an operator writes: options, and files.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use sumac::auth::Password;
use sumac::config::{
    ChannelWord, Config, ImageCompression, Name, QemuAddress, StreamingVideo, UnixAddress, Uuid, VideoCodecs,
    apply_spice_options, parse_encoder, parse_size,
};
use sumac::fuzzing::files;
use sumac::qemu::QemuCommand;
use sumac::source::frames::MAX_RATE;
use sumac::source::{Frames, Size};

use super::input::Input;

/// Input: a byte that says what it is, then text.
pub(super) fn options(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte() % 12;
    let bytes = input.rest();
    let Ok(text) = std::str::from_utf8(bytes) else {
        let word = OsString::from_vec(bytes.to_vec());
        let _ = (UnixAddress::from(word.as_os_str()), QemuCommand::new(["qemu".into(), word]));
        return;
    };
    match kind {
        0..=2 => spice_options(text),
        3 => {
            if let Ok(codecs) = text.parse::<VideoCodecs>() {
                assert_eq!(codecs.to_string().parse(), Ok(codecs), "what is shown can be read");
            }
        }
        4 => {
            if let Ok(name) = text.parse::<Name>() {
                assert_eq!(name.as_str(), text);
            }
        }
        5 => drop(text.parse::<Uuid>()),
        6 => drop(parse_size(text).map(|size| assert!(size.width > 0 && size.height > 0))),
        7 => drop((text.parse::<QemuAddress>(), text.parse::<ChannelWord>(), parse_encoder(text))),
        8 => drop((text.parse::<ImageCompression>(), text.parse::<StreamingVideo>())),
        9 => {
            if let Ok(password) = Password::new(text) {
                assert_eq!(password.reveal(), text);
                assert_eq!(format!("{password:?}"), "Password(…)", "no log shows it");
            }
        }
        _ => {
            let words: Vec<_> = text.split('\0').map(OsString::from).collect();
            let made = QemuCommand::new(words.iter().cloned());
            assert!(made.is_err() || !words.is_empty());
        }
    }
}

fn spice_options(text: &str) {
    let before = format!("{:?}", Config::default());
    let mut config = Config::default();
    match apply_spice_options(text, &mut config) {
        Ok(()) => {
            let mut again = Config::default();
            assert!(apply_spice_options(text, &mut again).is_ok());
            assert_eq!(format!("{config:?}"), format!("{again:?}"));
        }
        Err(error) => {
            assert_eq!(format!("{config:?}"), before, "an error changes nothing");
            assert!(!error.to_string().is_empty());
        }
    }
}

/// Input: a byte that says what it is, then a file.
pub(super) fn config_files(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte() % 3;
    if kind == 0 {
        let found = files::pem(input.rest());
        assert!(found.is_ok(), "{found:?}");
        assert!(!matches!(found, Ok((Ok(0), _))), "none is an error");
        return;
    }
    let (width, height, rate) = (input.u16().into(), input.u16().into(), input.u32());
    let bytes = input.rest();
    let Ok((_file, path)) = files::file(bytes) else { unreachable!("no file") };
    if kind == 1 {
        if let Ok(password) = Password::from_file(&path) {
            assert!(bytes.starts_with(password.reveal().as_bytes()));
        }
    } else if let Ok(frames) = Frames::open(&path, Size { width, height }, rate, false) {
        assert!((1..=MAX_RATE).contains(&rate));
        assert_eq!(frames.count() * u64::from(width) * u64::from(height) * 4, bytes.len() as u64);
    }
}
