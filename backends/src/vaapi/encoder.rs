//! A running H.264 encoder on a device: import, conversion, encoding, all without a copy.
use std::rc::Rc;

use crate::{
    BackendError, Codec, Completion, Dmabuf, EncodeRequest, Encoder, Frame, Packet, RateControl, Rect, Refusal,
    Refused, Settings, Ticket, Tuning,
    bitstream::{
        annexb, h264 as headers,
        h264::{Slice, Stream},
        is_key_frame,
    },
    buffer::Pool,
    dmabuf::{Fourcc, Shape},
};

use super::{
    NAME, bindings as va, h264, import,
    rate::{self, Steering},
    sys::{Buffer, Config, Context, Display, Failure, Surface},
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
    stream: Stream,
    input: Input,
    context: Context,
    /// Packed headers that the device takes, as VA_ENC_PACKED_HEADER bits.
    packed: u32,
    /// Where the device decodes what it has encoded, in turn.
    reconstructed: [Surface; 2],
    coded: Buffer,
    steering: Steering,
    state: State,
    open: Option<Open>,
    submitted: u64,
    lost: Option<BackendError>,
    pool: Pool,
}

/// How a frame becomes what the encoder reads.
enum Input {
    /// It is that already.
    Direct,
    /// The device converts it into this surface.
    Convert { context: Context, target: Surface },
}

