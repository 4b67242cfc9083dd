#!/bin/bash -eu
# projects/sumac/build.sh of github.com/google/oss-fuzz: every target with its seeds and findings.

# The checkout pins a stable toolchain, and sanitizers need a nightly one.
export RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-nightly}
# OpenH264 is C++, and the image has libc++.
export CXXSTDLIB=c++

cd "$SRC/sumac/tests/fuzz"
cargo fuzz build -O --debug-assertions --fuzz-dir .
for file in fuzz_targets/*.rs; do
    target=$(basename "$file" .rs)
    cp "target/x86_64-unknown-linux-gnu/release/$target" "$OUT/"
    seeds=("corpus/$target")
    [ ! -d "findings/$target" ] || seeds+=("findings/$target")
    zip -q -r "$OUT/${target}_seed_corpus.zip" "${seeds[@]}"
done
