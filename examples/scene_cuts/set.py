"""Joins pieces of clips as `pieces` lists them; the generator writes that list and `sources` above this text."""

import ctypes
import random

import vapoursynth as vs

core = vs.core
WIDTH, HEIGHT = 640, 360


def source(path):
    if path.endswith((".vpy", ".py")):
        import runpy

        vs.clear_outputs()
        runpy.run_path(path)
        clip = vs.get_output(0)
        clip = getattr(clip, "clip", clip)
        vs.clear_outputs()
    elif hasattr(core, "bs"):
        clip = core.bs.VideoSource(path, cachemode=0)
    elif hasattr(core, "lsmas"):
        clip = core.lsmas.LWLibavSource(path, cache=0)
    else:
        clip = core.ffms2.Source(path, cache=False)
    matrix = {"matrix_s": "170m"} if clip.format.color_family == vs.RGB else {}
    clip = core.resize.Bicubic(clip, WIDTH, HEIGHT, format=vs.YUV420P8, **matrix)
    return core.std.AssumeFPS(core.std.RemoveFrameProps(clip), fpsnum=24)


def each(clip, picture):
    """The clip whose frame n is the first frame of picture(n)."""
    return core.std.FrameEval(clip, picture)


def black(length):
    return core.std.BlankClip(format=vs.YUV420P8, width=WIDTH, height=HEIGHT, length=length, color=[16, 128, 128], fpsnum=24)


def plain(clip, **_):
    return clip


def flash(clip, at, length, **_):
    """Bright frames, as lightning makes them."""
    bright = core.std.Expr(clip[at : at + length], ["x 0.25 * 170 +", "x 0.5 * 64 +"])
    return clip[:at] + bright + clip[at + length :]


def stray(clip, at, length, other, frame, **_):
    """Frames of another picture, as a broken edit leaves them."""
    strange = core.std.Loop(clips[other][frame], length)
    return clip[:at] + strange + clip[at + length :]


def fade(clip, length, out, **_):
    """To black or from black over `length` frames."""
    part = clip[-length:] if out else clip[:length]
    dark = black(length)
    share = (lambda n: (n + 1) / length) if out else (lambda n: 1 - n / length)
    faded = each(part, lambda n: core.std.Merge(part, dark, share(n)))
    return clip[:-length] + faded if out else faded + clip[length:]


def pan(clip, speed, **_):
    """A camera that moves across a still picture at `speed` pixels a frame."""
    length = clip.num_frames
    big = core.std.Loop(core.resize.Bicubic(clip[0], 4 * WIDTH, 4 * HEIGHT), length)
    room = 3 * WIDTH
    def view(n):
        x = int(n * speed) % (2 * room)
        x = min(x, 2 * room - x) // 2 * 2
        return core.std.CropAbs(big, WIDTH, HEIGHT, x, HEIGHT)
    return each(clip, view)


def zoom(clip, speed, **_):
    """A camera that moves into a still picture by a factor of `speed` a frame."""
    still = core.std.Loop(clip[0], clip.num_frames)
    def view(n):
        share = speed ** -n
        w, h = WIDTH * share, HEIGHT * share
        return core.resize.Bicubic(still, src_left=(WIDTH - w) / 2, src_top=(HEIGHT - h) / 2, src_width=w, src_height=h)
    return each(clip, view)


def grain(clip, strength, seed, **_):
    """Luma noise, new in every frame, of about `strength` code values."""
    def fill(n, f):
        f = f.copy()
        noise = random.Random(seed * 100003 + n).randbytes(WIDTH * HEIGHT)
        for y in range(HEIGHT):
            row = noise[y * WIDTH : (y + 1) * WIDTH]
            ctypes.memmove(f.get_write_ptr(0).value + y * f.get_stride(0), row, WIDTH)
        return f
    blank = core.std.BlankClip(format=vs.GRAY8, width=WIDTH, height=HEIGHT, length=clip.num_frames)
    noise = core.std.ModifyFrame(blank, blank, fill)
    luma = core.std.ShufflePlanes(clip, 0, vs.GRAY)
    # Uniform bytes deviate by 64 on average.
    luma = core.std.Expr([luma, noise], f"x y 128 - {strength / 64} * +")
    return core.std.ShufflePlanes([luma, clip, clip], [0, 1, 2], vs.YUV)


def dissolve(before, after, length):
    a, b = before[-length:], after[:length]
    mixed = each(a, lambda n: core.std.Merge(a, b, (n + 1) / (length + 1)))
    return before[:-length] + mixed + after[length:]


clips = [source(path) for path in sources]
made = None
for piece in pieces:
    clip = clips[piece["source"]][piece["start"] : piece["end"]]
    clip = globals()[piece["kind"]](clip, **piece)
    if made is None:
        made = clip
    elif piece["dissolve"]:
        made = dissolve(made, clip, piece["dissolve"])
    else:
        made = made + clip
made.set_output()
