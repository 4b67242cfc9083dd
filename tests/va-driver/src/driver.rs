//! The driver's state: objects by number, and what happens to them.
use std::{collections::BTreeMap, io::Write, os::fd::OwnedFd, sync::Arc, time::Duration};

use sumac_backends::{
    Codec, Dmabuf, Plane, Rect,
    dmabuf::{Fourcc, Shape},
};

use crate::{
    bindings as va, cabac,
    check::{self, Known, Told},
    coder, hevc, jpeg,
    picture::{Nv12, Space},
    rate,
    switches::Switches,
    vpx,
};

pub(crate) type Status = u32;

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
    rate: u32,
}

struct Context {
    profile: va::VAProfile,
    /// One of the bits VA_RC.
    rate: u32,
    target: u32,
    told: Told,
    told_rate: rate::Told,
    told_hevc: hevc::Told,
    known_hevc: hevc::Known,
    told_jpeg: jpeg::Told,
    told_vpx: vpx::Told,
    known_vpx: vpx::Known,
    vpx: vpx::Stream,
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
    HevcSequence(Box<va::VAEncSequenceParameterBufferHEVC>),
    HevcPicture(Box<va::VAEncPictureParameterBufferHEVC>),
    HevcSlice(Box<va::VAEncSliceParameterBufferHEVC>),
    Vp8Sequence(Box<va::VAEncSequenceParameterBufferVP8>),
    Vp8Picture(Box<va::VAEncPictureParameterBufferVP8>),
    Vp8Quantisers(Box<va::VAQMatrixBufferVP8>),
    Vp9Sequence(Box<va::VAEncSequenceParameterBufferVP9>),
    Vp9Picture(Box<va::VAEncPictureParameterBufferVP9>),
    Huffman(Box<va::VAHuffmanTableBufferJPEGBaseline>),
    RateControl(va::VAEncMiscParameterRateControl),
    FrameRate(va::VAEncMiscParameterFrameRate),
    Hrd(va::VAEncMiscParameterHRD),
    Coded { most: usize, segment: Box<va::VACodedBufferSegment>, bytes: Vec<u8> },
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

    /// `rate` is the rate control that was asked for.
    pub(crate) fn create_config(&mut self, profile: va::VAProfile, rate: u32) -> u32 {
        let id = self.id();
        self.configs.insert(id, Config { profile, rate });
        id
    }

    /// The rate controls that there are.
    pub(crate) fn rates(&self) -> u32 {
        self.switches.rates.unwrap_or(va::VA_RC_CQP | va::VA_RC_CBR | va::VA_RC_VBR)
    }

