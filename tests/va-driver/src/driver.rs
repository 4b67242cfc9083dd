//! The driver's state: objects by number, and what happens to them.
use std::{collections::BTreeMap, io::Write, os::fd::OwnedFd, sync::Arc, time::Duration};

use sumac_backends::{
    Dmabuf, Plane, Rect,
    dmabuf::{Fourcc, Shape},
};

use crate::{
    bindings as va,
    check::{self, Known, Told},
    coder, jpeg,
    picture::{Nv12, Space},
};

pub(crate) type Status = u32;

/// `SUMAC_VA`.
#[derive(Default)]
pub(crate) struct Switches {
    pub(crate) no_lp: bool,
    pub(crate) no_vpp: bool,
    pub(crate) cqp: bool,
    pub(crate) no_sync_buffer: bool,
    slow: bool,
    null: bool,
    fail: Option<u64>,
}

pub(crate) struct Driver {
    pub(crate) switches: Switches,
    account: Option<String>,
    next: u32,
    configs: BTreeMap<u32, Config>,
    contexts: BTreeMap<u32, Context>,
    surfaces: BTreeMap<u32, Surface>,
    buffers: BTreeMap<u32, Buffer>,
    pictures: u64,
    complaints: u64,
    pixel_bytes: u64,
}

struct Config {
    profile: va::VAProfile,
}

struct Context {
    profile: va::VAProfile,
    target: u32,
    told: Told,
    told_jpeg: jpeg::Told,
    pipeline: Option<Pipeline>,
    known: Known,
    /// What a decoder shows after the last picture.
    shown: Option<Nv12>,
}

/// A conversion that was rendered.
#[derive(Clone, Copy)]
pub(crate) struct Pipeline {
    pub(crate) surface: u32,
    pub(crate) from: Rect,
    pub(crate) to: Rect,
    pub(crate) mirrored: bool,
    pub(crate) standards: (u32, u32),
    pub(crate) ranges: (u8, u8),
}

enum Surface {
    Own(Nv12),
    Imported(Dmabuf),
}

/// A buffer of parameters, or for an encoded picture.
pub(crate) enum Buffer {
    Sequence(Box<va::VAEncSequenceParameterBufferH264>),
    Picture(Box<va::VAEncPictureParameterBufferH264>),
    Slice(Box<va::VAEncSliceParameterBufferH264>),
    PackedKind(u32, usize),
    PackedData(Vec<u8>),
    Pipeline(Pipeline),
    JpegPicture(Box<va::VAEncPictureParameterBufferJPEG>),
    JpegScan(Box<va::VAEncSliceParameterBufferJPEG>),
    Quantisers(Box<va::VAQMatrixBufferJPEG>),
    Huffman(Box<va::VAHuffmanTableBufferJPEGBaseline>),
    Misc,
    Coded { most: usize, segment: Box<va::VACodedBufferSegment>, bytes: Vec<u8> },
}

impl Switches {
    fn from_environment() -> Self {
        let mut new = Self::default();
        for word in std::env::var("SUMAC_VA").unwrap_or_default().split(',') {
            match word.split_once('=').unwrap_or((word, "")) {
                ("no-lp", _) => new.no_lp = true,
                ("no-vpp", _) => new.no_vpp = true,
                ("cqp", _) => new.cqp = true,
                ("no-sync-buffer", _) => new.no_sync_buffer = true,
                ("slow", _) => new.slow = true,
                ("null", _) => new.null = true,
                ("fail", number) => new.fail = number.parse().ok(),
                _ => {}
            }
        }
        new
    }
}

impl Driver {
    pub(crate) fn new() -> Self {
        Self {
            switches: Switches::from_environment(),
            account: std::env::var("SUMAC_VA_ACCOUNT").ok(),
            next: 1,
            configs: BTreeMap::new(),
            contexts: BTreeMap::new(),
            surfaces: BTreeMap::new(),
            buffers: BTreeMap::new(),
            pictures: 0,
            complaints: 0,
            pixel_bytes: 0,
        }
    }

