//! Text as numbers: which symbols there are, and which number stands for which.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::{DataError, Tokens};

/// The symbols of a text, numbered from 0 in order of their codes.
///
/// A symbol is a character (of Unicode) or a byte. Two texts with the same symbols have the same
/// vocabulary, whatever their order.
///
/// ```
/// use pleach_data::Vocabulary;
/// let letters = Vocabulary::characters("abracadabra");
/// assert_eq!(letters.len(), 5); // a, b, c, d, r
/// let tokens = letters.encode("bad")?;
/// assert_eq!(tokens.codes(), [1, 0, 3]);
/// assert_eq!(letters.decode(tokens.codes())?, "bad");
/// assert!(letters.encode("bed").is_err());
/// # Ok::<(), pleach_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    symbols: Vec<char>,
    codes: HashMap<char, i64>,
    bytes: bool,
}

impl Vocabulary {
    /// The characters of a text.
    pub fn characters(text: &str) -> Vocabulary {
        Vocabulary::new(text.chars(), false)
    }

    /// The bytes of a text, in UTF-8. [`Vocabulary::decode`] shows what is not UTF-8 as `\u{fffd}`.
    pub fn bytes(text: &str) -> Vocabulary {
        Vocabulary::new(text.bytes().map(char::from), true)
    }

    fn new(text: impl Iterator<Item = char>, bytes: bool) -> Vocabulary {
        let mut codes: HashMap<char, i64> = text.map(|symbol| (symbol, 0)).collect();
        let mut symbols: Vec<char> = codes.keys().copied().collect();
        symbols.sort_unstable();
        for (code, symbol) in symbols.iter().enumerate() {
            codes.insert(*symbol, code as i64);
        }
        Vocabulary { symbols, codes, bytes }
    }

    /// Number of symbols.
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Is there no symbol?
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// The text as numbers in `0..len`.
    ///
    /// # Errors
    /// [`DataError::Symbol`] for the first symbol that is not in the vocabulary.
    pub fn encode(&self, text: &str) -> Result<Tokens, DataError> {
        let code = |(position, symbol): (usize, char)| {
            let size = self.len();
            let code = self.codes.get(&symbol).copied();
            code.ok_or(DataError::Symbol { symbol, position, size })
        };
        let codes: Result<Vec<i64>, DataError> = if self.bytes {
            text.bytes().map(char::from).enumerate().map(code).collect()
        } else {
            text.chars().enumerate().map(code).collect()
        };
        Ok(Tokens::new(codes?))
    }

    /// The text that the numbers stand for.
    ///
    /// # Errors
    /// [`DataError::Code`] for the first number outside `0..len`.
    pub fn decode(&self, codes: &[i64]) -> Result<String, DataError> {
        let symbol = |(position, &code): (usize, &i64)| {
            let size = self.len();
            let symbol = usize::try_from(code).ok().and_then(|code| self.symbols.get(code));
            symbol.copied().ok_or(DataError::Code { code, position, size })
        };
        let text: String = codes.iter().enumerate().map(symbol).collect::<Result<_, _>>()?;
        if !self.bytes {
            return Ok(text);
        }
        let bytes: Vec<u8> = text.chars().map(|symbol| symbol as u8).collect();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The texts of these files, one after the other. They must be UTF-8.
///
/// # Errors
/// [`DataError::Io`] with the file that cannot be read or is not UTF-8.
pub fn read_texts(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<String, DataError> {
    let mut text = String::new();
    for path in paths {
        let path = path.as_ref();
        let one = fs::read_to_string(path)
            .map_err(|source| DataError::Io { path: path.to_path_buf(), source })?;
        text.push_str(&one);
    }
    Ok(text)
}
