//! Values that options of several headings take.

use sumac::config::ValueError;

pub(super) fn on_off(text: &str) -> Result<bool, ValueError> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(ValueError::Invalid { value: text.into(), expected: "on or off".into() }),
    }
}
