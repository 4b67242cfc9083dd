//! A program in C, made with the system's header, on this library.

use std::path::Path;
use std::process::{Command, Output};

use super::library::FOLDER;

/// What the header's package says to the compiler; `None` where it is not installed.
fn flags() -> Option<Vec<String>> {
    let output = Command::new("pkg-config").args(["--cflags", "spice-server"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.split_whitespace().map(str::to_owned).collect())
}

fn run(flags: &[String], folder: &Path) -> Output {
    let library = FOLDER.as_ref().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/application.c");
    let program = folder.join("application");
    let mut compiler = Command::new("cc");
    compiler.args(["-w", "-pthread", "-o"]).arg(&program).arg(source).args(flags);
    let compiled = compiler.arg(library.join("libspice-server.so.1")).output().unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let mut timed = Command::new("timeout");
    timed.arg("60").arg(program).arg(folder.join("socket")).env("LD_LIBRARY_PATH", library);
    timed.env_remove("SUMAC_LOG").output().unwrap()
}

/// Lines of 16 pixels: 0x111111 but for these.
fn rows(others: &[(usize, usize, u32)]) -> Vec<String> {
    let pixel = |x: usize, y: usize| others.iter().rfind(|o| (o.0, o.1) == (x, y)).map_or(0x11_1111, |o| o.2);
    (0..8).map(|y| (0..16).map(|x| format!("{:06x}", pixel(x, y))).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn what_a_guest_draws_can_be_read_back() {
    let Some(flags) = flags() else {
        println!("SKIPPED: what_a_guest_draws_can_be_read_back: no libspice-server-dev or no pkg-config");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let output = run(&flags, folder.path());
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
    expected.extend(rows(&pixels));
    expected.extend(
        [
            "released 14 of 14",
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
