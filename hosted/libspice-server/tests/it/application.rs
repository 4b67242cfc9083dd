//! A program in C, made with the system's header, on this library.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::library::FOLDER;

/// What the header's package says to the compiler; `None` where it is not installed.
fn flags() -> Option<Vec<String>> {
    let output = Command::new("pkg-config").args(["--cflags", "spice-server"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.split_whitespace().map(str::to_owned).collect())
}

/// Makes the program; `None` without the header.
fn compile(folder: &Path) -> Option<PathBuf> {
    let flags = flags()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/application.c");
    let program = folder.join("application");
    let mut compiler = Command::new("cc");
    compiler.args(["-w", "-pthread", "-o"]).arg(&program).arg(source).args(flags);
    let compiled = compiler.arg(FOLDER.as_ref().unwrap().join("libspice-server.so.1")).output().unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    Some(program)
}

/// Runs it with the library in this folder, or the system's.
fn run(program: &Path, library: Option<&Path>, words: &[&str]) -> Output {
    let mut timed = Command::new("timeout");
    timed.arg("60").arg(program).arg(program.with_file_name("socket")).args(words);
    timed.env_remove("SUMAC_LOG").env_remove("LD_LIBRARY_PATH");
    if let Some(library) = library {
        timed.env("LD_LIBRARY_PATH", library);
    }
    timed.output().unwrap()
}

/// Lines of 16 pixels of this colour, but for these.
fn rows(ground: u32, others: &[(usize, usize, u32)]) -> Vec<String> {
    let pixel = |x: usize, y: usize| others.iter().rfind(|o| (o.0, o.1) == (x, y)).map_or(ground, |o| o.2);
    (0..8).map(|y| (0..16).map(|x| format!("{:06x}", pixel(x, y))).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn what_a_guest_draws_can_be_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = compile(folder.path()) else {
        println!("SKIPPED: what_a_guest_draws_can_be_read_back: no libspice-server-dev or no pkg-config");
        return;
    };
    let output = run(&program, FOLDER.as_deref().ok(), &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    let mut expected: Vec<String> =
        ["init 0", "unknown -1", "qxl 0", "again -1"].iter().map(|line| (*line).to_owned()).collect();
    let (a, b, c, d) = (0x01_0203, 0x04_0506, 0x07_0809, 0x0a_0b0c);
    let mut pixels = vec![(1, 0, a), (2, 0, b), (1, 1, c), (2, 1, d)];
    for (color, x, y) in [(a, 4, 0), (b, 6, 0), (c, 4, 2), (d, 6, 2)] {
        pixels.extend([(x, y, color), (x + 1, y, color), (x, y + 1, color), (x + 1, y + 1, color)]);
    }
    // Moved from column 1 to column 9; the third column is the ground.
    pixels.extend([(9, 0, a), (10, 0, b), (9, 1, c), (10, 1, d)]);
    pixels.extend([(12, 0, 0xee_eeee), (13, 0, 0), (14, 0, 0xff_ffff), (15, 0, 0x11_ee11)]);
    // One colour is left out.
    pixels.extend([(1, 4, b), (0, 5, c), (1, 5, d)]);
    // Half of each: (n × 128 + 0x11 × 127) / 255, rounded each.
    pixels.extend([(2, 4, 0x09_090a), (3, 4, 0x0a_0b0b), (2, 5, 0x0c_0c0d), (3, 5, 0x0d_0e0e)]);
    // Blue is the source's, the rest the ground's.
    pixels.extend([(4, 4, 0x11_1103), (5, 4, 0x11_1106), (4, 5, 0x11_1109), (5, 5, 0x11_110c)]);
    // Each once, also where both rectangles are.
    pixels.extend((1..5).map(|x| (x, 6, 0xee_eeee)));
    expected.extend(rows(0x11_1111, &pixels));
    // A pattern whose corner is in column 1, so that column 0 has its second column.
    let mut pixels: Vec<_> = [b, a, b, a, b].into_iter().zip(0..).map(|(color, x)| (x, 0, color)).collect();
    pixels.extend([d, c, d, c, d].into_iter().zip(0..).map(|(color, x)| (x, 1, color)));
    pixels.extend([(6, 0), (8, 0), (7, 1), (9, 1)].map(|(x, y)| (x, y, 0xff_ffff)));
    pixels.extend([(11, 0, a), (12, 0, b), (11, 1, c), (12, 1, d)].map(|(x, y, color)| (x, y, color ^ 0xff_ffff)));
    pixels.extend((4..6).flat_map(|y| (2..6).map(move |x| (x, y, 0x77_7777))));
    pixels.extend([(2, 4), (5, 4), (3, 5), (4, 5)].map(|(x, y)| (x, y, 0x12_3456)));
    expected.extend(rows(0, &pixels));
    expected.extend(
        [
            "released 22 of 22",
            "cookies 1 1 1 1",
            "from the main thread 0",
            "SIGTERM is the application's 1",
            "remove 0",
            "watched after the end 0",
            "done",
        ]
        .map(str::to_owned),
    );
    let said: Vec<_> = said.lines().collect();
    assert_eq!(said, expected, "{}", String::from_utf8_lossy(&output.stderr));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("QXLDrawable.bbox") && log.contains("interface unknown is not known"), "{log}");
}

#[test]
fn the_system_s_library_draws_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = compile(folder.path()) else {
        println!("SKIPPED: the_system_s_library_draws_the_same: no libspice-server-dev or no pkg-config");
        return;
    };
    let said = |library| {
        let output = run(&program, library, &["tame"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (theirs, ours) = (said(None), said(FOLDER.as_deref().ok()));
    assert!(ours.ends_with("done\n") && ours.contains("released 20 of 20"), "{ours}");
    assert_eq!(ours, theirs);
}
