//! A UART as a stream: polled, one byte deep.

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, ReadReady, Write};

use crate::sys::{Register, UartRegister};

/// One of the board's UARTs.
pub(crate) struct Uart {
    index: usize,
}

const TX_FULL: u32 = 1;
const RX_FULL: u32 = 1 << 1;
const ENABLE: u32 = 0b11;
const FASTEST: u32 = 16;

impl Uart {
    /// Switches it on.
    pub(crate) fn new(index: usize) -> Self {
        let uart = Self { index };
        uart.register(UartRegister::BaudDivider).write(FASTEST);
        uart.register(UartRegister::Control).write(ENABLE);
        uart
    }

    fn register(&self, register: UartRegister) -> Register {
        Register::uart(self.index, register)
    }

    fn state(&self) -> u32 {
        self.register(UartRegister::State).read()
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.state() & RX_FULL != 0)
    }
}

impl Read for Uart {
    fn read(&mut self, room: &mut [u8]) -> Result<usize, Infallible> {
        let Some(byte) = room.first_mut() else { return Ok(0) };
        while self.state() & RX_FULL == 0 {}
        let [low, ..] = self.register(UartRegister::Data).read().to_le_bytes();
        *byte = low;
        Ok(1)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let Some(&byte) = bytes.first() else { return Ok(0) };
        while self.state() & TX_FULL != 0 {}
        self.register(UartRegister::Data).write(byte.into());
        Ok(1)
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
