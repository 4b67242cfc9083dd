//! [`Wishes`]: what viewers want of displays, at a pace that every source can keep.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::mem::take;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::source::Monitor;

/// Between one wish of which the source hears and the next. A window that is drawn larger says hundreds a second, a
/// hostile viewer more, and a source may paint everything anew for each.
const PAUSE: Duration = Duration::from_millis(50);

/// The newest wish for each display of which the source did not hear yet.
#[derive(Default)]
pub(super) struct Wishes {
    newest: RefCell<BTreeMap<u8, Monitor>>,
    /// Whether a task tells them.
    telling: Cell<bool>,
}

impl Wishes {
    /// A viewer wants a display to be like this. `tell` is called soon, at once if nobody wished anything for a while,
    /// with the newest wish for each display.
    pub(super) fn wish(self: &Rc<Self>, display: u8, monitor: Monitor, tell: impl Fn(u8, Monitor) + 'static) {
        self.newest.borrow_mut().insert(display, monitor);
        if self.telling.replace(true) {
            return;
        }
        let wishes = Rc::clone(self);
        spawn_local(async move {
            loop {
                let newest = take(&mut *wishes.newest.borrow_mut());
                if newest.is_empty() {
                    break;
                }
                newest.into_iter().for_each(|(display, monitor)| tell(display, monitor));
                sleep(PAUSE).await;
            }
            wishes.telling.set(false);
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;
    use tokio::time::Instant;

    use super::*;
    use crate::source::Size;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_wishes_is_a_few_of_them_and_the_last_one() {
        let (wishes, told) = (Rc::new(Wishes::default()), Rc::new(RefCell::new(Vec::new())));
        let wish = |display: u8, width: u32| {
            let told = Rc::clone(&told);
            wishes.wish(display, Monitor::of(Size { width, height: 9 }), move |display, monitor| {
                told.borrow_mut().push((display, monitor.size.width));
            });
        };
        let told_until = async |time: Duration| {
            sleep(time).await;
            take(&mut *told.borrow_mut())
        };
        let flood = async {
            let start = Instant::now();
            wish(0, 1);
            assert_eq!(told_until(Duration::from_millis(1)).await, [(0, 1)], "the first one at once");
            for width in 0..1000 {
                wish(0, width);
                wish(1, width + 1);
                sleep(Duration::from_micros(400)).await;
            }
            assert!(told_until(PAUSE * 2).await.ends_with(&[(0, 999), (1, 1000)]));
            // What nobody changes is not told again, and the task has ended.
            assert_eq!(told_until(PAUSE * 2).await, []);
            assert!(!wishes.telling.get() && start.elapsed() > PAUSE);
        };
        LocalSet::new().run_until(flood).await;
    }

    #[tokio::test(start_paused = true)]
    async fn each_display_is_told_at_most_once_in_a_pause() {
        let (wishes, told) = (Rc::new(Wishes::default()), Rc::new(Cell::new(0)));
        let flood = async {
            for width in 1..=2000 {
                let count = Rc::clone(&told);
                let tell = move |_, _| count.set(count.get() + 1);
                wishes.wish(3, Monitor::of(Size { width, height: 9 }), tell);
                sleep(Duration::from_millis(1)).await;
            }
        };
        LocalSet::new().run_until(flood).await;
        assert!((30..=41).contains(&told.get()), "{} times in 2 s", told.get());
    }
}
