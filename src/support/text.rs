//! Text files as people's editors and shells leave them.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// The text of a file, without a byte-order mark. Besides UTF-8, UTF-16 with a
/// mark is taken, which is what `>` writes in Windows' own PowerShell.
pub fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    decode(bytes)
}

/// [`read`] for the bytes of a file.
pub fn decode(bytes: Vec<u8>) -> Result<String> {
    match bytes.as_slice() {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest.to_vec()),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String> {
    // As std::fs::read_to_string says it.
    String::from_utf8(bytes)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8"))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    match String::from_utf16(&units) {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => Err(Error::new(ErrorKind::InvalidData, "it begins as UTF-16 and is none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_and_utf_16_is_read() {
        let text = "0 24 größer 😀\r\n";
        let units: Vec<u16> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).collect();
        for bytes in [
            text.as_bytes().to_vec(),
            format!("\u{feff}{text}").into_bytes(),
            units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
            units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        ] {
            assert_eq!(decode(bytes).unwrap(), text);
        }
        for wrong in [&b"\xff"[..], b"gr\xf6\xdfer", b"\xff\xfea", b"\xff\xfe\x00\xd8"] {
            assert_eq!(decode(wrong.to_vec()).unwrap_err().kind(), ErrorKind::InvalidData, "{wrong:?}");
        }
        assert_eq!(decode(Vec::new()).unwrap(), "");
    }
}
