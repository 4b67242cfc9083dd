//! What an encoder needs of a device, and the device that is a `/dev/video` node.
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{fs::OFlags, io::Errno};

use crate::dmabuf::Fourcc;

use super::{
    abi::{self, Queue},
    sys::{self, Mapping},
};

/// The boundary at which tests put a simulated device: one method per ioctl, with numbers that
/// came from the driver as they are.
pub(super) trait Device {
    /// Readable when a CAPTURE buffer is done, writable when an OUTPUT buffer is.
    fn fd(&self) -> BorrowedFd<'_>;
    /// VIDIOC_ENUM_FMT; `None` past the last.
    fn format_at(&self, queue: Queue, index: u32) -> Answer<Option<FormatEntry>>;
    /// VIDIOC_ENUM_FRAMESIZES: the largest, if the driver says.
    fn largest(&self, fourcc: Fourcc) -> Answer<Option<(u32, u32)>>;
    /// VIDIOC_S_FMT: what the driver made of it.
    fn set_format(&mut self, queue: Queue, want: &Format) -> Answer<Format>;
    /// VIDIOC_S_SELECTION of the crop rectangle at the top left.
    fn set_crop(&mut self, width: u32, height: u32) -> Answer<()>;
    /// VIDIOC_S_PARM.
    fn set_frame_rate(&mut self, fps: u32) -> Answer<()>;
    /// VIDIOC_QUERYCTRL; `None` when there is none that could be set or, for a read-only one, read.
    fn control_range(&self, id: u32) -> Answer<Option<(i32, i32)>>;
    /// VIDIOC_QUERYMENU: whether a menu has this entry.
    fn menu_has(&self, id: u32, index: u32) -> bool;
    /// VIDIOC_G_CTRL.
    fn control(&self, id: u32) -> Answer<i32>;
    /// VIDIOC_S_CTRL.
    fn set_control(&mut self, id: u32, value: i32) -> Answer<()>;
    /// VIDIOC_REQBUFS, of dmabufs on OUTPUT and of mapped memory on CAPTURE: how many there are.
    fn request_buffers(&mut self, queue: Queue, count: u32) -> Answer<u32>;
    /// VIDIOC_QUERYBUF and `mmap` of a CAPTURE buffer.
    fn map(&mut self, index: u32) -> Answer<()>;
    /// Appends bytes of a mapped CAPTURE buffer.
    fn copy(&self, index: u32, from: usize, len: usize, out: &mut Vec<u8>);
    /// VIDIOC_QBUF on OUTPUT; `stamp` comes back with the encoded picture.
    fn queue_output(&mut self, index: u32, planes: &[OutputPlane<'_>], stamp: u64) -> Answer<()>;
    /// VIDIOC_QBUF on CAPTURE.
    fn queue_capture(&mut self, index: u32) -> Answer<()>;
    /// VIDIOC_DQBUF; `None` when nothing is done yet.
    fn dequeue(&mut self, queue: Queue) -> Answer<Option<Done>>;
    /// VIDIOC_STREAMON or VIDIOC_STREAMOFF.
    fn stream(&mut self, queue: Queue, on: bool) -> Answer<()>;
    /// VIDIOC_ENCODER_CMD with V4L2_ENC_CMD_STOP.
    fn stop(&mut self) -> Answer<()>;
}

/// A failed call and the driver's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) call: &'static str,
    pub(super) errno: Errno,
}

pub(super) type Answer<T> = Result<T, Failure>;

fn failed(call: &'static str) -> impl FnOnce(Errno) -> Failure {
    move |errno| Failure { call, errno }
}

/// One line of VIDIOC_ENUM_FMT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FormatEntry {
    pub(super) fourcc: Fourcc,
    pub(super) compressed: bool,
}

/// A format of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) fourcc: Fourcc,
    pub(super) colorspace: u32,
    /// Bytes per row, and bytes, of each buffer of a picture.
    pub(super) planes: heapless::Vec<(u32, u32), { abi::MAX_PLANES }>,
}

/// One dmabuf of a picture.
pub(super) struct OutputPlane<'a> {
    pub(super) fd: BorrowedFd<'a>,
    pub(super) bytesused: u32,
}

