//! The monitors that a guest wrote into its memory.

use sumac_core::limits;
use sumac_core::proto::display;
use sumac_core::qxl::monitors_config::{HEADER, MonitorsConfig, size};
use sumac_core::wire::{Message, Writer};

use super::input::Input;

/// Input: `u16` monitors of the device, then the snapshot.
pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let device_max = input.u16();
    let snapshot = input.rest();
    let announced = snapshot.first_chunk::<HEADER>().and_then(|header| size(*header).ok());
    let Ok(config) = MonitorsConfig::parse(snapshot, device_max) else { return };
    assert_eq!(announced, Some(snapshot.len()), "the size that is copied is the size that is parsed");
    assert!(config.heads().len() <= usize::from(device_max).min(limits::GUEST_HEADS));
    assert!(config.max_allowed() <= device_max);
    assert!(config.heads().iter().all(|head| head.width() != 0 && head.height() != 0));
    let message = config.message();
    let mut out = [0; 4096];
    let mut w = Writer::new(&mut out);
    assert_eq!(message.encode(&mut w), Ok(()));
    assert_eq!(w.position(), message.size());
    assert_eq!(display::MonitorsConfig::decode(w.written()), Ok((message, 0)));
}
