//! What a drawing operation draws on, and from which images.

use crate::proto::display::ServerMessage;
use crate::proto::picture::Image;

/// The surface that a drawing operation changes; `None` for other messages.
pub(super) fn target(message: &ServerMessage<'_>) -> Option<u32> {
    use ServerMessage as M;
    let base = match message {
        M::CopyBits(m) => &m.base,
        M::DrawFill(m) => &m.base,
        M::DrawOpaque(m) => &m.base,
        M::DrawCopy(m) => &m.base,
        M::DrawBlend(m) => &m.base,
        M::DrawBlackness(m) => &m.base,
        M::DrawWhiteness(m) => &m.base,
        M::DrawInvers(m) => &m.base,
        M::DrawRop3(m) => &m.base,
        M::DrawStroke(m) => &m.base,
        M::DrawText(m) => &m.base,
        M::DrawTransparent(m) => &m.base,
        M::DrawAlphaBlend(m) => &m.base,
        M::DrawComposite(m) => &m.base,
        _ => return None,
    };
    Some(base.surface_id)
}

/// The image that it draws.
pub(super) fn source<'m, 'a>(message: &'m ServerMessage<'a>) -> Option<&'m Image<'a>> {
    use ServerMessage as M;
    match message {
        M::DrawOpaque(m) => m.src.0.as_ref(),
        M::DrawCopy(m) => m.src.0.as_ref(),
        M::DrawBlend(m) => m.src.0.as_ref(),
        M::DrawRop3(m) => m.src.0.as_ref(),
        M::DrawTransparent(m) => m.src.0.as_ref(),
        M::DrawAlphaBlend(m) => m.src.0.as_ref(),
        M::DrawComposite(m) => m.src.0.as_ref(),
        _ => None,
    }
}

/// The image that masks it, where that is one like any other.
pub(super) fn mask<'m, 'a>(message: &'m ServerMessage<'a>) -> Option<&'m Image<'a>> {
    match message {
        ServerMessage::DrawComposite(m) => m.mask.as_ref().and_then(|mask| mask.0.as_ref()),
        _ => None,
    }
}
