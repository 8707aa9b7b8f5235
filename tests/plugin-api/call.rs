//! For the plugins that tests load.

/// Calls a function of VapourSynth's table; all of API 4's are there.
macro_rules! call {
    ($api:expr, $function:ident $(, $arg:expr)*) => {
        ((*$api).$function.expect("a function of API 4"))($($arg),*)
    };
}

pub(crate) use call;
