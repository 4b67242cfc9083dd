//! A scripted viewer of the firmware's session, in core's client role: links main, display and
//! inputs, waits for the picture, presses a key, waits for its tile, says goodbye.

use embedded_io::{Read, ReadReady, Write};
use sumac_core::channel::client::{ClientChannel, Dialect, Display, Inputs, Main};
use sumac_core::io::{Error, Line, Turn, Wire, blocking};
use sumac_core::link::{ClientConfig, ClientLink, ClientQuestion};
use sumac_core::proto::caps::{InputsCaps, MainCaps};
use sumac_core::proto::common::{ChannelType, ClientMessage as CommonMessage, Disconnecting, LinkError};
use sumac_core::proto::display::{self, ClientMessage as DisplayMessage, ServerMessage as DisplaySays};
use sumac_core::proto::draw::DrawCopy;
use sumac_core::proto::inputs::{ClientMessage as InputsMessage, KeyDown, KeyUp, ServerMessage as InputsSays};
use sumac_core::proto::main::{ClientMessage as MainMessage, ServerMessage as MainSays};
use sumac_core::proto::picture::ImageBody;
use sumac_core::time::Millis;

use crate::session::{HEIGHT, TILE, WIDTH};

/// Bytes of inbox that the display's wire needs: the picture and its head.
pub(crate) const INBOX: usize = 16 * 1024;
/// Bytes of memory for what a wire sends.
pub(crate) const OUT: usize = 256;
/// The A key.
const KEY: u8 = 0x1e;
const ROW: usize = WIDTH as usize * 4;

/// What the viewer sees.
pub(crate) type Canvas = [[u8; ROW]; HEIGHT as usize];

/// The viewer.
pub(crate) struct Peer<'b, S> {
    main: Port<'b, S, Main>,
    display: Port<'b, S, Display>,
    inputs: Port<'b, S, Inputs>,
    canvas: Canvas,
    marked: bool,
    inputs_ready: bool,
    pressed: bool,
}

struct Port<'b, S, D> {
    wire: Wire<'b, S>,
    state: State<D>,
}

enum State<D> {
    Idle,
    Linking(ClientLink),
    Open(Line<ClientChannel<D>>),
}

/// What a turn of a port came to.
enum Came<T> {
    Opened,
    Event(T),
    Nothing,
}

impl<'b, S: Read + ReadReady + Write> Peer<'b, S> {
    /// For wires to main, display and inputs.
    pub(crate) fn new([main, display, inputs]: [Wire<'b, S>; 3], now: Millis) -> Self {
        let mut main = Port { wire: main, state: State::Idle };
        let caps = MainCaps::AGENT_CONNECTED_TOKENS.bits();
        main.link(ClientConfig::new(0, ChannelType::MAIN, 0, caps), now);
        Self {
            main,
            display: Port { wire: display, state: State::Idle },
            inputs: Port { wire: inputs, state: State::Idle },
            canvas: [[0; ROW]; HEIGHT as usize],
            marked: false,
            inputs_ready: false,
            pressed: false,
        }
    }

    /// Takes a turn on every port; `false` once it has said goodbye.
    pub(crate) fn step(&mut self, now: Millis) -> Result<bool, Error<S::Error>> {
        let session = self.main.step(now, |message| match message {
            MainSays::Init(m) => Some(m.session_id),
            _ => None,
        })?;
        if let Came::Event(Some(id)) = session {
            self.display.link(ClientConfig::new(id, ChannelType::DISPLAY, 0, 0), now);
            self.inputs.link(ClientConfig::new(id, ChannelType::INPUTS, 0, InputsCaps::KEY_SCANCODE.bits()), now);
        }
        let (canvas, marked) = (&mut self.canvas, &mut self.marked);
        let came = self.display.step(now, |message| match message {
            DisplaySays::DrawCopy(m) => paint(canvas, &m),
            DisplaySays::Mark(_) => *marked = true,
            _ => {}
        })?;
        if let Came::Opened = came {
            let init = display::Init {
                pixmap_cache_id: 1,
                pixmap_cache_size: 0,
                glz_dictionary_id: 1,
                glz_dictionary_window_size: 0,
            };
            self.display.say(now, &DisplayMessage::Init(init))?;
        }
        if let Came::Event(true) = self.inputs.step(now, |message| matches!(message, InputsSays::Init(_)))? {
            self.inputs_ready = true;
        }
        if !self.pressed && self.inputs_ready && self.marked && self.canvas == expected(None) {
            self.inputs.say(now, &InputsMessage::KeyDown(KeyDown { code: KEY.into() }))?;
            self.inputs.say(now, &InputsMessage::KeyUp(KeyUp { code: u32::from(KEY) | 0x80 }))?;
            self.pressed = true;
        }
        if self.canvas != expected(Some(KEY)) {
            return Ok(true);
        }
        let goodbye = Disconnecting { time_stamp: now.0, reason: LinkError::OK };
        self.main.say(now, &MainMessage::Common(CommonMessage::Disconnecting(goodbye)))?;
        Ok(false)
    }

    /// What it saw, for when the script does not come to its end.
    pub(crate) fn progress(&self) -> (bool, bool, bool) {
        (self.marked, self.inputs_ready, self.pressed)
    }
}

impl<S: Read + ReadReady + Write, D: Dialect> Port<'_, S, D> {
    fn link(&mut self, config: ClientConfig, now: Millis) {
        self.state = State::Linking(ClientLink::new(now, config));
    }

