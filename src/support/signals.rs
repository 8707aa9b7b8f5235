//! Ctrl-C and requests to end.

use anyhow::Result;

use super::cancel::Cancel;

/// The first Ctrl-C (or termination request) asks everything to stop, the second
/// one leaves. Under `nohup` the end of the terminal is no such request.
pub fn stop_on_request(cancel: &Cancel) -> Result<()> {
    let cancel = cancel.clone();
    let ignored = hangup::is_ignored();
    ctrlc::set_handler(move || {
        if cancel.is_cancelled() {
            std::process::exit(130);
        }
        cancel.cancel();
    })?;
    if ignored {
        // The handler was installed for it, too.
        hangup::ignore();
    }
    Ok(())
}

#[cfg(unix)]
mod hangup {
    /// Whether whoever started the program wants it to outlive its terminal.
    #[allow(unsafe_code)]
    pub fn is_ignored() -> bool {
        // SAFETY: an all-zero sigaction is a valid one, and without a new action
        // sigaction only writes the present one into it.
        unsafe {
            let mut now: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut now) == 0
                && now.sa_sigaction == libc::SIG_IGN
        }
    }

    #[allow(unsafe_code)]
    pub fn ignore() {
        // SAFETY: SIG_IGN runs no code of ours.
        unsafe {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
        }
    }
}

#[cfg(not(unix))]
mod hangup {
    pub fn is_ignored() -> bool {
        false
    }

    pub fn ignore() {}
}
