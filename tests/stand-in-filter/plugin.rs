//! A filter that waits instead of computing, so that two cores can stand for many:
//! each frame takes a given time and memory and may need its neighbours.
//!
//! ```text
//! slow.Wait(clip, ms, radius=0, keep=0, name="")   a copy of each frame after `ms` milliseconds;
//!                                                  frames up to `radius` away are asked for, too,
//!                                                  and `keep` bytes are held while it waits
//! slow.Seen(name="")                               what filters of that name saw, see below
//! slow.Forget()                                    counts from zero
//! ```
//!
//! `Seen` answers `renders` (frames made), `again` (those of them that were made
//! before) and `most` (at work at once, at the highest).
#![allow(unsafe_code, reason = "VapourSynth's plugin interface is C")]

use std::collections::{BTreeMap, HashSet};
use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vapoursynth_sys as ffi;

#[path = "../plugin-api/call.rs"]
mod api;
use api::call;

const REPLACE: c_int = ffi::VSMapAppendMode_maReplace as c_int;

/// What filters of one name saw, in all sessions of the process.
#[derive(Default)]
struct Seen {
    frames: HashSet<c_int>,
    renders: i64,
    again: i64,
    now: i64,
    most: i64,
}

static SEEN: Mutex<BTreeMap<String, Seen>> = Mutex::new(BTreeMap::new());

fn seen() -> MutexGuard<'static, BTreeMap<String, Seen>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Instance {
    clip: *mut ffi::VSNode,
    frames: c_int,
    wait: Duration,
    radius: c_int,
    keep: usize,
    name: String,
}

/// Where VapourSynth enters a plugin.
///
/// # Safety
/// The pointers are valid for the call, as VapourSynth guarantees.
#[allow(non_snake_case)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VapourSynthPluginInit2(plugin: *mut ffi::VSPlugin, api: *const ffi::VSPLUGINAPI) {
    // SAFETY: the strings are static and no function has data.
    unsafe {
        let wanted = (ffi::VAPOURSYNTH_API_MAJOR << 16) as c_int;
        let (id, namespace, name) = (c"test.progression-boost.slow", c"slow", c"A filter that waits");
        call!(api, configPlugin, id.as_ptr(), namespace.as_ptr(), name.as_ptr(), 1, wanted, 0, plugin);
        for (name, args, returns, function) in [
            (
                c"Wait",
                c"clip:vnode;ms:float;radius:int:opt;keep:int:opt;name:data:opt;",
                c"clip:vnode;",
                create as _,
            ),
            (c"Seen", c"name:data:opt;", c"renders:int;again:int;most:int;", tell as _),
            (c"Forget", c"", c"", forget as _),
        ] {
            let (name, args, returns) = (name.as_ptr(), args.as_ptr(), returns.as_ptr());
            call!(api, registerFunction, name, args, returns, Some(function), ptr::null_mut(), plugin);
        }
    }
}

unsafe extern "C" fn forget(
    _input: *const ffi::VSMap,
    _output: *mut ffi::VSMap,
    _data: *mut c_void,
    _core: *mut ffi::VSCore,
    _api: *const ffi::VSAPI,
) {
    seen().clear();
}

unsafe extern "C" fn tell(
    input: *const ffi::VSMap,
    output: *mut ffi::VSMap,
    _data: *mut c_void,
    _core: *mut ffi::VSCore,
    api: *const ffi::VSAPI,
) {
    // SAFETY: both maps and `api` come from VapourSynth.
    unsafe {
        let name = text(input, c"name", api);
        let seen = seen();
        let (renders, again, most) = seen.get(&name).map_or((0, 0, 0), |s| (s.renders, s.again, s.most));
        for (key, value) in [(c"renders", renders), (c"again", again), (c"most", most)] {
            call!(api, mapSetInt, output, key.as_ptr(), value, REPLACE);
        }
    }
}

/// An optional text.
///
/// # Safety
/// The map belongs to `api` and is valid while this runs.
unsafe fn text(map: *const ffi::VSMap, key: &CStr, api: *const ffi::VSAPI) -> String {
    let mut error = 0;
    // SAFETY: what is found is valid as long as the map is.
    unsafe {
        let found = call!(api, mapGetData, map, key.as_ptr(), 0, &raw mut error);
        if error == 0 { CStr::from_ptr(found).to_string_lossy().into_owned() } else { String::new() }
    }
}

