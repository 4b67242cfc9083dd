//! [`GuestSide`]: QEMU's clipboard, which its own agent shares with the guest's.
//!
//! Both ends own the same interface and call each other. QEMU 7.2 stands still while it waits for
//! content of ours, and knows text only: so a viewer's text is fetched when it is copied, QEMU hears
//! of it when it is here, and its question is answered at once. Pictures are fetched when they are
//! asked for, which only somebody does who knows them and can wait. HTML and lists of files have no
//! type in SPICE: they are not passed on.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use serde::{Serialize, Serializer};
use tokio::time::timeout;
use zbus::message::Type;
use zbus::names::OwnedUniqueName;
use zbus::proxy::CacheProperties;
use zbus::wire::Signature;
use zbus::{Connection, MatchRule, MessageStream};

use super::calls::{Call, Calls, Tail};
use super::interfaces::{CLIPBOARD, ClipboardProxy};
use crate::agent::{Clipboard, ClipboardEvent, ClipboardKind, ClipboardRequest, GuestClipboard, Selection};

/// In the order of QEMU's numbers.
const SELECTIONS: [Selection; 3] = [Selection::Clipboard, Selection::Primary, Selection::Secondary];
/// Bytes of content that D-Bus can carry: an array has no more.
const CARRIED_MOST: usize = 64 << 20;
/// How long a viewer may take to give a picture; D-Bus gives up after 25 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// QEMU's clipboard as the guest's end of the viewers'.
pub(super) struct GuestSide {
    proxy: ClipboardProxy<'static>,
    /// QEMU's own name on a bus: nobody else may call.
    owner: Option<OwnedUniqueName>,
    calls: Calls,
    guest: Rc<GuestClipboard>,
    /// What viewers copied, by QEMU's numbers.
    offers: HashMap<u32, Offer>,
    /// Counts what was copied of each, so that what was fetched too late is known.
    copies: HashMap<u32, u64>,
    /// The number that orders grabs of both sides: QEMU's last.
    serial: u32,
    /// Content that is under way, either way.
    fetches: FuturesUnordered<LocalBoxFuture<'static, Fetched>>,
}

/// What QEMU was told that it can have.
struct Offer {
    kinds: Vec<ClipboardKind>,
    /// Where that is among them.
    text: Option<Bytes>,
}

/// What a fetch came to.
enum Fetched {
    /// The text among these kinds, copied as the nth, for the selection of this number.
    Text(u32, u64, Vec<ClipboardKind>, Option<Bytes>),
    /// What this call of QEMU's asked for.
    Picture(Call, ClipboardKind, Option<Bytes>),
    /// The viewer was given it, or not.
    FromGuest,
}

impl GuestSide {
    /// Takes part in QEMU's clipboard; `owner` is QEMU's own name on a bus.
    pub(super) async fn register(
        connection: &Connection,
        owner: Option<OwnedUniqueName>,
        clipboard: &Clipboard,
    ) -> anyhow::Result<Self> {
        let rule = MatchRule::builder().msg_type(Type::MethodCall).build()?;
        let mut calls = Calls::of(MessageStream::for_match_rule(rule, connection, None).await?);
        let proxy = ClipboardProxy::builder(connection).cache_properties(CacheProperties::No).build().await?;
        calls.during(&[], proxy.register()).await.context("registering for the clipboard")?;
        let guest = Rc::new(clipboard.open());
        let (offers, copies, fetches) = (HashMap::new(), HashMap::new(), FuturesUnordered::new());
        Ok(Self { proxy, owner, calls, guest, offers, copies, serial: 0, fetches })
    }

