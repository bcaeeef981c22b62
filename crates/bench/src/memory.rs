//! Resident memory of this process, and its peak.

use std::error::Error;
use std::fs;

/// Resident bytes now, and the most since the peak was reset.
pub(crate) struct Resident {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

impl Resident {
    /// Reads `/proc/self/status`.
    ///
    /// # Errors
    /// A system without it.
    pub(crate) fn read() -> Result<Resident, Box<dyn Error>> {
        let status = fs::read_to_string("/proc/self/status")?;
        let field = |name: &str| -> Result<u64, Box<dyn Error>> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|rest| rest.split_whitespace().next());
            let kib = kib.ok_or_else(|| format!("there is no {name} in /proc/self/status"))?;
            Ok(kib.parse::<u64>()? * 1024)
        };
        Ok(Resident { now: field("VmRSS:")?, peak: field("VmHWM:")? })
    }

    /// The peak begins anew.
    ///
    /// # Errors
    /// A system that does not allow it.
    pub(crate) fn reset_peak() -> Result<(), Box<dyn Error>> {
        Ok(fs::write("/proc/self/clear_refs", "5")?)
    }
}

/// Bytes as MiB, to a tenth.
pub(crate) fn mib(bytes: u64) -> f64 {
    (bytes as f64 / f64::from(1 << 20) * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_written_is_seen_in_the_peak() {
        // Other tests come and go in this process, so only what this one holds is sure.
        Resident::reset_peak().expect("Linux");
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        let with = Resident::read().expect("Linux");
        assert!(with.now >= 64 << 20 && with.peak >= 64 << 20);
        assert!(block.iter().all(|&byte| byte == 1));
        assert_eq!(mib(3 << 19), 1.5);
    }
}
