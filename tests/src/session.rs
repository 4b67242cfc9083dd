//! Cuts a recorded connection into its link and its messages.
//!
//! Only heads are looked at, with code of its own: what `sumac-core` makes of the same bytes is
//! compared with this, so it must not come from there.

use std::fmt;

use crate::recording::{Connection, Speaker};

const LINK_HEADER: usize = 16;
const TICKET: usize = 128;
const AUTH_SELECTION: u32 = 1 << 0;
const MINI_HEADER: u32 = 1 << 3;
const MECHANISM_SPICE: u32 = 1;
const DISPLAY: u8 = 2;
const MSG_LIST: u16 = 8;
const MSG_GL_SCANOUT_UNIX: u16 = 320;
const MSG_GL_SCANOUT2_UNIX: u16 = 323;

/// One channel's recorded traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `channel_type` of the link message.
    pub channel_type: u8,
    /// `channel_id` of the link message.
    pub channel_id: u8,
    /// Link header and message as the client sent them.
    pub link_message: Vec<u8>,
    /// Link header and reply as the server sent them.
    pub link_reply: Vec<u8>,
    /// The client's mechanism word, if both ends set AUTH_SELECTION.
    pub auth_selection: Option<Vec<u8>>,
    /// The encrypted ticket; `None` when the connection ended before it.
    pub ticket: Option<Vec<u8>>,
    /// The final link result; `None` when the connection ended before it.
    pub link_result: Option<u32>,
    /// Both ends set the common capability MINI_HEADER.
    pub mini_headers: bool,
    /// Of both directions, in the order in which they were complete.
    pub messages: Vec<Message>,
}

/// One message of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sent it.
    pub speaker: Speaker,
    /// Of the chunk that completes it; see [`crate::recording::Chunk::order`].
    pub order: usize,
    /// Counted from 1 in each direction, or as the full header has it.
    pub serial: u64,
    /// The number of its type.
    pub id: u16,
    /// Offset in the body of a sub-message list, 0 for none; always 0 with mini headers.
    pub sub_list: u32,
    /// Everything after the header.
    pub body: Vec<u8>,
}

impl Message {
    /// The sub-messages that the header or a LIST message points to: type and body.
    ///
    /// libspice-server 0.15.1 announces for an INVAL_LIST there the size that its structure has in
    /// memory, which can pass the end of the message. A body is what there is of it.
    ///
    /// # Errors
    /// When the list or a sub-message's head leaves the message.
    pub fn sub_messages(&self) -> Result<Vec<(u16, &[u8])>, CutError> {
        let is_list = self.speaker == Speaker::Server && self.id == MSG_LIST;
        if self.sub_list == 0 && !is_list {
            return Ok(Vec::new());
        }
        let error = CutError("a sub-message list leaves its message");
        let list = self.body.get(index(self.sub_list)..).ok_or(error)?;
        let count = u16_at(list, 0).ok_or(error)?;
        (0..usize::from(count))
            .map(|n| {
                let offset = u32_at(list, 2 + 4 * n)?;
                let sub = self.body.get(index(offset)..)?;
                let (id, size, body) = (u16_at(sub, 0)?, u32_at(sub, 2)?, sub.get(6..)?);
                Some((id, body.get(..index(size)).unwrap_or(body)))
            })
            .collect::<Option<_>>()
            .ok_or(error)
    }
}

/// What in a connection's bytes is not a SPICE link or message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutError(&'static str);

impl fmt::Display for CutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for CutError {}

impl Session {
    /// Reads the link and cuts what follows into messages. A last message that the end of the
    /// recording cut off is left out.
    ///
    /// # Errors
    /// When one end never spoke, when the link is not SPICE's, and for a link by SASL, which this
    /// reader does not follow.
    pub fn cut(connection: &Connection) -> Result<Self, CutError> {
        let mut client = Stream::new(connection, Speaker::Client);
        let mut server = Stream::new(connection, Speaker::Server);
        let link_message = client.take_link()?;
        let link_reply = server.take_link()?;
        let client_caps = common_caps(&link_message, LINK_HEADER + 6);
        let server_caps = common_caps(&link_reply, LINK_HEADER + 166);
        let both = client_caps & server_caps;
        let body = link_message.get(LINK_HEADER..).unwrap_or_default();
        let [_, _, _, _, channel_type, channel_id, ..] = *body else {
            return Err(CutError("the link message is too short"));
        };
        let mut auth_selection = None;
        if both & AUTH_SELECTION != 0 {
            auth_selection = client.take(4);
            let mechanism = auth_selection.as_ref().and_then(|word| u32_at(word, 0));
            if mechanism.is_some_and(|number| number != MECHANISM_SPICE) {
                return Err(CutError("the client chose another mechanism than SPICE's ticket"));
            }
        }
        let ticket = client.take(TICKET);
        let link_result = server.take(4).and_then(|word| u32_at(&word, 0));
        let mini_headers = both & MINI_HEADER != 0;
        let mut messages = Vec::new();
        if link_result == Some(0) {
            let has_fds = channel_type == DISPLAY;
            messages = client.messages(mini_headers, false);
            messages.extend(server.messages(mini_headers, has_fds));
            messages.sort_by_key(|message| message.order);
        }
        Ok(Self {
            channel_type,
            channel_id,
            link_message,
            link_reply,
            auth_selection,
            ticket,
            link_result,
            mini_headers,
            messages,
        })
    }
}

