"""What the drawn clips beside it have in common: colours as expressions of place and time, cameras, grain.

A picture is painted by std.Expr from expressions written in infix. The same
script gives the same frames everywhere: noise comes from Python's own
generator, and a frame depends on its number alone.
"""

import ctypes
import random

import vapoursynth as vs

core = vs.core

FPS = 24
# How much larger than the picture a grain plane is, so that every frame crops it elsewhere.
SPARE = 128


class E:
    """An expression of std.Expr written in infix: `x * 2 + y` becomes `x 2 * y +`."""

    def __init__(self, code):
        self.code = str(code)

    def __str__(self):
        return self.code

    def __add__(self, other):
        return E(f"{self} {other} +")

    def __radd__(self, other):
        return E(f"{other} {self} +")

    def __sub__(self, other):
        return E(f"{self} {other} -")

    def __rsub__(self, other):
        return E(f"{other} {self} -")

    def __mul__(self, other):
        return E(f"{self} {other} *")

    def __rmul__(self, other):
        return E(f"{other} {self} *")

    def __truediv__(self, other):
        return E(f"{self} {other} /")

    def __rtruediv__(self, other):
        return E(f"{other} {self} /")

    def __mod__(self, other):
        """The remainder, of the divisor's sign."""
        return self - floor(self / other) * other


def sin(a):
    return E(f"{a} sin")


def cos(a):
    return E(f"{a} cos")


def sqrt(a):
    return E(f"{a} 0 max sqrt")


def floor(a):
    """std.Expr has no floor; adding 1.5 * 2**23 leaves no bits behind the point (`max` keeps it from being folded)."""
    return E(f"{a} 0.49999 - -99999 max 12582912 + 0 max 12582912 -")


def absolute(a):
    return E(f"{a} abs")


def power(a, exponent):
    return E(f"{a} 0.0001 max {exponent} pow")


def clamp(a):
    return E(f"{a} 0 max 1 min")


def below(a, limit, softness=0.005):
    """1 where `a` is below `limit`, 0 where it is above, a soft edge between."""
    return clamp((limit - a) / softness + 0.5)


def distance(cx, cy, stretch=1):
    """From a place, in picture heights; `stretch` above 1 flattens the circles around it."""
    return sqrt((x - cx) * (x - cx) + (y - cy) * (y - cy) * (stretch * stretch))


def disc(cx, cy, radius, softness=0.005, stretch=1):
    return below(distance(cx, cy, stretch), radius, softness)


def box(left, top, right, bottom, softness=0.005):
    inside = below(left - x, 0, softness) * below(x, right, softness)
    return inside * below(top - y, 0, softness) * below(y, bottom, softness)


def over(ground, paint, mask):
    """`paint` where `mask` is 1, `ground` where it is 0; both are (r, g, b)."""
    return tuple(g * (1 - mask) + p * mask for g, p in zip(ground, paint))


def outlined(ground, paint, radius_field, radius, line=0.008, ink=(0.10, 0.08, 0.12)):
    """A shape filled with `paint`, with a line of `ink` around it, as line art has."""
    ground = over(ground, rgb(*ink), below(radius_field, radius + line))
    return over(ground, paint, below(radius_field, radius))


def rgb(r, g, b):
    return E(r), E(g), E(b)


def scaled(colour, factor):
    return tuple(c * factor for c in colour)


# The place in picture heights, the time in seconds, the frame number, and up to three textures.
x, y, t = E("x"), E("y"), E("z")
n = t * FPS
fine, coarse, third = E("a"), E("b"), E("c")


def still(clip):
    """Keeps a clip of one frame rendered, so that looping it costs nothing."""
    core.std.SetVideoCache(clip, mode=1, fixedsize=1, maxsize=1)
    return clip


def random_plane(width, height, seed):
    """One 8-bit frame of uniform noise; Python's Mersenne Twister gives the same everywhere."""
    blank = core.std.BlankClip(width=width, height=height, format=vs.GRAY8, length=1, keep=True)
    data = random.Random(seed).randbytes(width * height)

    def fill(n, f):
        frame = f.copy()
        pointer, stride = frame.get_write_ptr(0), frame.get_stride(0)
        for row in range(height):
            ctypes.memmove(pointer.value + row * stride, data[row * width : (row + 1) * width], width)
        return frame

    return still(core.std.ModifyFrame(blank, blank, fill))


def texture(cells, seed, width, height, octaves=4, stretch=1):
    """Smooth noise in 0..1 with `cells` features down the height; `stretch` above 1 draws it out sideways."""
    total = None
    for octave in range(octaves):
        rows = cells << octave
        columns = max(2, round(rows * width / height / stretch))
        grid = random_plane(columns, max(2, rows), seed * 16 + octave)
        layer = core.resize.Bicubic(grid, width, height, format=vs.GRAYS, range_in=1)
        weight = 0.5**octave
        total = (
            core.std.Expr(layer, f"x {weight} *")
            if total is None
            else core.std.Expr([total, layer], f"x y {weight} * +")
        )
    norm = 2 - 0.5 ** (octaves - 1)
    return still(core.std.Expr(total, f"x {norm} / 0.5 - 1.7 * 0.5 + 0 max 1 min"))


