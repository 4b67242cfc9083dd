//! Every message: time to decode a sample body and to encode it again.
//!
//! `cargo bench -p sumac-benches --bench wire [-- NAME]`, names as `display/DrawCopy`. The samples
//! are those of the round-trip tests: small bodies, the same in each run.

#![expect(clippy::expect_used, reason = "a bench that cannot set itself up must stop")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sumac_benches::bodies;

fn wire(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire");
    group.sample_size(20).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(400));
    for (name, row, body) in bodies() {
        let mut out = vec![0; body.len()];
        group.bench_function(name, |b| {
            b.iter(|| (black_box(row.again))(black_box(&body), &mut out).expect("a sample decodes"));
        });
    }
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