    /// Carries content until the connection to QEMU is lost.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let guest = Rc::clone(&self.guest);
        loop {
            tokio::select! {
                call = self.calls.next() => {
                    let Some(call) = call? else { return Ok(()) };
                    self.answer(&call).await?;
                }
                event = guest.next() => self.viewers_did(event).await?,
                Some(fetched) = self.fetches.next() => self.fetched(fetched).await?,
            }
        }
    }

    async fn viewers_did(&mut self, event: ClipboardEvent) -> zbus::Result<()> {
        match event {
            ClipboardEvent::Grab(selection, kinds) => {
                let number = number(selection);
                let copies = self.forget(number).0;
                if !kinds.contains(&ClipboardKind::Text) {
                    return self.offer(number, Offer { kinds, text: None }).await;
                }
                let guest = Rc::clone(&self.guest);
                let fetch = async move {
                    let text = guest.request(selection, ClipboardKind::Text).await;
                    Fetched::Text(number, copies, kinds, text)
                };
                self.fetches.push(fetch.boxed_local());
                Ok(())
            }
            ClipboardEvent::Release(selection) => match self.forget(number(selection)).1 {
                Some(_) => self.proxy.release(number(selection)).await,
                None => Ok(()),
            },
            ClipboardEvent::Request(request) => {
                self.fetches.push(fetch_of_guest(self.proxy.clone(), request).boxed_local());
                Ok(())
            }
        }
    }

    /// What a viewer copied is overtaken; answers the count that this makes, and what it was.
    fn forget(&mut self, number: u32) -> (u64, Option<Offer>) {
        let copies = self.copies.entry(number).or_default();
        *copies += 1;
        (*copies, self.offers.remove(&number))
    }

    /// Tells QEMU what it can have.
    async fn offer(&mut self, number: u32, offer: Offer) -> zbus::Result<()> {
        let mimes: Vec<_> = offer.kinds.iter().map(|kind| kind.mime()).collect();
        if mimes.is_empty() {
            return Ok(());
        }
        self.offers.insert(number, offer);
        self.proxy.grab(number, self.serial, &mimes).await
    }

    async fn fetched(&mut self, fetched: Fetched) -> zbus::Result<()> {
        match fetched {
            Fetched::Text(number, copies, mut kinds, text) if self.copies.get(&number) == Some(&copies) => {
                let text = text.filter(|text| is_carried(text));
                kinds.retain(|&kind| kind != ClipboardKind::Text || text.is_some());
                self.offer(number, Offer { kinds, text }).await
            }
            Fetched::Picture(call, kind, picture) => match picture {
                Some(picture) if is_carried(&picture) => call.answer_with(kind, &picture).await,
                Some(picture) => {
                    let bytes = picture.len();
                    call.refuse(&anyhow::anyhow!("{bytes} bytes; D-Bus carries {CARRIED_MOST} at most")).await
                }
                None => call.refuse(&anyhow::anyhow!("the viewer does not give it")).await,
            },
            Fetched::Text(..) | Fetched::FromGuest => Ok(()),
        }
    }

    async fn answer(&mut self, call: &Call) -> zbus::Result<()> {
        let (interface, member) = call.name();
        tracing::trace!(interface, member, "QEMU calls");
        if !call.is_from(self.owner.as_ref()) {
            return call.is_not_allowed().await;
        }
        if interface != CLIPBOARD {
            return if call.answer_question(&[]).await? { Ok(()) } else { call.is_unknown().await };
        }
        let done = match member.as_str() {
            "Request" => match self.requested(call) {
                Ok(Some(text)) => return call.answer_with(ClipboardKind::Text, &text).await,
                Ok(None) => return Ok(()),
                Err(error) => Err(error),
            },
            "Grab" => self.grabbed(call),
            "Release" => selection_of(call.message().body().deserialize()).map(|(_, one)| self.guest.release(one)),
            "Register" | "Unregister" => {
                self.serial = 0;
                Ok(())
            }
            _ => return call.is_unknown().await,
        };
        match done {
            Ok(()) => call.answer(&()).await,
            Err(error) => call.refuse(&error).await,
        }
    }

    /// QEMU wants what a viewer copied: the text, or something that is fetched now.
    fn requested(&self, call: &Call) -> anyhow::Result<Option<Bytes>> {
        let body = call.message().body();
        let (number, mimes): (u32, Vec<&str>) = body.deserialize()?;
        let (number, selection) = selection_of(Ok(number))?;
        let offer =
            self.offers.get(&number).with_context(|| format!("no viewer has content for selection {number}"))?;
        let kind = mimes.iter().filter_map(|mime| ClipboardKind::of_mime(mime)).find(|kind| offer.kinds.contains(kind));
        let kind = kind.with_context(|| format!("content of the kinds {mimes:?}; there is {:?}", offer.kinds))?;
        if kind == ClipboardKind::Text {
            return Ok(offer.text.clone());
        }
        let (guest, call) = (Rc::clone(&self.guest), call.clone());
        let fetch = async move {
            let picture = timeout(PATIENCE, guest.request(selection, kind)).await;
            Fetched::Picture(call, kind, picture.ok().flatten())
        };
        self.fetches.push(fetch.boxed_local());
        Ok(None)
    }

    /// The guest copied something.
    fn grabbed(&mut self, call: &Call) -> anyhow::Result<()> {
        let body = call.message().body();
        let (number, serial, mimes): (u32, u32, Vec<&str>) = body.deserialize()?;
        let (number, selection) = selection_of(Ok(number))?;
        let mut kinds: Vec<_> = mimes.iter().filter_map(|mime| ClipboardKind::of_mime(mime)).collect();
        kinds.dedup();
        if kinds.is_empty() && !mimes.is_empty() {
            tracing::info!(?mimes, "the guest copied what viewers cannot paste");
        }
        self.serial = serial;
        self.forget(number);
        self.guest.grab(selection, &kinds);
        Ok(())
    }
}

