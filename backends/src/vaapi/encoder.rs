//! A running encoder on a device: import, conversion, encoding, all without a copy.
use std::rc::Rc;

use crate::{
    BackendError, Codec, Completion, Dmabuf, EncodeRequest, Encoder, Frame, Packet, RateControl, Rect, Refusal,
    Refused, Settings, Ticket, Tuning,
    bitstream::{annexb, is_key_frame},
    buffer::Pool,
    dmabuf::{Fourcc, Shape},
    rate::Scale,
};

use super::{
    NAME,
    avc::Avc,
    bindings as va,
    hevc::Hevc,
    import,
    jpeg::Jpeg,
    rate::{self, Steering},
    sys::{Buffer, Config, Context, Display, Failure, Surface},
    vpx::{self, Vpx},
};

/// A profile and an entry point of the device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) profile: va::VAProfile,
    pub(super) entrypoint: va::VAEntrypoint,
}

pub(super) struct VaEncoder {
    settings: Settings,
    /// Frames must be like this one.
    shape: Shape,
    coding: Coding,
    input: Input,
    context: Context,
    coded: Buffer,
    steering: Steering,
    open: Option<Open>,
    submitted: u64,
    lost: Option<BackendError>,
    pool: Pool,
}

/// What is encoded into.
enum Coding {
    H264(Avc),
    Hevc(Hevc),
    /// VP8 or VP9.
    Vpx(Vpx),
    /// Every picture by itself.
    Jpeg(Jpeg),
}

/// How a frame becomes what the encoder reads.
enum Input {
    /// It is that already.
    Direct,
    /// The device converts it into this surface.
    Convert { context: Context, target: Surface },
}

struct Open {
    ticket: Ticket,
    want: EncodeRequest,
    /// Fields are dropped in this order: the device's name for the buffer before the buffer.
    surface: Surface,
    _frame: Frame,
}

impl VaEncoder {
    pub(super) fn open(
        display: &Rc<Display>,
        way: Way,
        mode: RateControl,
        settings: &Settings,
        like: &Dmabuf,
    ) -> Result<Self, Failure> {
        let Settings { width, height, codec, ref tuning, .. } = *settings;
        let scale = match codec {
            Codec::Mjpeg => Scale::Jpeg,
            Codec::Vp8 | Codec::Vp9 => Scale::Vpx,
            _ => Scale::H26x,
        };
        let steering = Steering::new(mode, scale, tuning, width * height);
        let coding = match codec {
            Codec::Mjpeg => Coding::Jpeg(Jpeg::new(width, height)),
            Codec::Vp8 | Codec::Vp9 => Coding::Vpx(Vpx::new(display, settings)?),
            Codec::Hevc => Coding::Hevc(Hevc::new(display, way, settings, &steering)?),
            _ => Coding::H264(Avc::new(display, way, settings, &steering)?),
        };
        let mut attributes = vec![(va::VAConfigAttribRTFormat, va::VA_RT_FORMAT_YUV420)];
        if codec != Codec::Mjpeg {
            attributes.push((va::VAConfigAttribRateControl, rate::bit(mode)));
        }
        if coding.packed() != 0 {
            attributes.push((va::VAConfigAttribEncPackedHeaders, coding.packed()));
        }
        let config = Config::new(display, way.profile, way.entrypoint, &attributes)?;
        let round = |side: u32| side.next_multiple_of(vpx::block(codec));
        let (coded_width, coded_height) = (round(width), round(height));
        let input = Input::new(display, like, (coded_width, coded_height), Colours::of(codec))?;
        let targets: Vec<_> = coding.surfaces().iter().chain(input.target()).collect();
        let context = Context::new(config, coded_width, coded_height, &targets)?;
        // Twice what an uncompressed picture has: no stream without delay comes near.
        let size = coded_width as usize * coded_height as usize * 3 + 65_536;
        let coded = context.coded(size)?;
        Ok(Self {
            settings: settings.clone(),
            shape: like.shape(),
            coding,
            input,
            context,
            coded,
            steering,
            open: None,
            submitted: 0,
            lost: None,
            pool: Pool::default(),
        })
    }