    /// Writes a line to the account; a driver has no other voice.
    fn say(&self, line: &str) {
        if let Some(path) = &self.account
            && let Ok(mut file) = std::fs::File::options().create(true).append(true).open(path)
        {
            let _ = writeln!(file, "{line}");
        }
    }

    fn complain(&mut self, words: &str) -> Status {
        self.complaints += 1;
        self.say(&format!("complaint: {words}"));
        va::VA_STATUS_ERROR_INVALID_PARAMETER
    }

    /// At the end: everything must have been given back.
    pub(crate) fn end(&mut self) {
        let left = self.configs.len() + self.contexts.len() + self.surfaces.len() + self.buffers.len();
        if left > 0 {
            self.complain(&format!("{left} objects are left"));
        }
        let (pictures, complaints, bytes) = (self.pictures, self.complaints, self.pixel_bytes);
        self.say(&format!("end: {pictures} pictures, {complaints} complaints, {bytes} pixel bytes read"));
    }

    fn id(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    pub(crate) fn create_config(&mut self, profile: va::VAProfile) -> u32 {
        let id = self.id();
        self.configs.insert(id, Config { profile });
        id
    }

    pub(crate) fn destroy_config(&mut self, id: u32) -> Status {
        self.gone(|d| d.configs.remove(&id).is_some(), va::VA_STATUS_ERROR_INVALID_CONFIG)
    }

    pub(crate) fn create_surface(&mut self, width: u32, height: u32) -> u32 {
        let id = self.id();
        let even = |side: u32| side.next_multiple_of(2) as usize;
        self.surfaces.insert(id, Surface::Own(Nv12::new(even(width), even(height))));
        id
    }

    /// Imports planes with their own duplicates of the fds.
    pub(crate) fn import(&mut self, shape: Shape, planes: Vec<(OwnedFd, u32, u32)>) -> Result<u32, Status> {
        let plane = |(fd, offset, stride)| Plane { fd: Arc::new(fd), offset, stride };
        let planes: Vec<_> = planes.into_iter().map(plane).collect();
        let dmabuf = Dmabuf::new(shape, &planes).map_err(|e| self.complain(&e.to_string()))?;
        if !shape.fourcc.is_bgrx() && shape.fourcc != Fourcc::NV12 {
            return Err(va::VA_STATUS_ERROR_UNSUPPORTED_RT_FORMAT);
        }
        let id = self.id();
        self.surfaces.insert(id, Surface::Imported(dmabuf));
        Ok(id)
    }

    pub(crate) fn destroy_surface(&mut self, id: u32) -> Status {
        self.gone(|d| d.surfaces.remove(&id).is_some(), va::VA_STATUS_ERROR_INVALID_SURFACE)
    }

    pub(crate) fn has_surface(&self, id: u32) -> bool {
        self.surfaces.contains_key(&id)
    }

    pub(crate) fn create_context(&mut self, config: u32, width: u32, height: u32) -> Result<u32, Status> {
        let Some(Config { profile }) = self.configs.get(&config) else {
            return Err(va::VA_STATUS_ERROR_INVALID_CONFIG);
        };
        let profile = *profile;
        let idc = if profile == va::VAProfileH264High { 100 } else { 66 };
        let known = Known { profile: idc, size: (width, height), ..Known::default() };
        let id = self.id();
        let (told, told_jpeg, pipeline, shown) = (Told::default(), jpeg::Told::default(), None, None);
        self.contexts.insert(id, Context { profile, target: 0, told, told_jpeg, pipeline, known, shown });
        Ok(id)
    }

    pub(crate) fn destroy_context(&mut self, id: u32) -> Status {
        self.gone(|d| d.contexts.remove(&id).is_some(), va::VA_STATUS_ERROR_INVALID_CONTEXT)
    }

    pub(crate) fn create_buffer(&mut self, buffer: Buffer) -> u32 {
        let id = self.id();
        self.buffers.insert(id, buffer);
        id
    }

    pub(crate) fn buffer(&mut self, id: u32) -> Option<&mut Buffer> {
        self.buffers.get_mut(&id)
    }

    pub(crate) fn destroy_buffer(&mut self, id: u32) -> Status {
        self.gone(|d| d.buffers.remove(&id).is_some(), va::VA_STATUS_ERROR_INVALID_BUFFER)
    }

    fn gone(&mut self, remove: impl FnOnce(&mut Self) -> bool, otherwise: Status) -> Status {
        if remove(self) {
            return va::VA_STATUS_SUCCESS;
        }
        self.complain("an object is destroyed that is none");
        otherwise
    }

    pub(crate) fn begin(&mut self, context: u32, target: u32) -> Status {
        if !self.surfaces.contains_key(&target) {
            self.complain("a picture on no surface");
            return va::VA_STATUS_ERROR_INVALID_SURFACE;
        }
        let Some(context) = self.contexts.get_mut(&context) else { return va::VA_STATUS_ERROR_INVALID_CONTEXT };
        (context.target, context.told, context.pipeline) = (target, Told::default(), None);
        context.told_jpeg = jpeg::Told::default();
        va::VA_STATUS_SUCCESS
    }

    pub(crate) fn render(&mut self, context: u32, buffer: u32) -> Status {
        let Some(context) = self.contexts.get_mut(&context) else { return va::VA_STATUS_ERROR_INVALID_CONTEXT };
        let told = &mut context.told;
        match self.buffers.get(&buffer) {
            Some(Buffer::Sequence(seq)) => told.seq = Some(**seq),
            Some(Buffer::Picture(pic)) => told.pic = Some(**pic),
            Some(Buffer::Slice(slice)) => told.slices.push(**slice),
            Some(Buffer::PackedKind(kind, bits)) => told.packed.push((*kind, *bits, Vec::new())),
            Some(Buffer::PackedData(data)) => match told.packed.last_mut() {
                Some((_, bits, bytes)) if bytes.is_empty() && data.len() == bits.div_ceil(8) => bytes.clone_from(data),
                _ => return self.complain("packed data without its parameters, or of another length"),
            },
            Some(Buffer::Pipeline(pipeline)) => context.pipeline = Some(*pipeline),
            Some(Buffer::JpegPicture(pic)) => context.told_jpeg.pic = Some(**pic),
            Some(Buffer::JpegScan(scan)) => context.told_jpeg.scan = Some(**scan),
            Some(Buffer::Quantisers(tables)) => context.told_jpeg.quantisers = Some(**tables),
            Some(Buffer::Huffman(tables)) => context.told_jpeg.huffman = Some(**tables),
            Some(Buffer::Misc) => {}
            Some(Buffer::Coded { .. }) | None => return self.complain("a buffer is rendered that is no parameter"),
        }
        va::VA_STATUS_SUCCESS
    }

    pub(crate) fn end_picture(&mut self, id: u32) -> Status {
        let Some(mut context) = self.contexts.remove(&id) else { return va::VA_STATUS_ERROR_INVALID_CONTEXT };
        let done = if self.switches.null {
            self.answer(&context);
            Ok(())
        } else if context.profile == va::VAProfileNone {
            self.convert(&context)
        } else {
            self.encode(&mut context)
        };
        self.contexts.insert(id, context);
        match done {
            Ok(()) => va::VA_STATUS_SUCCESS,
            Err(words) => self.complain(&words),
        }
    }

    /// The same bytes for every picture.
    fn answer(&mut self, context: &Context) {
        let Context { told, told_jpeg, .. } = context;
        let coded = told.pic.map(|pic| pic.coded_buf).or(told_jpeg.pic.map(|pic| pic.coded_buf));
        if let Some(Buffer::Coded { segment, bytes, .. }) = coded.and_then(|coded| self.buffers.get_mut(&coded)) {
            let idr = told.pic.is_some_and(|pic| crate::entry::pic_fields(&pic) & 1 == 1);
            bytes.clear();
            bytes.extend([0, 0, 0, 1, if idr { 0x65 } else { 0x41 }]);
            bytes.resize(20_000, 0x11);
            segment.size = u32::try_from(bytes.len()).unwrap_or(0);
            segment.buf = bytes.as_mut_ptr().cast();
        }
    }

    fn convert(&mut self, context: &Context) -> Result<(), String> {
        let Some(Pipeline { surface, from, to, mirrored, standards, ranges }) = context.pipeline else {
            return Err("no pipeline".into());
        };
        let space = match (standards.1, ranges) {
            (va::VAProcColorStandardBT709, (2, 1)) => Space::Bt709Limited,
            (va::VAProcColorStandardBT601, (2, 2)) => Space::Bt601Full,
            _ => return Err(format!("colour standards {standards:?}, ranges {ranges:?}")),
        };
        if (to.x, to.y) != (0, 0) {
            return Err("the output does not begin at the top left".into());
        }
        let Some(Surface::Imported(dmabuf)) = self.surfaces.get(&surface) else {
            return Err("the source is no import".into());
        };
        let mut pixels = Vec::new();
        dmabuf.read_back(from, &mut pixels).map_err(|e| e.to_string())?;
        self.pixel_bytes += pixels.len() as u64;
        let size = |r: Rect| (r.width as usize, r.height as usize);
        let Some(Surface::Own(target)) = self.surfaces.get_mut(&context.target) else {
            return Err("the target is an import".into());
        };
        target.draw(&pixels, size(from), size(to), mirrored, space);
        Ok(())
    }

    fn encode(&mut self, context: &mut Context) -> Result<(), String> {
        let number = self.pictures;
        self.pictures += 1;
        if self.switches.slow {
            std::thread::sleep(Duration::from_millis(5));
        }
        let Some(Surface::Own(picture)) = self.surfaces.get(&context.target) else {
            return Err("the source is not NV12 of the driver's".into());
        };
        let (coded, stream) = if context.profile == va::VAProfileJPEGBaseline {
            if let Some((_, _, bytes)) = context.told.packed.first() {
                context.told_jpeg.header.clone_from(bytes);
            }
            jpeg::encode(&context.told_jpeg, context.known.size, picture)?
        } else {
            let verdict = check::picture(&mut context.known, &context.told)?;
            if !self.surfaces.contains_key(&verdict.reconstructed) {
                return Err("CurrPic is no surface".into());
            }
            let Some((slice, sets)) = verdict.headers.split_last() else { return Err("no headers".into()) };
            let mut stream: Vec<u8> = sets.iter().flat_map(|set| coder::escape(set)).collect();
            let tolerance = u8::try_from((verdict.qp - 18) / 2).unwrap_or(0);
            let bits = verdict.slice_bits;
            stream.extend(coder::slice(slice, bits, picture, &mut context.shown, verdict.idr, tolerance));
            (verdict.coded, stream)
        };
        let failed = self.switches.fail == Some(number);
        let Some(Buffer::Coded { most, segment, bytes }) = self.buffers.get_mut(&coded) else {
            return Err("coded_buf is no coded buffer".into());
        };
        if stream.len() > *most {
            return Err(format!("{} bytes in a coded buffer of {most}", stream.len()));
        }
        *bytes = stream;
        segment.size = u32::try_from(bytes.len()).unwrap_or(0);
        segment.status = if failed { va::VA_CODED_BUF_STATUS_BAD_BITSTREAM } else { 0 };
        segment.buf = bytes.as_mut_ptr().cast();
        Ok(())
    }
}