/// A buffer that the device is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) index: u32,
    /// Where the payload begins.
    pub(super) from: usize,
    /// Its bytes.
    pub(super) len: usize,
    pub(super) flags: u32,
    pub(super) stamp: u64,
}

/// A `/dev/video` node.
pub(super) struct Node {
    fd: OwnedFd,
    pub(super) driver: String,
    pub(super) card: String,
    multi: bool,
    output_planes: usize,
    maps: Vec<Mapping>,
}

impl Node {
    /// Opens a node; `None` when it is not a streaming memory-to-memory device.
    pub(super) fn open(path: &std::path::Path) -> Answer<Option<Self>> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).map_err(failed("open"))?;
        let capability = sys::query_capability(fd.as_fd()).map_err(failed("VIDIOC_QUERYCAP"))?;
        let caps = match capability.capabilities {
            all if all & abi::CAP_DEVICE_CAPS != 0 => capability.device_caps,
            all => all,
        };
        if caps & (abi::CAP_M2M | abi::CAP_M2M_MPLANE) == 0 || caps & abi::CAP_STREAMING == 0 {
            return Ok(None);
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.split(|b| *b == 0).next().unwrap_or(b"")).into_owned();
        let (driver, card) = (text(&capability.driver), text(&capability.card));
        let multi = caps & abi::CAP_M2M_MPLANE != 0;
        Ok(Some(Self { fd, driver, card, multi, output_planes: 1, maps: Vec::new() }))
    }

    fn buffer(&self, queue: Queue, index: u32) -> abi::Buffer {
        let memory = if queue == Queue::Output { abi::MEMORY_DMABUF } else { abi::MEMORY_MMAP };
        let buf_type = queue.buf_type(self.multi);
        abi::Buffer { index, buf_type, memory, field: abi::FIELD_NONE, ..Default::default() }
    }

    fn set_format_single(&self, buf_type: u32, want: &Format) -> Result<Format, Errno> {
        let (bytesperline, sizeimage) = want.planes.first().copied().unwrap_or_default();
        let pix = abi::PixFormat {
            width: want.width,
            height: want.height,
            pixelformat: want.fourcc.0,
            field: abi::FIELD_NONE,
            bytesperline,
            sizeimage,
            colorspace: want.colorspace,
            ..Default::default()
        };
        let mut format = abi::FormatSingle { buf_type, pix, ..Default::default() };
        sys::set_format_single(self.fd.as_fd(), &mut format)?;
        let pix = format.pix;
        let mut planes = heapless::Vec::new();
        planes.extend([(pix.bytesperline, pix.sizeimage)]);
        let (width, height, fourcc) = (pix.width, pix.height, Fourcc(pix.pixelformat));
        Ok(Format { width, height, fourcc, colorspace: pix.colorspace, planes })
    }

    fn set_format_multi(&self, buf_type: u32, want: &Format) -> Result<Format, Errno> {
        let mut pix = abi::PixFormatMplane {
            width: want.width,
            height: want.height,
            pixelformat: want.fourcc.0,
            field: abi::FIELD_NONE,
            colorspace: want.colorspace,
            num_planes: u8::try_from(want.planes.len()).map_err(|_| Errno::INVAL)?,
            ..Default::default()
        };
        for (to, (bytesperline, sizeimage)) in pix.plane_fmt.iter_mut().zip(&want.planes) {
            (to.bytesperline, to.sizeimage) = (*bytesperline, *sizeimage);
        }
        let mut format = abi::FormatMulti { buf_type, pix, ..Default::default() };
        sys::set_format_multi(self.fd.as_fd(), &mut format)?;
        let pix = format.pix;
        let mut planes = heapless::Vec::new();
        let answered = pix.plane_fmt.iter().take(usize::from(pix.num_planes));
        planes.extend(answered.map(|p| (p.bytesperline, p.sizeimage)));
        let (width, height, fourcc) = (pix.width, pix.height, Fourcc(pix.pixelformat));
        Ok(Format { width, height, fourcc, colorspace: pix.colorspace, planes })
    }
}

