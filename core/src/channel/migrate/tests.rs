use std::vec;
use std::vec::Vec;

use super::*;
use crate::channel::inputs::InputsServer;
use crate::channel::main::{MainEvent, MainServer};
use crate::channel::{Heard, Negotiated, PeerError, Poll};
use crate::proto::inputs::{KeyModifiers, KeyModifiersChanged, ServerMessage as InputsSays};
use crate::time::Millis;
use crate::wire::Sampler;

const NOW: Millis = Millis(5);
const BOTH: Negotiated = Negotiated { mini_header: true, peer_caps: 0 };

fn main_state(agent_data: &[u8]) -> MainState<'_> {
    let agent_data = Rest(Data::Here(agent_data));
    MainState { mouse_mode: 2, agent: 2, from_client: 7, to_client: 3, spent: 1, agent_data }
}

fn written<'a, S: State<'a>>(kind: ChannelType, state: &S) -> Vec<u8> {
    let mut out = vec![0; 4096];
    let len = write(kind, 41, state, &mut out).expect("room");
    out.truncate(len);
    out
}

#[test]
fn states_are_read_as_they_were_written() {
    let bytes = written(ChannelType::MAIN, &main_state(b"half a message"));
    assert_eq!(read(ChannelType::MAIN, &bytes), Ok((42, main_state(b"half a message"))));
    let (to_client, to_guest) = (Counted::new(b"out"), Rest(Data::Here(b"in")));
    let device = DeviceState { guest_opened: 1, client_opened: 0, to_client, to_guest };
    for kind in [ChannelType::PORT, ChannelType::USBREDIR, ChannelType::WEBDAV, ChannelType::SMARTCARD] {
        assert_eq!(read(kind, &written(kind, &device)), Ok((42, device)));
    }
    let inputs = InputsState { motions: 3, buttons: MouseButtons::LEFT, held: [0x55; 32] };
    assert_eq!(read(ChannelType::INPUTS, &written(ChannelType::INPUTS, &inputs)), Ok((42, inputs)));
}

