//! Tiny networks, written byte by byte, and drawn clips with a red figure, for
//! the tests of Character Boost.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};

use progression_boost::settings::{CharacterBackend, CharacterSettings};
use progression_boost::source::{self, Clip, OpenOptions};

/// Writes protocol buffers: a field is a key and its content.
struct Message(Vec<u8>);

impl Message {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn number(mut self, field: u64, number: u64) -> Self {
        self.varint(field << 3);
        self.varint(number);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }
}

/// A tensor of floats with its values.
fn weights(name: &str, shape: &[u64], values: &[f32]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensor = shape.iter().fold(Message::new(), |tensor, &side| tensor.number(1, side));
    tensor.number(2, 1).text(8, name).bytes(9, &raw)
}

/// An input or output of 1 × `channels` × any × any.
fn picture(name: &str, channels: u64) -> Message {
    let fixed = |size| Message::new().number(1, size);
    let free = |name: &str| Message::new().text(2, name);
    let shape = [fixed(1), fixed(channels), free("H"), free("W")]
        .iter()
        .fold(Message::new(), |shape, side| shape.message(1, side));
    let tensor = Message::new().message(1, &Message::new().number(1, 1).message(2, &shape));
    Message::new().text(1, name).message(2, &tensor)
}

fn node(operation: &str, inputs: &[&str], output: &str) -> Message {
    inputs.iter().fold(Message::new(), |node, input| node.text(1, input)).text(2, output).text(4, operation)
}

fn model(nodes: &[Message], tensors: &[Message], channels: (u64, u64)) -> Vec<u8> {
    let graph = nodes.iter().fold(Message::new(), |graph, node| graph.message(1, node)).text(2, "test");
    let graph = tensors.iter().fold(graph, |graph, tensor| graph.message(5, tensor));
    let graph = graph.message(11, &picture("input", channels.0)).message(12, &picture("mask", channels.1));
    let operators = Message::new().text(1, "").number(2, 13);
    Message::new().number(1, 8).message(7, &graph).message(8, &operators).0
}

/// Marks saturated red: `clamp(3r − 3g − 3b − 0.3, 0, 1)`.
pub fn red_network() -> Vec<u8> {
    model(
        &[node("Conv", &["input", "w", "b"], "linear"), node("Clip", &["linear", "zero", "one"], "mask")],
        &[
            weights("w", &[1, 3, 1, 1], &[3.0, -3.0, -3.0]),
            weights("b", &[1], &[-0.3]),
            weights("zero", &[], &[0.0]),
            weights("one", &[], &[1.0]),
        ],
        (3, 1),
    )
}

/// Inverts a picture: three channels come out.
pub fn colour_network() -> Vec<u8> {
    model(&[node("Neg", &["input"], "mask")], &[], (3, 3))
}

/// Takes three channels and gives one, but names an operator that nobody knows.
pub fn unknown_network() -> Vec<u8> {
    model(&[node("MarkEverything", &["input"], "mask")], &[], (3, 1))
}

/// `layers` 3×3 convolutions of `channels` channels, then one that makes a
/// mask; weights of no meaning. For timing only.
pub fn heavy_network(layers: usize, channels: u64) -> Vec<u8> {
    let mut nodes = Vec::new();
    let mut tensors = Vec::new();
    let mut from = ("input".to_owned(), 3);
    let pads = |node: Message| {
        // AttributeProto: name 1, ints 8, type 20 (7 is INTS).
        let pads = (0..4).fold(Message::new().text(1, "pads"), |a, _| a.number(8, 1)).number(20, 7);
        node.message(5, &pads)
    };
    for layer in 0..=layers {
        let last = layer == layers;
        let (name, to) = if last { ("mask".to_owned(), 1) } else { (format!("c{layer}"), channels) };
        let count = (to * from.1 * 9) as usize;
        let values: Vec<f32> =
            (0..count).map(|i| ((i * 7919 % 101) as f32 - 50.0) / (50.0 * count as f32)).collect();
        let weight = format!("w{layer}");
        tensors.push(weights(&weight, &[to, from.1, 3, 3], &values));
        nodes.push(pads(node("Conv", &[&from.0, &weight], &name)));
        from = (name, to);
    }
    model(&nodes, &tensors, (3, 1))
}

