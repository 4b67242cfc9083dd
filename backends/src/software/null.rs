//! The path of the software encoders without their codecs: see [`overhead`](crate::overhead).
use crate::{
    Backend, BackendError, EncodeRequest, Encoder, Frame, Report, Settings, Tuning, bitstream::is_key_frame, overhead,
};

use super::{Coded, Encode, Inline, NAME};

#[derive(Debug)]
pub(crate) struct NullCodec;

struct Null {
    settings: Settings,
    key: Vec<u8>,
    delta: Vec<u8>,
}

impl Backend for NullCodec {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> Vec<Report> {
        Vec::new()
    }

    fn open(&self, want: &Settings, like: &Frame) -> Result<Box<dyn Encoder>, BackendError> {
        want.check(NAME, like)?;
        let null =
            Null { settings: want.clone(), key: overhead::access_unit(true), delta: overhead::access_unit(false) };
        Ok(Inline::boxed(want, null))
    }
}

impl Encode for Null {
    fn encode(&mut self, _: &Frame, want: &EncodeRequest, out: &mut Vec<u8>) -> Result<Option<Coded>, BackendError> {
        out.extend_from_slice(if want.keyframe { &self.key } else { &self.delta });
        let Settings { codec, width, height, .. } = self.settings;
        Ok(Some(Coded { keyframe: is_key_frame(codec, out), width, height }))
    }

    fn retune(&mut self, _: &Tuning) -> Result<(), BackendError> {
        Ok(())
    }
}
