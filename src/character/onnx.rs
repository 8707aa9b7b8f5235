//! The inputs and outputs of an ONNX file: a minimal reader of its protocol
//! buffers (onnx.proto: ModelProto.graph is field 7; GraphProto.initializer,
//! input and output are 5, 11 and 12).

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// The element type of `TensorProto` that plugins are given, 32-bit floats, …
const FLOAT: u64 = 1;
/// … and the one that networks are often stored in: pictures are no half floats.
const HALF: u64 = 10;

/// One side of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dimension {
    Fixed(u64),
    /// Any size; the name is the author's, and may be empty.
    Free(String),
}

/// An input or output of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    pub name: String,
    element: u64,
    pub shape: Vec<Dimension>,
}

/// What goes into a network and what comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
}

impl fmt::Display for Tensor {
    /// As `1x3xHxW`, with `?` for a side of any size without a name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |dimension: &Dimension| match dimension {
            Dimension::Fixed(size) => size.to_string(),
            Dimension::Free(name) if name.is_empty() => "?".to_owned(),
            Dimension::Free(name) => name.clone(),
        };
        f.write_str(&self.shape.iter().map(side).collect::<Vec<_>>().join("x"))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |tensors: &[Tensor]| tensors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "{} -> {}", list(&self.inputs), list(&self.outputs))
    }
}

impl Network {
    /// Reads an ONNX file and refuses a network that does not turn a picture
    /// (1×3×H×W) into a mask (1×1×H×W).
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let network =
            Self::parse(&bytes).with_context(|| format!("{} is no ONNX network", path.display()))?;
        network.check().with_context(|| path.display().to_string())?;
        Ok(network)
    }

    /// What an ONNX file's bytes say, of any network.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut found = Self { inputs: Vec::new(), outputs: Vec::new() };
        let mut weights = HashSet::new();
        let graph = only(bytes, 7)?.context("it has no graph")?;
        for field in Fields(graph) {
            match field? {
                // Old files list their weights among the inputs as well.
                (5, Value::Bytes(tensor)) => weights.extend(text(tensor, 8)?),
                (11, Value::Bytes(info)) => found.inputs.push(tensor(info)?),
                (12, Value::Bytes(info)) => found.outputs.push(tensor(info)?),
                _ => {}
            }
        }
        found.inputs.retain(|input| !weights.contains(&input.name));
        Ok(found)
    }

    /// An error for a network that does not turn a picture into a mask.
    pub fn check(&self) -> Result<()> {
        let fits = |tensors: &[Tensor], channels: u64| {
            let [tensor] = tensors else { return false };
            let [batch, planes, _, _] = &tensor.shape[..] else { return false };
            let may_be = |side: &Dimension, size| {
                matches!(side, Dimension::Free(_)) || *side == Dimension::Fixed(size)
            };
            may_be(batch, 1) && may_be(planes, channels) && [FLOAT, HALF].contains(&tensor.element)
        };
        ensure!(
            fits(&self.inputs, 3) && fits(&self.outputs, 1),
            "the network is {self}, of type {}; one that turns 1x3xHxW into 1x1xHxW in floating point is needed \
             (see models/README.md)",
            self.inputs.iter().chain(&self.outputs).map(Tensor::type_name).collect::<Vec<_>>().join(", ")
        );
        ensure!(
            self.inputs.iter().chain(&self.outputs).all(|tensor| tensor.element == FLOAT),
            "the network takes or gives half floats, which no back end is fed with; convert it with its inputs and \
             outputs kept in 32 bits (onnxconverter_common.float16.convert_float_to_float16 with keep_io_types=True)"
        );
        Ok(())
    }

    /// The picture's tensor. [`Network::check`] made sure that there is one.
    pub fn picture(&self) -> &Tensor {
        &self.inputs[0]
    }
}

impl Tensor {
    /// Whether the network takes pictures of one size only.
    pub fn is_fixed_size(&self) -> bool {
        self.shape.iter().skip(2).all(|side| matches!(side, Dimension::Fixed(_)))
    }

    fn type_name(&self) -> String {
        match self.element {
            1 => "float".to_owned(),
            10 => "half float".to_owned(),
            other => format!("ONNX type {other}"),
        }
    }
}

/// ValueInfoProto: name 1, type 2; TypeProto: tensor_type 1; its elem_type 1, shape 2.
fn tensor(info: &[u8]) -> Result<Tensor> {
    let name = text(info, 1)?.unwrap_or_default();
    let kind = only(info, 2)?.and_then(|kind| only(kind, 1).transpose()).transpose()?;
    let kind = kind.with_context(|| format!("`{name}` is no tensor"))?;
    let mut found = Tensor { name, element: 0, shape: Vec::new() };
    for field in Fields(kind) {
        match field? {
            (1, Value::Number(element)) => found.element = element,
            (2, Value::Bytes(shape)) => found.shape = sides(shape)?,
            _ => {}
        }
    }
    Ok(found)
}

