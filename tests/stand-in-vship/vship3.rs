//! The stand-in with the signatures of Vship 3.1.
#![allow(unsafe_code, reason = "VapourSynth's plugin interface is C")]

mod stand_in;

use stand_in::Version;
use vapoursynth_sys as ffi;

const VERSION: Version = Version {
    name: c"Stand-in for Vship 3.1",
    number: 3 << 16 | 2,
    butteraugli: c"reference:vnode;distorted:vnode;intensity_multiplier:float:opt;\
                   distmap:int:opt;numStream:int:opt;gpu_id:int:opt;",
    ssimulacra2: c"reference:vnode;distorted:vnode;numStream:int:opt;gpu_id:int:opt;",
    first_norm: c"_BUTTERAUGLI_2Norm",
};

/// Where VapourSynth enters a plugin.
///
/// # Safety
/// The pointers are valid for the call, as VapourSynth guarantees.
#[allow(non_snake_case)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VapourSynthPluginInit2(plugin: *mut ffi::VSPlugin, api: *const ffi::VSPLUGINAPI) {
    // SAFETY: VapourSynth's own pointers, passed on.
    unsafe { stand_in::register(plugin, api, &VERSION) }
}
