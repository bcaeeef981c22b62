//! IDX files, in which MNIST and its successors are kept, compressed by gzip or not.
//!
//! | bytes | |
//! |---|---|
//! | 2 | zeros |
//! | 1 | element type: 8 `u8`, 9 `i8`, 11 `i16`, 12 `i32`, 13 `f32`, 14 `f64` |
//! | 1 | number of axes |
//! | 4 for each axis | its length |
//! | the rest | the elements, the last axis running fastest |
//!
//! Numbers of several bytes have the highest byte first. A file that begins `1f 8b` is taken for
//! gzip, whatever its name. A length in the header costs no memory before the bytes are there.
//!
//! **Source** LeCun, Cortes, Burges, "The MNIST database of handwritten digits", file formats.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use pleach_tensor::{DType, Element, F32, F64, I32, Tensor, Type, U8};

use crate::{DataError, Dataset};

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The tensor of a file. Elements of 1 and 2 signed bytes become `i32`.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::Gzip`]; [`DataError::IdxMagic`], [`DataError::IdxSize`] and
/// [`DataError::IdxLength`] if the file is not what its first bytes say.
pub fn read(path: impl AsRef<Path>) -> Result<Tensor, DataError> {
    let path = path.as_ref().to_path_buf();
    match File::open(&path) {
        Ok(file) => parse(BufReader::new(file), path),
        Err(source) => Err(DataError::Io { path, source }),
    }
}

/// As [`read()`], from anything; errors name it `<reader>`.
///
/// ```
/// let bytes = [0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9];
/// let x = pleach_data::idx::from_reader(&bytes[..])?;
/// assert_eq!((x.ty().to_string().as_str(), x.to_i64s()), ("u8[1, 3]", vec![7, 8, 9]));
/// # Ok::<(), pleach_data::DataError>(())
/// ```
///
/// # Errors
/// As [`read()`].
pub fn from_reader(reader: impl Read) -> Result<Tensor, DataError> {
    parse(reader, PathBuf::from("<reader>"))
}

/// Images `u8[n, h, w]` and their labels `u8[n]` as `x: f32[n, 1, h, w]`, the bytes divided by 255,
/// and `y: i64[n]`.
///
/// # Errors
/// As [`read()`]; [`DataError::IdxType`]; [`DataError::IdxCounts`].
pub fn images(images: impl AsRef<Path>, labels: impl AsRef<Path>) -> Result<Dataset, DataError> {
    let (images, labels) = (images.as_ref(), labels.as_ref());
    let (x, y) = (read(images)?, read(labels)?);
    let typed = |path: &Path, tensor: &Tensor, rank, expected| {
        let (path, found) = (path.to_path_buf(), tensor.ty().clone());
        let fits = found.dtype() == U8 && found.rank() == rank;
        if fits { Ok(()) } else { Err(DataError::IdxType { path, expected, found }) }
    };
    typed(images, &x, 3, "images u8[n, h, w]")?;
    typed(labels, &y, 1, "labels u8[n]")?;
    let [n, h, w] = [0, 1, 2].map(|axis| x.shape()[axis]);
    if y.numel() != n {
        let (images, labels) = (images.to_path_buf(), labels.to_path_buf());
        let (found_images, found_labels) = (n, y.numel());
        return Err(DataError::IdxCounts { images, found_images, labels, found_labels });
    }
    let pixels: Vec<f32> = x.as_slice::<u8>()?.iter().map(|&p| f32::from(p) / 255.0).collect();
    let digits: Vec<i64> = y.as_slice::<u8>()?.iter().map(|&d| i64::from(d)).collect();
    Dataset::new([("x", Tensor::new([n, 1, h, w], pixels)?), ("y", Tensor::new([n], digits)?)])
}

/// The training and the test images of a folder with the four files of MNIST or Fashion-MNIST:
/// `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-…`, each as it is or with `.gz`.
///
/// # Errors
/// [`DataError::NoFile`] if one is not there; as [`images`].
pub fn mnist(folder: impl AsRef<Path>) -> Result<(Dataset, Dataset), DataError> {
    let folder = folder.as_ref();
    let find = |name: String| {
        let names = vec![name.clone(), format!("{name}.gz")];
        let found = names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        found.ok_or_else(|| DataError::NoFile { folder: folder.to_path_buf(), names })
    };
    let part = |part: &str| {
        let (x, y) = (format!("{part}-images-idx3-ubyte"), format!("{part}-labels-idx1-ubyte"));
        images(find(x)?, find(y)?)
    };
    Ok((part("train")?, part("t10k")?))
}