impl Device for Node {
    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn format_at(&self, queue: Queue, index: u32) -> Answer<Option<FormatEntry>> {
        let mut entry = abi::FmtDesc { index, buf_type: queue.buf_type(self.multi), ..Default::default() };
        match sys::enum_fmt(self.fd(), &mut entry) {
            Ok(()) => {
                let compressed = entry.flags & abi::FMT_FLAG_COMPRESSED != 0;
                Ok(Some(FormatEntry { fourcc: Fourcc(entry.pixelformat), compressed }))
            }
            Err(Errno::INVAL) => Ok(None),
            Err(errno) => Err(failed("VIDIOC_ENUM_FMT")(errno)),
        }
    }

    fn largest(&self, fourcc: Fourcc) -> Answer<Option<(u32, u32)>> {
        let mut largest = None;
        // Discrete sizes are few; a driver without end is none of ours.
        for index in 0..64 {
            let mut entry = abi::FrmSizeEnum { index, pixel_format: fourcc.0, ..Default::default() };
            match sys::enum_frame_sizes(self.fd(), &mut entry) {
                Ok(()) if entry.kind == abi::FRMSIZE_DISCRETE => {
                    largest = largest.max(Some((entry.size[0], entry.size[1])));
                }
                Ok(()) => return Ok(Some((entry.size[1], entry.size[4]))),
                Err(Errno::INVAL | Errno::NOTTY) => break,
                Err(errno) => return Err(failed("VIDIOC_ENUM_FRAMESIZES")(errno)),
            }
        }
        Ok(largest)
    }

    fn set_format(&mut self, queue: Queue, want: &Format) -> Answer<Format> {
        let buf_type = queue.buf_type(self.multi);
        let answer =
            if self.multi { self.set_format_multi(buf_type, want) } else { self.set_format_single(buf_type, want) }
                .map_err(failed("VIDIOC_S_FMT"))?;
        if queue == Queue::Output {
            self.output_planes = answer.planes.len();
        }
        Ok(answer)
    }

    fn set_crop(&mut self, width: u32, height: u32) -> Answer<()> {
        // VIDIOC_S_SELECTION takes the single-planar types for both kinds of queue.
        let buf_type = Queue::Output.buf_type(false);
        let target = abi::SEL_TGT_CROP;
        let mut selection = abi::Selection { buf_type, target, width, height, ..Default::default() };
        sys::set_selection(self.fd(), &mut selection).map_err(failed("VIDIOC_S_SELECTION"))
    }

    fn set_frame_rate(&mut self, fps: u32) -> Answer<()> {
        let buf_type = Queue::Output.buf_type(self.multi);
        let mut parameters = abi::StreamParm { buf_type, timeperframe: [1, fps], ..Default::default() };
        sys::set_parameters(self.fd(), &mut parameters).map_err(failed("VIDIOC_S_PARM"))
    }

    fn control_range(&self, id: u32) -> Answer<Option<(i32, i32)>> {
        let mut query = abi::QueryCtrl { id, ..Default::default() };
        match sys::query_control(self.fd(), &mut query) {
            Ok(()) if query.flags & abi::CTRL_FLAG_DISABLED != 0 => Ok(None),
            Ok(()) if query.flags & abi::CTRL_FLAG_READ_ONLY != 0 => {
                let value = self.control(id)?;
                Ok(Some((value, value)))
            }
            Ok(()) => Ok(Some((query.minimum, query.maximum))),
            Err(Errno::INVAL | Errno::NOTTY) => Ok(None),
            Err(errno) => Err(failed("VIDIOC_QUERYCTRL")(errno)),
        }
    }

    fn menu_has(&self, id: u32, index: u32) -> bool {
        sys::query_menu(self.fd(), &mut abi::QueryMenu { id, index, ..Default::default() }).is_ok()
    }

    fn control(&self, id: u32) -> Answer<i32> {
        let mut control = abi::Control { id, value: 0 };
        sys::get_control(self.fd(), &mut control).map_err(failed("VIDIOC_G_CTRL"))?;
        Ok(control.value)
    }

    fn set_control(&mut self, id: u32, value: i32) -> Answer<()> {
        sys::set_control(self.fd(), &mut abi::Control { id, value }).map_err(failed("VIDIOC_S_CTRL"))
    }

    fn request_buffers(&mut self, queue: Queue, count: u32) -> Answer<u32> {
        let memory = if queue == Queue::Output { abi::MEMORY_DMABUF } else { abi::MEMORY_MMAP };
        let buf_type = queue.buf_type(self.multi);
        let mut request = abi::RequestBuffers { count, buf_type, memory, ..Default::default() };
        sys::request_buffers(self.fd(), &mut request).map_err(failed("VIDIOC_REQBUFS"))?;
        Ok(request.count)
    }

