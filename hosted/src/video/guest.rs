//! A display whose pictures the guest codes is one stream that covers it all, of packets that come
//! as they are.
//!
//! Nobody can ask such an encoder for less, so it goes at the pace of the slowest of those who keep
//! up: no more is read from the guest until they have its newest packet. Who does not take it in
//! [`LATE`] is not waited for until it has caught up.

use std::sync::Arc;

use bytes::Bytes;
use sumac_backends::Codec;
use sumac_backends::bitstream::is_key_frame;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

use super::{Hub, Stream, StreamInfo, StreamPacket};
use crate::source::Size;

/// How long a viewer is waited for.
const LATE: Duration = Duration::from_millis(500);

/// What the guest codes, and for whom.
pub(super) struct Guest {
    format: Option<(Codec, Size)>,
    audience: Vec<Member>,
    /// Number of the newest packet, and when it came.
    newest: (u64, Option<Instant>),
    /// Somebody needs a key frame.
    key_wanted: bool,
    /// Rings for who reads from the guest.
    arrived: Arc<Notify>,
}

/// A viewer of the display.
struct Member {
    viewer: u64,
    codecs: Vec<Codec>,
    /// Number of the packet that it was sent last.
    sent: u64,
    late: bool,
}

impl Guest {
    fn waits_for(&self, member: &Member) -> bool {
        let decodes = self.format.is_some_and(|(codec, _)| member.codecs.contains(&codec));
        decodes && !member.late && member.sent < self.newest.0
    }
}

impl Hub {
    /// The guest codes this display: `arrived` rings whenever more may be read from it, or other
    /// codecs are to be asked for. Answers whether it did not do so before.
    pub(crate) fn set_guest(&self, arrived: &Arc<Notify>) -> bool {
        if self.guest.borrow().is_some() {
            return false;
        }
        let arrived = Arc::clone(arrived);
        let guest = Guest { format: None, audience: Vec::new(), newest: (0, None), key_wanted: false, arrived };
        self.guest.replace(Some(guest));
        // The plan has no say in it.
        self.gl.set(true);
        true
    }

    /// The codec and size of the guest's pictures, on a display that has said so.
    pub(crate) fn guest_format(&self) -> Option<(Codec, Size)> {
        self.guest.borrow().as_ref()?.format
    }

    /// A viewer of the display decodes these.
    pub(crate) fn attend(&self, viewer: u64, codecs: &[Codec]) {
        let mut slot = self.guest.borrow_mut();
        let Some(guest) = slot.as_mut() else { return };
        match guest.audience.iter_mut().find(|member| member.viewer == viewer) {
            Some(member) if member.codecs == codecs => return,
            Some(member) => member.codecs = codecs.to_vec(),
            // What stands alone comes first, so it is late until it has caught up.
            None => guest.audience.push(Member { viewer, codecs: codecs.to_vec(), sent: 0, late: true }),
        }
        guest.arrived.notify_one();
    }

    /// It goes.
    pub(crate) fn leave(&self, viewer: u64) {
        if let Some(guest) = self.guest.borrow_mut().as_mut() {
            guest.audience.retain(|member| member.viewer != viewer);
            guest.arrived.notify_one();
        }
    }

    /// It was sent this packet.
    pub(crate) fn sent(&self, viewer: u64, number: u64) {
        let mut slot = self.guest.borrow_mut();
        let Some(guest) = slot.as_mut() else { return };
        let newest = guest.newest.0;
        if let Some(member) = guest.audience.iter_mut().find(|member| member.viewer == viewer) {
            member.sent = number;
            member.late &= number < newest;
            guest.arrived.notify_one();
        }
    }

    /// What the guest may code in: what all viewers decode, and MJPEG. Empty without viewers.
    pub(crate) fn guest_codecs(&self) -> Vec<Codec> {
        let slot = self.guest.borrow();
        let Some(guest) = slot.as_ref().filter(|guest| !guest.audience.is_empty()) else { return Vec::new() };
        let common = |codec: &Codec| guest.audience.iter().all(|member| member.codecs.contains(codec));
        Codec::ALL.into_iter().filter(|codec| *codec == Codec::Mjpeg || common(codec)).collect()
    }

    /// Whether somebody needs a key frame, once.
    pub(crate) fn take_key_wanted(&self) -> bool {
        self.guest.borrow_mut().as_mut().is_some_and(|guest| std::mem::take(&mut guest.key_wanted))
    }

    pub(super) fn want_guest_key(&self) -> bool {
        let mut slot = self.guest.borrow_mut();
        let Some(guest) = slot.as_mut() else { return false };
        guest.key_wanted = true;
        guest.arrived.notify_one();
        true
    }

    /// Whether viewers have yet to take the newest packet.
    pub(crate) fn guest_waits(&self, now: Instant) -> bool {
        let mut slot = self.guest.borrow_mut();
        let Some(guest) = slot.as_mut() else { return false };
        if guest.newest.1.is_none_or(|came| now >= came + LATE) {
            let newest = guest.newest.0;
            guest.audience.iter_mut().for_each(|member| member.late |= member.sent < newest);
        }
        guest.audience.iter().any(|member| guest.waits_for(member))
    }

    /// When [`Self::guest_waits`] may have changed for no other reason.
    pub(super) fn guest_deadline(&self) -> Option<Instant> {
        let slot = self.guest.borrow();
        let guest = slot.as_ref()?;
        let waits = guest.audience.iter().any(|member| guest.waits_for(member));
        guest.newest.1.filter(|_| waits).map(|came| came + LATE)
    }