#[test]
fn what_is_not_ours_or_not_whole_is_refused() {
    let bytes = written(ChannelType::MAIN, &main_state(&[]));
    for len in 0..bytes.len() {
        assert!(read::<MainState<'_>>(ChannelType::MAIN, &bytes[..len]).is_err(), "{len}");
    }
    for at in 0..12 {
        let mut other = bytes.clone();
        other[at] ^= 1;
        assert!(read::<MainState<'_>>(ChannelType::MAIN, &other).is_err(), "byte {at}");
    }
    assert!(read::<MainState<'_>>(ChannelType::DISPLAY, &bytes).is_err(), "of another channel");
    let inputs = InputsState { motions: 3, buttons: MouseButtons::LEFT, held: [0; 32] };
    let bytes = [&written(ChannelType::INPUTS, &inputs)[..], b"x"].concat();
    assert!(read::<InputsState>(ChannelType::INPUTS, &bytes).is_err(), "something behind it");
}

/// A length that a client made up leads nowhere.
#[test]
#[cfg_attr(miri, ignore = "megabytes, which are only compared")]
fn lengths_are_checked_at_the_limit() {
    let most = u32::try_from(limits::MIGRATED_DEVICE).expect("small");
    let head = written(
        ChannelType::PORT,
        &DeviceState {
            guest_opened: 0,
            client_opened: 0,
            to_client: Counted::new(&[]),
            to_guest: Rest(Data::Here(&[])),
        },
    );
    let with = |len: u32| {
        let mut bytes = head.clone();
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&len.to_le_bytes());
        bytes.resize(bytes.len() + limits::MIGRATED_DEVICE, 0);
        read::<DeviceState<'_>>(ChannelType::PORT, &bytes).map(|(_, state)| state.to_client.items().len())
    };
    assert_eq!(with(most), Ok(limits::MIGRATED_DEVICE));
    assert!(with(most + 1).is_err() && with(u32::MAX).is_err());
}

#[test]
fn any_bytes_are_a_state_or_an_error() {
    let mut sampler = Sampler::new(9);
    let good = written(ChannelType::MAIN, &main_state(b"data"));
    for _ in 0..if cfg!(miri) { 50 } else { 5_000 } {
        let mut bytes = good.clone();
        let at = sampler.below(bytes.len());
        bytes[at] = sampler.number().to_le_bytes()[0];
        bytes.truncate(sampler.below(good.len() + 1));
        if let Ok((sent, state)) = read(ChannelType::MAIN, &bytes) {
            let mut main = MainServer::arriving(BOTH);
            main.resume(NOW, sent, &state);
            assert!(main.agent_state().1 <= limits::AGENT_TOKENS);
        }
    }
}

#[test]
fn nothing_is_said_behind_migrate_but_the_data() {
    let mut channel = InputsServer::new(BOTH);
    let mut out = [0; 64];
    assert!(matches!(channel.common_mut().migrate_data(5, &mut out), Err(Refused::Misuse(_))), "too early");
    let moves = flags(ChannelType::INPUTS);
    assert_eq!(channel.common_mut().migrate(moves, &mut out), Ok(Transmit { head: 10, body: 0 }));
    assert_eq!(out[..10], [1, 0, 4, 0, 0, 0, 3, 0, 0, 0]);
    assert!(channel.common_mut().migrate(moves, &mut out).is_err(), "twice");
    let modifiers = KeyModifiers::empty();
    let lights = InputsSays::KeyModifiersChanged(KeyModifiersChanged { modifiers });
    assert!(channel.send(NOW, &lights, &mut out).is_err());
    assert_eq!(channel.poll(NOW, &mut out), Ok(Poll::Wait(None)));
    assert_eq!(channel.on_message(NOW, 4, &[]).map(|e| e.is_some()), Ok(true), "FLUSH_MARK");
    assert_eq!(channel.common_mut().migrate_data(5, &mut out), Ok(Transmit { head: 6, body: 5 }));
    assert!(channel.common_mut().migrate_data(5, &mut out).is_err(), "twice");
    assert_eq!(channel.common().sent(), 2);
}

#[test]
fn sound_and_the_pointer_have_nothing_to_carry() {
    let mut channel = InputsServer::new(BOTH);
    let mut out = [0; 64];
    for kind in [ChannelType::CURSOR, ChannelType::PLAYBACK, ChannelType::RECORD] {
        assert!(flags(kind).is_empty());
    }
    assert!(channel.common_mut().migrate(flags(ChannelType::CURSOR), &mut out).is_ok());
    assert!(channel.common_mut().migrate_data(0, &mut out).is_err());
}

#[test]
fn what_was_held_and_said_is_known_at_the_target() {
    let mut source = InputsServer::new(BOTH);
    // The A key, and the left button.
    source.on_message(NOW, 101, &[0x1e, 0, 0, 0]).expect("KEY_DOWN");
    source.on_message(NOW, 113, &[1, 1, 0]).expect("MOUSE_PRESS");
    let state = source.state();
    assert_eq!((state.buttons, state.held.iter().filter(|byte| **byte != 0).count()), (MouseButtons::LEFT, 1));
    let mut target = InputsServer::new(BOTH);
    target.resume(40, &state);
    assert_eq!((target.state(), target.common().sent()), (state, 40));
    assert_eq!(target.release_all().count(), 2);
}

#[test]
fn a_main_channel_arrives_by_either_way() {
    let mut main = MainServer::arriving(BOTH);
    assert_eq!(main.max_body(), limits::MIGRATED_MAIN);
    assert_eq!(main.on_message(NOW, 104, &[]), Ok(None), "ATTACH_CHANNELS is early");
    assert_eq!(main.on_message(NOW, 110, &[1, 0, 0, 0]), Ok(Some(MainEvent::MigrateDoSeamless { src_version: 1 })));
    assert_eq!(main.on_message(NOW, 109, &[]), Ok(Some(MainEvent::MigrateEnd)));
    let data: Result<_, PeerError> = main.on_message(NOW, 5, b"data");
    assert_eq!(data, Ok(Some(MainEvent::Common(Heard::MigrateData(b"data")))));
    main.resume(NOW, 17, &main_state(&[]));
    assert_eq!((main.common().sent(), main.agent_credit(), main.max_body()), (17, 3, limits::MAIN_BODY));
    assert_eq!(main.on_message(NOW, 104, &[]), Ok(Some(MainEvent::AttachChannels)));
}
