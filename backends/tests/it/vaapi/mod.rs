//! The VA-API backend through the real libva, on a render node, with the driver of
//! `tests/va-driver`. Runs where vgem's render node is, as in the kernel of `tests/kernel`.
//!
//! libva reads its environment once, so each case runs in a process of its own: the tests start
//! this binary again with [`child`] and the driver's switches.
use std::{env, fs, path::Path, process::Command};

mod cases;

const NODE: &str = "/dev/dri/renderD128";
/// Runs a case in a process of its own and returns what the driver wrote, or nothing without node.
fn run(case: &str, switches: &str) -> Option<String> {
    if !Path::new(NODE).exists() {
        println!("SKIPPED: VA-API {case}: no {NODE}");
        return None;
    }
    let binary = env::current_exe().unwrap();
    let library = binary.with_file_name("libsumac_drv_video.so");
    let folder = env::temp_dir().join(format!("va-{}-{case}-{switches}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::copy(&library, folder.join("sumac_drv_video.so")).unwrap();
    let account = folder.join("account");
    let done = Command::new(&binary)
        .args(["--exact", "vaapi::child", "--include-ignored", "--nocapture"])
        .env("LIBVA_DRIVERS_PATH", &folder)
        .env("LIBVA_DRIVER_NAME", "sumac")
        .env("SUMAC_VA", switches)
        .env("SUMAC_VA_ACCOUNT", &account)
        .env("SUMAC_VA_CASE", case)
        .output()
        .unwrap();
    let account = fs::read_to_string(account).unwrap_or_default();
    fs::remove_dir_all(&folder).unwrap();
    print!("{}", String::from_utf8_lossy(&done.stdout));
    assert!(done.status.success(), "{case} with {switches:?}:\n{account}{}", String::from_utf8_lossy(&done.stderr));
    assert!(!account.contains("complaint:"), "{case} with {switches:?}:\n{account}");
    Some(account)
}

#[test]
fn it_keeps_the_law() {
    for switches in ["", "no-lp,no-sync-buffer", "cqp", "cbr", "vbr", "qvbr"] {
        run("law", switches);
    }
}

#[test]
fn pictures_survive() {
    for switches in ["", "cqp,no-lp,no-packed"] {
        run("pictures", switches);
    }
}

#[test]
fn shapes_are_right() {
    run("shapes", "");
}

#[test]
fn without_rate_control_an_own_loop_holds_a_bitrate() {
    run("bitrate", "cqp");
}

#[test]
fn a_broken_picture_is_dropped_and_followed_by_a_key_frame() {
    run("broken", "fail=2,slow");
}

#[test]
fn what_the_driver_lacks_is_said() {
    run("lacking", "no-vpp");
}

#[test]
fn the_processor_reads_no_pixel() {
    let Some(account) = run("zero", "") else { return };
    // The driver, which stands for the device, has read each picture once: 12 of 320x240.
    assert!(account.contains(&format!("12 pictures, 0 complaints, {} pixel bytes", 12 * 320 * 240 * 4)), "{account}");
    // When the driver reads nothing, nobody does: pictures pass where nothing can be mapped.
    run("unmapped", "null");
}

#[test]
fn a_running_encoder_allocates_nothing() {
    run("allocations", "");
    run("allocations", "cqp,no-lp,no-sync-buffer");
}

#[test]
fn the_loss_of_the_device_keeps_the_law() {
    run("loss", "lost=4");
    run("loss", "lost=4,no-sync-buffer");
}

#[test]
fn planes_in_dmabufs_of_their_own_are_encoded() {
    let Some(account) = run("planes", "") else { return };
    // What needs no conversion is read as it lies, once: 12 bits per pixel of each codec's picture.
    let once = format!("1 pictures, 0 complaints, {} pixel bytes read", 384 * 256 * 3 / 2);
    assert_eq!(account.matches(&once).count(), 5, "{account}");
}

#[test]
fn a_new_size_is_refused_and_coded_by_a_new_encoder() {
    run("resize", "");
}

#[test]
fn the_largest_size_is_coded_and_more_is_refused() {
    run("largest", "");
}

#[test]
#[ignore = "the other half of the tests beside it, which run it with an environment"]
fn child() {
    match env::var("SUMAC_VA_CASE").as_deref() {
        Ok("law") => cases::law(),
        Ok("pictures") => cases::pictures(),
        Ok("shapes") => cases::shapes(),
        Ok("bitrate") => cases::bitrate(),
        Ok("broken") => cases::broken(),
        Ok("lacking") => cases::lacking(),
        Ok("zero") => cases::zero(),
        Ok("unmapped") => cases::unmapped(),
        Ok("allocations") => cases::allocations(),
        Ok("loss") => cases::loss(),
        Ok("planes") => cases::planes(),
        Ok("resize") => cases::resize(),
        Ok("largest") => cases::largest(),
        other => println!("SKIPPED: no case {other:?}"),
    }
}
