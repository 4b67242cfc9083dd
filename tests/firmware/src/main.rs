//! The image: SPICE on bare metal.
//!
//! Main, display and inputs are served on UARTs 0 to 2 of an MPS2 board (AN386, Cortex-M4F), each
//! wired to a socket by QEMU. It polls, since it is a proof and not a product.
#![no_std]
#![no_main]

mod session;
mod sys;
mod uart;

use core::panic::PanicInfo;

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use session::{INBOX, OUT, PORTS, Server};
use sumac_core::channel::display::DisplayServer;
use sumac_core::channel::inputs::InputsServer;
use sumac_core::channel::main::MainServer;
use sumac_core::io::Wire;
use sumac_core::link::ServerLink;
use sumac_core::time::Millis;
use uart::Uart;

#[entry]
fn main() -> ! {
    hprintln!("ram link={} main={}", size_of::<ServerLink>(), size_of::<MainServer>());
    hprintln!("ram display={} inputs={}", size_of::<DisplayServer<0>>(), size_of::<InputsServer>());
    hprintln!("ram inbox={} out={} connection={}", INBOX, OUT, session::bytes_per_connection::<Uart>());
    let (mut inboxes, mut outs) = ([[0; INBOX]; PORTS], [[0; OUT]; PORTS]);
    let [i0, i1, i2] = &mut inboxes;
    let [o0, o1, o2] = &mut outs;
    let wires = [Wire::new(Uart::new(0), i0, o0), Wire::new(Uart::new(1), i1, o1), Wire::new(Uart::new(2), i2, o2)];
    let mut server = Server::new(wires, now());
    hprintln!("ready");
    loop {
        match server.step(now()) {
            Ok(true) => {}
            Ok(false) => {
                hprintln!("goodbye");
                exit(debug::EXIT_SUCCESS);
            }
            Err(e) => {
                hprintln!("failed: {}", e);
                exit(debug::EXIT_FAILURE);
            }
        }
    }
}

fn now() -> Millis {
    Millis(u64::from(sys::CLK100HZ.read()) * 10)
}

fn exit(status: debug::ExitStatus) -> ! {
    debug::exit(status);
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    exit(debug::EXIT_FAILURE)
}
