//! A stand-in for Vship, for machines without a GPU: the same namespace,
//! signatures, properties and error paths, with simple statistics of the two
//! frames as scores.
//!
//! `_BUTTERAUGLI_3Norm` is the mean and `_BUTTERAUGLI_INFNorm` the maximum of
//! the absolute luma differences in code values, `_SSIMULACRA2` is 100 less
//! that mean. Frames whose colour properties are missing or differ between the
//! sides are refused. The name of the plugin file chooses what else happens:
//!
//! | in the name | then |
//! |---|---|
//! | `no-gpu` | filters cannot be created |
//! | `bad-frame` | filters are created, but no frame can be computed |
//! | `garbage` | every score is 42 |
//! | `crash` | the first frame ends the process |
//! | `echo` | of frames that differ, the 3-norm is the intensity and the maximum the properties |
//! | `2-streams` | with more than two of them no frame can be computed |
//! | `which-gpu` | of frames that differ, the maximum is the number of the GPU |
//!
//! Of frames in RGBS the maximum is the highest value of red, and their properties are
//! those that RGB has.
#![allow(unsafe_code, reason = "VapourSynth's plugin interface is C")]

use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr;

use vapoursynth_sys as ffi;

#[path = "../plugin-api/call.rs"]
mod api;
use api::call;

/// What differs between Vship's versions.
pub struct Version {
    pub name: &'static CStr,
    pub number: c_int,
    pub butteraugli: &'static CStr,
    pub ssimulacra2: &'static CStr,
    /// The first of the three norms.
    pub first_norm: &'static CStr,
}

const REPLACE: c_int = ffi::VSMapAppendMode_maReplace as c_int;

/// `_ChromaLocation` first: the digits that `echo` reports, from the left.
const PROPERTIES: [&CStr; 6] =
    [c"_ChromaLocation", c"_ColorRange", c"_Range", c"_Primaries", c"_Transfer", c"_Matrix"];

/// In several lines, as Vship's own.
const OUT_OF_MEMORY: &str = "VshipException\nOutOfVRAM: Vship was not able to perform GPU memory allocation. (Advice) \
                             Reduce or Set numStream argument\n - At line 1 of main.hpp\n";

struct Instance {
    reference: *mut ffi::VSNode,
    distorted: *mut ffi::VSNode,
    version: &'static Version,
    butteraugli: bool,
    intensity: f64,
    streams: i64,
    gpu: i64,
    plugin: String,
}

/// Registers the plugin as `version`.
///
/// # Safety
/// The pointers are those VapourSynth calls `VapourSynthPluginInit2` with.
pub unsafe fn register(plugin: *mut ffi::VSPlugin, api: *const ffi::VSPLUGINAPI, version: &'static Version) {
    let data = ptr::from_ref(version).cast_mut().cast::<c_void>();
    // SAFETY: the strings are static and the function data is a static constant.
    unsafe {
        let wanted = (ffi::VAPOURSYNTH_API_MAJOR << 16) as c_int;
        call!(
            api,
            configPlugin,
            c"com.lumen.vship".as_ptr(),
            c"vship".as_ptr(),
            version.name.as_ptr(),
            version.number,
            wanted,
            0,
            plugin
        );
        for (name, args, returns, function) in [
            (c"SSIMULACRA2", version.ssimulacra2, c"clip:vnode;", create_ssimulacra2 as _),
            (c"BUTTERAUGLI", version.butteraugli, c"clip:vnode;", create_butteraugli as _),
            (c"GpuInfo", c"gpu_id:int:opt;", c"gpu_human_data:data;", gpu_info as _),
        ] {
            call!(
                api,
                registerFunction,
                name.as_ptr(),
                args.as_ptr(),
                returns.as_ptr(),
                Some(function),
                data,
                plugin
            );
        }
    }
}

