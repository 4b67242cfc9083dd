//! The acknowledgement window of the sending side.

/// Counts messages that the peer has not acknowledged.
///
/// The window opens with SET_ACK, which counts itself. Acknowledgements count from the moment the
/// peer has echoed the generation in force.
#[derive(Clone, Debug)]
pub(super) struct AckWindow {
    /// Messages from one ACK to the next; 0 while no window is open.
    window: u32,
    generation: u32,
    synced: bool,
    unacknowledged: u32,
}

impl AckWindow {
    /// No window: nothing holds.
    pub(super) const CLOSED: Self = Self { window: 0, generation: 0, synced: false, unacknowledged: 0 };

    /// Opens a window; answers its generation.
    pub(super) fn open(&mut self, window: u32) -> u32 {
        self.window = window;
        self.generation = self.generation.wrapping_add(1);
        self.synced = false;
        self.unacknowledged = 0;
        self.generation
    }

    /// Whether another message may be sent.
    pub(super) fn may_send(&self) -> bool {
        self.window == 0 || self.unacknowledged <= self.window.saturating_mul(2)
    }

    pub(super) fn sent(&mut self) {
        if self.window != 0 {
            self.unacknowledged = self.unacknowledged.saturating_add(1);
        }
    }

    pub(super) fn on_sync(&mut self, generation: u32) {
        self.synced = generation == self.generation;
    }

    pub(super) fn on_ack(&mut self) {
        if self.synced {
            self.unacknowledged = self.unacknowledged.saturating_sub(self.window);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AckWindow;

    fn full(window: u32) -> AckWindow {
        let mut ack = AckWindow::CLOSED;
        ack.open(window);
        while ack.may_send() {
            ack.sent();
        }
        ack
    }

    #[test]
    fn without_a_window_nothing_holds() {
        let mut ack = AckWindow::CLOSED;
        (0..1000).for_each(|_| ack.sent());
        assert!(ack.may_send());
    }

    #[test]
    fn it_holds_beyond_twice_the_window_and_an_ack_lets_go() {
        let mut ack = full(20);
        assert_eq!(ack.unacknowledged, 41);
        ack.on_sync(1);
        ack.on_ack();
        assert!(ack.may_send());
        assert_eq!(ack.unacknowledged, 21);
    }

    #[test]
    fn acks_of_another_generation_do_not_count_and_none_goes_below_zero() {
        let mut ack = full(20);
        ack.on_ack();
        ack.on_sync(7);
        ack.on_ack();
        assert!(!ack.may_send());
        ack.on_sync(1);
        (0..10).for_each(|_| ack.on_ack());
        assert_eq!(ack.unacknowledged, 0);
    }
}