    fn step<T>(&mut self, now: Millis, on_event: impl FnOnce(D::Server<'_>) -> T) -> Result<Came<T>, Error<S::Error>> {
        match &mut self.state {
            State::Idle => {}
            State::Linking(link) => {
                let answer = |link: &mut ClientLink, _: ClientQuestion<'_>, out: &mut [u8]| link.ticket(&[0; 128], out);
                if let Turn::Got(opened) = blocking::link(&mut self.wire, link, now, answer)? {
                    let machine = ClientChannel::new(opened.negotiated, INBOX);
                    self.state = State::Open(Line::new(&opened, machine, &self.wire));
                    return Ok(Came::Opened);
                }
            }
            State::Open(line) => {
                if let Turn::Got(event) = blocking::turn(&mut self.wire, line, now, on_event)? {
                    return Ok(Came::Event(event));
                }
            }
        }
        Ok(Came::Nothing)
    }

    fn say(&mut self, now: Millis, message: &D::Client<'_>) -> Result<(), Error<S::Error>> {
        match &mut self.state {
            State::Open(line) => blocking::say(&mut self.wire, line, now, message, &[]),
            State::Idle | State::Linking(_) => panic!("the channel is not open"),
        }
    }
}

fn paint(canvas: &mut Canvas, message: &DrawCopy<'_>) {
    let Some(image) = message.src.0 else { panic!("a picture has a source") };
    let ImageBody::Bitmap(bitmap) = image.body else { panic!("{:?} is not what was sent", image.body) };
    let area = &message.base.area;
    let rows = area.top() as usize..area.bottom() as usize;
    let bytes = area.left() as usize * 4..area.right() as usize * 4;
    for (row, pixels) in rows.zip(bitmap.data.bytes().chunks_exact(bitmap.stride as usize)) {
        canvas[row][bytes.clone()].copy_from_slice(pixels);
    }
}

/// The picture as its description says, with the key's tile.
fn expected(key: Option<u8>) -> Canvas {
    let mut canvas = [[0; ROW]; HEIGHT as usize];
    for (y, row) in canvas.iter_mut().enumerate() {
        for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
            let tile = key.filter(|_| x < TILE as usize && y < TILE as usize);
            pixel.copy_from_slice(&tile.map_or([4 * x as u8, 4 * y as u8, 0x80, 0], |key| [key, 0xff, key, 0]));
        }
    }
    canvas
}
