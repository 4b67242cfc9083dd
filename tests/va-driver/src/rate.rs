//! What a device is told about rates, against the rate control that it was opened with.
use crate::bindings as va;

/// Everything that was rendered for one picture.
#[derive(Clone, Copy, Default)]
pub struct Told {
    /// How many bits.
    pub control: Option<va::VAEncMiscParameterRateControl>,
    /// How many pictures.
    pub frame_rate: Option<va::VAEncMiscParameterFrameRate>,
    /// How much may lie in between.
    pub buffer: Option<va::VAEncMiscParameterHRD>,
}

/// Checks what was told with a picture. `mode` is one of the bits VA_RC.
///
/// # Errors
/// The first thing that is wrong, in words.
pub fn check(mode: u32, told: &Told, key: bool) -> Result<(), String> {
    let Told { control, frame_rate, buffer } = told;
    if frame_rate.is_some_and(|rate| rate.framerate == 0) {
        return Err("framerate 0".into());
    }
    if mode == va::VA_RC_CQP {
        let none = control.is_none() && buffer.is_none();
        return if none { Ok(()) } else { Err("a rate where the quantiser is given".into()) };
    }
    if key && (control.is_none() || frame_rate.is_none() || buffer.is_none()) {
        return Err("a key frame without rate, frame rate or buffer".into());
    }
    if let Some(control) = control {
        let wanted = if mode == va::VA_RC_CBR { 100..=100 } else { 1..=100 };
        if control.bits_per_second == 0 || !wanted.contains(&control.target_percentage) {
            return Err(format!("{} bits per second, {} per cent", control.bits_per_second, control.target_percentage));
        }
        if mode == va::VA_RC_QVBR && control.quality_factor == 0 {
            return Err("QVBR without quality".into());
        }
    }
    match buffer {
        Some(hrd) if hrd.buffer_size == 0 || hrd.initial_buffer_fullness > hrd.buffer_size => {
            Err(format!("a buffer of {} bits, {} at first", hrd.buffer_size, hrd.initial_buffer_fullness))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    //! What is right passes; each of these mutations does not.
    use super::*;

    fn told() -> Told {
        let control = va::VAEncMiscParameterRateControl {
            bits_per_second: 1_000_000,
            target_percentage: 100,
            quality_factor: 20,
            ..Default::default()
        };
        let frame_rate = va::VAEncMiscParameterFrameRate { framerate: 30, ..Default::default() };
        let buffer =
            va::VAEncMiscParameterHRD { buffer_size: 500_000, initial_buffer_fullness: 250_000, ..Default::default() };
        Told { control: Some(control), frame_rate: Some(frame_rate), buffer: Some(buffer) }
    }

    #[test]
    fn what_is_right_passes() {
        for mode in [va::VA_RC_CBR, va::VA_RC_VBR, va::VA_RC_QVBR] {
            assert_eq!(check(mode, &told(), true), Ok(()));
            assert_eq!(check(mode, &Told::default(), false), Ok(()));
        }
        assert_eq!(check(va::VA_RC_CQP, &Told { control: None, buffer: None, ..told() }, true), Ok(()));
    }

    #[test]
    fn every_mutation_is_found() {
        let found = |mode: u32, words: &str, change: fn(&mut Told)| {
            let mut told = told();
            change(&mut told);
            let said = check(mode, &told, true).unwrap_err();
            assert!(said.contains(words), "{said:?} instead of {words:?}");
        };
        found(va::VA_RC_CQP, "quantiser is given", |_| {});
        found(va::VA_RC_VBR, "without rate", |t| t.control = None);
        found(va::VA_RC_VBR, "without rate", |t| t.buffer = None);
        found(va::VA_RC_CBR, "framerate 0", |t| t.frame_rate.as_mut().unwrap().framerate = 0);
        found(va::VA_RC_CBR, "per cent", |t| t.control.as_mut().unwrap().target_percentage = 67);
        found(va::VA_RC_VBR, "0 bits", |t| t.control.as_mut().unwrap().bits_per_second = 0);
        found(va::VA_RC_QVBR, "without quality", |t| t.control.as_mut().unwrap().quality_factor = 0);
        found(va::VA_RC_VBR, "at first", |t| t.buffer.as_mut().unwrap().initial_buffer_fullness = 500_001);
    }
}
