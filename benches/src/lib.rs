//! Benchmarks of Sumac; see the benches beside this file.

use sumac_core::proto::TABLES;
use sumac_core::wire::{Row, Sampler};

/// Every message of the table with a name and a sample body; the same in each run.
pub fn bodies() -> impl Iterator<Item = (String, &'static Row, Vec<u8>)> {
    let rows = TABLES.iter().copied().flatten().enumerate();
    rows.map(|(n, row)| {
        let mut room = vec![0; 4096];
        let seed = u64::try_from(n).unwrap_or_default();
        let len = (row.sample)(&mut Sampler::new(seed), &mut room).unwrap_or_default();
        room.truncate(len);
        (format!("{}/{:?}/{}", row.channel, row.sender, row.name), row, room)
    })
}
