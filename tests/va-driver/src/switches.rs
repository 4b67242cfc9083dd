//! What the environment says that the device is like.
use crate::bindings as va;

/// `SUMAC_VA`.
#[derive(Default)]
pub(crate) struct Switches {
    pub(crate) no_lp: bool,
    pub(crate) no_vpp: bool,
    pub(crate) no_packed: bool,
    /// The rate controls that it has, where they are fewer.
    pub(crate) rates: Option<u32>,
    pub(crate) no_sync_buffer: bool,
    pub(crate) slow: bool,
    pub(crate) null: bool,
    pub(crate) fail: Option<u64>,
    pub(crate) lost: Option<u64>,
}

impl Switches {
    pub(crate) fn from_environment() -> Self {
        let mut new = Self::default();
        for word in std::env::var("SUMAC_VA").unwrap_or_default().split(',') {
            match word.split_once('=').unwrap_or((word, "")) {
                ("no-lp", _) => new.no_lp = true,
                ("no-vpp", _) => new.no_vpp = true,
                ("no-packed", _) => new.no_packed = true,
                ("cqp", _) => new.rates = Some(va::VA_RC_CQP),
                ("cbr", _) => new.rates = Some(va::VA_RC_CBR),
                ("vbr", _) => new.rates = Some(va::VA_RC_VBR),
                ("qvbr", _) => new.rates = Some(va::VA_RC_QVBR),
                ("no-sync-buffer", _) => new.no_sync_buffer = true,
                ("slow", _) => new.slow = true,
                ("null", _) => new.null = true,
                ("fail", number) => new.fail = number.parse().ok(),
                ("lost", number) => new.lost = number.parse().ok(),
                _ => {}
            }
        }
        new
    }
}