    /// The deadline may have passed: who reads from the guest looks again.
    pub(super) fn ring_guest(&self, now: Instant) {
        if self.guest_deadline().is_some_and(|at| at <= now)
            && let Some(guest) = self.guest.borrow().as_ref()
        {
            guest.arrived.notify_one();
        }
    }

    /// The guest's pictures are like this from now on.
    pub(crate) fn on_guest_format(&self, codec: Codec, size: Size) {
        let key = self.next_key.replace(self.next_key.get() + 1);
        let stream = Stream::of_guest(StreamInfo { key, id: 0, rect: size.bounds() }, codec);
        *self.streams.borrow_mut() = vec![stream];
        if let Some(guest) = self.guest.borrow_mut().as_mut() {
            guest.format = Some((codec, size));
            guest.newest = (0, None);
            guest.key_wanted = false;
            guest.audience.iter_mut().for_each(|member| (member.sent, member.late) = (0, true));
        }
    }

    /// A picture of the guest's.
    pub(crate) fn on_guest_packet(&self, data: Bytes) {
        let (mut slot, mut streams) = (self.guest.borrow_mut(), self.streams.borrow_mut());
        let (Some(guest), Some(stream)) = (slot.as_mut(), streams.first_mut()) else { return };
        let Some((codec, size)) = guest.format.filter(|_| !data.is_empty()) else { return };
        let keyframe = is_key_frame(codec, &data);
        let now = Instant::now();
        let packet = StreamPacket { number: 0, keyframe, version: 0, changed: now, size, coarser_follows: false, data };
        guest.newest = (stream.on_packet(packet), Some(now));
    }

    /// The guest stopped: the stream ends, and what it showed last stays.
    pub(crate) fn end_guest(&self) {
        if let Some(guest) = self.guest.borrow_mut().as_mut() {
            (guest.newest, guest.key_wanted) = ((0, None), false);
            self.streams.borrow_mut().clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::{Asker, Bell, Encoders, Next};
    use super::*;
    use crate::config::Config;

    const SIZE: Size = Size { width: 64, height: 48 };

    fn hub() -> Hub {
        let config = Config::default();
        let hub = Hub::new(&config, Rc::new(Encoders::among(&[], &config)), Instant::now(), Bell::default());
        assert!(hub.set_guest(&Arc::default()) && !hub.set_guest(&Arc::default()));
        hub
    }

    #[tokio::test(start_paused = true)]
    async fn codecs_are_those_that_all_decode() {
        let hub = hub();
        assert!(hub.guest_codecs().is_empty(), "nobody looks");
        hub.attend(1, &[Codec::Mjpeg, Codec::H264, Codec::Vp8]);
        hub.attend(2, &[Codec::H264, Codec::Vp9]);
        let codecs = hub.guest_codecs();
        assert!(codecs.len() == 2 && codecs.contains(&Codec::Mjpeg) && codecs.contains(&Codec::H264));
        hub.leave(2);
        assert!(hub.guest_codecs().contains(&Codec::Vp8));
        hub.leave(1);
        assert!(hub.guest_codecs().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_guest_waits_for_those_who_keep_up() {
        let hub = hub();
        hub.attend(1, &[Codec::Mjpeg]);
        hub.attend(2, &[Codec::Mjpeg]);
        hub.attend(3, &[Codec::Vp8]);
        hub.on_guest_format(Codec::Mjpeg, SIZE);
        assert_eq!(hub.guest_format(), Some((Codec::Mjpeg, SIZE)));
        let packet = || hub.on_guest_packet(Bytes::from_static(b"\xff\xd8 a picture"));
        packet();
        assert!(!hub.guest_waits(Instant::now()), "nobody has caught up yet");
        [1, 2].into_iter().for_each(|viewer| hub.sent(viewer, 1));
        packet();
        assert!(hub.guest_waits(Instant::now()));
        hub.sent(1, 2);
        assert!(hub.guest_waits(Instant::now()), "for the second");
        tokio::time::advance(LATE).await;
        assert!(hub.guest_deadline().is_some_and(|at| at <= Instant::now()));
        assert!(!hub.guest_waits(Instant::now()) && hub.guest_deadline().is_none(), "not for ever");
        packet();
        hub.sent(1, 3);
        assert!(!hub.guest_waits(Instant::now()), "nor again");
        hub.sent(2, 3);
        packet();
        hub.sent(1, 4);
        assert!(hub.guest_waits(Instant::now()), "until it has caught up");
        hub.leave(2);
        assert!(!hub.guest_waits(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn packets_are_a_stream_and_who_missed_one_asks_the_guest() {
        let hub = hub();
        hub.attend(1, &[Codec::Mjpeg, Codec::H264]);
        hub.on_guest_format(Codec::H264, SIZE);
        let [info] = hub.streams()[..] else { panic!("one stream") };
        assert!(hub.can(info.key, Codec::H264, 2) && !hub.can(info.key, Codec::Mjpeg, 0));
        hub.on_guest_packet(Bytes::from_static(&[0, 0, 0, 1, 0x41, 0x9a]));
        assert!(matches!(hub.after(info.key, Codec::H264, 0, 0), Next::Missed), "it depends on others");
        assert!(!hub.take_key_wanted());
        hub.request(Asker { id: 1, allowance: None }, info.key, Codec::H264, 0, true);
        assert!(hub.take_key_wanted() && !hub.take_key_wanted());
        hub.on_guest_packet(Bytes::from_static(&[0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x65, 0x88]));
        assert!(matches!(hub.after(info.key, Codec::H264, 1, 0), Next::Packet(p) if p.keyframe && p.number == 2));
        hub.end_guest();
        assert!(hub.streams().is_empty() && hub.guest_format().is_some());
        hub.on_guest_packet(Bytes::from_static(b"late"));
    }
}
