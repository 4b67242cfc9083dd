//! Registers of the MPS2 board. Nothing else is unsafe in this image.
#![expect(unsafe_code, reason = "device registers are memory that only volatile accesses may touch")]

/// A 32-bit register of a device, at an address that exists.
#[derive(Clone, Copy)]
pub(crate) struct Register(*mut u32);

/// UARTs of the board (CMSDK APB UART), in order.
pub(crate) const UARTS: [usize; 5] = [0x4000_4000, 0x4000_5000, 0x4000_6000, 0x4000_7000, 0x4000_9000];
/// The FPGA's counter of hundredths of a second.
pub(crate) const CLK100HZ: Register = Register(0x4002_8014 as *mut u32);

/// A register of one of [`UARTS`].
#[derive(Clone, Copy)]
pub(crate) enum UartRegister {
    /// The byte received, or to send.
    Data = 0x00,
    /// Bit 0: no room to send. Bit 1: a byte was received.
    State = 0x04,
    /// Bit 0: sends. Bit 1: receives.
    Control = 0x08,
    /// Clock divider, at least 16.
    BaudDivider = 0x10,
}

impl Register {
    /// Of that UART, by its place in [`UARTS`]; the last one for places behind it.
    pub(crate) const fn uart(index: usize, register: UartRegister) -> Self {
        let last = UARTS.len() - 1;
        Self((UARTS[if index < last { index } else { last }] + register as usize) as *mut u32)
    }

    /// Reads it.
    pub(crate) fn read(self) -> u32 {
        // SAFETY: the address comes from the constants above, which are aligned device registers of
        // the board this image is linked for (ARM DAI0386, "Application Note AN386", memory map);
        // any value may be read from them and no Rust object lives there.
        unsafe { self.0.read_volatile() }
    }

    /// Writes it.
    pub(crate) fn write(self, value: u32) {
        // SAFETY: as for `read`; none of these registers makes the device access memory.
        unsafe { self.0.write_volatile(value) }
    }
}
