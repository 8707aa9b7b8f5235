//! How many files and sockets this process may hold open.

/// Raises the soft limit on open descriptors to `wanted` where it is lower and
/// the hard limit allows it. Returns the limit that holds afterwards, `None`
/// where the system has none or does not tell.
#[cfg(unix)]
#[allow(unsafe_code, clippy::useless_conversion)] // `rlim_t` is u64 on most systems only
pub fn raise_limit(wanted: u64) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return None;
    }
    let soft = u64::try_from(limit.rlim_cur).ok()?;
    let hard = u64::try_from(limit.rlim_max).ok()?;
    let raised = wanted.min(hard);
    if raised <= soft {
        return Some(soft);
    }
    limit.rlim_cur = raised.try_into().ok()?;
    // SAFETY: `limit` is a valid rlimit; only the soft limit differs from what the system gave.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0;
    Some(if set { raised } else { soft })
}

#[cfg(not(unix))]
pub fn raise_limit(_wanted: u64) -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    #[test]
    fn a_limit_that_is_high_enough_stays() {
        let before = super::raise_limit(0).unwrap();
        assert!(before > 2, "{before}");
        assert_eq!(super::raise_limit(before), Some(before));
        assert_eq!(super::raise_limit(1), Some(before));
    }
}