/// A clip with a textured red figure on textured grey ground.
#[derive(Debug, Clone, Copy)]
pub struct Drawing {
    pub width: usize,
    pub height: usize,
    pub frames: usize,
    /// Width and height of the figure.
    pub figure: (usize, usize),
    /// Left and top edge in frame 0, even.
    pub at: (usize, usize),
    /// Pixels a frame to the right, even.
    pub speed: usize,
}

impl Drawing {
    /// The VapourSynth script that draws it, in full-range BT.709 8-bit 4:2:0.
    pub fn script(&self) -> String {
        let Self { width, height, frames, figure, at, speed } = self;
        format!(
            "import ctypes, random\n\
             import vapoursynth as vs\n\
             core = vs.core\n\
             W, H, N = {width}, {height}, {frames}\n\
             FW, FH = {}, {}\n\
             def noise(w, h, seed, low, high):\n    \
                 data = bytes(low + b * (high - low) // 255 for b in random.Random(seed).randbytes(w * h))\n    \
                 def fill(n, f):\n        \
                     g = f.copy()\n        \
                     p, stride = g.get_write_ptr(0), g.get_stride(0)\n        \
                     for y in range(h):\n            \
                         ctypes.memmove(p.value + y * stride, data[y * w:(y + 1) * w], w)\n        \
                     return g\n    \
                 c = core.std.BlankClip(width=w, height=h, format=vs.GRAY8, length=1, keep=True)\n    \
                 c = core.std.ModifyFrame(c, c, fill)\n    \
                 return core.std.Convolution(c, [1, 2, 1, 2, 4, 2, 1, 2, 1])\n\
             def coloured(luma, u, v):\n    \
                 c = core.std.BlankClip(width=luma.width, height=luma.height, format=vs.YUV420P8, length=1, color=[0, u, v])\n    \
                 return core.std.ShufflePlanes([luma, c], [0, 1, 2], vs.YUV)\n\
             ground = coloured(noise(W, H, 1, 60, 180), 128, 128)\n\
             figure = coloured(noise(FW, FH, 2, 40, 90), 102, 240)\n\
             inside = core.std.BlankClip(width=FW, height=FH, format=vs.GRAY8, length=1, color=255)\n\
             def at(n):\n    \
                 x, y = {} + {speed} * n, {}\n    \
                 x = min(x, W - FW)\n    \
                 m = core.std.AddBorders(inside, x, W - FW - x, y, H - FH - y)\n    \
                 f = core.std.AddBorders(figure, x, W - FW - x, y, H - FH - y)\n    \
                 return core.std.MaskedMerge(ground, f, m, first_plane=True)\n\
             clip = core.std.FrameEval(core.std.BlankClip(ground, length=N, fpsnum=24, fpsden=1, keep=True), at)\n\
             clip = core.std.SetFrameProps(clip, _Matrix=1, _Transfer=1, _Primaries=1, _Range=1)\n\
             clip.set_output()\n",
            figure.0, figure.1, at.0, at.1
        )
    }

    pub fn open(&self, folder: &Path) -> Clip {
        let path = folder.join("drawn.vpy");
        std::fs::write(&path, self.script()).unwrap();
        source::open(&path, &OpenOptions::default()).unwrap()
    }

    /// Left edge of the figure in frame `n`.
    pub fn left(&self, n: usize) -> usize {
        (self.at.0 + self.speed * n).min(self.width - self.figure.0)
    }

    /// Mean absolute luma differences are not of interest here, only where
    /// something changes: everywhere but in the first frame when it moves.
    pub fn luma_diff(&self) -> Vec<f64> {
        (0..self.frames).map(|n| if n == 0 || self.speed == 0 { 0.0 } else { 0.02 }).collect()
    }
}

pub fn write_network(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("network.onnx");
    std::fs::write(&path, bytes).unwrap();
    path
}

pub fn settings(model: &Path, backend: CharacterBackend) -> CharacterSettings {
    CharacterSettings {
        enable: true,
        backend,
        roi_boost_max: 5.5,
        crf_boost_max: 3.0,
        crf_curve: 0,
        motion_boost_max: 0.0,
        model: Some(model.to_path_buf()),
    }
}
