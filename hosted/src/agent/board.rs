//! [`Board`]: who has something in which clipboard, and who wants it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::clipboard::{ASKED_MOST, Asked, Change, Clipboard, ClipboardKind, FromSource, SELECTIONS, Selection};

/// Questions of one viewer's that wait for the guest, or answers that wait for the viewer to read;
/// more are answered with nothing. Each answer may have 100 MiB.
const WANTED_MOST: usize = 2;

/// The engine's end of [`Clipboard`].
pub(crate) struct Board {
    clipboard: Clipboard,
    /// Whether the operator wants a clipboard at all.
    allowed: bool,
    open: Cell<bool>,
    owners: RefCell<[Owner; SELECTIONS]>,
    seats: RefCell<Vec<Weak<Seat>>>,
    numbers: Cell<u64>,
    /// The source's questions, each with the seat that is asked.
    asked: RefCell<Vec<(u64, Asked)>>,
    wanted: RefCell<Vec<Wanted>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Owner {
    #[default]
    Nobody,
    Guest(Vec<ClipboardKind>),
    /// The seat's number.
    Viewer(u64),
}

/// A viewer's question.
struct Wanted {
    seat: Weak<Seat>,
    selection: Selection,
    kind: ClipboardKind,
    content: oneshot::Receiver<Bytes>,
}

/// A viewer whose agent stream is open.
pub(crate) struct Seat {
    number: u64,
    bell: Rc<Notify>,
    changes: RefCell<[Option<Change>; SELECTIONS]>,
    news: RefCell<VecDeque<News>>,
}

/// What a viewer is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The guest has something new.
    Grab(Selection, Vec<ClipboardKind>),
    /// What the guest had is gone.
    Release(Selection),
    /// The guest wants what the viewer has.
    Request(Selection, ClipboardKind),
    /// The content that the viewer wanted, or nothing.
    Content(Selection, ClipboardKind, Option<Bytes>),
}

impl Board {
    pub(crate) fn new(clipboard: Clipboard, allowed: bool) -> Self {
        Self {
            clipboard,
            allowed,
            open: Cell::new(false),
            owners: RefCell::default(),
            seats: RefCell::default(),
            numbers: Cell::new(0),
            asked: RefCell::default(),
            wanted: RefCell::default(),
        }
    }

    /// Whether there is a clipboard.
    pub(crate) fn is_open(&self) -> bool {
        self.open.get()
    }

    /// Takes in what the source did; answers whether there is a clipboard now and was none, or the
    /// other way round.
    pub(crate) fn take_mail(&self) -> bool {
        let FromSource { open, changes, asked } = self.clipboard.take();
        let open = open && self.allowed;
        for (selection, change) in Selection::ALL.into_iter().zip(changes) {
            match change {
                Some(Change::Grab(kinds)) if open => self.set_owner(selection, Owner::Guest(kinds)),
                Some(_) if matches!(self.owner(selection), Owner::Guest(_)) => {
                    self.set_owner(selection, Owner::Nobody);
                }
                _ => {}
            }
        }
        asked.into_iter().for_each(|asked| self.ask(asked));
        self.deliver();
        self.open.replace(open) != open
    }

    /// A viewer's agent stream opened; `bell` rings when there is something to tell.
    pub(crate) fn enter(&self, bell: &Rc<Notify>) -> Rc<Seat> {
        self.numbers.set(self.numbers.get() + 1);
        let owners = self.owners.borrow();
        let seat = Rc::new(Seat {
            number: self.numbers.get(),
            bell: Rc::clone(bell),
            changes: RefCell::new(owners.clone().map(|owner| match owner {
                Owner::Guest(kinds) => Some(Change::Grab(kinds)),
                Owner::Nobody | Owner::Viewer(_) => None,
            })),
            news: RefCell::default(),
        });
        let mut seats = self.seats.borrow_mut();
        seats.retain(|seat| seat.strong_count() > 0);
        seats.push(Rc::downgrade(&seat));
        seat
    }

    /// It closed: what the viewer had is gone.
    pub(crate) fn leave(&self, seat: &Seat) {
        Selection::ALL.into_iter().for_each(|selection| self.on_release(seat, selection));
    }

