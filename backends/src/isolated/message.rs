//! Orders and answers: numbers of eight bytes, then a text. Both processes are the same program.
use std::{
    ffi::{OsStr, OsString},
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    sync::Arc,
};

use rustix::{
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        recv, recvmsg, sendmsg,
    },
};

use crate::{
    Chroma, Codec, Dmabuf, Plane, Rate, Rect, Settings, Tuning,
    dmabuf::{Fourcc, MAX_PLANES, Shape},
};

/// Bytes of a message at most.
const SIZE: usize = 1024;
/// Bytes of its text at most.
const TEXT: usize = 512;
/// Descriptors that come with one: the memory, and the planes of a picture.
const FDS: usize = 1 + MAX_PLANES;

/// What is to be done.
pub(super) enum Order {
    /// The first: open an encoder for pictures like this one. The memory's fd comes first.
    Open(Settings, Picture),
    /// Encode this region of a picture, as the next ticket.
    Submit { picture: Picture, region: Rect, keyframe: bool },
    /// Change the rate.
    Retune(Tuning),
}

/// Where pixels are.
pub(super) enum Picture {
    /// In the ticket's slot.
    Memory,
    /// In the planes whose fds come along.
    Dmabuf(Dmabuf),
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The encoder is open, for so many tickets at once.
    Opened { depth: u64 },
    /// It is not, or it is lost.
    Failed(String),
    /// A picture is encoded; its packet is in the slot.
    Encoded { ticket: u64, keyframe: bool, width: u32, height: u32, len: u64 },
    /// It was left out.
    Dropped { ticket: u64 },
}

impl Order {
    /// Sends it with `memory`, which goes with the first order. Does not wait.
    pub(super) fn send(&self, socket: BorrowedFd<'_>, memory: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        let mut out = Out::default();
        let mut shown = None;
        match self {
            Self::Open(settings, picture) => {
                out.word(0);
                out.picture(picture);
                out.settings(settings);
                shown = Some(picture);
            }
            Self::Submit { picture, region, keyframe } => {
                out.word(1);
                out.picture(picture);
                out.words([region.x, region.y, region.width, region.height]);
                out.words([u32::from(*keyframe)]);
                shown = Some(picture);
            }
            Self::Retune(tuning) => {
                out.word(2);
                out.tuning(tuning);
            }
        }
        let mut fds = heapless::Vec::<BorrowedFd<'_>, FDS>::new();
        fds.extend(memory);
        if let Some(Picture::Dmabuf(dmabuf)) = shown {
            fds.extend(dmabuf.planes().iter().map(|plane| plane.fd.as_fd()));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            // There is space for all of them.
            let _: bool = ancillary.push(SendAncillaryMessage::ScmRights(&fds));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(socket, &[IoSlice::new(&out.0)], &mut ancillary, flags).map(drop)
    }

    /// Waits for the next order, and the fds that are not a picture's; `None` when the other process has
    /// closed the socket or says something else.
    pub(super) fn receive(socket: BorrowedFd<'_>) -> Result<Option<(Self, Vec<OwnedFd>)>, Errno> {
        let mut bytes = [0; SIZE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let got = loop {
            let buffers = &mut [IoSliceMut::new(&mut bytes)];
            match recvmsg(socket, buffers, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                answer => break answer?.bytes,
            }
        };
        let fds = ancillary.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => fds.collect::<Vec<_>>(),
            _ => Vec::new(),
        });
        let (mut fds, mut words) = (fds.collect::<Vec<_>>(), In(bytes.get(..got).unwrap_or_default()));
        Ok(Self::read(&mut words, &mut fds).map(|order| (order, fds)))
    }

    /// Takes the planes from the end of `fds`.
    fn read(words: &mut In<'_>, fds: &mut Vec<OwnedFd>) -> Option<Self> {
        match words.word()? {
            0 => {
                let picture = words.picture(fds)?;
                Some(Self::Open(words.settings()?, picture))
            }
            1 => {
                let picture = words.picture(fds)?;
                let region = Rect { x: words.u32()?, y: words.u32()?, width: words.u32()?, height: words.u32()? };
                Some(Self::Submit { picture, region, keyframe: words.word()? != 0 })
            }
            2 => Some(Self::Retune(words.tuning()?)),
            _ => None,
        }
    }
}

impl Answer {
    /// Sends it.
    pub(super) fn send(&self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut out = Out::default();
        match self {
            Self::Opened { depth } => out.words([0, *depth]),
            Self::Failed(text) => {
                out.word(1);
                out.text(text.as_bytes());
            }
            Self::Encoded { ticket, keyframe, width, height, len } => {
                out.words([2, *ticket, (*keyframe).into(), (*width).into(), (*height).into(), *len]);
            }
            Self::Dropped { ticket } => out.words([3, *ticket]),
        }
        rustix::net::send(socket, &out.0, SendFlags::NOSIGNAL).map(drop)
    }

