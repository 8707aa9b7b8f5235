#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| progression_boost_fuzz::preset(data));