    /// Why a frame is not taken; else its dmabuf.
    fn admit<'a>(&self, frame: &'a Frame, want: &EncodeRequest) -> Result<&'a Dmabuf, Refusal> {
        if let Some(error) = &self.lost {
            return Err(Refusal::Failed(error.clone()));
        }
        if self.open.is_some() {
            return Err(Refusal::Busy(1));
        }
        want.check(frame, &self.settings)?;
        if matches!(self.input, Input::Direct) && (want.region.x, want.region.y) != (0, 0) {
            return Err(Refusal::Unlike("the region does not begin at the top left"));
        }
        let dmabuf = frame.dmabuf().ok_or(Refusal::Unlike("it is not a dmabuf"))?;
        if dmabuf.shape() == self.shape { Ok(dmabuf) } else { Err(Refusal::Unlike("its size, format or modifier")) }
    }

    /// Hands a picture to the device.
    fn start(&mut self, surface: &Surface, want: &EncodeRequest) -> Result<(), Failure> {
        let Self { context, steering, coded, .. } = self;
        let mut told = context.tell();
        match &mut self.coding {
            Coding::H264(avc) => avc.tell(&mut told, steering, want.keyframe, coded)?,
            Coding::Hevc(hevc) => hevc.tell(&mut told, steering, want.keyframe, coded)?,
            Coding::Vpx(vpx) => vpx.tell(&mut told, steering, want.keyframe, coded)?,
            Coding::Jpeg(jpeg) => jpeg.tell(&mut told, steering, coded)?,
        }
        let source = match &self.input {
            Input::Direct => surface,
            Input::Convert { context, target } => {
                let to = (target, self.coding.size(), Colours::of(self.settings.codec));
                convert(context, (surface, self.shape), want.region, to)?;
                target
            }
        };
        told.render(source)
    }

    /// Waits for the picture and reads it; `None` when the device could not encode it.
    fn finish_picture(&mut self, surface: &Surface) -> Result<Option<(crate::Buffer, bool)>, Failure> {
        match self.coded.sync() {
            Some(answer) => answer?,
            None => self.input.target().unwrap_or(surface).sync()?,
        }
        let codec = self.settings.codec;
        let mut status = 0;
        let data = self.pool.fill(|out| {
            status = self.coded.read_coded(out)?;
            if matches!(codec, Codec::H264 | Codec::Hevc) {
                annexb::strip_delimiters(codec == Codec::Hevc, out);
            }
            Ok(())
        })?;
        const BROKEN: u32 = va::VA_CODED_BUF_STATUS_BAD_BITSTREAM | va::VA_CODED_BUF_STATUS_SLICE_OVERFLOW_MASK;
        let whole = status & BROKEN == 0 && !data.is_empty();
        let keyframe = is_key_frame(codec, &data);
        match &mut self.coding {
            Coding::H264(avc) => avc.finished(whole, keyframe),
            Coding::Hevc(hevc) => hevc.finished(whole, keyframe),
            Coding::Vpx(vpx) => vpx.finished(whole, keyframe),
            Coding::Jpeg(_) => {}
        }
        if whole {
            self.steering.spent(data.len(), keyframe && codec != Codec::Mjpeg);
        }
        Ok(whole.then_some((data, keyframe)))
    }

    fn lose(&mut self, failure: &Failure) -> BackendError {
        let error = super::error(failure);
        self.lost = Some(error.clone());
        error
    }
}

impl Encoder for VaEncoder {
    fn depth(&self) -> usize {
        1
    }

    fn submit(&mut self, frame: Frame, want: EncodeRequest) -> Result<Ticket, Refused> {
        let surface = match self.admit(&frame, &want).map(import::describe) {
            Ok(Some((mut descriptor, target))) => {
                let display = self.context.display();
                Surface::import(display, target, &mut descriptor).map_err(|failure| {
                    tracing::debug!(call = failure.call, status = failure.status, "no import");
                    Refusal::Unlike("the device does not import it")
                })
            }
            Ok(None) => Err(Refusal::Unlike("its format")),
            Err(why) => Err(why),
        };
        let surface = match surface {
            Ok(surface) => surface,
            Err(why) => return Err(Refused { frame, why }),
        };
        if let Err(failure) = self.start(&surface, &want) {
            let why = Refusal::Failed(self.lose(&failure));
            return Err(Refused { frame, why });
        }
        let ticket = Ticket(self.submitted);
        self.submitted += 1;
        self.open = Some(Open { ticket, want, surface, _frame: frame });
        Ok(ticket)
    }

    fn poll_completion(&mut self) -> Result<Option<Completion>, BackendError> {
        if let Some(error) = &self.lost {
            return Err(error.clone());
        }
        let Some(open) = self.open.take() else { return Ok(None) };
        let done = match self.finish_picture(&open.surface) {
            Ok(done) => done,
            Err(failure) => {
                self.open = Some(open);
                return Err(self.lose(&failure));
            }
        };
        let Open { ticket, want: EncodeRequest { tag, damage, .. }, .. } = open;
        let (width, height) = self.coding.size();
        Ok(Some(match done {
            Some((data, keyframe)) => {
                Completion::Encoded(Packet { ticket, tag, damage, keyframe, width, height, data })
            }
            None => Completion::Dropped { ticket, tag },
        }))
    }

    fn readiness(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    fn retune(&mut self, tuning: &Tuning) -> Result<(), BackendError> {
        tuning.check(NAME)?;
        self.steering.retune(tuning);
        self.settings.tuning = *tuning;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Vec<Completion> {
        let Some(open) = self.open.take() else { return Vec::new() };
        // The device reads from the buffer until it is done; a lost one has stopped.
        let _ = open.surface.sync();
        vec![Completion::Dropped { ticket: open.ticket, tag: open.want.tag }]
    }
}

impl Drop for VaEncoder {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            let _ = open.surface.sync();
        }
    }
}

