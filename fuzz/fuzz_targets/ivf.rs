#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| progression_boost_fuzz::ivf_with_obus(data));
