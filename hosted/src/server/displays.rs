//! [`Displays`]: the displays there are; a source makes and ends them while the server runs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::{Config, DmabufMemory};
use crate::ledger::{Count, Ledger, Step};
use crate::scene::{Scene, SceneHost};
use crate::source::{Identity, Leds};
use crate::video::{Bell, Encoders, Hub};

/// All displays, and what belongs to none: the keyboard's lights, the kind of mouse, who it is.
pub(crate) struct Displays {
    config: Config,
    epoch: Instant,
    host: SceneHost,
    encoders: Rc<Encoders>,
    ledger: Arc<Ledger>,
    /// Rings when an encoder of any display is done.
    encoded: Bell,
    displays: RefCell<BTreeMap<u8, Rc<Display>>>,
    leds: Cell<Leds>,
    leds_bells: RefCell<Vec<Weak<Notify>>>,
    absolute: Cell<bool>,
    identity: RefCell<Identity>,
}

/// One display.
pub(crate) struct Display {
    pub(crate) scene: Rc<Scene>,
    pub(crate) video: Rc<Hub>,
}

impl Displays {
    /// None yet. The protocol's clock counts from `epoch`.
    pub(crate) fn new(config: &Config, epoch: Instant) -> Self {
        let ledger = Arc::new(Ledger::new(config.stats || config.metrics.is_some() || config.control.is_some()));
        Self {
            config: config.clone(),
            epoch,
            host: SceneHost::default(),
            encoders: Rc::new(Encoders::find(config, Arc::clone(&ledger))),
            ledger,
            encoded: Bell::default(),
            displays: RefCell::default(),
            leds: Cell::default(),
            leds_bells: RefCell::default(),
            absolute: Cell::new(true),
            identity: RefCell::default(),
        }
    }

    /// What the source gets.
    pub(crate) fn host(&self) -> &SceneHost {
        &self.host
    }

    /// Where all is counted.
    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The display of this number.
    pub(crate) fn get(&self, id: u8) -> Option<Rc<Display>> {
        self.displays.borrow().get(&id).cloned()
    }

    /// Their numbers, in order.
    pub(crate) fn numbers(&self) -> Vec<u8> {
        self.displays.borrow().keys().copied().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.displays.borrow().len()
    }

    /// The first one that shows something.
    pub(crate) fn first_shown(&self) -> Option<Rc<Scene>> {
        self.displays.borrow().values().map(|display| &display.scene).find(|scene| scene.is_shown()).cloned()
    }

    /// The keyboard's lights as they are now.
    pub(crate) fn leds(&self) -> Leds {
        self.leds.get()
    }

    /// Whether the source takes positions.
    pub(crate) fn absolute(&self) -> bool {
        self.absolute.get()
    }

    /// Who the source is; what the operator said goes before.
    pub(crate) fn identity(&self) -> Identity {
        let source = self.identity.borrow().clone();
        Identity { name: self.config.name.clone().or(source.name), uuid: self.config.uuid.or(source.uuid) }
    }

    /// `bell` rings whenever the lights change, as long as somebody keeps it.
    pub(crate) fn watch_leds(&self, bell: &Rc<Notify>) {
        self.leds_bells.borrow_mut().push(Rc::downgrade(bell));
    }

    /// Waits until there is something to take.
    pub(crate) async fn mail(&self) {
        self.host.mail().await;
    }

    /// Takes in what the source said, and decides which areas are video; answers whether main
    /// channels have something to tell.
    pub(crate) fn take_mail(&self) -> bool {
        let news = self.host.take();
        if let Some(leds) = news.leds {
            self.leds.set(leds);
            ring(&mut self.leds_bells.borrow_mut());
        }
        let mut displays = self.displays.borrow_mut();
        // The gone ones first: one that was opened since may have the same number.
        let before = displays.len();
        displays.retain(|_, display| {
            let gone = display.scene.source_is_gone();
            if gone {
                display.scene.end();
            }
            !gone
        });
        let mut changed = displays.len() != before || !news.opened.is_empty();
        changed |= news.absolute.is_some_and(|absolute| self.absolute.replace(absolute) != absolute);
        changed |= news.identity.is_some_and(|identity| self.identity.replace(identity.clone()) != identity);
        let pass_memfds = self.config.dmabuf == Some(DmabufMemory::Memfd);
        for (number, mailbox) in news.opened {
            let video = Hub::new(&self.config, Rc::clone(&self.encoders), self.epoch, self.encoded.clone());
            displays
                .insert(number, Rc::new(Display { scene: Scene::new(mailbox, pass_memfds), video: Rc::new(video) }));
        }
        displays.values().for_each(|display| display.take_mail(&self.ledger));
        changed
    }

    /// Waits until an encoder is done.
    pub(crate) async fn encoded(&self) {
        self.encoded.rang().await;
    }