unsafe extern "C" fn gpu_info(
    _input: *const ffi::VSMap,
    output: *mut ffi::VSMap,
    _data: *mut c_void,
    _core: *mut ffi::VSCore,
    api: *const ffi::VSAPI,
) {
    let text = c"GPU 0: stand-in for a GPU\n";
    // SAFETY: `output` and `api` come from VapourSynth; the text outlives the call.
    unsafe {
        let length = text.count_bytes() as c_int;
        call!(
            api,
            mapSetData,
            output,
            c"gpu_human_data".as_ptr(),
            text.as_ptr(),
            length,
            ffi::VSDataTypeHint_dtUtf8,
            REPLACE
        );
    }
}

unsafe extern "C" fn create_butteraugli(
    input: *const ffi::VSMap,
    output: *mut ffi::VSMap,
    data: *mut c_void,
    core: *mut ffi::VSCore,
    api: *const ffi::VSAPI,
) {
    // SAFETY: passed on as it came.
    unsafe { create(input, output, data, core, api, true) }
}

unsafe extern "C" fn create_ssimulacra2(
    input: *const ffi::VSMap,
    output: *mut ffi::VSMap,
    data: *mut c_void,
    core: *mut ffi::VSCore,
    api: *const ffi::VSAPI,
) {
    // SAFETY: passed on as it came.
    unsafe { create(input, output, data, core, api, false) }
}

/// Makes a filter of either kind.
///
/// # Safety
/// The pointers are those VapourSynth calls a filter's create function with, `data`
/// the [`Version`] given to [`register`].
unsafe fn create(
    input: *const ffi::VSMap,
    output: *mut ffi::VSMap,
    data: *mut c_void,
    core: *mut ffi::VSCore,
    api: *const ffi::VSAPI,
    butteraugli: bool,
) {
    // SAFETY: `data` is the version given to `register`; nodes taken here are
    // freed below or, once the filter owns them, in `free`.
    unsafe {
        let own = call!(api, getPluginByNamespace, c"vship".as_ptr(), core);
        let plugin = CStr::from_ptr(call!(api, getPluginPath, own)).to_string_lossy().into_owned();
        let node = |key: &CStr| call!(api, mapGetNode, input, key.as_ptr(), 0, ptr::null_mut());
        let (reference, distorted) = (node(c"reference"), node(c"distorted"));
        let mut missing = 0;
        let intensity = call!(api, mapGetFloat, input, c"intensity_multiplier".as_ptr(), 0, &raw mut missing);
        let int = |key: &CStr| {
            let mut missing = 0;
            let value = call!(api, mapGetInt, input, key.as_ptr(), 0, &raw mut missing);
            if missing == 0 { value } else { 0 }
        };
        let instance = Box::new(Instance {
            streams: int(c"numStream"),
            gpu: int(c"gpu_id"),
            reference,
            distorted,
            version: &*data.cast_const().cast::<Version>(),
            butteraugli,
            intensity: if missing == 0 { intensity } else { 203.0 },
            plugin,
        });
        let (a, b) = (&*call!(api, getVideoInfo, reference), &*call!(api, getVideoInfo, distorted));
        let refused = if (a.width, a.height) != (b.width, b.height) {
            Some(c"DifferingInputType: the clips differ in size")
        } else if instance.is("no-gpu") {
            Some(
                c"NoDeviceDetected: No GPU was found on the system. If the device exists, verify its drivers",
            )
        } else {
            None
        };
        if let Some(text) = refused {
            call!(api, mapSetError, output, text.as_ptr());
            free(Box::into_raw(instance).cast(), core, api);
            return;
        }
        let pattern = ffi::VSRequestPattern_rpStrictSpatial as c_int;
        let sources =
            [reference, distorted].map(|source| ffi::VSFilterDependency { source, requestPattern: pattern });
        call!(
            api,
            createVideoFilter,
            output,
            c"vship".as_ptr(),
            b,
            Some(get_frame),
            Some(free),
            ffi::VSFilterMode_fmParallel as c_int,
            sources.as_ptr(),
            2,
            Box::into_raw(instance).cast(),
            core
        );
    }
}