    fn map(&mut self, index: u32) -> Answer<()> {
        let mut buffer = self.buffer(Queue::Capture, index);
        let mut planes = [abi::PlaneBuffer::default(); 1];
        let lent = self.multi.then_some(&mut planes[..]);
        sys::query_buffer(self.fd(), &mut buffer, lent).map_err(failed("VIDIOC_QUERYBUF"))?;
        let (m, len) = if self.multi { (planes[0].m, planes[0].length) } else { (buffer.m, buffer.length) };
        let offset = u32::from_ne_bytes([m[0], m[1], m[2], m[3]]);
        let map = Mapping::new(self.fd(), offset, len).map_err(failed("mmap"))?;
        self.maps.push(map);
        Ok(())
    }

    fn copy(&self, index: u32, from: usize, len: usize, out: &mut Vec<u8>) {
        if let Some(map) = self.maps.get(index as usize) {
            map.append(from, len, out);
        }
    }

    fn queue_output(&mut self, index: u32, planes: &[OutputPlane<'_>], stamp: u64) -> Answer<()> {
        let mut buffer = self.buffer(Queue::Output, index);
        let micros = stamp.cast_signed();
        buffer.timestamp = [micros / 1_000_000, micros % 1_000_000];
        let plane = |p: &OutputPlane<'_>| abi::PlaneBuffer {
            bytesused: p.bytesused,
            // Of multi-planar buffers the kernel compares the two, and takes no 0 for "all of it".
            length: p.bytesused,
            m: sys::fd_field(p.fd),
            ..Default::default()
        };
        let mut multi: heapless::Vec<_, { abi::MAX_PLANES }> = planes.iter().map(plane).collect();
        let lent = if self.multi {
            Some(&mut multi[..])
        } else {
            let only = multi.first().copied().unwrap_or_default();
            (buffer.m, buffer.bytesused) = (only.m, only.bytesused);
            None
        };
        sys::queue_buffer(self.fd(), &mut buffer, lent).map_err(failed("VIDIOC_QBUF"))
    }

    fn queue_capture(&mut self, index: u32) -> Answer<()> {
        let mut buffer = self.buffer(Queue::Capture, index);
        let mut planes = [abi::PlaneBuffer::default(); 1];
        let lent = self.multi.then_some(&mut planes[..]);
        sys::queue_buffer(self.fd(), &mut buffer, lent).map_err(failed("VIDIOC_QBUF"))
    }

    fn dequeue(&mut self, queue: Queue) -> Answer<Option<Done>> {
        let mut buffer = self.buffer(queue, 0);
        let mut planes = [abi::PlaneBuffer::default(); abi::MAX_PLANES];
        let count = if queue == Queue::Output { self.output_planes } else { 1 };
        let lent = self.multi.then_some(&mut planes[..count.min(abi::MAX_PLANES)]);
        match sys::dequeue_buffer(self.fd(), &mut buffer, lent) {
            Ok(()) => {}
            Err(Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(failed("VIDIOC_DQBUF")(errno)),
        }
        let (used, from) =
            if self.multi { (planes[0].bytesused, planes[0].data_offset) } else { (buffer.bytesused, 0) };
        let stamp = buffer.timestamp[0].wrapping_mul(1_000_000).wrapping_add(buffer.timestamp[1]);
        Ok(Some(Done {
            index: buffer.index,
            from: from as usize,
            len: used.saturating_sub(from) as usize,
            flags: buffer.flags,
            stamp: stamp.cast_unsigned(),
        }))
    }

    fn stream(&mut self, queue: Queue, on: bool) -> Answer<()> {
        let call = if on { "VIDIOC_STREAMON" } else { "VIDIOC_STREAMOFF" };
        sys::stream(self.fd(), queue.buf_type(self.multi), on).map_err(failed(call))
    }

    fn stop(&mut self) -> Answer<()> {
        let mut command = abi::EncoderCmd { cmd: abi::ENC_CMD_STOP, ..Default::default() };
        sys::encoder_command(self.fd(), &mut command).map_err(failed("VIDIOC_ENCODER_CMD"))
    }
}
