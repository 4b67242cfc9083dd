//! Before the first frame: formats that both sides agree on, and buffers.
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::{event::epoll, io::Errno};

use crate::{BackendError, Dmabuf, Settings, dmabuf::Fourcc};

use super::{
    NAME, abi,
    abi::Queue,
    controls,
    device::{Device, Failure, Format},
    picture,
};

/// Buffers a driver may ask for; more would be a mistake of its.
const MOST_BUFFERS: u32 = 32;

/// What cannot be set up: said by us, or answered by the driver.
pub(super) type Refused = Result<BackendError, Failure>;

/// Sets the formats of both queues and the crop rectangle; what the driver made of OUTPUT.
pub(super) fn formats(
    device: &mut impl Device,
    settings: &Settings,
    coded: Fourcc,
    like: &Dmabuf,
) -> Result<Format, Refused> {
    let Settings { width, height, codec, .. } = *settings;
    let sizeimage = (width.saturating_mul(height).saturating_mul(3) / 2).max(128 * 1024);
    let mut planes = heapless::Vec::new();
    planes.extend([(0, sizeimage)]);
    let want = Format { width, height, fourcc: coded, colorspace: abi::COLORSPACE_REC709, planes };
    let answer = device.set_format(Queue::Capture, &want).map_err(Err)?;
    if answer.fourcc != coded {
        return Err(Ok(unsupported(format!("{codec}: the driver answers with {}", answer.fourcc))));
    }
    let output = output(device, like, width, height)?;
    if (output.width, output.height) != (width, height)
        && let Err(failure) = device.set_crop(width, height)
    {
        let (w, h, errno) = (output.width, output.height, failure.errno);
        let what = format!("{width}x{height}: the driver makes it {w}x{h}, and does not crop ({errno})");
        return Err(Ok(unsupported(what)));
    }
    Ok(output)
}

/// The first of V4L2's codes for such a picture that the driver takes as it lies.
fn output(device: &mut impl Device, like: &Dmabuf, width: u32, height: u32) -> Result<Format, Refused> {
    let codes = picture::codes(like);
    let mut why = format!("{like:?}: the driver takes none of {codes:?}");
    for code in codes {
        let want = picture::wanted(like, code, width, height);
        let answer = device.set_format(Queue::Output, &want).map_err(Err)?;
        if answer.fourcc != code {
            continue;
        }
        match picture::mismatch(like, &answer) {
            None if answer.width >= width && answer.height >= height => return Ok(answer),
            None => why = format!("{width}x{height}: the driver makes it {}x{}", answer.width, answer.height),
            Some(reason) => why = format!("{like:?}: {reason} ({:?})", answer.planes),
        }
    }
    Err(Ok(unsupported(why)))
}

/// Buffers of both queues, as many as the driver wants: how many of each.
pub(super) fn buffers(device: &mut impl Device) -> Result<(u32, u32), Failure> {
    let least = |device: &dyn Fn(u32) -> Result<Option<(i32, i32)>, Failure>, id| -> Result<u32, Failure> {
        Ok(device(id)?.and_then(|(least, _)| u32::try_from(least).ok()).unwrap_or(0))
    };
    let ask = |id| device.control_range(id);
    let (output, capture) =
        (least(&ask, controls::MIN_BUFFERS_FOR_OUTPUT)?, least(&ask, controls::MIN_BUFFERS_FOR_CAPTURE)?);
    // Two pictures: one that is encoded and one that waits.
    let slots = device.request_buffers(Queue::Output, output.clamp(2, MOST_BUFFERS))?.min(MOST_BUFFERS);
    let wanted = capture.max(slots + 2).min(MOST_BUFFERS);
    let captures = device.request_buffers(Queue::Capture, wanted)?.min(MOST_BUFFERS);
    if slots == 0 || captures == 0 {
        return Err(Failure { call: "VIDIOC_REQBUFS", errno: Errno::NOMEM });
    }
    for index in 0..captures {
        device.map(index)?;
    }
    Ok((slots, captures))
}

/// One fd that is readable when the device is readable or writable.
pub(super) fn watch(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT;
    epoll::add(&set, fd, epoll::EventData::new_u64(0), flags)?;
    Ok(set)
}

fn unsupported(what: String) -> BackendError {
    BackendError::Unsupported { backend: NAME, what }
}
