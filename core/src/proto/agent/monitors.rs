//! Monitors: those a client wishes for, and those the guest is told about.

use crate::limits;
use crate::wire::{
    Counted, DecodeError, EncodeError, Field, FieldForm, Message, Reader, Repeat, Sample, SampleItems, Sampler, Writer,
    read_records,
};

flags! {
    /// What a [`MonitorsConfig`] says.
    pub struct MonitorsFlags: u32 {
        /// The positions count.
        const USE_POS = 1;
        /// Physical sizes follow. Written as the message has it.
        const PHYSICAL_SIZE = 2;
    }
}

record! {
    /// VDAgentMonConfig: a monitor; disabled when its size is 0.
    pub struct Monitor {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
        /// Bits of a pixel.
        depth: u32,
        /// First column.
        x: i32,
        /// First row.
        y: i32,
    }
}

record! {
    /// VDAgentMonitorMM: a monitor's size in the world, in millimetres.
    pub struct MonitorSize {
        /// From top to bottom.
        height: u16,
        /// From left to right.
        width: u16,
    }
}

/// VD_AGENT_MONITORS_CONFIG, client to agent or server: the monitors a client wishes for.
///
/// Message number 2. Written by hand because another field stands between its count and its
/// monitors, and the sizes are there only with their flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonitorsConfig<'a> {
    /// What it says; PHYSICAL_SIZE is written as `sizes` has it.
    pub flags: MonitorsFlags,
    /// The monitors.
    pub monitors: &'a [Monitor],
    /// Their sizes in the world: as many, or not known.
    pub sizes: Option<&'a [MonitorSize]>,
}

impl<'a> Field<'a> for MonitorsConfig<'a> {
    const WIRE: &'static str = "MonitorsConfig";
    const MIN: usize = 8;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = u32::read(r).map_err(|e| e.at("MonitorsConfig.count"))?;
        let flags = MonitorsFlags::read(r).map_err(|e| e.at("MonitorsConfig.flags"))?;
        let monitors = read_records(r, count, limits::AGENT_MONITORS).map_err(|e| e.at("MonitorsConfig.monitors"))?;
        let sizes = if flags.contains(MonitorsFlags::PHYSICAL_SIZE) {
            Some(read_records(r, count, limits::AGENT_MONITORS).map_err(|e| e.at("MonitorsConfig.sizes"))?)
        } else {
            None
        };
        Ok(Self { flags, monitors, sizes })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let count = self.monitors.len();
        if count > limits::AGENT_MONITORS {
            return Err(EncodeError::Count { count });
        }
        let sizes = self.sizes.unwrap_or_default();
        if self.sizes.is_some() && sizes.len() != count {
            return Err(EncodeError::Count { count: sizes.len() });
        }
        let mut flags = self.flags;
        flags.set(MonitorsFlags::PHYSICAL_SIZE, self.sizes.is_some());
        u32::try_from(count).map_err(|_| EncodeError::Count { count })?.write(w)?;
        flags.write(w)?;
        w.put(zerocopy::IntoBytes::as_bytes(self.monitors))?;
        w.put(zerocopy::IntoBytes::as_bytes(sizes))
    }

    fn inline_size(&self) -> usize {
        let sizes = self.sizes.unwrap_or_default();
        Self::MIN.saturating_add(size_of_val(self.monitors)).saturating_add(size_of_val(sizes))
    }
}

impl<'a> Message<'a> for MonitorsConfig<'a> {
    const ID: u16 = 2;
    const NAME: &'static str = "MonitorsConfig";
    const FORM: &'static [FieldForm] = &[
        FieldForm::words("count", "u32, at most 256", 4),
        FieldForm::of::<MonitorsFlags>("flags"),
        FieldForm::words("monitors", "count Monitor", 0),
        FieldForm::words("sizes", "with PHYSICAL_SIZE: count MonitorSize", 0),
    ];
}

impl Sample for MonitorsConfig<'static> {
    fn sample(s: &mut Sampler) -> Self {
        let monitors = s.records(limits::AGENT_MONITORS);
        const SIZES: &[MonitorSize] = &[MonitorSize::new(300, 500); 4];
        let sizes = if s.below(2) == 0 { SIZES.get(..monitors.len()) } else { None };
        let mut flags = MonitorsFlags::sample(s);
        flags.set(MonitorsFlags::PHYSICAL_SIZE, sizes.is_some());
        Self { flags, monitors, sizes }
    }
}

fields! {
    /// VDAgentDeviceDisplayInfo: a monitor of a display channel, and what it is to the guest.
    pub struct DeviceDisplay<'a> {
        /// The display channel.
        channel_id: u32,
        /// The monitor on it.
        monitor_id: u32,
        /// The display among those of the graphics device.
        device_display_id: u32,
        /// The graphics device, such as `pci/0000/02.0`, and a NUL.
        device_address: Counted<'a, u32, u8, { limits::DEVICE_ADDRESS }>,
    }
}

message! {
    /// VD_AGENT_GRAPHICS_DEVICE_INFO, server to agent.
    16 pub struct GraphicsDeviceInfo<'a> {
        /// The monitors.
        displays: Repeat<'a, u32, DeviceDisplay<'a>, { limits::GRAPHICS_DEVICES }>,
    }
}

impl SampleItems for DeviceDisplay<'static> {
    const ITEMS: &'static [Self] = &[
        DeviceDisplay {
            channel_id: 0,
            monitor_id: 0,
            device_display_id: 0,
            device_address: Counted::new(b"pci/0000/02.0\0"),
        },
        DeviceDisplay { channel_id: 1, monitor_id: 2, device_display_id: 3, device_address: Counted::new(b"\0") },
    ];
}