/// Where the stream stands.
struct State {
    /// Pictures since the last IDR.
    frame_num: u32,
    idr_pic_id: u16,
    /// Which of the two reconstructed surfaces is next.
    turn: usize,
    /// The next picture must be an IDR.
    owed: bool,
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
        let Settings { width, height, ref tuning, .. } = *settings;
        let even = |side: u32| side.next_multiple_of(2);
        let mut stream = Stream {
            high: way.profile == va::VAProfileH264High,
            level: headers::level(width, height, tuning.fps),
            width: even(width),
            height: even(height),
            qp: 26,
        };
        let (columns, rows) = stream.macroblocks();
        let (coded_width, coded_height) = (columns * 16, rows * 16);
        let steering = Steering::new(mode, tuning, width * height);
        stream.qp = steering.qp().unwrap_or(26);
        let ask = |kind| display.attribute(way.profile, way.entrypoint, kind);
        let known =
            va::VA_ENC_PACKED_HEADER_SEQUENCE | va::VA_ENC_PACKED_HEADER_PICTURE | va::VA_ENC_PACKED_HEADER_SLICE;
        let packed = ask(va::VAConfigAttribEncPackedHeaders).unwrap_or(0) & known;
        let mut attributes = vec![
            (va::VAConfigAttribRTFormat, va::VA_RT_FORMAT_YUV420),
            (va::VAConfigAttribRateControl, rate::bit(mode)),
        ];
        if packed != 0 {
            attributes.push((va::VAConfigAttribEncPackedHeaders, packed));
        }
        let config = Config::new(display, way.profile, way.entrypoint, &attributes)?;
        let surface = || Surface::new(display, va::VA_RT_FORMAT_YUV420, coded_width, coded_height);
        let reconstructed = [surface()?, surface()?];
        let input = Input::new(display, like, (coded_width, coded_height), surface)?;
        let targets: Vec<_> = reconstructed.iter().chain(input.target()).collect();
        let context = Context::new(config, coded_width, coded_height, &targets)?;
        // Twice what an uncompressed picture has: no stream without delay comes near.
        let size = coded_width as usize * coded_height as usize * 3 + 65_536;
        let coded = context.coded(size)?;
        Ok(Self {
            settings: settings.clone(),
            shape: like.shape(),
            stream,
            input,
            context,
            packed,
            reconstructed,
            coded,
            steering,
            state: State { frame_num: 0, idr_pic_id: 0, turn: 0, owed: true },
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
        let idr = self.state.owed || want.keyframe;
        if idr {
            self.state.frame_num = 0;
            self.state.idr_pic_id = self.state.idr_pic_id.wrapping_add(1);
        }
        let qp_delta = self.steering.qp().map_or(0, |qp| i16::from(qp) - i16::from(self.stream.qp));
        let slice = Slice {
            idr,
            frame_num: self.state.frame_num,
            idr_pic_id: self.state.idr_pic_id,
            qp_delta: i8::try_from(qp_delta).unwrap_or(0),
        };
        let turn = self.state.turn;
        let of = h264::Picture {
            slice,
            reconstructed: self.reconstructed[turn].id(),
            reference: self.reconstructed[1 - turn].id(),
            coded: self.coded.id(),
        };
        let buffers = self.buffers(&of)?;
        let source = match &self.input {
            Input::Direct => surface,
            Input::Convert { context, target } => {
                convert(context, surface, want.region, self.shape.y_inverted, target, &self.stream)?;
                target
            }
        };
        self.context.render(source, &buffers)?;
        self.state.frame_num += 1;
        self.state.turn = 1 - turn;
        Ok(())
    }

    /// Everything the device must be told about a picture, in the order in which drivers want it.
    fn buffers(&mut self, of: &h264::Picture) -> Result<Vec<Buffer>, Failure> {
        let context = &self.context;
        let mut told = Vec::with_capacity(12);
        if of.slice.idr {
            let (bits, fps) = (self.steering.bits(), self.steering.fps());
            told.push(context.parameter(&h264::sequence(&self.stream, bits, fps))?);
        }
        told.extend(self.steering.parameters(context, of.slice.idr)?);
        told.push(context.parameter(&h264::picture(&self.stream, of))?);
        let headers = [
            (va::VA_ENC_PACKED_HEADER_SEQUENCE, va::VAEncPackedHeaderSequence, of.slice.idr.then(|| self.stream.sps())),
            (va::VA_ENC_PACKED_HEADER_PICTURE, va::VAEncPackedHeaderPicture, of.slice.idr.then(|| self.stream.pps())),
            (va::VA_ENC_PACKED_HEADER_SLICE, va::VAEncPackedHeaderSlice, Some(of.slice.header())),
        ];
        for (bit, kind, bits) in &headers {
            if let Some(bits) = bits
                && self.packed & bit != 0
            {
                let (parameter, bytes) = h264::packed(*kind, bits);
                told.push(context.parameter(&parameter)?);
                told.push(context.bytes(va::VAEncPackedHeaderDataBufferType, bytes)?);
            }
        }
        told.push(context.parameter(&h264::slice(&self.stream, of))?);
        Ok(told)
    }

    /// Waits for the picture and reads it; `None` when the device could not encode it.
    fn finish_picture(&mut self, surface: &Surface) -> Result<Option<(crate::Buffer, bool)>, Failure> {
        match self.coded.sync() {
            Some(answer) => answer?,
            None => self.input.target().unwrap_or(surface).sync()?,
        }
        let mut status = 0;
        let data = self.pool.fill(|out| {
            status = self.coded.read_coded(out)?;
            annexb::strip_delimiters(false, out);
            Ok(())
        })?;
        const BROKEN: u32 = va::VA_CODED_BUF_STATUS_BAD_BITSTREAM | va::VA_CODED_BUF_STATUS_SLICE_OVERFLOW_MASK;
        let whole = status & BROKEN == 0 && !data.is_empty();
        let keyframe = is_key_frame(Codec::H264, &data);
        self.state.owed = !whole || (self.state.owed && !keyframe);
        if whole {
            self.steering.spent(data.len(), keyframe);
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
        let Stream { width, height, .. } = self.stream;
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

impl Input {
    fn new(
        display: &Rc<Display>,
        like: &Dmabuf,
        (width, height): (u32, u32),
        surface: impl Fn() -> Result<Surface, Failure>,
    ) -> Result<Self, Failure> {
        let fits = like.width() >= width && like.height() >= height && !like.shape().y_inverted;
        if like.fourcc() == Fourcc::NV12 && fits {
            return Ok(Self::Direct);
        }
        let config = Config::new(display, va::VAProfileNone, va::VAEntrypointVideoProc, &[])?;
        let target = surface()?;
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

/// Has the device convert a part of a frame to BT.709 in limited range.
fn convert(
    context: &Context,
    from: &Surface,
    region: Rect,
    y_inverted: bool,
    to: &Surface,
    stream: &Stream,
) -> Result<(), Failure> {
    let short = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    let place = |n: u32| i16::try_from(n).unwrap_or(i16::MAX);
    let source = va::VARectangle {
        x: place(region.x),
        y: place(region.y),
        width: short(region.width),
        height: short(region.height),
    };
    let all = va::VARectangle { x: 0, y: 0, width: short(stream.width), height: short(stream.height) };
    let mut pipeline = va::VAProcPipelineParameterBuffer {
        surface_color_standard: va::VAProcColorStandardSRGB,
        output_color_standard: va::VAProcColorStandardBT709,
        output_background_color: 0xff00_0000,
        mirror_state: if y_inverted { va::VA_MIRROR_VERTICAL } else { va::VA_MIRROR_NONE },
        ..Default::default()
    };
    pipeline.input_color_properties.color_range = u8::try_from(va::VA_SOURCE_RANGE_FULL).unwrap_or(0);
    pipeline.output_color_properties.color_range = u8::try_from(va::VA_SOURCE_RANGE_REDUCED).unwrap_or(0);
    context.process(pipeline, (from, source), (to, all))
}
