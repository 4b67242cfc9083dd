//! What tests of scanouts share.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use sumac_backends::dmabuf::{Fourcc, MOD_LINEAR, Plane, Shape};
use sumac_backends::{Dmabuf, Frame};

use super::{Scene, SceneHost};
use crate::source::{Cookie, Host, Size, Stage};

/// Counts the draws that are done.
#[derive(Clone, Default)]
pub(crate) struct Done(Arc<AtomicUsize>);

impl Done {
    pub(crate) fn cookie(&self) -> Cookie {
        let count = Arc::clone(&self.0);
        Cookie::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// A picture of this buffer whose release is counted.
    pub(crate) fn frame(&self, dmabuf: &Dmabuf) -> Frame {
        let cookie = self.cookie();
        Frame::from_dmabuf(dmabuf.clone()).on_release(move || drop(cookie))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A black picture in a memfd.
pub(crate) fn dmabuf(size: Size) -> Dmabuf {
    let Size { width, height } = size;
    let fd = memfd_create("picture", MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&fd, u64::from(width * height * 4)).unwrap();
    let shape = Shape { width, height, fourcc: Fourcc::XRGB8888, modifier: MOD_LINEAR, y_inverted: false };
    Dmabuf::new(shape, &[Plane { fd: Arc::new(fd), offset: 0, stride: width * 4 }]).unwrap()
}

/// A scene and its source's end.
pub(crate) struct Shown {
    pub(crate) scene: Rc<Scene>,
    pub(crate) stage: Box<dyn Stage>,
}

impl Shown {
    pub(crate) fn new(pass_memfds: bool) -> Self {
        let host = SceneHost::default();
        let stage = host.display(3).unwrap();
        let (number, mailbox) = host.take().opened.remove(0);
        assert_eq!(number, 3);
        Self { scene: Scene::new(mailbox, pass_memfds), stage }
    }

    pub(crate) fn scan_out(&mut self, dmabuf: Dmabuf) {
        self.stage.scanout(Some(dmabuf));
        let _ = self.scene.take_mail(&[]);
    }
}
