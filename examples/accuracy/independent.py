"""Renders a script, or scores every frame of an encode with vszip, knowing nothing of progression-boost.

    independent.py render SCRIPT OUT.y4m
    independent.py score SCRIPT ENCODED      SSIMULACRA2 of all frames, as JSON

Both sides of a comparison are read as BT.709, limited range, at 10 bits.
"""

import json
import runpy
import sys

import vapoursynth as vs

core = vs.core


def output_of(script):
    runpy.run_path(script)
    return vs.get_output(0).clip


def alike(clip):
    clip = core.std.SetFrameProps(clip, _Matrix=1, _Transfer=1, _Primaries=1, _Range=0)
    return core.resize.Bicubic(clip, format=vs.YUV420P10)


def render(script, target):
    with open(target, "wb") as file:
        output_of(script).output(file, y4m=True)


def score(script, encoded):
    source = alike(output_of(script))
    result = alike(core.bs.VideoSource(encoded, cachemode=0))
    if source.num_frames != result.num_frames:
        sys.exit(f"{encoded}: {result.num_frames} frames, the source has {source.num_frames}")
    scored = core.vszip.SSIMULACRA2(source, result)
    json.dump([frame.props["SSIMULACRA2"] for frame in scored.frames(close=True)], sys.stdout)


if __name__ == "__main__":
    {"render": render, "score": score}[sys.argv[1]](*sys.argv[2:])