    /// The next answer, without waiting for it.
    ///
    /// # Errors
    /// `AGAIN` when there is none yet, `PIPE` when there will be none, `PROTO` when it means nothing. Fds
    /// that come along are closed unseen.
    pub(super) fn receive(socket: BorrowedFd<'_>) -> Result<Self, Errno> {
        let mut bytes = [0_u8; SIZE];
        let got = loop {
            match recv(socket, &mut bytes, RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                Ok((0, _)) | Err(Errno::CONNRESET) => return Err(Errno::PIPE),
                answer => break answer?.0,
            }
        };
        Self::read(&mut In(bytes.get(..got).unwrap_or_default())).ok_or(Errno::PROTO)
    }

    fn read(words: &mut In<'_>) -> Option<Self> {
        Some(match words.word()? {
            0 => Self::Opened { depth: words.word()? },
            1 => Self::Failed(String::from_utf8_lossy(words.text()).into_owned()),
            2 => Self::Encoded {
                ticket: words.word()?,
                keyframe: words.word()? != 0,
                width: words.u32()?,
                height: words.u32()?,
                len: words.word()?,
            },
            3 => Self::Dropped { ticket: words.word()? },
            _ => return None,
        })
    }
}

/// A message that is being written. What does not fit is left out, and not understood then.
#[derive(Default)]
struct Out(heapless::Vec<u8, SIZE>);

impl Out {
    fn word(&mut self, word: u64) {
        // A full message is cut.
        let _ = self.0.extend_from_slice(&word.to_ne_bytes());
    }

    fn words<const N: usize>(&mut self, words: [impl Into<u64>; N]) {
        words.into_iter().for_each(|word| self.word(word.into()));
    }

    fn text(&mut self, text: &[u8]) {
        // As above; TEXT bytes fit behind what stands before a text.
        let _ = self.0.extend_from_slice(text.get(..TEXT).unwrap_or(text));
    }

    fn tuning(&mut self, tuning: &Tuning) {
        let (kind, value) = match tuning.rate {
            Rate::Bitrate(bits) => (0, bits),
            Rate::Quality(quality) => (1, quality.into()),
        };
        self.words([kind, value, tuning.fps]);
    }

    fn settings(&mut self, settings: &Settings) {
        let codec = Codec::ALL.iter().position(|codec| *codec == settings.codec).unwrap_or(Codec::ALL.len());
        let full = settings.chroma == Chroma::Yuv444;
        self.word(codec as u64);
        self.words([settings.width, settings.height, full.into()]);
        self.tuning(&settings.tuning);
        let device = settings.device.as_ref().map(|path| path.as_os_str());
        self.word(device.is_some().into());
        self.text(device.map(OsStr::as_bytes).unwrap_or_default());
    }

    fn picture(&mut self, picture: &Picture) {
        let Picture::Dmabuf(dmabuf) = picture else { return self.word(0) };
        let Shape { width, height, fourcc, modifier, y_inverted } = dmabuf.shape();
        self.word(dmabuf.planes().len() as u64);
        self.words([width, height, fourcc.0]);
        self.word(modifier);
        self.words([u32::from(y_inverted)]);
        for plane in dmabuf.planes() {
            self.words([plane.offset, plane.stride]);
        }
    }
}

/// A message that is being read.
struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    fn word(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_ne_bytes(*word))
    }

    fn u32(&mut self) -> Option<u32> {
        self.word()?.try_into().ok()
    }

    fn text(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn tuning(&mut self) -> Option<Tuning> {
        let rate = match self.word()? {
            0 => Rate::Bitrate(self.u32()?),
            _ => Rate::Quality(self.word()?.try_into().ok()?),
        };
        Some(Tuning { rate, fps: self.u32()? })
    }

    fn settings(&mut self) -> Option<Settings> {
        let codec = *Codec::ALL.get(usize::try_from(self.word()?).ok()?)?;
        let (width, height) = (self.u32()?, self.u32()?);
        let chroma = if self.word()? == 0 { Chroma::Yuv420 } else { Chroma::Yuv444 };
        let tuning = self.tuning()?;
        let device = (self.word()? != 0).then(|| OsString::from_vec(self.text().to_vec()).into());
        Some(Settings { codec, width, height, chroma, tuning, device })
    }

    fn picture(&mut self, fds: &mut Vec<OwnedFd>) -> Option<Picture> {
        let count = usize::try_from(self.word()?).ok()?;
        if count == 0 {
            return Some(Picture::Memory);
        }
        let (width, height, fourcc) = (self.u32()?, self.u32()?, Fourcc(self.u32()?));
        let (modifier, y_inverted) = (self.word()?, self.word()? != 0);
        let fds = fds.split_off(fds.len().checked_sub(count)?);
        let mut planes = Vec::new();
        for fd in fds {
            planes.push(Plane { fd: Arc::new(fd), offset: self.u32()?, stride: self.u32()? });
        }
        Some(Picture::Dmabuf(Dmabuf::new(Shape { width, height, fourcc, modifier, y_inverted }, &planes).ok()?))
    }
}
