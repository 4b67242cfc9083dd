//! A server in this process with a guest that a test scripts.

use std::sync::Arc;
use std::sync::Mutex;

use sumac::Embedded;
use sumac::auth::TicketCheck;
use sumac::config::{Config, Listen};
use sumac::source::{Host, Inbox, Source, SourceStats, Stage};
use sumac_backends::{Frame, Layout};

/// The size of the guest's display.
pub(crate) const SIZE: (u32, u32) = (64, 48);

/// A server on a port of the system's choice, open to everybody; `guest` runs on the source's thread.
pub(crate) fn serve(guest: impl FnOnce(&dyn Host, &Inbox) + Send + 'static) -> Embedded {
    let config = Config { listen: Listen { port: Some(0), ..Listen::default() }, ..Config::default() };
    let source = Box::new(Guest(Mutex::new(Box::new(guest))));
    Embedded::start(config, TicketCheck::disabled(), source, Box::new(|_| ())).unwrap()
}

pub(crate) fn uri(server: &Embedded) -> String {
    format!("spice://127.0.0.1:{}", server.addresses()[0].port())
}

/// Display 0 in one colour: blue, green, red.
pub(crate) fn display(host: &dyn Host, [b, g, r]: [u8; 3]) -> Box<dyn Stage> {
    let mut stage = host.display(0).unwrap();
    let (width, height) = SIZE;
    let pixels = [b, g, r, 0].repeat((width * height) as usize);
    let frame = Frame::from_memory(Layout { width, height, stride: width * 4 }, pixels).unwrap();
    stage.publish(frame, &[sumac::source::Rect { x: 0, y: 0, width, height }]);
    stage
}

type Script = Box<dyn FnOnce(&dyn Host, &Inbox) + Send>;

struct Guest(Mutex<Script>);

impl Source for Guest {
    fn stats(&self) -> Arc<SourceStats> {
        Arc::default()
    }

    fn run(self: Box<Self>, host: Arc<dyn Host>, inbox: Inbox) -> anyhow::Result<()> {
        let script = self.0.into_inner().map_err(|_| anyhow::anyhow!("it is called once"))?;
        script(&*host, &inbox);
        Ok(())
    }
}
