//! Functions of sound.

use std::sync::Arc;

use super::sys::{In, Out};
use crate::interfaces::Instance;
use crate::server::{Added, entry};
use crate::sound::{BEST_RATE, Playback, Record};

fn playback(instance: Instance) -> Option<Arc<Playback>> {
    match entry(instance)?.added {
        Added::Playback(playback) => Some(playback),
        _ => None,
    }
}

fn record(instance: Instance) -> Option<Arc<Record>> {
    match entry(instance)?.added {
        Added::Record(record) => Some(record),
        _ => None,
    }
}

exports! {
    "0.6.0" fn spice_server_playback_start(sound: Instance) { playback(sound).map_or((), |p| p.start()) } or ();
    "0.6.0" fn spice_server_playback_stop(sound: Instance) { playback(sound).map_or((), |p| p.stop()) } or ();
    "0.6.0" fn spice_server_playback_get_buffer(sound: Instance, samples: Out<*mut u32>, count: Out<u32>) {
        let (room, frames) = playback(sound).and_then(|p| p.buffer()).unwrap_or((std::ptr::null_mut(), 0));
        samples.set(room);
        count.set(frames);
    } or ();
    "0.6.0" fn spice_server_playback_put_samples(sound: Instance, samples: *mut u32) {
        playback(sound).map_or((), |p| p.play(samples))
    } or ();
    "0.10.0" fn spice_server_playback_set_volume(sound: Instance, channels: u8, volume: In<u16>) {
        playback(sound).map_or((), |p| p.set_volume(&volume.list(channels.into())))
    } or ();
    "0.10.0" fn spice_server_playback_set_mute(sound: Instance, mute: u8) {
        playback(sound).map_or((), |p| p.set_mute(mute != 0))
    } or ();
    "0.12.5" fn spice_server_get_best_playback_rate(_sound: Instance) -> u32 { BEST_RATE } or BEST_RATE;
    "0.12.5" fn spice_server_set_playback_rate(sound: Instance, rate: u32) {
        playback(sound).map_or((), |p| p.set_rate(rate))
    } or ();
    "0.6.0" fn spice_server_record_start(sound: Instance) { record(sound).map_or((), |r| r.start()) } or ();
    "0.6.0" fn spice_server_record_stop(sound: Instance) { record(sound).map_or((), |r| r.stop()) } or ();
    "0.6.0" fn spice_server_record_get_samples(sound: Instance, samples: Out<u32>, most: u32) -> u32 {
        let frames = record(sound).map_or(Vec::new(), |r| r.frames(most));
        samples.set_all(&frames);
        u32::try_from(frames.len()).unwrap_or(0)
    } or 0;
    "0.10.0" fn spice_server_record_set_volume(sound: Instance, channels: u8, volume: In<u16>) {
        record(sound).map_or((), |r| r.set_volume(&volume.list(channels.into())))
    } or ();
    "0.10.0" fn spice_server_record_set_mute(sound: Instance, mute: u8) {
        record(sound).map_or((), |r| r.set_mute(mute != 0))
    } or ();
    "0.12.5" fn spice_server_get_best_record_rate(_sound: Instance) -> u32 { BEST_RATE } or BEST_RATE;
    "0.12.5" fn spice_server_set_record_rate(sound: Instance, rate: u32) {
        record(sound).map_or((), |r| r.set_rate(rate))
    } or ();
}