    /// A viewer has something new.
    pub(crate) fn on_grab(&self, seat: &Seat, selection: Selection, kinds: Vec<ClipboardKind>) {
        if self.is_open() && !kinds.is_empty() {
            self.set_owner(selection, Owner::Viewer(seat.number));
            self.clipboard.tell(selection, Change::Grab(kinds));
        } else {
            self.on_release(seat, selection);
        }
    }

    /// What a viewer had is gone.
    pub(crate) fn on_release(&self, seat: &Seat, selection: Selection) {
        if self.owner(selection) == Owner::Viewer(seat.number) {
            self.set_owner(selection, Owner::Nobody);
            self.clipboard.tell(selection, Change::Release);
        }
    }

    /// A viewer wants what the guest has.
    pub(crate) fn on_request(&self, seat: &Rc<Seat>, selection: Selection, kind: ClipboardKind) {
        let offered = matches!(self.owner(selection), Owner::Guest(kinds) if kinds.contains(&kind));
        let mut wanted = self.wanted.borrow_mut();
        let of_seat = wanted.iter().filter(|other| other.seat.as_ptr() == Rc::as_ptr(seat)).count();
        if self.is_open() && offered && of_seat + seat.unread() < WANTED_MOST {
            let content = self.clipboard.want(selection, kind);
            wanted.push(Wanted { seat: Rc::downgrade(seat), selection, kind, content });
        } else {
            seat.tell(News::Content(selection, kind, None));
        }
    }

    /// Whether the guest waits for content of this viewer's.
    pub(crate) fn expects(&self, seat: &Seat) -> bool {
        self.asked.borrow().iter().any(|(asked, _)| *asked == seat.number)
    }

    /// Content of a viewer's; no kind and no content for what it does not give.
    pub(crate) fn on_content(&self, seat: &Seat, selection: Selection, kind: Option<ClipboardKind>, content: &Bytes) {
        let mut asked = self.asked.borrow_mut();
        let is_answered = |(number, asked): &mut (u64, Asked)| {
            *number == seat.number && asked.selection == selection && kind.is_none_or(|kind| asked.kind == kind)
        };
        for (_, asked) in asked.extract_if(.., is_answered) {
            // The source may not want it any more.
            let _ = asked.answer.send(kind.map(|_| content.clone()));
        }
    }

    fn owner(&self, selection: Selection) -> Owner {
        self.owners.borrow().get(selection as usize).cloned().unwrap_or_default()
    }

    /// Tells the viewers, but not one that is the owner itself.
    fn set_owner(&self, selection: Selection, owner: Owner) {
        // Whoever had it is not asked any more.
        self.asked.borrow_mut().retain(|(_, asked)| asked.selection != selection);
        let change = match &owner {
            Owner::Guest(kinds) => Change::Grab(kinds.clone()),
            Owner::Nobody | Owner::Viewer(_) => Change::Release,
        };
        let before = match self.owners.borrow_mut().get_mut(selection as usize) {
            Some(slot) => std::mem::replace(slot, owner.clone()),
            None => return,
        };
        let guest_had = matches!(before, Owner::Guest(_));
        for seat in self.seats.borrow().iter().filter_map(Weak::upgrade) {
            if matches!(owner, Owner::Guest(_)) || guest_had && owner != Owner::Viewer(seat.number) {
                seat.change(selection, change.clone());
            }
        }
    }

    /// Asks the viewer that has something; nobody's answer is nothing.
    fn ask(&self, question: Asked) {
        let Owner::Viewer(number) = self.owner(question.selection) else { return };
        let seat = self.seats.borrow().iter().filter_map(Weak::upgrade).find(|seat| seat.number == number);
        let mut asked = self.asked.borrow_mut();
        asked.retain(|(_, other)| !other.answer.is_closed());
        let Some(seat) = seat.filter(|_| asked.len() < ASKED_MOST) else { return };
        let same = |other: &Asked| other.selection == question.selection && other.kind == question.kind;
        if !asked.iter().any(|(_, other)| same(other)) {
            seat.tell(News::Request(question.selection, question.kind));
        }
        asked.push((number, question));
    }

