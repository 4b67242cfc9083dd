//! Values that several options take.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use sumac::config::ValueError;

/// Where systemd puts a service's credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

pub(super) fn on_off(text: &str) -> Result<bool, ValueError> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(ValueError::Invalid { value: text.into(), expected: "on or off".into() }),
    }
}

/// A time such as 90, 90s, 15m, 8h or 2d.
pub(super) fn duration(text: &str) -> Result<Duration, ValueError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: Option<u64> = match text.get(digits.len()..) {
        Some("" | "s") => Some(1),
        Some("m") => Some(60),
        Some("h") => Some(60 * 60),
        Some("d") => Some(24 * 60 * 60),
        _ => None,
    };
    let number = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = number.and_then(|number| number.parse::<u64>().ok()?.checked_mul(unit?));
    let invalid = || ValueError::Invalid { value: text.into(), expected: "a time like 60s, 15m, 8h or 2d".into() };
    seconds.map(Duration::from_secs).ok_or_else(invalid)
}

/// A file with a secret in it: a path, or `credential:NAME` for one that systemd passes to a service.
pub(super) fn secret_file(text: &str) -> Result<PathBuf, String> {
    secret_file_in(text, std::env::var_os(CREDENTIALS).as_deref())
}

fn secret_file_in(text: &str, credentials: Option<&OsStr>) -> Result<PathBuf, String> {
    let Some(name) = text.strip_prefix("credential:") else { return Ok(text.into()) };
    let mut parts = Path::new(name).components();
    let (Some(Component::Normal(name)), None) = (parts.next(), parts.next()) else {
        return Err(format!("'{name}' is not the name of a credential"));
    };
    let folder = credentials.ok_or_else(|| format!("{CREDENTIALS} is not set: no credentials were passed"))?;
    Ok(Path::new(folder).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, seconds) in [("0", 0), ("90", 90), ("90s", 90), ("15m", 900), ("8h", 28_800), ("2d", 172_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "s", "-1s", "+1", "1.5h", "1w", "1 s", "1ms", "18446744073709551616", "18446744073709551615d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_are_files_in_the_folder_of_the_service() {
        let folder = Some(OsStr::new("/run/credentials/sumac.service"));
        let found = |text| secret_file_in(text, folder);
        assert_eq!(found("pw"), Ok("pw".into()));
        assert_eq!(found("credential:pw"), Ok("/run/credentials/sumac.service/pw".into()));
        for bad in ["credential:", "credential:..", "credential:a/b", "credential:/etc/passwd"] {
            assert!(found(bad).unwrap_err().contains("not the name of a credential"), "{bad}");
        }
        assert!(secret_file_in("credential:pw", None).unwrap_err().contains("CREDENTIALS_DIRECTORY is not set"));
    }
}
