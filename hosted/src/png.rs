//! Pictures as PNG files, for `--write-ref`.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::Context;
use sumac_backends::Frame;

/// Writes a picture as an 8-bit RGB PNG with exactly its colours; the fourth byte of a pixel is
/// left out. An existing file is replaced.
///
/// # Errors
/// When the file cannot be made or written, naming it; or when the picture has no pixels, which PNG
/// cannot express.
pub fn write_bgrx_png(path: &Path, frame: &Frame) -> anyhow::Result<()> {
    let layout = frame.layout();
    let naming = || format!("writing the {}x{} picture to {}", layout.width, layout.height, path.display());
    let file = File::create(path).with_context(naming)?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), layout.width, layout.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().with_context(naming)?;
    writer.write_image_data(&rgb(frame)).with_context(naming)?;
    writer.finish().with_context(naming)
}

/// The pixels in PNG's order, without padding.
fn rgb(frame: &Frame) -> Vec<u8> {
    let layout = frame.layout();
    let row_length = layout.width as usize * 4;
    let rows = frame.pixels().chunks(layout.stride.max(1) as usize).take(layout.height as usize);
    rows.flat_map(|row| row[..row_length].as_chunks::<4>().0)
        .flat_map(|&[blue, green, red, _]| [red, green, blue])
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use sumac_backends::Layout;

    use super::*;

    #[test]
    fn colours_survive_and_padding_does_not() {
        let layout = Layout { width: 2, height: 2, stride: 12 };
        let pixels: Vec<u8> = (0..20).collect();
        let frame = Frame::from_memory(layout, pixels).unwrap();
        let path = std::env::temp_dir().join(format!("sumac-png-{}.png", std::process::id()));
        write_bgrx_png(&path, &frame).unwrap();

        let mut reader = png::Decoder::new(BufReader::new(File::open(&path).unwrap())).read_info().unwrap();
        let mut read = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut read).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((info.width, info.height, info.color_type), (2, 2, png::ColorType::Rgb));
        assert_eq!(read, [2, 1, 0, 6, 5, 4, 14, 13, 12, 18, 17, 16]);
    }

    #[test]
    fn errors_name_the_file() {
        let frame = Frame::from_memory(Layout { width: 1, height: 1, stride: 4 }, [0; 4]).unwrap();
        let error = write_bgrx_png(Path::new("/nowhere/at/all.png"), &frame).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all.png"), "{error}");
    }
}