unsafe extern "C" fn create(
    input: *const ffi::VSMap,
    output: *mut ffi::VSMap,
    _data: *mut c_void,
    core: *mut ffi::VSCore,
    api: *const ffi::VSAPI,
) {
    // SAFETY: the node belongs to the filter from here on and is freed in `free`.
    unsafe {
        let int = |key: &CStr| {
            let mut error = 0;
            let value = call!(api, mapGetInt, input, key.as_ptr(), 0, &raw mut error);
            if error == 0 { value.max(0) } else { 0 }
        };
        let clip = call!(api, mapGetNode, input, c"clip".as_ptr(), 0, ptr::null_mut());
        let ms = call!(api, mapGetFloat, input, c"ms".as_ptr(), 0, ptr::null_mut());
        let video = call!(api, getVideoInfo, clip);
        let radius = int(c"radius") as c_int;
        let instance = Instance {
            clip,
            frames: (*video).numFrames,
            wait: Duration::from_secs_f64(ms.max(0.0) / 1000.0),
            radius,
            keep: int(c"keep") as usize,
            name: text(input, c"name", api),
        };
        let pattern =
            if radius == 0 { ffi::VSRequestPattern_rpStrictSpatial } else { ffi::VSRequestPattern_rpGeneral };
        let source = ffi::VSFilterDependency { source: clip, requestPattern: pattern as c_int };
        let data = Box::into_raw(Box::new(instance)).cast();
        let mode = ffi::VSFilterMode_fmParallel as c_int;
        let name = c"Wait".as_ptr();
        let (get, free) = (Some(get_frame as _), Some(free as _));
        call!(api, createVideoFilter, output, name, video, get, free, mode, &raw const source, 1, data, core);
    }
}

unsafe extern "C" fn free(data: *mut c_void, _core: *mut ffi::VSCore, api: *const ffi::VSAPI) {
    // SAFETY: `data` is the box that `create` made, given back once.
    unsafe {
        let instance = Box::from_raw(data.cast::<Instance>());
        call!(api, freeNode, instance.clip);
    }
}

unsafe extern "C" fn get_frame(
    n: c_int,
    reason: c_int,
    data: *mut c_void,
    _frame_data: *mut *mut c_void,
    context: *mut ffi::VSFrameContext,
    core: *mut ffi::VSCore,
    api: *const ffi::VSAPI,
) -> *const ffi::VSFrame {
    // SAFETY: `data` is the box that `create` made; frames are taken only after
    // they were requested, and freed after use.
    unsafe {
        let instance = &*data.cast_const().cast::<Instance>();
        if reason == ffi::VSActivationReason_arInitial {
            let (first, last) = (n - instance.radius, n + instance.radius);
            for frame in first.max(0)..=last.min(instance.frames - 1) {
                call!(api, requestFrameFilter, frame, instance.clip, context);
            }
            return ptr::null();
        }
        if reason != ffi::VSActivationReason_arAllFramesReady {
            return ptr::null();
        }
        instance.begin(n);
        // Written to, so that the system has to give it.
        let kept = vec![1_u8; instance.keep];
        std::thread::sleep(instance.wait);
        drop(std::hint::black_box(kept));
        let source = call!(api, getFrameFilter, n, instance.clip, context);
        let frame = copy(source, core, api);
        call!(api, freeFrame, source);
        instance.end();
        frame
    }
}

impl Instance {
    fn begin(&self, n: c_int) {
        let mut all = seen();
        let seen = all.entry(self.name.clone()).or_default();
        seen.renders += 1;
        seen.again += i64::from(!seen.frames.insert(n));
        seen.now += 1;
        seen.most = seen.most.max(seen.now);
    }

    fn end(&self) {
        if let Some(seen) = seen().get_mut(&self.name) {
            seen.now -= 1;
        }
    }
}

/// A frame with memory of its own; the caller's to free.
///
/// # Safety
/// The frame and the core belong to `api` and are valid while this runs.
unsafe fn copy(
    source: *const ffi::VSFrame,
    core: *mut ffi::VSCore,
    api: *const ffi::VSAPI,
) -> *const ffi::VSFrame {
    // SAFETY: planes of two frames of one format and size are equally long.
    unsafe {
        let format = call!(api, getVideoFrameFormat, source);
        let (width, height) = (call!(api, getFrameWidth, source, 0), call!(api, getFrameHeight, source, 0));
        let frame = call!(api, newVideoFrame, format, width, height, source, core);
        for plane in 0..(*format).numPlanes {
            let bytes =
                call!(api, getStride, source, plane) * call!(api, getFrameHeight, source, plane) as isize;
            let (from, to) = (call!(api, getReadPtr, source, plane), call!(api, getWritePtr, frame, plane));
            ptr::copy_nonoverlapping(from, to, bytes as usize);
        }
        frame
    }
}