fn parse(mut input: impl Read, path: PathBuf) -> Result<Tensor, DataError> {
    let mut begin = Vec::new();
    if let Err(source) = input.by_ref().take(2).read_to_end(&mut begin) {
        return Err(DataError::Io { path, source });
    }
    let gzip = begin == GZIP;
    let whole = Cursor::new(begin).chain(input);
    if gzip {
        Source { path, gzip }.tensor(MultiGzDecoder::new(whole))
    } else {
        Source { path, gzip }.tensor(whole)
    }
}

/// What is read, for errors.
struct Source {
    path: PathBuf,
    gzip: bool,
}

impl Source {
    fn tensor(self, mut input: impl Read) -> Result<Tensor, DataError> {
        let magic = self.bytes(&mut input, 4)?;
        let element = match magic[..] {
            [0, 0, code, _] => Stored::of(code),
            _ => None,
        };
        let Some(element) = element else {
            return Err(DataError::IdxMagic { path: self.path, found: magic });
        };
        let axes = usize::from(magic[3]);
        let header = self.bytes(&mut input, 4 * axes)?;
        self.require("header", 4 * axes, header.len())?;
        let lengths: Vec<u32> =
            header.chunks_exact(4).map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]])).collect();
        let shape: Option<Vec<usize>> = lengths.iter().map(|&n| usize::try_from(n).ok()).collect();
        let ty = shape.and_then(|shape| Type::new(element.dtype(), shape).ok());
        let bytes = ty.as_ref().and_then(|ty| ty.numel().checked_mul(element.size()));
        let (Some(ty), Some(bytes)) = (ty, bytes) else {
            return Err(DataError::IdxSize { path: self.path, shape: lengths });
        };
        // One byte more tells whether the file ends there, and makes gzip compare its checksum.
        let data = self.bytes(&mut input, bytes.saturating_add(1))?;
        self.require("elements", bytes, data.len())?;
        Ok(element.tensor(&ty, &data)?)
    }

    /// Up to `n` bytes, fewer at the end of the file.
    fn bytes(&self, input: &mut impl Read, n: usize) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        match input.take(n as u64).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(source) if self.gzip => Err(DataError::Gzip { path: self.path.clone(), source }),
            Err(source) => Err(DataError::Io { path: self.path.clone(), source }),
        }
    }

    fn require(&self, part: &'static str, expected: usize, found: usize) -> Result<(), DataError> {
        if expected == found {
            return Ok(());
        }
        Err(DataError::IdxLength { path: self.path.clone(), part, expected, found })
    }
}

/// Types of elements that a file can hold.
#[derive(Clone, Copy)]
enum Stored {
    U8,
    I8,
    I16,
    I32,
    F32,
    F64,
}

impl Stored {
    fn of(code: u8) -> Option<Stored> {
        Some(match code {
            0x08 => Stored::U8,
            0x09 => Stored::I8,
            0x0b => Stored::I16,
            0x0c => Stored::I32,
            0x0d => Stored::F32,
            0x0e => Stored::F64,
            _ => return None,
        })
    }

    fn dtype(self) -> DType {
        match self {
            Stored::U8 => U8,
            Stored::I8 | Stored::I16 | Stored::I32 => I32,
            Stored::F32 => F32,
            Stored::F64 => F64,
        }
    }

    fn size(self) -> usize {
        match self {
            Stored::U8 | Stored::I8 => 1,
            Stored::I16 => 2,
            Stored::I32 | Stored::F32 => 4,
            Stored::F64 => 8,
        }
    }

    fn tensor(self, ty: &Type, bytes: &[u8]) -> Result<Tensor, pleach_tensor::TensorError> {
        fn each<T: Element, const N: usize>(
            ty: &Type,
            bytes: &[u8],
            f: impl Fn([u8; N]) -> T,
        ) -> Result<Tensor, pleach_tensor::TensorError> {
            Tensor::new(ty.shape(), bytes.as_chunks::<N>().0.iter().map(|&c| f(c)).collect())
        }
        match self {
            Stored::U8 => Tensor::new(ty.shape(), bytes.to_vec()),
            Stored::I8 => each(ty, bytes, |b| i32::from(i8::from_be_bytes(b))),
            Stored::I16 => each(ty, bytes, |b| i32::from(i16::from_be_bytes(b))),
            Stored::I32 => each(ty, bytes, i32::from_be_bytes),
            Stored::F32 => each(ty, bytes, f32::from_be_bytes),
            Stored::F64 => each(ty, bytes, f64::from_be_bytes),
        }
    }
}
