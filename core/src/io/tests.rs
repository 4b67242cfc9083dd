use core::convert::Infallible;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::*;
use crate::channel::client::{self, ClientChannel};
use crate::channel::cursor::CursorServer;
use crate::link::{Admission, ClientConfig, ClientLink, ClientQuestion, Question, ServerConfig, ServerLink, Verdict};
use crate::proto::common::ChannelType;
use crate::proto::cursor::{Cursor, CursorFlags, CursorHeader, CursorType, Init, ServerMessage, Set, Shape};
use crate::proto::shape::Point16;
use crate::wire::Data;

const NOW: Millis = Millis(0);
const SHAPE: [u8; 64] = [7; 64];

/// One end of a connection that moves at most so many bytes at once.
#[derive(Clone)]
struct End {
    from: Rc<RefCell<VecDeque<u8>>>,
    to: Rc<RefCell<VecDeque<u8>>>,
    most: usize,
    closed: Rc<RefCell<bool>>,
}

fn pipe(most: usize) -> (End, End) {
    let (a, b, closed) = (Rc::default(), Rc::default(), Rc::default());
    let end = End { from: Rc::clone(&a), to: Rc::clone(&b), most, closed: Rc::clone(&closed) };
    (end, End { from: b, to: a, most, closed })
}

impl End {
    fn take(&self, room: &mut [u8]) -> usize {
        let mut from = self.from.borrow_mut();
        let n = room.len().min(self.most).min(from.len());
        for (byte, taken) in room.iter_mut().zip(from.drain(..n)) {
            *byte = taken;
        }
        n
    }

    fn give(&self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.most);
        self.to.borrow_mut().extend(&bytes[..n]);
        n
    }

    fn is_ready(&self) -> bool {
        !self.from.borrow().is_empty() || *self.closed.borrow()
    }
}

fn answer_client(link: &mut ServerLink, question: Question<'_>, out: &mut [u8]) -> Result<usize, Refused> {
    match question {
        Question::Channel(_) => link.admit(&Admission::Admit { public_key: None, channel_caps: 0 }, out),
        _ => link.ticket(Verdict::Accepted).map(|()| 0),
    }
}

fn answer_server(link: &mut ClientLink, _: ClientQuestion<'_>, out: &mut [u8]) -> Result<usize, Refused> {
    link.ticket(&[1; 128], out)
}

fn client_link() -> ClientLink {
    ClientLink::new(NOW, ClientConfig::new(1, ChannelType::CURSOR, 0, 0))
}

fn look(shape: Shape<'_>) -> Cursor<'_> {
    Cursor { flags: CursorFlags::empty(), shape }
}

fn init() -> ServerMessage<'static> {
    let position = Point16::new(0, 0);
    let cursor = look(Shape::None);
    ServerMessage::Init(Init { position, trail_length: 0, trail_frequency: 0, visible: 1, cursor })
}

fn set() -> ServerMessage<'static> {
    let kind = CursorType::ALPHA;
    let header = CursorHeader { unique: 0, kind, width: 4, height: 4, hot_spot_x: 0, hot_spot_y: 0 };
    let cursor = look(Shape::Here(header, Data::Promised(SHAPE.len())));
    ServerMessage::Set(Set { position: Point16::new(1, 2), visible: 1, cursor })
}

/// Whether it is the shape, with its payload.
fn is_shape(event: &ServerMessage<'_>) -> bool {
    matches!(event, ServerMessage::Set(m) if matches!(m.cursor.shape, Shape::Here(_, data) if data.bytes() == SHAPE))
}

#[cfg(feature = "embedded-io")]
mod blocking {
    use super::super::blocking;
    use super::*;

    impl embedded_io::ErrorType for End {
        type Error = Infallible;
    }
    impl embedded_io::Read for End {
        fn read(&mut self, room: &mut [u8]) -> Result<usize, Infallible> {
            assert!(self.is_ready(), "a read that would block");
            Ok(self.take(room))
        }
    }
    impl embedded_io::ReadReady for End {
        fn read_ready(&mut self) -> Result<bool, Infallible> {
            Ok(self.is_ready())
        }
    }
    impl embedded_io::Write for End {
        fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
            Ok(self.give(bytes))
        }
        fn flush(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }

