//! A display in GL is one stream that covers it all; the plan has no say in it.

use sumac_backends::{Dmabuf, Frame};
use tokio::time::Instant;

use super::{Hub, Stream, StreamInfo};
use crate::plan::VideoPlan;
use crate::source::Size;

impl Hub {
    /// The display shows this scanout from the next draw on, or has left GL; answers whether
    /// streams began or ended.
    pub(crate) fn on_scanout(&self, scanout: Option<&Dmabuf>) -> bool {
        let in_gl = self.gl.replace(scanout.is_some());
        let mut streams = self.streams.borrow_mut();
        let Some(dmabuf) = scanout else {
            *self.plan.borrow_mut() = VideoPlan::new(self.mode, self.size.get());
            streams.clear();
            return in_gl;
        };
        if let Some(stream) = streams.first_mut().filter(|stream| in_gl && stream.is_like(dmabuf)) {
            stream.scan_out(dmabuf);
            return false;
        }
        let rect = Size { width: dmabuf.width(), height: dmabuf.height() }.bounds();
        let key = self.next_key.get();
        self.next_key.set(key + 1);
        let mut stream = Stream::new(StreamInfo { key, id: 0, rect }, &self.encoders);
        stream.scan_out(dmabuf);
        *streams = vec![stream];
        true
    }

    /// Something was drawn into the scanout; the frame's release is the draw's completion.
    pub(crate) fn on_draw(&self, draw: &Frame) {
        if let Some(stream) = self.streams.borrow_mut().first_mut().filter(|_| self.gl.get()) {
            stream.show(draw, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use sumac_backends::{Codec, Layout};

    use super::super::double::Double;
    use super::super::{Asker, Bell, Encoders, Next};
    use super::*;
    use crate::config::Config;
    use crate::plan::Region;
    use crate::scene::testing::{Done, dmabuf};

    const SIZE: Size = Size { width: 64, height: 64 };
    const ASKER: Asker = Asker { id: 1, allowance: None };

    /// A hub in GL, and its stream.
    fn in_gl() -> (Hub, StreamInfo) {
        let config = Config { size: SIZE, ..Config::default() };
        let encoders = Encoders::among(&[Double::new("any").leak()], &config);
        let hub = Hub::new(&config, Rc::new(encoders), Instant::now(), Bell::default());
        assert!(hub.on_scanout(Some(&dmabuf(SIZE))));
        let [info] = hub.streams()[..] else { panic!("one stream") };
        assert_eq!(info.rect, SIZE.bounds());
        (hub, info)
    }

    async fn encoded(hub: &Hub) {
        while !hub.collect() {
            hub.bell.rang().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_draw_is_done_when_it_is_encoded_and_without_viewers_at_once() {
        let (hub, info) = in_gl();
        let (scanout, done) = (dmabuf(SIZE), Done::default());
        assert_eq!(hub.version(info.key), 0, "a scanout is shown from its first draw on");
        hub.on_draw(&done.frame(&scanout));
        assert_eq!((done.count(), hub.version(info.key)), (1, 1));
        hub.request(ASKER, info.key, Codec::H264, 0, false);
        encoded(&hub).await;
        assert!(matches!(hub.after(info.key, Codec::H264, 0, 0), Next::Packet(packet) if packet.keyframe));
        hub.on_draw(&done.frame(&scanout));
        assert_eq!(done.count(), 1, "a viewer is about to ask");
        hub.request(ASKER, info.key, Codec::H264, 0, false);
        encoded(&hub).await;
        assert_eq!(done.count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn draws_end_with_the_scanout() {
        let (hub, info) = in_gl();
        let (scanout, done) = (dmabuf(SIZE), Done::default());
        hub.request(ASKER, info.key, Codec::H264, 0, false);
        for number in 1..=2 {
            hub.on_draw(&done.frame(&scanout));
            assert_eq!(done.count(), number - 1);
            assert!(!hub.on_scanout(Some(&scanout)));
            assert_eq!(done.count(), number);
        }
        hub.on_draw(&done.frame(&scanout));
        assert!(hub.on_scanout(None) && hub.streams().is_empty());
        assert_eq!(done.count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn buffers_of_one_layout_are_one_stream_and_the_plan_has_no_say() {
        let (hub, info) = in_gl();
        assert!(!hub.on_scanout(Some(&dmabuf(SIZE))));
        assert_eq!((hub.streams(), hub.on_time(), hub.deadline()), (vec![info], false, None));
        assert!(hub.on_scanout(Some(&dmabuf(Size { width: 32, height: 32 }))));
        assert_ne!(hub.streams()[0].key, info.key);
        hub.on_scanout(None);
        assert!(!hub.on_scanout(None));
        hub.on_draw(&Done::default().frame(&dmabuf(SIZE)));
        let frame = Frame::from_memory(Layout { width: 64, height: 64, stride: 256 }, vec![0; 64 * 256]).unwrap();
        assert!(!hub.on_frame(&frame, &Region::from(SIZE.bounds()), None));
        assert!(hub.streams().is_empty());
    }
}