    /// Hands out what the source answered.
    fn deliver(&self) {
        self.wanted.borrow_mut().retain_mut(|wanted| {
            let content = match wanted.content.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => return wanted.seat.strong_count() > 0,
                content => content.ok(),
            };
            if let Some(seat) = wanted.seat.upgrade() {
                seat.tell(News::Content(wanted.selection, wanted.kind, content));
            }
            false
        });
    }
}

impl Seat {
    /// The next thing to tell the viewer.
    pub(crate) fn next(&self) -> Option<News> {
        let mut changes = self.changes.borrow_mut();
        let changed = Selection::ALL.into_iter().zip(changes.iter_mut()).find_map(|(selection, change)| {
            change.take().map(|change| match change {
                Change::Grab(kinds) => News::Grab(selection, kinds),
                Change::Release => News::Release(selection),
            })
        });
        changed.or_else(|| self.news.borrow_mut().pop_front())
    }

    /// Content that it has not taken.
    fn unread(&self) -> usize {
        self.news.borrow().iter().filter(|news| matches!(news, News::Content(_, _, Some(_)))).count()
    }

    /// A viewer that wants much without reading is told nothing more.
    fn tell(&self, news: News) {
        let mut queue = self.news.borrow_mut();
        if queue.len() < WANTED_MOST + ASKED_MOST {
            queue.push_back(news);
        }
        self.bell.notify_one();
    }