unsafe extern "C" fn free(data: *mut c_void, _core: *mut ffi::VSCore, api: *const ffi::VSAPI) {
    // SAFETY: `data` is the box that `create` made, given back once.
    unsafe {
        let instance = Box::from_raw(data.cast::<Instance>());
        call!(api, freeNode, instance.reference);
        call!(api, freeNode, instance.distorted);
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
    // SAFETY: `data` is the box that `create` made; both frames were requested
    // before they are taken and are freed after use.
    unsafe {
        let instance = &*data.cast_const().cast::<Instance>();
        if reason == ffi::VSActivationReason_arInitial {
            call!(api, requestFrameFilter, n, instance.reference, context);
            call!(api, requestFrameFilter, n, instance.distorted, context);
            return ptr::null();
        }
        if reason != ffi::VSActivationReason_arAllFramesReady {
            return ptr::null();
        }
        let reference = call!(api, getFrameFilter, n, instance.reference, context);
        let distorted = call!(api, getFrameFilter, n, instance.distorted, context);
        let measured = instance.measure(reference, distorted, api);
        let result = match measured {
            Ok((norm, highest)) => instance.answer(distorted, norm, highest, core, api),
            Err(text) => {
                let text = CString::new(text).unwrap_or_default();
                call!(api, setFilterError, text.as_ptr(), context);
                ptr::null()
            }
        };
        call!(api, freeFrame, reference);
        call!(api, freeFrame, distorted);
        result
    }
}

impl Instance {
    fn is(&self, what: &str) -> bool {
        self.plugin.contains(what)
    }

    /// Mean and maximum as the module's documentation says.
    ///
    /// # Safety
    /// Both frames belong to `api` and are valid while this runs.
    unsafe fn measure(
        &self,
        reference: *const ffi::VSFrame,
        distorted: *const ffi::VSFrame,
        api: *const ffi::VSAPI,
    ) -> Result<(f64, f64), String> {
        // SAFETY: the frames are valid for this call.
        let format = unsafe { &*call!(api, getVideoFrameFormat, reference) };
        let keys = if format.sampleType == ffi::VSSampleType_stFloat as c_int {
            &PROPERTIES[3..]
        } else {
            &PROPERTIES
        };
        // SAFETY: the frames are valid for this call.
        let (a, b) = unsafe { (properties(reference, keys, api)?, properties(distorted, keys, api)?) };
        if a != b {
            return Err(format!("the sides' properties differ: {a:?} and {b:?}"));
        }
        if self.is("crash") {
            std::process::abort();
        }
        if self.is("bad-frame") {
            return Err(OUT_OF_MEMORY.to_owned());
        }
        if self.is("2-streams") && self.streams > 2 {
            return Err(OUT_OF_MEMORY.to_owned());
        }
        if self.is("garbage") {
            return Ok((42.0, 42.0));
        }
        if keys.len() < PROPERTIES.len() {
            // SAFETY: as above.
            let (a_red, b_red) = unsafe { (red(reference, api), red(distorted, api)) };
            let sum: f64 = a_red.iter().zip(&b_red).map(|(a, b)| f64::from((a - b).abs())).sum();
            let highest = b_red.iter().fold(0.0_f32, |highest, value| highest.max(*value));
            return Ok((sum / a_red.len() as f64, if sum > 0.0 { f64::from(highest) } else { 0.0 }));
        }
        // SAFETY: as above.
        let (a_luma, b_luma) = unsafe { (luma(reference, api), luma(distorted, api)) };
        let differences: Vec<u16> = a_luma.iter().zip(&b_luma).map(|(a, b)| a.abs_diff(*b)).collect();
        let highest = f64::from(differences.iter().copied().max().unwrap_or(0));
        let sum: f64 = differences.iter().map(|&d| f64::from(d)).sum();
        if self.is("which-gpu") && highest > 0.0 {
            return Ok((sum / differences.len() as f64, self.gpu as f64));
        }
        if self.is("echo") && highest > 0.0 {
            let digits = a.iter().fold(0, |number, value| number * 100 + value);
            return Ok((self.intensity, digits as f64));
        }
        Ok((sum / differences.len() as f64, highest))
    }

    /// A copy of the distorted frame with the scores as properties; the caller's to free.
    ///
    /// # Safety
    /// The frame and the core belong to `api` and are valid while this runs.
    unsafe fn answer(
        &self,
        distorted: *const ffi::VSFrame,
        norm: f64,
        highest: f64,
        core: *mut ffi::VSCore,
        api: *const ffi::VSAPI,
    ) -> *const ffi::VSFrame {
        // SAFETY: the copy is ours until it is returned.
        unsafe {
            let frame = call!(api, copyFrame, distorted, core);
            let props = call!(api, getFramePropertiesRW, frame);
            let set = |key: &CStr, value: f64| {
                call!(api, mapSetFloat, props, key.as_ptr(), value, REPLACE);
            };
            if self.butteraugli {
                set(self.version.first_norm, 0.0);
                set(c"_BUTTERAUGLI_3Norm", norm);
                set(c"_BUTTERAUGLI_INFNorm", highest);
            } else {
                set(c"_SSIMULACRA2", 100.0 - norm);
            }
            frame
        }
    }
}

/// The values of `keys`, or which is missing.
///
/// # Safety
/// The frame belongs to `api` and is valid while this runs.
unsafe fn properties(
    frame: *const ffi::VSFrame,
    keys: &[&CStr],
    api: *const ffi::VSAPI,
) -> Result<[i64; 6], String> {
    let mut found = [0; 6];
    for (value, key) in found.iter_mut().zip(keys) {
        let mut error = 0;
        // SAFETY: the frame is valid and the key is static.
        *value = unsafe {
            let props = call!(api, getFramePropertiesRO, frame);
            call!(api, mapGetInt, props, key.as_ptr(), 0, &raw mut error)
        };
        if error != 0 {
            return Err(format!("a frame has no {}", key.to_string_lossy()));
        }
    }
    Ok(found)
}

/// The luma samples of a frame, row by row.
///
/// # Safety
/// The frame belongs to `api`, is valid while this runs and has samples of 16 bits.
unsafe fn luma(frame: *const ffi::VSFrame, api: *const ffi::VSAPI) -> Vec<u16> {
    // SAFETY: a plane has `height` rows of `width` samples, `stride` bytes apart.
    unsafe {
        let (width, height) = (call!(api, getFrameWidth, frame, 0), call!(api, getFrameHeight, frame, 0));
        let stride = call!(api, getStride, frame, 0);
        let start = call!(api, getReadPtr, frame, 0);
        let bytes = (*call!(api, getVideoFrameFormat, frame)).bytesPerSample as usize;
        let mut samples = Vec::with_capacity((width * height) as usize);
        for y in 0..height as isize {
            let row = std::slice::from_raw_parts(start.offset(y * stride), width as usize * bytes);
            match bytes {
                1 => samples.extend(row.iter().map(|&s| u16::from(s))),
                _ => samples.extend(row.chunks_exact(2).map(|s| u16::from_ne_bytes([s[0], s[1]]))),
            }
        }
        samples
    }
}

/// The first plane of a frame of floats, row by row.
///
/// # Safety
/// The frame belongs to `api`, is valid while this runs and has samples of 32 bits.
// Planes begin at, and rows are apart by, multiples of 32 bytes.
#[allow(clippy::cast_ptr_alignment)]
unsafe fn red(frame: *const ffi::VSFrame, api: *const ffi::VSAPI) -> Vec<f32> {
    // SAFETY: a plane has `height` rows of `width` samples, `stride` bytes apart and aligned for them.
    unsafe {
        let (width, height) = (call!(api, getFrameWidth, frame, 0), call!(api, getFrameHeight, frame, 0));
        let (stride, start) = (call!(api, getStride, frame, 0), call!(api, getReadPtr, frame, 0));
        let row =
            |y: isize| std::slice::from_raw_parts(start.offset(y * stride).cast::<f32>(), width as usize);
        (0..height as isize).flat_map(row).copied().collect()
    }
}
