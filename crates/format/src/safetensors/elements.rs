//! Elements from and to little-endian bytes.

use std::io::{self, Read, Write};

use pleach_tensor::{DType, Element, Tensor, Type, for_dtype};

use crate::FormatError;

/// Bytes converted at a time; a multiple of every element size.
const CHUNK: usize = 1 << 13;

/// The elements in row-major order.
pub(crate) fn write(writer: &mut dyn Write, tensor: &Tensor) -> io::Result<()> {
    for_dtype!(tensor.dtype(), T => {
        let size = size_of::<T>();
        let mut buffer = [0u8; CHUNK];
        for part in tensor.as_slice::<T>().map_err(io::Error::other)?.chunks(CHUNK / size) {
            for (bytes, x) in buffer.chunks_exact_mut(size).zip(part) {
                bytes.copy_from_slice(&x.to_bits64().to_le_bytes()[..size]);
            }
            writer.write_all(&buffer[..size_of_val(part)])?;
        }
    });
    Ok(())
}

/// A tensor of type `ty` from the next `ty.bytes()` bytes, which the file must be known to have.
pub(crate) fn read(input: &mut impl Read, name: &str, ty: &Type) -> Result<Tensor, FormatError> {
    for_dtype!(ty.dtype(), T => read_as::<T>(input, name, ty))
}

fn read_as<T: Element>(
    input: &mut impl Read,
    name: &str,
    ty: &Type,
) -> Result<Tensor, FormatError> {
    let mut data: Vec<T> = Vec::new();
    data.try_reserve_exact(ty.numel())
        .map_err(|_| FormatError::Memory { tensor: name.to_string(), bytes: ty.bytes() })?;
    let mut buffer = [0u8; CHUNK];
    let mut left = ty.bytes();
    while left > 0 {
        let part = &mut buffer[..left.min(CHUNK)];
        input.read_exact(part).map_err(FormatError::io("read"))?;
        left -= part.len();
        for bytes in part.chunks_exact(size_of::<T>()) {
            let element = from_le::<T>(bytes).ok_or_else(|| FormatError::Bool {
                tensor: name.to_string(),
                index: data.len(),
                byte: bytes[0],
            })?;
            data.push(element);
        }
    }
    Ok(Tensor::new(ty.shape(), data)?)
}

/// From as many bytes as the type has; `None` if they stand for no value of it.
fn from_le<T: Element>(bytes: &[u8]) -> Option<T> {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    (T::DTYPE != DType::Bool || word[0] < 2).then(|| T::from_bits64(u64::from_le_bytes(word)))
}