    #[test]
    fn a_session_in_pieces_of_every_size() {
        for most in [1, 2, 3, 5, 7, 16, 61, 4096] {
            let (a, b) = pipe(most);
            let (mut ai, mut ao, mut bi, mut bo) = ([0; 4096], [0; 256], [0; 4096], [0; 256]);
            let (mut a, mut b) = (Wire::new(a, &mut ai, &mut ao), Wire::new(b, &mut bi, &mut bo));
            let (mut server, mut client) = (ServerLink::new(NOW, ServerConfig::default()), client_link());
            let mut opened = (None, None);
            while opened.0.is_none() || opened.1.is_none() {
                if let Turn::Got(o) = blocking::link(&mut a, &mut server, NOW, answer_client).expect("server") {
                    opened.0 = Some(o);
                }
                if let Turn::Got(o) = blocking::link(&mut b, &mut client, NOW, answer_server).expect("client") {
                    opened.1 = Some(o);
                }
            }
            let (Some(oa), Some(ob)) = opened else { panic!("not opened") };
            let mut server = Line::new(&oa, CursorServer::<4>::new(oa.negotiated), &a);
            let mut client = Line::new(&ob, ClientChannel::<client::Cursor>::new(ob.negotiated, 1024), &b);
            blocking::say(&mut a, &mut server, NOW, &init(), &[]).expect("INIT");
            let mut shapes = 0;
            for _ in 0..100 {
                match blocking::say(&mut a, &mut server, NOW, &set(), &SHAPE) {
                    Ok(()) | Err(Error::Refused(Refused::Hold)) => {}
                    Err(e) => panic!("{e}"),
                }
                while blocking::turn(&mut a, &mut server, NOW, |_| ()).expect("server") == Turn::Again {}
                loop {
                    match blocking::turn(&mut b, &mut client, NOW, |event| is_shape(&event)).expect("client") {
                        Turn::Got(shape) => shapes += u32::from(shape),
                        Turn::Again => {}
                        Turn::Wait(_) => break,
                    }
                }
            }
            assert_eq!(shapes, 100, "in pieces of {most}, with acknowledgements");
        }
    }

    #[test]
    fn ends_are_told_apart() {
        let (a, _b) = pipe(9);
        let (mut inbox, mut out) = ([0; 12], [0; 256]);
        let mut wire = Wire::new(a.clone(), &mut inbox, &mut out);
        let mut link = ServerLink::new(NOW, ServerConfig::default());
        let late = NOW.plus(crate::limits::LINK_WAIT_MS);
        assert_eq!(blocking::link(&mut wire, &mut link, NOW, answer_client), Ok(Turn::Wait(Some(late))));
        assert_eq!(blocking::link(&mut wire, &mut link, late, answer_client), Err(Error::Closed(LinkClosed::Deadline)));
        let mut link = ServerLink::new(NOW, ServerConfig::default());
        a.from.borrow_mut().extend(b"REDQ\x02\0\0\0\x02\0\0\0\x16\0\0\0");
        let end = loop {
            match blocking::link(&mut wire, &mut link, NOW, answer_client) {
                Ok(Turn::Again) => {}
                end => break end,
            }
        };
        assert_eq!(end, Err(Error::Inbox { needed: 22, lent: 12 }));
        *a.closed.borrow_mut() = true;
        let mut link = ServerLink::new(NOW, ServerConfig::default());
        assert_eq!(blocking::link(&mut wire, &mut link, NOW, answer_client), Err(Error::Eof));
    }
}

#[cfg(feature = "embedded-io-async")]
mod asynchronous {
    use core::future::{pending, poll_fn, ready};
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use std::vec::Vec;

    use super::super::asynchronous;
    use super::*;
    use crate::link::Linking;

    struct AsyncEnd(End);

    impl embedded_io_async::ErrorType for AsyncEnd {
        type Error = Infallible;
    }
    impl embedded_io_async::Read for AsyncEnd {
        async fn read(&mut self, room: &mut [u8]) -> Result<usize, Infallible> {
            poll_fn(|_| if self.0.is_ready() { Poll::Ready(Ok(self.0.take(room))) } else { Poll::Pending }).await
        }
    }
    impl embedded_io_async::Write for AsyncEnd {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
            Ok(self.0.give(bytes))
        }
        async fn flush(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }

    /// Polls both in turn until one is ready.
    fn race<T>(a: impl Future<Output = T>, b: impl Future<Output = T>) -> T {
        let (mut a, mut b) = (pin!(a), pin!(b));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..1_000_000 {
            if let Poll::Ready(done) = a.as_mut().poll(&mut context) {
                return done;
            }
            if let Poll::Ready(done) = b.as_mut().poll(&mut context) {
                return done;
            }
        }
        panic!("neither ends");
    }

    async fn linked<L: Linking>(
        wire: &mut Wire<'_, AsyncEnd>,
        mut link: L,
        answer: impl Fn(&mut L, L::Question<'_>, &mut [u8]) -> Result<usize, Refused>,
    ) -> Opened {
        loop {
            let wake = async |_| pending().await;
            let turn = asynchronous::link(wire, &mut link, || NOW, wake, async |l, q, o| answer(l, q, o)).await;
            if let Turn::Got(opened) = turn.expect("linked") {
                return opened;
            }
        }
    }

    async fn serve(end: End) -> u32 {
        let (mut inbox, mut out) = ([0; 4096], [0; 256]);
        let mut wire = Wire::new(AsyncEnd(end), &mut inbox, &mut out);
        let opened = linked(&mut wire, ServerLink::new(NOW, ServerConfig::default()), answer_client).await;
        let mut line = Line::new(&opened, CursorServer::<4>::new(opened.negotiated), &wire);
        asynchronous::say(&mut wire, &mut line, || NOW, &init(), &[]).await.expect("INIT");
        loop {
            match asynchronous::say(&mut wire, &mut line, || NOW, &set(), &SHAPE).await {
                Ok(()) | Err(Error::Refused(Refused::Hold)) => {}
                Err(e) => panic!("{e}"),
            }
            // The host has more to say at once when the client has not spoken.
            let turn = asynchronous::turn(&mut wire, &mut line, || NOW, async |_| ready(()).await, |_| ()).await;
            let _ = turn.expect("served");
            // Lets the client run.
            let mut ran = false;
            poll_fn(|_| if core::mem::replace(&mut ran, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        }
    }

    async fn watch(end: End) -> u32 {
        let (mut inbox, mut out) = ([0; 4096], [0; 256]);
        let mut wire = Wire::new(AsyncEnd(end), &mut inbox, &mut out);
        let opened = linked(&mut wire, client_link(), answer_server).await;
        let machine = ClientChannel::<client::Cursor>::new(opened.negotiated, 1024);
        let mut line = Line::new(&opened, machine, &wire);
        let mut shapes = 0;
        while shapes < 100 {
            let wake = async |_| pending().await;
            let turn = asynchronous::turn(&mut wire, &mut line, || NOW, wake, |event| is_shape(&event)).await;
            if let Turn::Got(true) = turn.expect("watched") {
                shapes += 1;
            }
        }
        shapes
    }

    #[test]
    fn a_session_in_pieces_of_every_size() {
        for most in [1, 3, 16, 4096] {
            let (a, b) = pipe(most);
            assert_eq!(race(serve(a), watch(b)), 100, "in pieces of {most}");
        }
    }

    #[test]
    fn the_host_can_wake_it() {
        let (a, _b) = pipe(1);
        let (mut inbox, mut out) = ([0; 64], [0; 256]);
        let mut wire = Wire::new(AsyncEnd(a), &mut inbox, &mut out);
        let mut link = ServerLink::new(NOW, ServerConfig::default());
        let seen: RefCell<Vec<_>> = RefCell::default();
        let turn = asynchronous::link(
            &mut wire,
            &mut link,
            || NOW,
            async |until| seen.borrow_mut().push(until),
            async |l, q, o| answer_client(l, q, o),
        );
        assert_eq!(race(turn, pending()), Ok(Turn::Again));
        assert_eq!(*seen.borrow(), [Some(NOW.plus(crate::limits::LINK_WAIT_MS))]);
    }
}