impl Call {
    async fn answer_with(&self, kind: ClipboardKind, content: &[u8]) -> zbus::Result<()> {
        self.answer(&(kind.mime(), Content(content))).await
    }
}

/// Content, which is written in one piece.
struct Content<'a>(&'a [u8]);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl zbus::wire::Type for Content<'_> {
    const SIGNATURE: &'static Signature = <[u8]>::SIGNATURE;
}

/// Gives a viewer what it wants of the guest's.
async fn fetch_of_guest(proxy: ClipboardProxy<'static>, request: ClipboardRequest) -> Fetched {
    match content_of_guest(&proxy, &request).await {
        Ok(content) => request.answer(content),
        Err(error) => tracing::debug!(error = format!("{error:#}"), "QEMU gives no content of the guest's"),
    }
    Fetched::FromGuest
}

/// The bytes stay in the message in which they came.
async fn content_of_guest(proxy: &ClipboardProxy<'_>, request: &ClipboardRequest) -> anyhow::Result<Bytes> {
    let wanted = (number(request.selection), &[request.kind.mime()][..]);
    let body = proxy.inner().call_method("Request", &wanted).await?.body();
    let (mime, content): (&str, &[u8]) = body.deserialize()?;
    ensure!(ClipboardKind::of_mime(mime) == Some(request.kind), "{mime:?} was not asked for");
    let len = content.len();
    Ok(Bytes::from_owner(Tail { body: body.clone(), len }))
}

fn is_carried(content: &[u8]) -> bool {
    let fits = content.len() <= CARRIED_MOST;
    if !fits {
        tracing::warn!(bytes = content.len(), most = CARRIED_MOST, "a viewer's clipboard is too large for D-Bus");
    }
    fits
}

fn number(selection: Selection) -> u32 {
    selection as u32
}

fn selection_of(number: zbus::Result<u32>) -> anyhow::Result<(u32, Selection)> {
    let number = number?;
    let selection = usize::try_from(number).ok().and_then(|at| SELECTIONS.get(at).copied());
    Ok((number, selection.with_context(|| format!("the selection {number}"))?))
}
