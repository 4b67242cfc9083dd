//! HEVC's levels.

/// Levels by luma samples per picture and per second (ITU-T H.265, tables A.8 and A.9): the ones that
/// matter for a screen, as `general_level_idc`, which is thirty times the level.
const LEVELS: [(u64, u64, u8); 9] = [
    (122_880, 3_686_400, 60),
    (245_760, 7_372_800, 63),
    (552_960, 16_588_800, 90),
    (983_040, 33_177_600, 93),
    (2_228_224, 66_846_720, 120),
    (2_228_224, 133_693_440, 123),
    (8_912_896, 267_386_880, 150),
    (8_912_896, 534_773_760, 153),
    (8_912_896, 1_069_547_520, 156),
];

/// The lowest level for pictures of this size and rate; the highest there is for more.
pub fn level(width: u32, height: u32, fps: u32) -> u8 {
    let samples = u64::from(width) * u64::from(height);
    let fits = |(picture, second, _): &&(u64, u64, u8)| {
        samples <= *picture && samples.saturating_mul(u64::from(fps)) <= *second
    };
    LEVELS.iter().find(fits).map_or(156, |(.., level)| *level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_standard() {
        assert_eq!(level(1280, 720, 30), 93);
        assert_eq!(level(1920, 1080, 30), 120);
        assert_eq!(level(1920, 1080, 60), 123);
        assert_eq!(level(3840, 2160, 30), 150);
        assert_eq!(level(u32::MAX, u32::MAX, u32::MAX), 156);
    }
}
