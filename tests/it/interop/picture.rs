//! Pictures out of files, and how two of them differ.

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::programs::{Client, Sumac, until};
use rustix::process::Signal;

/// 8-bit RGB.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    rgb: Vec<u8>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "picture of {}x{}", self.width, self.height)
    }
}

impl Picture {
    /// A binary PPM file with 8 bits a colour, as spicy-screenshot and spice-client.py write it.
    pub(crate) fn read_ppm(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut words = bytes.splitn(5, |b| b.is_ascii_whitespace()).map(|word| String::from_utf8_lossy(word));
        assert_eq!(words.next().as_deref(), Some("P6"));
        let mut number = || words.next().unwrap().parse::<usize>().unwrap();
        let (width, height, colours) = (number(), number(), number());
        assert_eq!(colours, 255);
        let rgb = bytes[bytes.len() - 3 * width * height..].to_vec();
        Self { width, height, rgb }
    }

    /// An 8-bit PNG file: RGB, as `--write-ref` writes it, or RGBA without regard to alpha.
    pub(crate) fn read_png(path: &Path) -> Self {
        let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut reader = png::Decoder::new(BufReader::new(file)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        assert_eq!(info.bit_depth, png::BitDepth::Eight);
        match info.color_type {
            png::ColorType::Rgb => {}
            png::ColorType::Rgba => rgb = rgb.as_chunks::<4>().0.iter().flat_map(|p| [p[0], p[1], p[2]]).collect(),
            other => panic!("{}: {other:?}", path.display()),
        }
        Self { width: info.width as usize, height: info.height as usize, rgb }
    }

    /// A frame of bytes blue, green, red and one more.
    pub(crate) fn of_bgrx(width: usize, bytes: &[u8]) -> Self {
        let pixels = bytes.as_chunks::<4>().0;
        let rgb = pixels.iter().flat_map(|&[blue, green, red, _]| [red, green, blue]).collect();
        Self { width, height: pixels.len() / width, rgb }
    }

    /// Red, green and blue of a pixel.
    pub(crate) fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// What the server shows now, by its own account.
    pub(crate) fn of_server(sumac: &Sumac) -> Self {
        let path = sumac.dir().join("ref.png");
        std::fs::remove_file(&path).unwrap();
        sumac.program.signal(Signal::USR1);
        let is_whole = || File::open(&path).is_ok_and(is_whole_png);
        until("the reference picture", is_whole);
        Self::read_png(&path)
    }

    /// The scanout that the client was passed.
    pub(crate) fn of_scanout(client: &mut Client, sumac: &Sumac) -> Self {
        let path = sumac.dir().join("scanout.ppm");
        client.does(&format!("dump-gl {}", path.display()));
        Self::read_ppm(&path)
    }

    /// What the client shows now.
    pub(crate) fn of_client(client: &mut Client, sumac: &Sumac) -> Self {
        let path = sumac.dir().join("client.ppm");
        client.does(&format!("dump {}", path.display()));
        Self::read_ppm(&path)
    }

    /// Number of pixels that differ; all of the larger when the sizes do.
    pub(crate) fn difference(&self, other: &Self) -> usize {
        if (self.width, self.height) != (other.width, other.height) {
            return (self.rgb.len().max(other.rgb.len())) / 3;
        }
        let pixels = self.rgb.as_chunks::<3>().0.iter().zip(other.rgb.as_chunks::<3>().0);
        pixels.filter(|(a, b)| a != b).count()
    }

    /// How alike a picture of the same size is, in dB; infinite when it is the same, 0 when the
    /// sizes differ.
    pub(crate) fn psnr(&self, other: &Self) -> f64 {
        if (self.width, self.height) != (other.width, other.height) {
            return 0.0;
        }
        let square = |(a, b): (&u8, &u8)| u64::from(a.abs_diff(*b)).pow(2);
        let sum: u64 = self.rgb.iter().zip(&other.rgb).map(square).sum();
        10.0 * (255.0 * 255.0 * self.rgb.len() as f64 / sum as f64).log10()
    }

    /// The part of `width`x`height` pixels at `left`, `top`.
    pub(crate) fn part(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        let rows = (top..top + height).flat_map(|y| &self.rgb[3 * (y * self.width + left)..][..3 * width]);
        Self { width, height, rgb: rows.copied().collect() }
    }

    /// Where this picture lies in `whole`, if it does.
    pub(crate) fn position_in(&self, whole: &Self) -> Option<(usize, usize)> {
        let row = &self.rgb[..3 * self.width];
        let rows_down = whole.height.checked_sub(self.height)?;
        let rows_right = whole.width.checked_sub(self.width)?;
        let places = (0..=rows_down).flat_map(|y| (0..=rows_right).map(move |x| (x, y)));
        let begins = |&(x, y): &(usize, usize)| whole.rgb[3 * (y * whole.width + x)..].starts_with(row);
        places.filter(begins).find(|&(x, y)| whole.part(x, y, self.width, self.height) == *self)
    }
}

fn is_whole_png(file: File) -> bool {
    let Ok(mut reader) = png::Decoder::new(BufReader::new(file)).read_info() else { return false };
    let mut bytes = vec![0; reader.output_buffer_size().unwrap_or(0)];
    reader.next_frame(&mut bytes).is_ok()
}

/// Waits until the client shows what the server does, and returns it.
pub(crate) fn same_picture(client: &mut Client, sumac: &Sumac) -> Picture {
    let mut shown = None;
    let mut differ = 0;
    until("the client to show what the server does", || {
        let (theirs, ours) = (Picture::of_client(client, sumac), Picture::of_server(sumac));
        differ = theirs.difference(&ours);
        shown = Some(theirs);
        differ == 0
    });
    shown.unwrap_or_else(|| panic!("{differ} pixels differ"))
}