impl Coding {
    /// The packed headers that will be given, as VA_ENC_PACKED_HEADER bits.
    fn packed(&self) -> u32 {
        match self {
            Self::H264(avc) => avc.packed(),
            Self::Hevc(hevc) => hevc.packed(),
            Self::Vpx(_) => 0,
            Self::Jpeg(_) => va::VA_ENC_PACKED_HEADER_RAW_DATA,
        }
    }

    fn surfaces(&self) -> &[Surface] {
        match self {
            Self::H264(avc) => avc.surfaces(),
            Self::Hevc(hevc) => hevc.surfaces(),
            Self::Vpx(vpx) => vpx.surfaces(),
            Self::Jpeg(_) => &[],
        }
    }

    /// The size of the pictures that a decoder shows.
    fn size(&self) -> (u32, u32) {
        match self {
            Self::H264(avc) => avc.size(),
            Self::Hevc(hevc) => hevc.size(),
            Self::Vpx(vpx) => vpx.size(),
            Self::Jpeg(jpeg) => jpeg.size(),
        }
    }
}

impl Input {
    fn new(
        display: &Rc<Display>,
        like: &Dmabuf,
        (width, height): (u32, u32),
        colours: Colours,
    ) -> Result<Self, Failure> {
        let fits = like.width() >= width && like.height() >= height && !like.shape().y_inverted;
        if like.fourcc() == Fourcc::NV12 && fits && colours == Colours::Bt709 {
            return Ok(Self::Direct);
        }
        let config = Config::new(display, va::VAProfileNone, va::VAEntrypointVideoProc, &[])?;
        let target = Surface::new(display, va::VA_RT_FORMAT_YUV420, width, height)?;
        let context = Context::new(config, width, height, &[&target])?;
        Ok(Self::Convert { context, target })
    }

    fn target(&self) -> Option<&Surface> {
        match self {
            Self::Direct => None,
            Self::Convert { target, .. } => Some(target),
        }
    }
}

/// How colours become numbers in a codec's pictures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Colours {
    /// BT.709 in limited range, what streams say that can say it; and what NV12 frames are taken for.
    Bt709,
    /// BT.601 in limited range, what VP8 is.
    Bt601,
    /// BT.601 in full range, what JPEG is.
    Jfif,
}

impl Colours {
    fn of(codec: Codec) -> Self {
        match codec {
            Codec::Vp8 => Self::Bt601,
            Codec::Mjpeg => Self::Jfif,
            _ => Self::Bt709,
        }
    }

    /// In libva's words: standard and range.
    fn words(self) -> (va::VAProcColorStandardType, u8) {
        let (standard, range) = match self {
            Self::Bt709 => (va::VAProcColorStandardBT709, va::VA_SOURCE_RANGE_REDUCED),
            Self::Bt601 => (va::VAProcColorStandardBT601, va::VA_SOURCE_RANGE_REDUCED),
            Self::Jfif => (va::VAProcColorStandardBT601, va::VA_SOURCE_RANGE_FULL),
        };
        (standard, u8::try_from(range).unwrap_or(0))
    }
}

/// Has the device convert a part of a frame to pictures of a size and colours.
fn convert(
    context: &Context,
    (from, shape): (&Surface, Shape),
    region: Rect,
    (to, (width, height), colours): (&Surface, (u32, u32), Colours),
) -> Result<(), Failure> {
    let short = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    let place = |n: u32| i16::try_from(n).unwrap_or(i16::MAX);
    let source = va::VARectangle {
        x: place(region.x),
        y: place(region.y),
        width: short(region.width),
        height: short(region.height),
    };
    let all = va::VARectangle { x: 0, y: 0, width: short(width), height: short(height) };
    let rgb = (va::VAProcColorStandardSRGB, u8::try_from(va::VA_SOURCE_RANGE_FULL).unwrap_or(0));
    let yuv = shape.fourcc == Fourcc::NV12 || shape.fourcc == Fourcc::P010;
    let (input, input_range) = if yuv { Colours::Bt709.words() } else { rgb };
    let (output, output_range) = colours.words();
    let mut pipeline = va::VAProcPipelineParameterBuffer {
        surface_color_standard: input,
        output_color_standard: output,
        output_background_color: 0xff00_0000,
        mirror_state: if shape.y_inverted { va::VA_MIRROR_VERTICAL } else { va::VA_MIRROR_NONE },
        ..Default::default()
    };
    pipeline.input_color_properties.color_range = input_range;
    pipeline.output_color_properties.color_range = output_range;
    context.process(pipeline, (from, source), (to, all))
}
