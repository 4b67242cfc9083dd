//! An H.264 stream on a device: what it is told of each picture, and where the stream stands.
use std::rc::Rc;

use crate::{
    Settings,
    bitstream::{
        h264 as headers,
        h264::{Slice, Stream},
    },
};

use super::{
    bindings as va,
    encoder::Way,
    h264,
    rate::Steering,
    sys::{Buffer, Context, Display, Failure, Surface},
};

pub(super) struct Avc {
    stream: Stream,
    /// Packed headers that the device takes, as VA_ENC_PACKED_HEADER bits.
    packed: u32,
    /// Where the device decodes what it has encoded, in turn.
    reconstructed: [Surface; 2],
    /// Which of the two is next.
    turn: usize,
    /// Pictures since the last IDR.
    frame_num: u32,
    idr_pic_id: u16,
    /// The next picture must be an IDR.
    owed: bool,
}

impl Avc {
    pub(super) fn new(
        display: &Rc<Display>,
        way: Way,
        settings: &Settings,
        steering: &Steering,
    ) -> Result<Self, Failure> {
        let Settings { width, height, ref tuning, .. } = *settings;
        let even = |side: u32| side.next_multiple_of(2);
        let stream = Stream {
            high: way.profile == va::VAProfileH264High,
            level: headers::level(width, height, tuning.fps),
            width: even(width),
            height: even(height),
            qp: steering.qp().unwrap_or(26),
        };
        let (columns, rows) = stream.macroblocks();
        let surface = || Surface::new(display, va::VA_RT_FORMAT_YUV420, columns * 16, rows * 16);
        let known =
            va::VA_ENC_PACKED_HEADER_SEQUENCE | va::VA_ENC_PACKED_HEADER_PICTURE | va::VA_ENC_PACKED_HEADER_SLICE;
        let packed = display.attribute(way.profile, way.entrypoint, va::VAConfigAttribEncPackedHeaders);
        Ok(Self {
            stream,
            packed: packed.unwrap_or(0) & known,
            reconstructed: [surface()?, surface()?],
            turn: 0,
            frame_num: 0,
            idr_pic_id: 0,
            owed: true,
        })
    }

    /// The packed headers that will be given.
    pub(super) fn packed(&self) -> u32 {
        self.packed
    }

    /// The surfaces that a context must know.
    pub(super) fn surfaces(&self) -> &[Surface] {
        &self.reconstructed
    }

    /// The size of the pictures that a decoder shows.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.stream.width, self.stream.height)
    }

    /// Everything the device must be told about the next picture, in the order in which drivers
    /// want it.
    pub(super) fn buffers(
        &mut self,
        context: &Context,
        steering: &mut Steering,
        keyframe: bool,
        coded: &Buffer,
    ) -> Result<Vec<Buffer>, Failure> {
        let idr = self.owed || keyframe;
        if idr {
            self.frame_num = 0;
            self.idr_pic_id = self.idr_pic_id.wrapping_add(1);
        }
        let qp_delta = steering.qp().map_or(0, |qp| i16::from(qp) - i16::from(self.stream.qp));
        let slice = Slice {
            idr,
            frame_num: self.frame_num,
            idr_pic_id: self.idr_pic_id,
            qp_delta: i8::try_from(qp_delta).unwrap_or(0),
        };
        let of = h264::Picture {
            slice,
            reconstructed: self.reconstructed[self.turn].id(),
            reference: self.reconstructed[1 - self.turn].id(),
            coded: coded.id(),
        };
        let mut told = Vec::with_capacity(12);
        if idr {
            told.push(context.parameter(&h264::sequence(&self.stream, steering.bits(), steering.fps()))?);
        }
        told.extend(steering.parameters(context, idr)?);
        told.push(context.parameter(&h264::picture(&self.stream, &of))?);
        self.headers(context, &slice, &mut told)?;
        told.push(context.parameter(&h264::slice(&self.stream, &of))?);
        self.frame_num += 1;
        self.turn = 1 - self.turn;
        Ok(told)
    }

    fn headers(&self, context: &Context, slice: &Slice, told: &mut Vec<Buffer>) -> Result<(), Failure> {
        let sets = |bits: &dyn Fn() -> headers::Bits| slice.idr.then(bits);
        let headers = [
            (va::VA_ENC_PACKED_HEADER_SEQUENCE, va::VAEncPackedHeaderSequence, sets(&|| self.stream.sps())),
            (va::VA_ENC_PACKED_HEADER_PICTURE, va::VAEncPackedHeaderPicture, sets(&|| self.stream.pps())),
            (va::VA_ENC_PACKED_HEADER_SLICE, va::VAEncPackedHeaderSlice, Some(slice.header())),
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
        Ok(())
    }

    /// What became of the picture: one that is broken breaks the chain.
    pub(super) fn finished(&mut self, whole: bool, keyframe: bool) {
        self.owed = !whole || (self.owed && !keyframe);
    }
}
