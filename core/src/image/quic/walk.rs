//! The way through a row: when models learn and where runs may begin.

use super::model::Group;

/// How far apart the moments of learning are, and the state of run lengths, for one group.
pub(super) struct Pace {
    /// Pixels until the models learn next.
    wait: usize,
    /// Index of the last random number used.
    random: u8,
    /// Learning grows rarer in steps: the gap is a random number below 2^step.
    step: u8,
    /// Pixels left in this step.
    left: usize,
    /// Index into `RUN_BITS`.
    pub(super) run: u8,
}

/// What happens at a pixel, either coding or decoding. Pixel numbers are columns.
pub(super) trait Coder<G: Group> {
    type Error;
    /// Codes pixel `i`.
    fn pixel(&mut self, i: usize) -> Result<(), Self::Error>;
    /// Lets the models learn from pixel `i`, just coded.
    fn learn(&mut self, i: usize, trigger: u16);
    /// Whether the neighbours of pixel `i`, 3 or more, look like a run.
    fn run_here(&self, i: usize) -> bool;
    /// Codes a run from `i` to at most `end` and returns its length, maybe 0.
    fn run(&mut self, i: usize, end: usize, state: &mut u8) -> Result<usize, Self::Error>;
}

/// Bits of a run length's last part, by run state.
pub(super) static RUN_BITS: [u8; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

const STEPS: usize = 7;
const LAST_STEP: u8 = STEPS as u8 - 1;
const STEP_PIXELS: usize = 2048;
/// Costs are halved when the best exceeds this, by step.
static TRIGGERS: [u16; STEPS] = [110, 550, 900, 800, 550, 400, 350];

impl Pace {
    pub(super) const fn new() -> Self {
        Self { wait: 0, random: 255, step: 0, left: STEP_PIXELS, run: 0 }
    }

    /// Codes the `width` pixels of a row; runs exist only below the first.
    pub(super) fn row<G: Group, C: Coder<G>>(
        &mut self,
        coder: &mut C,
        width: usize,
        first_row: bool,
    ) -> Result<(), C::Error> {
        let mut i = 0;
        while self.step < LAST_STEP && self.left <= width - i {
            if self.left > 0 {
                self.segment(coder, i, i + self.left, first_row)?;
                i += self.left;
            }
            self.step += 1;
            self.left = STEP_PIXELS;
        }
        if i < width {
            self.segment(coder, i, width, first_row)?;
            if self.step < LAST_STEP {
                self.left -= width - i;
            }
        }
        Ok(())
    }

    fn segment<G: Group, C: Coder<G>>(
        &mut self,
        coder: &mut C,
        from: usize,
        end: usize,
        first_row: bool,
    ) -> Result<(), C::Error> {
        let trigger = TRIGGERS[usize::from(self.step)];
        let mut i = from;
        if i == 0 {
            coder.pixel(0)?;
            if self.wait > 0 {
                self.wait -= 1;
            } else {
                self.wait = self.gap();
                coder.learn(0, trigger);
            }
            i = 1;
        }
        let mut run_start = 0;
        let mut stop = i + self.wait;
        while i < end {
            let until = end.min(stop + 1);
            i = if first_row { pixels(coder, i, until)? } else { pixels_to_run(coder, i, until, &mut run_start)? };
            if i < until {
                run_start = i;
                self.wait = stop - i;
                i += coder.run(i, end, &mut self.run)?;
                if i == end {
                    return Ok(());
                }
                stop = i + self.wait;
            } else if stop < end {
                coder.learn(stop, trigger);
                stop = i + self.gap();
            }
        }
        self.wait = stop - end;
        Ok(())
    }

    /// The next random gap between two moments of learning.
    fn gap(&mut self) -> usize {
        self.random = self.random.wrapping_add(1);
        usize::from(RANDOM[usize::from(self.random)]) & ((1 << self.step) - 1)
    }
}

#[inline(always)]
fn pixels<G: Group, C: Coder<G>>(coder: &mut C, i: usize, until: usize) -> Result<usize, C::Error> {
    for i in i..until {
        coder.pixel(i)?;
    }
    Ok(until)
}

/// Codes pixels up to `until` or the start of a run.
#[inline(always)]
fn pixels_to_run<G: Group, C: Coder<G>>(
    coder: &mut C,
    mut i: usize,
    until: usize,
    run_start: &mut usize,
) -> Result<usize, C::Error> {
    while i < until {
        if i > 2 && coder.run_here(i) && *run_start != i {
            break;
        }
        coder.pixel(i)?;
        i += 1;
    }
    Ok(i)
}

/// Of the table's numbers only the low six bits can ever matter.
#[rustfmt::skip]
static RANDOM: [u8; 256] = [
    2, 23, 19, 21, 7, 18, 40, 14, 12, 32, 47, 44, 36, 6, 18, 11,
    4, 19, 42, 29, 16, 63, 57, 51, 16, 3, 5, 14, 15, 30, 20, 9,
    36, 45, 3, 57, 61, 0, 8, 5, 41, 14, 43, 27, 43, 59, 31, 35,
    39, 60, 42, 38, 13, 54, 62, 1, 26, 3, 11, 61, 52, 34, 7, 48,
    4, 59, 22, 12, 22, 8, 50, 4, 10, 6, 44, 8, 11, 46, 31, 51,
    53, 17, 1, 43, 46, 60, 36, 54, 10, 27, 39, 44, 22, 41, 23, 2,
    44, 0, 40, 53, 40, 48, 16, 43, 32, 28, 33, 12, 20, 2, 56, 62,
    55, 58, 18, 20, 13, 55, 38, 29, 57, 19, 49, 33, 47, 63, 59, 0,
    35, 61, 19, 25, 46, 38, 60, 4, 35, 1, 26, 40, 28, 10, 5, 14,
    25, 18, 48, 49, 20, 59, 62, 34, 46, 7, 33, 52, 34, 58, 9, 29,
    8, 55, 62, 60, 37, 36, 37, 50, 6, 3, 10, 28, 48, 24, 26, 61,
    57, 30, 11, 54, 2, 6, 50, 47, 7, 17, 35, 53, 32, 12, 23, 17,
    5, 21, 49, 55, 51, 45, 52, 27, 39, 25, 39, 63, 22, 24, 42, 52,
    56, 38, 41, 41, 56, 32, 13, 24, 26, 51, 27, 56, 58, 37, 24, 42,
    15, 28, 17, 30, 31, 15, 16, 23, 25, 54, 33, 34, 1, 29, 31, 50,
    53, 21, 49, 15, 47, 9, 0, 58, 37, 45, 30, 13, 9, 45, 63, 21,
];