    /// Hands out what encoders made.
    pub(crate) fn collect(&self) {
        for display in self.displays.borrow().values().filter(|display| display.video.collect()) {
            display.scene.ring_viewers();
        }
    }

    /// Who encodes video here.
    pub(crate) fn encoders(&self) -> &Encoders {
        &self.encoders
    }

    /// Ends all displays: their channels close, and all draws are done.
    pub(crate) fn end(&self) {
        self.displays.borrow().values().for_each(|display| display.scene.end());
    }

    /// Ends all video and waits, not longer than `most`, until encoders have let go of their frames.
    pub(crate) async fn end_video(&self, most: Duration) {
        self.displays.borrow().values().for_each(|display| display.video.end());
        let ended = async {
            while self.encoded.threads() > 0 {
                self.encoded.rang().await;
            }
        };
        if tokio::time::timeout(most, ended).await.is_err() {
            tracing::warn!(threads = self.encoded.threads(), "encoders do not end");
        }
    }

    /// When [`Self::on_time`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.displays.borrow().values().filter_map(|display| display.video.deadline()).min()
    }

    /// A deadline may have passed.
    pub(crate) fn on_time(&self) {
        for display in self.displays.borrow().values().filter(|display| display.video.on_time()) {
            display.scene.ring_viewers();
        }
    }
}

impl Display {
    fn take_mail(&self, ledger: &Ledger) {
        let taken = std::time::Instant::now();
        let video: Vec<_> = self.video.streams().iter().map(|stream| stream.rect).collect();
        let news = self.scene.take_mail(&video);
        let scanout = self.scene.scanout();
        let mut changed = false;
        if news.scanout {
            changed |= self.video.on_scanout(scanout.as_ref().map(|scanout| &scanout.dmabuf));
        }
        if let Some(draw) = &news.draw {
            self.video.on_draw(draw);
        }
        if let Some(frame) = self.scene.frame().filter(|_| scanout.is_none() && !news.damage.is_empty()) {
            changed |= self.video.on_frame(&frame, &news.damage, news.moved);
        }
        if changed {
            self.scene.ring_viewers();
        }
        if let Some(published) = news.published {
            ledger.add(Count::Published, 1 + news.overtaken);
            ledger.add(Count::Dropped, news.overtaken);
            ledger.note(Step::Take, taken.saturating_duration_since(published));
            ledger.note(Step::Plan, taken.elapsed());
        }
    }
}

/// Rings all bells, and forgets those that nobody keeps.
fn ring(bells: &mut Vec<Weak<Notify>>) {
    bells.retain(|bell| match bell.upgrade() {
        Some(bell) => {
            bell.notify_one();
            true
        }
        None => false,
    });
}

#[cfg(test)]
mod tests {
    use sumac_backends::{Frame, Layout};

    use super::*;
    use crate::source::{Host, Rect};

    fn displays() -> Displays {
        Displays::new(&Config::default(), Instant::now())
    }

    fn frame() -> Frame {
        Frame::from_memory(Layout { width: 8, height: 8, stride: 32 }, vec![7; 256]).unwrap()
    }

    #[tokio::test]
    async fn displays_come_and_go_with_their_stages() {
        let displays = displays();
        assert!(!displays.take_mail());
        let first = displays.host().display(0).unwrap();
        let mut second = displays.host().display(2).unwrap();
        assert!(displays.host().display(2).is_none(), "a number is given once");
        displays.mail().await;
        assert!(displays.take_mail());
        assert_eq!((displays.numbers(), displays.count()), (vec![0, 2], 2));
        assert!(displays.first_shown().is_none());
        second.publish(frame(), &[Rect { x: 0, y: 0, width: 8, height: 8 }]);
        assert!(!displays.take_mail());
        let shown = displays.first_shown().unwrap();
        assert!(Rc::ptr_eq(&shown, &displays.get(2).unwrap().scene) && shown.check().is_ok());
        drop(first);
        assert!(displays.take_mail());
        assert_eq!(displays.numbers(), [2]);
        // Gone and there again before anybody looked: another one.
        drop(second);
        let _again = displays.host().display(2).unwrap();
        assert!(displays.take_mail());
        assert!(shown.check().is_err(), "its channels close");
        assert_eq!(displays.numbers(), [2]);
        assert!(!displays.get(2).unwrap().scene.is_shown());
    }

    #[tokio::test]
    async fn lights_belong_to_no_display() {
        let displays = displays();
        let bell = Rc::new(Notify::new());
        displays.watch_leds(&bell);
        displays.host().leds(Leds { caps: true, ..Leds::default() });
        assert!(!displays.take_mail());
        bell.notified().await;
        assert!(displays.leds().caps);
        drop(bell);
        displays.host().leds(Leds::default());
        displays.take_mail();
        assert!(displays.leds_bells.borrow().is_empty());
    }
}
