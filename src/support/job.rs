//! Child processes end with this one, however it ends.

/// To be called before any child is started. On Windows all processes from here on
/// are in a job that the system ends with us, also when we are killed or our
/// console is closed. Where that fails, children are ended as well as can be on
/// the ordinary ways out. Unix children notice that their pipes are closed.
#[cfg(windows)]
#[allow(unsafe_code)]
pub fn take_children_along() {
    use windows_sys::Win32::System::JobObjects::{
        AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
        JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation, SetInformationJobObject,
    };
    use windows_sys::Win32::System::Threading::GetCurrentProcess;

    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    let size = size_of::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>() as u32;
    // SAFETY: null asks for a job without a name and with usual rights; `limits` is
    // a whole structure of the kind named and outlives the call. The job's handle is
    // never closed by us: the system does, when this process has ended.
    unsafe {
        let job = CreateJobObjectW(std::ptr::null(), std::ptr::null());
        if !job.is_null()
            && SetInformationJobObject(
                job,
                JobObjectExtendedLimitInformation,
                (&raw const limits).cast(),
                size,
            ) != 0
        {
            AssignProcessToJobObject(job, GetCurrentProcess());
        }
    }
}

#[cfg(not(windows))]
pub fn take_children_along() {}