/// One direction of a connection, read from the front.
struct Stream {
    speaker: Speaker,
    bytes: Vec<u8>,
    at: usize,
    /// Where each chunk ends in `bytes`, and its order.
    ends: Vec<(usize, usize)>,
}

impl Stream {
    fn new(connection: &Connection, speaker: Speaker) -> Self {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for chunk in connection.chunks.iter().filter(|chunk| chunk.speaker == speaker) {
            bytes.extend_from_slice(&chunk.bytes);
            ends.push((bytes.len(), chunk.order));
        }
        Self { speaker, bytes, at: 0, ends }
    }

    fn peek(&self, count: usize) -> Option<&[u8]> {
        self.bytes.get(self.at..)?.get(..count)
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        let taken = self.peek(count)?.to_vec();
        self.at += count;
        Some(taken)
    }

    fn take_link(&mut self) -> Result<Vec<u8>, CutError> {
        let header = self.peek(LINK_HEADER).ok_or(CutError("no link header"))?;
        if !header.starts_with(b"REDQ") {
            return Err(CutError("the link header does not begin with REDQ"));
        }
        let size = index(u32_at(header, 12).unwrap_or(0));
        self.take(LINK_HEADER + size).ok_or(CutError("the link is cut off"))
    }

    /// The order of the chunk that holds the byte before the current place.
    fn order(&self) -> usize {
        let chunk = self.ends.iter().find(|(end, _)| *end >= self.at);
        chunk.map_or(usize::MAX, |(_, order)| *order)
    }

    fn messages(&mut self, mini_headers: bool, has_fds: bool) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut serial = 0;
        while let Some(message) = self.message(mini_headers, &mut serial) {
            if has_fds && message.brings_fds() {
                // The byte that carries the descriptors stands outside every message.
                self.take(1);
            }
            messages.push(message);
        }
        messages
    }

    fn message(&mut self, mini_headers: bool, serial: &mut u64) -> Option<Message> {
        let (id, size, sub_list, header) = if mini_headers {
            let head = self.peek(6)?;
            *serial += 1;
            (u16_at(head, 0)?, u32_at(head, 2)?, 0, 6)
        } else {
            let head = self.peek(18)?;
            *serial = u64::from_le_bytes(*head.first_chunk()?);
            (u16_at(head, 8)?, u32_at(head, 10)?, u32_at(head, 14)?, 18)
        };
        let body = self.peek(header + index(size))?.get(header..)?.to_vec();
        self.at += header + index(size);
        Some(Message { speaker: self.speaker, order: self.order(), serial: *serial, id, sub_list, body })
    }
}

impl Message {
    /// A display server's message behind which one byte carries file descriptors.
    fn brings_fds(&self) -> bool {
        match self.id {
            MSG_GL_SCANOUT_UNIX => u32_at(&self.body, 12).is_some_and(|fourcc| fourcc != 0),
            MSG_GL_SCANOUT2_UNIX => u16_at(&self.body, 58).is_some_and(|count| count != 0),
            _ => false,
        }
    }
}