def ramp(width, height, horizontal, last):
    """A picture whose samples run from 0 to `last`, left to right or top to bottom."""
    zero = core.std.BlankClip(width=1, height=1, format=vs.GRAYS, length=1, color=0.0)
    pair = [zero, core.std.BlankClip(zero, color=last)]
    if horizontal:
        return still(core.resize.Bilinear(core.std.StackHorizontal(pair), width, height, src_left=0.5, src_width=1))
    return still(core.resize.Bilinear(core.std.StackVertical(pair), width, height, src_top=0.5, src_height=1))


def clock(length, width, height):
    """A clip whose samples hold their frame's second."""
    one = dict(width=1, height=1, format=vs.GRAYS, length=1, fpsnum=FPS, fpsden=1)
    ticks = core.std.Splice([core.std.BlankClip(color=n / FPS, **one) for n in range(length)])
    return core.resize.Point(ticks, width, height)


def inputs(length, width, height, textures):
    """What every expression reads, in the order of the letters above."""
    blank = core.std.BlankClip(width=width, height=height, format=vs.GRAYS, length=1, keep=True)
    places = [ramp(width, height, True, width / height), ramp(width, height, False, 1.0)]
    looped = [core.std.Loop(one, length) for one in places]
    three = [*textures, blank, blank, blank][:3]
    return [*looped, clock(length, width, height), *(core.std.Loop(one, length) for one in three)]


def paint(length, colour, width, height, textures=()):
    """A clip of RGBS painted by `colour`, an (r, g, b) of expressions in gamma-encoded 0..1."""
    read = inputs(length, width, height, textures)
    planes = [core.std.Expr(read, str(clamp(c))) for c in colour]
    return core.std.AssumeFPS(core.std.ShufflePlanes(planes, [0, 0, 0], vs.RGB), fpsnum=FPS, fpsden=1)


def board(colour, width, height, textures=()):
    """One painted picture, rendered once, for a camera to move over."""
    return still(paint(1, colour, width, height, textures))


def camera(picture, length, width, height, view):
    """What a camera sees of a still picture; `view(n)` is (left, top, width) of its window, in samples."""
    looped = core.std.Loop(picture, length)
    template = core.std.BlankClip(looped, width=width, height=height)

    def look(n):
        left, top, wide = view(n)
        return core.resize.Bicubic(
            looped,
            width,
            height,
            src_left=left,
            src_top=top,
            src_width=wide,
            src_height=wide * height / width,
        )

    return core.std.FrameEval(template, look)


def painted_over(clip, paint_of, textures=()):
    """Paints on a moving RGBS clip: `paint_of` takes its (r, g, b) and gives the new one."""
    read = inputs(clip.num_frames, clip.width, clip.height, textures) + core.std.SplitPlanes(clip)
    planes = [core.std.Expr(read, str(clamp(c))) for c in paint_of((E("d"), E("e"), E("f")))]
    return core.std.AssumeFPS(core.std.ShufflePlanes(planes, [0, 0, 0], vs.RGB), fpsnum=FPS, fpsden=1)


def on_every(clip, frames):
    """Animation on twos, threes, …: a new drawing every so many frames."""
    keep = core.std.SelectEvery(clip, frames, 0)
    held = core.std.Interleave([keep] * frames)
    return core.std.AssumeFPS(held[: clip.num_frames], fpsnum=FPS, fpsden=1)


def finish(clip):
    """RGBS to what a file of the day holds: 8-bit 4:2:0, BT.709."""
    picture = core.resize.Bicubic(clip, format=vs.YUV420P8, matrix_s="709")
    return core.std.AssumeFPS(picture, fpsnum=FPS, fpsden=1)


def grain(clip, strength, seed, size=1):
    """Camera grain on the luma of a YUV clip, new in every frame, strongest in the midtones.

    `strength` is about the standard deviation in 8-bit steps; `size` above 1 makes the grain coarser.
    """
    width, height = clip.width + SPARE, clip.height + SPARE
    plane = random_plane(-(-width // size), -(-height // size), seed)
    plane = core.resize.Bicubic(plane, width, height)
    if size == 1:
        plane = core.std.Convolution(plane, [1, 2, 1, 2, 6, 2, 1, 2, 1])
    plane = core.std.Loop(still(plane), clip.num_frames)
    luma = core.std.ShufflePlanes(clip, 0, vs.GRAY)
    places = random.Random(seed)
    throws = [[places.randrange(SPARE) for _ in range(6)] for _ in range(clip.num_frames)]
    midtones = "x 16 - 219 / 0 max 1 min dup 1 swap - * 3 * 0.25 +"

    def grainy(n):
        left = throws[n]
        crops = [core.std.CropAbs(plane, clip.width, clip.height, left[k], left[k + 3]) for k in range(3)]
        # Three uniform values around 128: nearly a normal distribution around 0, about 60 steps wide.
        return core.std.Expr([luma, *crops], f"y z + a + 384 - {strength} 60 / * {midtones} * x + 16 max 235 min")

    return core.std.ShufflePlanes([core.std.FrameEval(luma, grainy), clip], [0, 1, 2], vs.YUV)


def film(shots):
    """The shots one after the other, tagged as BT.709, limited range (H.273 numbers)."""
    return core.std.SetFrameProps(core.std.Splice(shots), _Matrix=1, _Transfer=1, _Primaries=1, _Range=0)
