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
    sys::{Buffer, Display, Failure, Surface, Told},
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

    /// Says everything about the next picture, in the order in which drivers want it.
    pub(super) fn tell(
        &mut self,
        told: &mut Told<'_>,
        steering: &mut Steering,
        keyframe: bool,
        coded: &Buffer,
    ) -> Result<(), Failure> {
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
        if idr {
            told.parameter(&h264::sequence(&self.stream, steering.bits(), steering.fps()))?;
        }
        steering.tell(told, idr)?;
        told.parameter(&h264::picture(&self.stream, &of))?;
        self.tell_headers(told, &slice)?;
        told.parameter(&h264::slice(&self.stream, &of))?;
        self.frame_num += 1;
        self.turn = 1 - self.turn;
        Ok(())
    }

    fn tell_headers(&self, told: &mut Told<'_>, slice: &Slice) -> Result<(), Failure> {
        let mut tell = |bit, kind, bits: &dyn Fn() -> headers::Bits| {
            if self.packed & bit == 0 {
                return Ok(());
            }
            let bits = bits();
            let (parameter, bytes) = h264::packed(kind, &bits);
            told.parameter(&parameter)?;
            told.bytes(va::VAEncPackedHeaderDataBufferType, bytes)
        };
        if slice.idr {
            tell(va::VA_ENC_PACKED_HEADER_SEQUENCE, va::VAEncPackedHeaderSequence, &|| self.stream.sps())?;
            tell(va::VA_ENC_PACKED_HEADER_PICTURE, va::VAEncPackedHeaderPicture, &|| self.stream.pps())?;
        }
        tell(va::VA_ENC_PACKED_HEADER_SLICE, va::VAEncPackedHeaderSlice, &|| slice.header())
    }

    /// What became of the picture: one that is broken breaks the chain.
    pub(super) fn finished(&mut self, whole: bool, keyframe: bool) {
        self.owed = !whole || (self.owed && !keyframe);
    }
}