    fn change(&self, selection: Selection, change: Change) {
        if let Some(slot) = self.changes.borrow_mut().get_mut(selection as usize) {
            *slot = Some(change);
        }
        self.bell.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::super::clipboard::{ClipboardEvent, GuestClipboard};
    use super::*;

    const TEXT: ClipboardKind = ClipboardKind::Text;
    const PNG: ClipboardKind = ClipboardKind::Png;
    const COPIED: Selection = Selection::Clipboard;

    fn board() -> (GuestClipboard, Board) {
        let clipboard = Clipboard::default();
        let board = Board::new(clipboard.clone(), true);
        let guest = clipboard.open();
        assert!(board.take_mail() && board.is_open());
        (guest, board)
    }

    fn seat(board: &Board) -> Rc<Seat> {
        board.enter(&Rc::new(Notify::new()))
    }

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_the_guest_has_reaches_who_asks() {
        let (guest, board) = board();
        let early = seat(&board);
        guest.grab(COPIED, &[TEXT, PNG]);
        assert!(!board.take_mail());
        let late = seat(&board);
        for seat in [&early, &late] {
            assert_eq!((seat.next(), seat.next()), (Some(News::Grab(COPIED, vec![TEXT, PNG])), None));
            board.on_request(seat, COPIED, TEXT);
            let Some(ClipboardEvent::Request(request)) = now(guest.next()) else { panic!("no request") };
            assert_eq!((request.selection, request.kind), (COPIED, TEXT));
            request.answer("hello");
            board.take_mail();
            assert_eq!(seat.next(), Some(News::Content(COPIED, TEXT, Some("hello".into()))));
        }
        board.on_request(&early, COPIED, ClipboardKind::Bmp);
        assert_eq!(early.next(), Some(News::Content(COPIED, ClipboardKind::Bmp, None)), "not offered");
        board.on_request(&early, COPIED, PNG);
        drop(now(guest.next()));
        board.take_mail();
        assert_eq!(early.next(), Some(News::Content(COPIED, PNG, None)), "not answered");
        guest.release(COPIED);
        board.take_mail();
        assert_eq!((early.next(), late.next()), (Some(News::Release(COPIED)), Some(News::Release(COPIED))));
    }

    #[test]
    fn what_a_viewer_has_reaches_the_guest() {
        let (guest, board) = board();
        let (one, two) = (seat(&board), seat(&board));
        guest.grab(COPIED, &[TEXT]);
        board.take_mail();
        drop((one.next(), two.next()));
        board.on_grab(&one, COPIED, vec![TEXT]);
        assert_eq!((one.next(), two.next()), (None, Some(News::Release(COPIED))), "the guest's is gone");
        assert!(matches!(now(guest.next()), Some(ClipboardEvent::Grab(COPIED, kinds)) if kinds == [TEXT]));
        let mut questions = [(); 2].map(|()| Box::pin(guest.request(COPIED, TEXT)));
        assert!(questions.iter_mut().all(|question| now(question.as_mut()).is_none()));
        board.take_mail();
        assert_eq!((one.next(), one.next()), (Some(News::Request(COPIED, TEXT)), None), "asked once");
        assert!(board.expects(&one) && !board.expects(&two));
        board.on_content(&two, COPIED, Some(TEXT), &"forged".into());
        board.on_content(&one, COPIED, Some(TEXT), &"mine".into());
        let answers = questions.map(|mut question| now(question.as_mut()));
        assert_eq!(answers, [Some(Some("mine".into())), Some(Some("mine".into()))]);
        board.leave(&one);
        assert!(matches!(now(guest.next()), Some(ClipboardEvent::Release(COPIED))));
        assert_eq!(two.next(), None);
    }

    #[test]
    fn questions_end_with_what_they_are_about() {
        let (guest, board) = board();
        let viewer = seat(&board);
        let mut nobody = Box::pin(guest.request(COPIED, TEXT));
        assert_eq!(now(nobody.as_mut()), None);
        board.take_mail();
        assert_eq!(now(nobody.as_mut()), Some(None), "nobody has anything");
        let ends: [fn(&Board, &Rc<Seat>, &GuestClipboard); 4] = [
            |board, viewer, _| board.leave(viewer),
            |board, viewer, _| board.on_grab(viewer, COPIED, vec![PNG]),
            |board, viewer, _| board.on_content(viewer, COPIED, None, &Bytes::new()),
            |board, _, guest| {
                guest.grab(COPIED, &[TEXT]);
                board.take_mail();
            },
        ];
        for end in ends {
            board.on_grab(&viewer, COPIED, vec![TEXT]);
            let mut question = Box::pin(guest.request(COPIED, TEXT));
            assert_eq!(now(question.as_mut()), None);
            board.take_mail();
            assert_eq!(now(question.as_mut()), None);
            end(&board, &viewer, &guest);
            assert_eq!(now(question.as_mut()), Some(None));
        }
    }

    #[test]
    fn questions_are_bounded() {
        let (guest, board) = board();
        let viewer = seat(&board);
        guest.grab(COPIED, &[TEXT]);
        board.take_mail();
        drop(viewer.next());
        (0..1000).for_each(|_| board.on_request(&viewer, COPIED, TEXT));
        let mut news = 0;
        while viewer.next().is_some() {
            news += 1;
        }
        assert_eq!((board.wanted.borrow().len(), news), (WANTED_MOST, WANTED_MOST + ASKED_MOST));
        // Answers that are not read count too.
        for _ in 0..WANTED_MOST {
            let Some(ClipboardEvent::Request(request)) = now(guest.next()) else { panic!("no request") };
            request.answer("large");
        }
        board.take_mail();
        board.on_request(&viewer, COPIED, TEXT);
        assert!(board.wanted.borrow().is_empty());
        while viewer.next().is_some() {}
        board.on_request(&viewer, COPIED, TEXT);
        assert_eq!(board.wanted.borrow().len(), 1);
        drop(viewer);
        board.take_mail();
        assert!(board.wanted.borrow().is_empty());
        let mut questions: Vec<_> = (0..ASKED_MOST + 1).map(|_| Box::pin(guest.request(COPIED, TEXT))).collect();
        let answers: Vec<_> = questions.iter_mut().map(|question| now(question.as_mut())).collect();
        assert!(answers[..ASKED_MOST].iter().all(Option::is_none) && answers[ASKED_MOST] == Some(None));
    }

    #[test]
    fn a_clipboard_that_is_not_wanted_or_goes_away_has_nothing() {
        let clipboard = Clipboard::default();
        let forbidden = Board::new(clipboard.clone(), false);
        let guest = clipboard.open();
        guest.grab(COPIED, &[TEXT]);
        assert!(!forbidden.take_mail() && !forbidden.is_open());
        let viewer = seat(&forbidden);
        forbidden.on_grab(&viewer, COPIED, vec![TEXT]);
        assert!(viewer.next().is_none() && now(guest.next()).is_none());
        let (guest, board) = board();
        let viewer = seat(&board);
        guest.grab(COPIED, &[TEXT]);
        board.take_mail();
        drop((viewer.next(), guest));
        assert!(board.take_mail() && !board.is_open());
        assert_eq!(viewer.next(), Some(News::Release(COPIED)));
    }
}