    /// Whether the device has gone.
    pub(crate) fn lost(&self) -> bool {
        self.switches.lost.is_some_and(|number| self.pictures >= number)
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
        let Some(Config { profile, rate }) = self.configs.get(&config) else {
            return Err(va::VA_STATUS_ERROR_INVALID_CONFIG);
        };
        let (profile, rate) = (*profile, *rate);
        if width > 4096 || height > 4096 {
            return Err(va::VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED);
        }
        let idc = if profile == va::VAProfileH264High { 100 } else { 66 };
        let known = Known { profile: idc, size: (width, height), ..Known::default() };
        let id = self.id();
        let codec = if profile == va::VAProfileVP8Version0_3 { Codec::Vp8 } else { Codec::Vp9 };
        let context = Context {
            profile,
            rate,
            target: 0,
            told: Told::default(),
            told_rate: rate::Told::default(),
            told_hevc: hevc::Told::default(),
            known_hevc: hevc::Known { size: (width, height), ..hevc::Known::default() },
            told_jpeg: jpeg::Told::default(),
            told_vpx: vpx::Told::default(),
            known_vpx: vpx::Known { size: (width, height), ..vpx::Known::default() },
            vpx: vpx::Stream::new(codec),
            pipeline: None,
            known,
            shown: None,
        };
        self.contexts.insert(id, context);
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
        (context.told_jpeg, context.told_vpx) = (jpeg::Told::default(), vpx::Told::default());
        (context.told_rate, context.told_hevc) = (rate::Told::default(), hevc::Told::default());
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
            Some(Buffer::HevcSequence(seq)) => context.told_hevc.seq = Some(**seq),
            Some(Buffer::HevcPicture(pic)) => context.told_hevc.pic = Some(**pic),
            Some(Buffer::HevcSlice(slice)) => context.told_hevc.slices.push(**slice),
            Some(Buffer::Vp8Sequence(seq)) => context.told_vpx.vp8_sequence = Some(**seq),
            Some(Buffer::Vp8Picture(pic)) => context.told_vpx.vp8_picture = Some(**pic),
            Some(Buffer::Vp8Quantisers(quantisers)) => context.told_vpx.vp8_quantisers = Some(**quantisers),
            Some(Buffer::Vp9Sequence(seq)) => context.told_vpx.vp9_sequence = Some(**seq),
            Some(Buffer::Vp9Picture(pic)) => context.told_vpx.vp9_picture = Some(**pic),
            Some(Buffer::Huffman(tables)) => context.told_jpeg.huffman = Some(**tables),
            Some(Buffer::RateControl(told)) => context.told_rate.control = Some(*told),
            Some(Buffer::FrameRate(told)) => context.told_rate.frame_rate = Some(*told),
            Some(Buffer::Hrd(told)) => context.told_rate.buffer = Some(*told),
            Some(Buffer::Coded { .. }) | None => return self.complain("a buffer is rendered that is no parameter"),
        }
        va::VA_STATUS_SUCCESS
    }

    pub(crate) fn end_picture(&mut self, id: u32) -> Status {
        if self.lost() {
            return va::VA_STATUS_ERROR_OPERATION_FAILED;
        }
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
        let Context { told, told_jpeg, told_vpx, told_hevc, .. } = context;
        let coded = told.pic.map(|pic| pic.coded_buf).or(told_jpeg.pic.map(|pic| pic.coded_buf));
        let coded = coded.or(told_hevc.pic.map(|pic| pic.coded_buf));
        let coded = coded.or(told_vpx.vp8_picture.map(|pic| pic.coded_buf));
        let coded = coded.or(told_vpx.vp9_picture.map(|pic| pic.coded_buf));
        if let Some(Buffer::Coded { segment, bytes, .. }) = coded.and_then(|coded| self.buffers.get_mut(&coded)) {
            let idr = told.pic.is_some_and(|pic| crate::sys::h264_pic_fields(&pic) & 1 == 1);
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
        let space = match (standards.1, ranges.1) {
            (va::VAProcColorStandardBT709, 1) => Space::Bt709Limited,
            (va::VAProcColorStandardBT601, 1) => Space::Bt601Limited,
            (va::VAProcColorStandardBT601, 2) => Space::Bt601Full,
            _ => return Err(format!("colour standards {standards:?}, ranges {ranges:?}")),
        };
        if (to.x, to.y) != (0, 0) {
            return Err("the output does not begin at the top left".into());
        }
        let Some(Surface::Imported(dmabuf)) = self.surfaces.get(&surface) else {
            return Err("the source is no import".into());
        };
        let mut pixels = Vec::new();
        match (dmabuf.fourcc() == Fourcc::NV12, standards.0, ranges.0) {
            (true, va::VAProcColorStandardBT709, 1) => {
                let whole = load(dmabuf, (dmabuf.width(), dmabuf.height()))?;
                self.pixel_bytes += (whole.luma.len() + whole.chroma.len()) as u64;
                let bgrx = whole.to_bgrx(whole.width, whole.height, Space::Bt709Limited);
                let (stride, left, row) = (whole.width * 4, from.x as usize * 4, from.width as usize * 4);
                let rows = bgrx.chunks(stride).skip(from.y as usize).take(from.height as usize);
                rows.for_each(|line| pixels.extend_from_slice(&line[left..left + row]));
            }
            (false, va::VAProcColorStandardSRGB, 2) => {
                dmabuf.read_back(from, &mut pixels).map_err(|e| e.to_string())?;
                self.pixel_bytes += pixels.len() as u64;
            }
            _ => return Err(format!("colour standard {}, range {} of {dmabuf:?}", standards.0, ranges.0)),
        }
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
        let loaded;
        let picture = match self.surfaces.get(&context.target) {
            Some(Surface::Own(picture)) => picture,
            Some(Surface::Imported(dmabuf)) if dmabuf.fourcc() == Fourcc::NV12 => {
                loaded = load(dmabuf, context.known.size)?;
                self.pixel_bytes += (loaded.luma.len() + loaded.chroma.len()) as u64;
                &loaded
            }
            _ => return Err("the source is not NV12".into()),
        };
        let (coded, stream) = if context.profile == va::VAProfileJPEGBaseline {
            if let Some((_, _, bytes)) = context.told.packed.first() {
                context.told_jpeg.header.clone_from(bytes);
            }
            jpeg::encode(&context.told_jpeg, context.known.size, picture)?
        } else if context.profile == va::VAProfileHEVCMain {
            let verdict = hevc::picture(&mut context.known_hevc, &context.told_hevc, &context.told.packed)?;
            rate::check(context.rate, &context.told_rate, verdict.idr)?;
            if !self.surfaces.contains_key(&verdict.reconstructed) {
                return Err("decoded_curr_pic is no surface".into());
            }
            let Some((header, sets)) = verdict.headers.split_last() else { return Err("no headers".into()) };
            let mut stream: Vec<u8> = sets.iter().flat_map(|set| coder::escape(set)).collect();
            let tolerance = u8::try_from((verdict.qp - 18) / 2).unwrap_or(0);
            let kind = (verdict.idr, verdict.qp);
            stream.extend(cabac::slice(header, picture, &mut context.shown, kind, tolerance));
            (verdict.coded, stream)
        } else if matches!(context.profile, va::VAProfileVP8Version0_3 | va::VAProfileVP9Profile0) {
            let check = if context.profile == va::VAProfileVP9Profile0 { vpx::vp9 } else { vpx::vp8 };
            let verdict = check(&mut context.known_vpx, &context.told_vpx)?;
            rate::check(context.rate, &context.told_rate, verdict.key)?;
            if !self.surfaces.contains_key(&verdict.reconstructed) {
                return Err("reconstructed_frame is no surface".into());
            }
            (verdict.coded, context.vpx.encode(verdict, picture)?)
        } else {
            if self.switches.no_packed {
                check::write_headers(&context.known, &mut context.told)?;
            }
            let verdict = check::picture(&mut context.known, &context.told)?;
            rate::check(context.rate, &context.told_rate, verdict.idr)?;
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

/// The top left of an NV12 picture out of its dmabufs, without padding: planes are read as if each
/// were a picture of 4 bytes per pixel.
fn load(dmabuf: &Dmabuf, (width, height): (u32, u32)) -> Result<Nv12, String> {
    if width > dmabuf.width() || height > dmabuf.height() {
        return Err(format!("{width}x{height} of {dmabuf:?}"));
    }
    let width = width as usize;
    let mut picture = Nv12::new(width, height as usize);
    for (n, plane) in dmabuf.planes().iter().enumerate() {
        let rows = if n == 0 { dmabuf.height() } else { dmabuf.height() / 2 };
        let fourcc = Fourcc::XRGB8888;
        let shape = Shape { width: plane.stride / 4, height: rows, fourcc, ..dmabuf.shape() };
        let whole = Rect { x: 0, y: 0, width: shape.width, height: rows };
        let mut bytes = Vec::new();
        let read = Dmabuf::new(shape, std::slice::from_ref(plane)).and_then(|d| d.read_back(whole, &mut bytes));
        read.map_err(|e| e.to_string())?;
        let to = if n == 0 { &mut picture.luma } else { &mut picture.chroma };
        for (to, from) in to.chunks_mut(width).zip(bytes.chunks(plane.stride as usize)) {
            to.copy_from_slice(&from[..width]);
        }
    }
    Ok(picture)
}
