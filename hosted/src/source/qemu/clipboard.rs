//! [`GuestSide`]: QEMU's clipboard, which its own agent shares with the guest's.
//!
//! Both ends own the same interface and call each other. QEMU stands still while it waits for
//! content of ours, so a viewer's text is fetched when it is copied: QEMU hears of it when it is
//! here, and its question is answered at once. QEMU knows text only.

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use zbus::message::Type;
use zbus::proxy::CacheProperties;
use zbus::{Connection, MatchRule, MessageStream};

use super::calls::{Call, Calls};
use super::interfaces::{CLIPBOARD, ClipboardProxy};
use crate::agent::{Clipboard, ClipboardEvent, ClipboardKind, ClipboardRequest, GuestClipboard, Selection};

/// In the order of QEMU's numbers.
const SELECTIONS: [Selection; 3] = [Selection::Clipboard, Selection::Primary, Selection::Secondary];

/// QEMU's clipboard as the guest's end of the viewers'.
pub(super) struct GuestSide {
    proxy: ClipboardProxy<'static>,
    calls: Calls,
    guest: Rc<GuestClipboard>,
    /// What viewers copied, by QEMU's numbers, fetched.
    content: HashMap<u32, Bytes>,
    /// Counts what was copied of each, so that what was fetched too late is known.
    copies: HashMap<u32, u64>,
    /// The number that orders grabs of both sides: QEMU's last.
    serial: u32,
    /// Content that is under way, either way.
    fetches: FuturesUnordered<LocalBoxFuture<'static, Fetched>>,
}

/// What a fetch came to.
enum Fetched {
    /// Text of a viewer's, copied as the nth, for the selection of this number.
    FromViewer(u32, u64, Option<Bytes>),
    /// The viewer was given it, or not.
    FromGuest,
}

impl GuestSide {
    /// Takes part in QEMU's clipboard.
    pub(super) async fn register(connection: &Connection, clipboard: &Clipboard) -> anyhow::Result<Self> {
        let rule = MatchRule::builder().msg_type(Type::MethodCall).build()?;
        let mut calls = Calls::of(MessageStream::for_match_rule(rule, connection, None).await?);
        let proxy = ClipboardProxy::builder(connection).cache_properties(CacheProperties::No).build().await?;
        calls.during(&[], proxy.register()).await.context("registering for the clipboard")?;
        let guest = Rc::new(clipboard.open());
        let (content, fetches) = (HashMap::new(), FuturesUnordered::new());
        Ok(Self { proxy, calls, guest, content, copies: HashMap::new(), serial: 0, fetches })
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
                if kinds.contains(&ClipboardKind::Text) {
                    let guest = Rc::clone(&self.guest);
                    let fetch = async move {
                        Fetched::FromViewer(number, copies, guest.request(selection, ClipboardKind::Text).await)
                    };
                    self.fetches.push(fetch.boxed_local());
                }
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
    fn forget(&mut self, number: u32) -> (u64, Option<Bytes>) {
        let copies = self.copies.entry(number).or_default();
        *copies += 1;
        (*copies, self.content.remove(&number))
    }

    async fn fetched(&mut self, fetched: Fetched) -> zbus::Result<()> {
        match fetched {
            Fetched::FromViewer(number, copies, Some(text)) if self.copies.get(&number) == Some(&copies) => {
                self.content.insert(number, text);
                self.proxy.grab(number, self.serial, &[ClipboardKind::Text.mime()]).await
            }
            Fetched::FromViewer(..) | Fetched::FromGuest => Ok(()),
        }
    }

    async fn answer(&mut self, call: &Call) -> zbus::Result<()> {
        let (interface, member) = call.name();
        tracing::trace!(interface, member, "QEMU calls");
        if interface != CLIPBOARD {
            return if call.answer_question(&[]).await? { Ok(()) } else { call.is_unknown().await };
        }
        let done = match member.as_str() {
            "Request" => match self.requested(call) {
                Ok(text) => return call.answer(&(ClipboardKind::Text.mime(), &text[..])).await,
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

    /// QEMU wants what a viewer copied.
    fn requested(&self, call: &Call) -> anyhow::Result<Bytes> {
        let body = call.message().body();
        let (number, mimes): (u32, Vec<&str>) = body.deserialize()?;
        let text = mimes.iter().any(|mime| ClipboardKind::of_mime(mime) == Some(ClipboardKind::Text));
        ensure!(text, "content of the kinds {mimes:?}");
        self.content.get(&number).cloned().with_context(|| format!("no viewer has content for selection {number}"))
    }

    /// The guest copied something.
    fn grabbed(&mut self, call: &Call) -> anyhow::Result<()> {
        let body = call.message().body();
        let (number, serial, mimes): (u32, u32, Vec<&str>) = body.deserialize()?;
        let (number, selection) = selection_of(Ok(number))?;
        let mut kinds: Vec<_> = mimes.iter().filter_map(|mime| ClipboardKind::of_mime(mime)).collect();
        kinds.dedup();
        self.serial = serial;
        self.forget(number);
        self.guest.grab(selection, &kinds);
        Ok(())
    }
}

/// Gives a viewer what it wants of the guest's.
async fn fetch_of_guest(proxy: ClipboardProxy<'static>, request: ClipboardRequest) -> Fetched {
    match proxy.request(number(request.selection), &[request.kind.mime()]).await {
        Ok((_, content)) => request.answer(content),
        Err(error) => tracing::debug!(%error, "QEMU gives no content of the guest's"),
    }
    Fetched::FromGuest
}

fn number(selection: Selection) -> u32 {
    selection as u32
}

fn selection_of(number: zbus::Result<u32>) -> anyhow::Result<(u32, Selection)> {
    let number = number?;
    let selection = usize::try_from(number).ok().and_then(|at| SELECTIONS.get(at).copied());
    Ok((number, selection.with_context(|| format!("the selection {number}"))?))
}
