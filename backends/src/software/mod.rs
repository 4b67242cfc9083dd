//! Encoders on the processor: always there, whatever the machine lacks.
use crate::{
    Backend, BackendError, Codec, Completion, EncodeRequest, Encoder, Frame, Offer, Packet, RateControl, Refusal,
    Refused, Report, Settings, Ticket, Tuning,
    buffer::Pool,
    dmabuf::{Fourcc, MOD_LINEAR},
};

mod h264;
pub mod jpeg;
mod mjpeg;
pub(crate) mod null;
mod pixels;
mod vpx;
mod yuv420;

pub use jpeg::Jpeg;

/// The name of this backend.
pub const NAME: &str = "software";

/// MJPEG and H.264 on the processor; VP8 and VP9 where libvpx is installed.
///
/// A dmabuf is read back once per picture, also by the encoder of a part of it; one that only a
/// device can read is refused when the encoder is opened or the frame submitted.
#[derive(Debug)]
pub struct Software;

impl Backend for Software {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> Vec<Report> {
        let mut encoders = vec![h264::offer(), mjpeg::offer()];
        let report = |encoders| Report { backend: NAME, device: None, encoders };
        match vpx::offers() {
            Ok(offers) => {
                encoders.extend(offers);
                vec![report(Ok(encoders))]
            }
            // A report of its own says what to install.
            Err(missing) => vec![report(Ok(encoders)), report(Err(missing))],
        }
    }

    fn open(&self, want: &Settings, like: &Frame) -> Result<Box<dyn Encoder>, BackendError> {
        want.check(NAME, like)?;
        if let Some(dmabuf) = like.dmabuf() {
            dmabuf.readable()?;
        }
        match want.codec {
            Codec::Mjpeg => Ok(Inline::boxed(want, mjpeg::Mjpeg::open(want)?)),
            Codec::H264 => Ok(Inline::boxed(want, h264::H264::open(want)?)),
            Codec::Vp8 | Codec::Vp9 => Ok(Inline::boxed(want, vpx::Vpx::open(want)?)),
            codec => Err(BackendError::Unsupported { backend: NAME, what: codec.to_string() }),
        }
    }
}

/// The formats of frames that all encoders here take.
fn offer(codec: Codec, profiles: &[&'static str], max: (u32, u32), rate: &[RateControl], by: String) -> Offer {
    Offer {
        codec,
        profiles: profiles.to_vec(),
        max,
        formats: vec![Fourcc::XRGB8888, Fourcc::ARGB8888, Fourcc::XBGR8888, Fourcc::ABGR8888],
        modifiers: vec![MOD_LINEAR],
        rate_control: rate.to_vec(),
        by,
    }
}

/// An encoder that works while it is called.
trait Encode {
    /// Encodes one picture into `out`, which is empty; `None` when the rate control leaves it out.
    fn encode(&mut self, frame: &Frame, want: &EncodeRequest, out: &mut Vec<u8>)
    -> Result<Option<Coded>, BackendError>;

    /// Changes the rate from the next picture on.
    fn retune(&mut self, tuning: &Tuning) -> Result<(), BackendError>;
}

/// What an [`Encode`] says about the picture it has encoded.
struct Coded {
    keyframe: bool,
    width: u32,
    height: u32,
}

/// Makes an [`Encoder`] of an [`Encode`]: one frame is taken, and encoded when polled.
struct Inline<E> {
    settings: Settings,
    encoder: E,
    open: Option<(Ticket, Frame, EncodeRequest)>,
    submitted: u64,
    /// Set from the first error on.
    lost: Option<BackendError>,
    /// A key frame that was asked for with a picture that was then left out.
    owed: bool,
    pool: Pool,
}

impl<E: Encode + 'static> Inline<E> {
    fn boxed(settings: &Settings, encoder: E) -> Box<dyn Encoder> {
        Box::new(Self {
            settings: settings.clone(),
            encoder,
            open: None,
            submitted: 0,
            lost: None,
            owed: true,
            pool: Pool::default(),
        })
    }
}

impl<E: Encode> Encoder for Inline<E> {
    fn depth(&self) -> usize {
        1
    }

    fn submit(&mut self, frame: Frame, want: EncodeRequest) -> Result<Ticket, Refused> {
        let why = match &self.lost {
            Some(error) => Some(Refusal::Failed(error.clone())),
            None if self.open.is_some() => Some(Refusal::Busy(1)),
            None if frame.dmabuf().is_some_and(|dmabuf| dmabuf.readable().is_err()) => {
                Some(Refusal::Unlike("the processor cannot read its format or modifier"))
            }
            None => want.check(&frame, &self.settings).err(),
        };
        if let Some(why) = why {
            return Err(Refused { frame, why });
        }
        let ticket = Ticket(self.submitted);
        self.submitted += 1;
        self.open = Some((ticket, frame, want));
        Ok(ticket)
    }

    fn poll_completion(&mut self) -> Result<Option<Completion>, BackendError> {
        if let Some(error) = &self.lost {
            return Err(error.clone());
        }
        let Some((ticket, frame, mut want)) = self.open.take() else { return Ok(None) };
        self.owed |= want.keyframe;
        want.keyframe = self.owed;
        let mut coded = None;
        let filled = self.pool.fill(|out| {
            coded = self.encoder.encode(&frame, &want, out)?;
            Ok::<_, BackendError>(())
        });
        match (filled, coded) {
            (Ok(data), Some(Coded { keyframe, width, height })) => {
                self.owed &= !keyframe;
                let (tag, damage) = (want.tag, want.damage);
                Ok(Some(Completion::Encoded(Packet { ticket, tag, damage, keyframe, width, height, data })))
            }
            (Ok(_), None) => Ok(Some(Completion::Dropped { ticket, tag: want.tag })),
            (Err(error), _) => {
                self.open = Some((ticket, frame, want));
                self.lost = Some(error.clone());
                Err(error)
            }
        }
    }

    fn readiness(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    fn retune(&mut self, tuning: &Tuning) -> Result<(), BackendError> {
        tuning.check(NAME)?;
        self.encoder.retune(tuning)?;
        self.settings.tuning = *tuning;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Vec<Completion> {
        let open = self.open.take();
        open.map(|(ticket, _, want)| Completion::Dropped { ticket, tag: want.tag }).into_iter().collect()
    }
}
