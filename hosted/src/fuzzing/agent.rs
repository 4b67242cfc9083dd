//! [`Agents`]: viewers' agent streams, with the guest's own agent or with what stands in for it.

use std::rc::Rc;

use tokio::sync::Notify;

use crate::agent::{Board, Clipboard, Filter, Relay};
use crate::devices::{DeviceHub, Devices};
use crate::viewer::{Agent, Guest};

/// The streams of any number of viewers.
pub struct Agents {
    clipboard: Clipboard,
    board: Board,
    devices: DeviceHub,
    relay: Relay,
    viewers: Vec<Agent>,
}

impl Agents {
    /// The guest opens its agent's port among these devices, if it has one; the operator lets copying
    /// and pasting through, and files, or does not.
    pub fn new(devices: &Devices, copy_paste: bool, file_transfer: bool) -> Self {
        let clipboard = Clipboard::default();
        let board = Board::new(clipboard.clone(), copy_paste);
        let relay = Relay::new(Filter { copy_paste, file_transfer });
        Self { clipboard, board, devices: DeviceHub::new(devices.clone()), relay, viewers: Vec::new() }
    }

    /// Where a guest without an agent takes part in the clipboard.
    pub fn clipboard(&self) -> &Clipboard {
        &self.clipboard
    }

    /// One more viewer; the first is 0.
    pub fn come(&mut self) {
        let guest = Guest { board: &self.board, relay: &self.relay };
        self.viewers.push(Agent::new(guest, Rc::new(Notify::new())));
    }

    /// A viewer's client opens its stream.
    pub fn start(&mut self, viewer: usize) {
        let guest = Guest { board: &self.board, relay: &self.relay };
        if let Some(agent) = self.viewers.get_mut(viewer) {
            agent.start(guest);
        }
    }

    /// It closes its stream.
    pub fn leave(&mut self, viewer: usize) {
        let guest = Guest { board: &self.board, relay: &self.relay };
        if let Some(agent) = self.viewers.get_mut(viewer) {
            agent.leave(guest);
        }
    }

    /// Takes in what the guest did; answers for each viewer whether its client has to open its stream
    /// anew.
    pub fn look(&mut self) -> Vec<bool> {
        self.devices.take_mail();
        self.board.take_mail();
        self.relay.take_mail(&self.devices);
        let guest = Guest { board: &self.board, relay: &self.relay };
        self.viewers.iter_mut().map(|agent| agent.follow(guest)).collect()
    }

    /// A viewer's client says a chunk; `Err` closes its channel.
    pub fn hear(&mut self, viewer: usize, chunk: &[u8]) -> Result<(), String> {
        let guest = Guest { board: &self.board, relay: &self.relay };
        let Some(agent) = self.viewers.get_mut(viewer) else { return Ok(()) };
        agent.on_chunk(guest, chunk).map(drop).map_err(|error| error.to_string())
    }

    /// The next chunk for a viewer's client.
    pub fn next_chunk(&mut self, viewer: usize) -> Option<Vec<u8>> {
        let guest = Guest { board: &self.board, relay: &self.relay };
        self.viewers.get_mut(viewer)?.next_chunk(guest).map(|chunk| chunk.concat())
    }

    /// Tokens that a viewer's client gets back.
    pub fn tokens(&mut self, viewer: usize) -> u32 {
        self.viewers.get_mut(viewer).and_then(Agent::tokens).unwrap_or(0)
    }
}