/// The first common capability word; `counts` is the offset of the number of common words.
fn common_caps(link: &[u8], counts: usize) -> u32 {
    let words = u32_at(link, counts).unwrap_or(0);
    let at = u32_at(link, counts + 8).unwrap_or(0);
    if words == 0 { 0 } else { u32_at(link, LINK_HEADER + index(at)).unwrap_or(0) }
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// An offset too large for memory is one past the end of any recording.
fn index(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Chunk;

    fn link_message(channel_type: u8, caps: u32) -> Vec<u8> {
        let mut link = b"REDQ\x02\0\0\0\x02\0\0\0\x16\0\0\0\0\0\0\0".to_vec();
        link.extend([channel_type, 0, 1, 0, 0, 0, 0, 0, 0, 0, 18, 0, 0, 0]);
        link.extend(caps.to_le_bytes());
        link
    }

    fn link_reply(caps: u32) -> Vec<u8> {
        let mut link = b"REDQ\x02\0\0\0\x02\0\0\0\xb6\0\0\0".to_vec();
        link.extend([0; 166]);
        link.extend([1, 0, 0, 0, 0, 0, 0, 0, 178, 0, 0, 0]);
        link.extend(caps.to_le_bytes());
        link
    }

    fn connection(channel_type: u8, caps: u32, said: &[(Speaker, &[u8])]) -> Connection {
        let mut ticket = 1_u32.to_le_bytes().to_vec();
        ticket.extend([0xAA; TICKET]);
        let client = link_message(channel_type, caps);
        let server = link_reply(0xB);
        let mut all = vec![(Speaker::Client, client), (Speaker::Server, server)];
        all.push((Speaker::Client, ticket));
        all.push((Speaker::Server, vec![0; 4]));
        all.extend(said.iter().map(|(speaker, bytes)| (*speaker, bytes.to_vec())));
        let chunks = all.into_iter().enumerate();
        let chunks = chunks.map(|(order, (speaker, bytes))| Chunk { speaker, order, bytes });
        Connection { chunks: chunks.collect(), ended_by: None }
    }

    #[test]
    fn mini_headers_are_cut_in_order_and_the_cut_off_rest_is_left() {
        let session = Session::cut(&connection(
            1,
            0xB,
            &[
                (Speaker::Server, &[103, 0, 2, 0, 0, 0, 5]),
                (Speaker::Client, &[104, 0, 0, 0, 0, 0]),
                (Speaker::Server, &[6, 4, 0, 0, 0, 0, 0, 103, 0, 9, 0]),
            ],
        ))
        .unwrap();
        assert!(session.mini_headers);
        assert_eq!(session.link_result, Some(0));
        let got: Vec<_> = session.messages.iter().map(|m| (m.id, m.serial, m.order)).collect();
        assert_eq!(got, [(104, 1, 5), (103, 1, 6), (4, 2, 6)]);
        assert_eq!(session.messages[1].body, [5, 6]);
    }

    #[test]
    fn full_headers_bring_serial_and_sub_list() {
        let mut message = 7_u64.to_le_bytes().to_vec();
        message.extend([48, 1, 14, 0, 0, 0, 1, 0, 0, 0]);
        message.extend([0xEE, 1, 0, 7, 0, 0, 0]);
        message.extend([105, 0, 1, 0, 0, 0, 9]);
        let session = Session::cut(&connection(2, 0x3, &[(Speaker::Server, &message)])).unwrap();
        let [message] = session.messages.as_slice() else { panic!("{session:?}") };
        assert_eq!((message.serial, message.id, message.sub_list), (7, 304, 1));
        assert_eq!(message.sub_messages().unwrap(), [(105, &[9][..])]);
    }

    #[test]
    fn a_list_that_leaves_its_message_is_an_error() {
        let message = |body: &[u8]| Message {
            speaker: Speaker::Server,
            order: 0,
            serial: 1,
            id: MSG_LIST,
            sub_list: 0,
            body: body.to_vec(),
        };
        for body in [&[][..], &[1, 0], &[1, 0, 9, 0, 0, 0], &[1, 0, 6, 0, 0, 0, 5, 0, 1, 0, 0]] {
            assert!(message(body).sub_messages().is_err(), "{body:?}");
        }
        assert_eq!(message(&[0, 0]).sub_messages(), Ok(Vec::new()));
        let longer_than_there_is = message(&[1, 0, 6, 0, 0, 0, 5, 0, 9, 0, 0, 0, 7]);
        assert_eq!(longer_than_there_is.sub_messages(), Ok(vec![(5, &[7][..])]));
    }

    #[test]
    fn the_byte_behind_a_scanout_is_no_message() {
        let mut bytes = vec![0x40, 1, 20, 0, 0, 0];
        bytes.extend([0; 12]);
        bytes.extend(b"XR24\0\0\0\0@");
        bytes.extend([102, 0, 0, 0, 0, 0]);
        let session = Session::cut(&connection(2, 0xB, &[(Speaker::Server, &bytes)])).unwrap();
        let ids: Vec<_> = session.messages.iter().map(|m| m.id).collect();
        assert_eq!(ids, [320, 102]);
    }

    #[test]
    fn only_links_by_ticket_are_followed() {
        let mut sasl = connection(1, 0xB, &[]);
        sasl.chunks[2].bytes[0] = 2;
        assert!(Session::cut(&sasl).is_err());
        let refused = Connection { chunks: connection(1, 0xB, &[]).chunks[..2].to_vec(), ended_by: None };
        assert_eq!(Session::cut(&refused).unwrap().link_result, None);
    }
}