/// TensorShapeProto: dim 1; Dimension: dim_value 1, dim_param 2.
fn sides(shape: &[u8]) -> Result<Vec<Dimension>> {
    let mut sides = Vec::new();
    for field in Fields(shape) {
        let (1, Value::Bytes(side)) = field? else { continue };
        let mut dimension = Dimension::Free(String::new());
        for field in Fields(side) {
            match field? {
                // Exporters write 0 or -1 for "any".
                (1, Value::Number(size)) if (1..=1 << 32).contains(&size) => {
                    dimension = Dimension::Fixed(size);
                }
                (2, Value::Bytes(name)) => {
                    dimension = Dimension::Free(String::from_utf8_lossy(name).into_owned());
                }
                _ => {}
            }
        }
        sides.push(dimension);
    }
    Ok(sides)
}

/// The last message or string in field `wanted`.
fn only(message: &[u8], wanted: u64) -> Result<Option<&[u8]>> {
    let mut found = None;
    for field in Fields(message) {
        if let (number, Value::Bytes(bytes)) = field?
            && number == wanted
        {
            found = Some(bytes);
        }
    }
    Ok(found)
}

fn text(message: &[u8], wanted: u64) -> Result<Option<String>> {
    Ok(only(message, wanted)?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

/// The fields of a message in the order of its bytes; ends after an error.
struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes that nothing here needs.
    Fixed,
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.bytes(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Value::Fixed)?,
            other => bail!("protocol buffers have no wire type {other}"),
        };
        Ok((key >> 3, value))
    }

    fn varint(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().context("it ends too early")?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        bail!("a number of more than 64 bits")
    }

    fn bytes(&mut self, length: u64) -> Result<&'a [u8]> {
        let length = usize::try_from(length)?;
        let (head, rest) = self.0.split_at_checked(length).context("it ends too early")?;
        self.0 = rest;
        Ok(head)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model with one input of 1×3×64×"w" floats, written out byte by byte
    /// from onnx.proto and the protocol buffers' encoding.
    const BYTES: &[u8] = &[
        0x08, 0x08, // ir_version 8
        0x3a, 0x1b, // graph, 27 bytes
        0x5a, 0x19, // input, 25 bytes
        0x0a, 0x01, b'x', // name
        0x12, 0x14, // type, 20 bytes
        0x0a, 0x12, // tensor_type, 18 bytes
        0x08, 0x01, // elem_type float
        0x12, 0x0e, // shape, 14 bytes
        0x0a, 0x02, 0x08, 0x01, // 1
        0x0a, 0x02, 0x08, 0x03, // 3
        0x0a, 0x02, 0x08, 0x40, // 64
        0x0a, 0x00, // any: left out
    ];

    #[test]
    fn shapes_are_read_from_the_bytes() {
        let network = Network::parse(BYTES).unwrap();
        assert_eq!(network.to_string(), "1x3x64x? -> ");
        let input = &network.inputs[0];
        assert_eq!((&input.name[..], input.element, input.is_fixed_size()), ("x", 1, false));
        let error = network.check().unwrap_err().to_string();
        assert!(error.contains("1x3x64x? -> ,") && error.contains("1x1xHxW"), "{error}");
    }

    #[test]
    fn half_float_pictures_are_refused_with_the_way_out() {
        let tensor = |planes, element| Tensor {
            name: String::new(),
            element,
            shape: [1, planes, 64, 64].map(Dimension::Fixed).to_vec(),
        };
        let network =
            |input, output| Network { inputs: vec![tensor(3, input)], outputs: vec![tensor(1, output)] };
        network(FLOAT, FLOAT).check().unwrap();
        for half in [network(HALF, HALF), network(HALF, FLOAT), network(FLOAT, HALF)] {
            let error = half.check().unwrap_err().to_string();
            assert!(error.contains("half floats") && error.contains("keep_io_types=True"), "{error}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for cut in 0..BYTES.len() {
            let _ = Network::parse(&BYTES[..cut]).and_then(|n| n.check());
        }
        for at in 0..BYTES.len() {
            for flip in [0x01, 0x07, 0x80, 0xff] {
                let mut bytes = BYTES.to_vec();
                bytes[at] ^= flip;
                let _ = Network::parse(&bytes).and_then(|n| n.check());
            }
        }
        for text in ["", "just some text, no network", "\u{7f}ELF"] {
            assert!(Network::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
