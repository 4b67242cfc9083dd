//! The source beside a [`FakeQemu`]: what the installed QEMU does not do.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use futures_util::FutureExt;
use rustix::fs::{MemfdFlags, memfd_create};
use sumac_backends::dmabuf::Fourcc;
use zbus::Variant;
use zbus::wire::Fd;

use super::fake::FakeQemu;
use crate::source::recorder::Told;
use crate::source::{Button, InputEvent, Leds, Monitor, Rect, Size, ToSource};

const LISTENER: &str = "org.qemu.Display1.Listener";
const MAP: &str = "org.qemu.Display1.Listener.Unix.Map";
const DMABUF2: &str = "org.qemu.Display1.Listener.Unix.ScanoutDMABUF2";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const BGRX: u32 = 0x2002_0888;

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// A file in memory that is as large as that.
fn memory(bytes: u64) -> File {
    let file = File::from(memfd_create("picture", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(bytes).unwrap();
    file
}

fn scanout(told: Told) -> Option<sumac_backends::Dmabuf> {
    match told {
        Told::Scanout(scanout) => scanout,
        _ => None,
    }
}

fn published(told: Told) -> Option<(Size, Vec<Rect>, Vec<u8>)> {
    match told {
        Told::Publish(frame, damage) => {
            let layout = frame.layout();
            Some((Size { width: layout.width, height: layout.height }, damage, frame.pixels().to_vec()))
        }
        _ => None,
    }
}

#[test]
fn a_draw_into_a_dmabuf_is_answered_when_its_buffer_is_free() {
    run(async {
        let qemu = FakeQemu::start(true).await;
        let buffer = memory(64 * 32 * 4);
        let body = (Fd::from(buffer.as_fd()), 64_u32, 32_u32, 256_u32, Fourcc::XRGB8888.0, 0_u64, true);
        qemu.draw(LISTENER, "ScanoutDMABUF", &body).await.unwrap();
        let dmabuf = qemu.tells(scanout);
        assert_eq!((dmabuf.width(), dmabuf.height(), dmabuf.shape().y_inverted), (64, 32, true));
        let update = (1, 2, 3, 4);
        let draw = qemu.draw(LISTENER, "UpdateDMABUF", &update);
        let mut draw = Box::pin(draw);
        assert!(draw.as_mut().now_or_never().is_none());
        // The pointer is answered meanwhile.
        qemu.draw(LISTENER, "MouseSet", &(5, 6, 1)).await.unwrap();
        let cookie = qemu.tells(|told| match told {
            Told::GlDraw(rect, cookie) => Some((rect, cookie)),
            _ => None,
        });
        assert_eq!(cookie.0, Rect { x: 1, y: 2, width: 3, height: 4 });
        assert!(draw.as_mut().now_or_never().is_none());
        drop(cookie);
        draw.as_mut().await.unwrap();
        drop(draw);
        qemu.draw(LISTENER, "Disable", &()).await.unwrap();
        qemu.tells(|told| matches!(told, Told::Scanout(None)).then_some(()));
        qemu.end();
    });
}

#[test]
fn dmabufs_of_several_planes_and_parts_of_buffers_are_taken() {
    run(async {
        let qemu = FakeQemu::start(true).await;
        let buffer = memory(1 << 20);
        let fd = || Fd::from(buffer.as_fd());
        let call = async |fds: Vec<Fd<'_>>, (x, y), offsets: Vec<u32>, strides: Vec<u32>, fourcc: Fourcc| {
            let planes = fds.len() as u32;
            let size = (64_u32, 32_u32);
            let backing = (128_u32, 64_u32);
            let body =
                (fds, x, y, size.0, size.1, offsets, strides, planes, fourcc.0, backing.0, backing.1, 0_u64, false);
            qemu.draw(DMABUF2, "ScanoutDMABUF2", &body).await
        };
        call(vec![fd(), fd()], (0_u32, 0_u32), vec![0, 8192], vec![128, 128], Fourcc::NV12).await.unwrap();
        let dmabuf = qemu.tells(scanout);
        assert_eq!((dmabuf.fourcc(), dmabuf.planes()[1].offset), (Fourcc::NV12, 8192));
        call(vec![fd()], (16, 8), vec![4096], vec![512], Fourcc::XRGB8888).await.unwrap();
        assert_eq!(qemu.tells(scanout).planes()[0].offset, 4096 + 8 * 512 + 16 * 4);
        for (error, planes, place, fourcc) in [
            ("2 planes in 2 buffers with 2 offsets and 1 strides", 2, (0, 0), Fourcc::NV12),
            ("the part at 0,8 of a buffer of format NV12", 1, (0, 8), Fourcc::NV12),
        ] {
            let fds = (0..planes).map(|_| fd()).collect();
            let answer = call(fds, place, vec![0; planes], vec![128], fourcc).await.unwrap_err().to_string();
            assert!(answer.contains(error), "{answer}");
        }
        qemu.end();
    });
}

#[test]
fn what_newer_qemu_may_use_is_announced() {
    run(async {
        let qemu = FakeQemu::start(true).await;
        let one = qemu.draw(PROPERTIES, "Get", &(LISTENER, "Interfaces")).await.unwrap();
        let all = qemu.draw(PROPERTIES, "GetAll", &(LISTENER,)).await.unwrap();
        let one: Vec<String> = one.body().deserialize::<Variant<'_>>().unwrap().try_into().unwrap();
        assert_eq!(one, [MAP, DMABUF2]);
        assert_eq!(all.body().signature().to_string(), "a{sv}");
        assert!(qemu.draw(LISTENER, "Juggle", &()).await.unwrap_err().to_string().contains("UnknownMethod"));
        qemu.end();
    });
}

#[test]
fn pictures_in_shared_memory_are_taken_and_wrong_ones_refused() {
    run(async {
        let qemu = FakeQemu::start(true).await;
        let buffer = memory(8 * 4 * 4 + 16);
        let map = |width: u32| (Fd::from(buffer.as_fd()), 16_u32, width, 4_u32, 32_u32, BGRX);
        assert!(qemu.draw(MAP, "UpdateMap", &(0, 0, 1, 1)).await.is_err(), "there is none yet");
        assert!(qemu.draw(MAP, "ScanoutMap", &map(0)).await.is_err());
        assert!(qemu.draw(MAP, "ScanoutMap", &map(9)).await.is_err(), "a row longer than the stride");
        qemu.draw(MAP, "ScanoutMap", &map(8)).await.unwrap();
        let size = Size { width: 8, height: 4 };
        qemu.tells(|told| published(told).filter(|(shown, _, _)| *shown == size));
        buffer.write_all_at(&[7; 4], 16 + 32 + 4).unwrap();
        qemu.draw(MAP, "UpdateMap", &(1, 1, 1, 1)).await.unwrap();
        let (_, damage, pixels) = qemu.tells(published);
        assert_eq!((damage, pixels[36]), (vec![Rect { x: 1, y: 1, width: 1, height: 1 }], 7));
        for bad in [(-1, 0, 1, 1), (8, 0, 1, 1), (0, 0, i32::MAX, i32::MAX)] {
            assert!(qemu.draw(MAP, "UpdateMap", &bad).await.is_err(), "{bad:?}");
        }
        let rows = (8_u32, 4_u32, 32_u32, BGRX, vec![1_u8; 127]);
        let error = qemu.draw(LISTENER, "Scanout", &rows).await.unwrap_err().to_string();
        assert!(error.contains("8x4 pixels of 4 bytes in 127 bytes with a stride of 32"), "{error}");
        assert!(qemu.draw(LISTENER, "Scanout", &("a", "b")).await.is_err(), "other arguments");
        qemu.end();
    });
}

#[test]
fn a_size_that_only_the_properties_tell_counts() {
    run(async {
        let mut qemu = FakeQemu::start(true).await;
        let rows = |width: u32, height: u32| vec![9_u8; (width * height * 4) as usize];
        qemu.draw(LISTENER, "Scanout", &(8_u32, 8_u32, 32_u32, BGRX, rows(8, 8))).await.unwrap();
        qemu.tells(|told| published(told).filter(|(size, _, _)| size.width == 8));
        qemu.draw(LISTENER, "Update", &(0, 0, 16, 2, 64_u32, BGRX, rows(16, 2))).await.unwrap();
        qemu.changes("org.qemu.Display1.Console", "Width", Variant::from(16_u32)).await;
        let (size, damage, pixels) = qemu.tells(|told| published(told).filter(|(_, damage, _)| damage[0].height == 2));
        assert_eq!((size, damage[0].width), (Size { width: 16, height: 8 }, 16));
        assert_eq!((pixels[15 * 4], pixels[(2 * 16 + 15) * 4]), (9, 0));
        // Without an update that needs it, it counts when it has stood for a moment.
        qemu.changes("org.qemu.Display1.Console", "Height", Variant::from(4_u32)).await;
        qemu.tells(|told| published(told).filter(|(size, _, _)| size.height == 4));
        qemu.end();
    });
}

#[test]
fn input_goes_to_qemu_in_its_numbers() {
    run(async {
        let mut qemu = FakeQemu::start(true).await;
        let tell = |event| qemu.source.send(ToSource::Input(event)).unwrap();
        tell(InputEvent::Key { code: 0x1d, extended: true, down: true });
        tell(InputEvent::Button { button: Button::Side, down: true });
        tell(InputEvent::Wheel(-2));
        tell(InputEvent::MoveTo { display: 0, x: 5000, y: 7 });
        tell(InputEvent::MoveBy { dx: -9, dy: 1 });
        tell(InputEvent::Leds(Leds { caps: true, num: true, scroll: false }));
        let monitor = Monitor { size: Size { width: 300, height: 200 }, place: (-5, 6), millimetres: (70, 80) };
        qemu.source.send(ToSource::Resize { display: 0, monitor }).unwrap();
        let number =
            async |qemu: &mut FakeQemu, member| -> u32 { qemu.hears(member).await.body().deserialize().unwrap() };
        assert_eq!(number(&mut qemu, "Press").await, 0x9d);
        assert_eq!(number(&mut qemu, "Press").await, 5);
        for member in ["Press", "Release", "Press", "Release"] {
            assert_eq!(number(&mut qemu, member).await, 3);
        }
        // The picture is the notice's, 720x400.
        for place in [(719, 7), (710, 8)] {
            assert_eq!(qemu.hears("SetAbsPosition").await.body().deserialize::<(u32, u32)>().unwrap(), place);
        }
        // Num Lock is on already.
        assert_eq!([number(&mut qemu, "Press").await, number(&mut qemu, "Release").await], [0x3a, 0x3a]);
        let info: (u16, u16, i32, i32, u32, u32) = qemu.hears("SetUIInfo").await.body().deserialize().unwrap();
        assert_eq!(info, (70, 80, -5, 6, 300, 200));

        qemu.changes("org.qemu.Display1.Mouse", "IsAbsolute", Variant::from(false)).await;
        qemu.tells(|told| matches!(told, Told::Mouse(false)).then_some(()));
        qemu.source.send(ToSource::Input(InputEvent::MoveBy { dx: -9, dy: 1 })).unwrap();
        assert_eq!(qemu.hears("RelMotion").await.body().deserialize::<(i32, i32)>().unwrap(), (-9, 1));
        qemu.changes("org.qemu.Display1.Keyboard", "Modifiers", Variant::from(5_u32)).await;
        let lights = Leds { caps: true, num: false, scroll: true };
        qemu.tells(|told| matches!(told, Told::Leds(told) if told == lights).then_some(()));
        // What is down is released at the end: the first key and the first button.
        qemu.source.send(ToSource::Quit).unwrap();
        assert_eq!([number(&mut qemu, "Release").await, number(&mut qemu, "Release").await], [0x9d, 5]);
        qemu.end();
    });
}
