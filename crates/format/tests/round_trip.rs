//! What is written is read back, bit for bit, here and by the library.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};

use pleach_format::safetensors::{from_bytes, load, save, to_bytes};
use pleach_tensor::{DType, Element, Tensor, Type, for_dtype};
use proptest::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

type Map = BTreeMap<String, String>;

/// Any bits: NaN with payload, infinities, -0, subnormals, extremes.
fn tensor() -> impl Strategy<Value = Tensor> {
    let shape = proptest::collection::vec(prop_oneof![Just(0usize), Just(1), 2usize..5], 0..5);
    (proptest::sample::select(&DType::ALL[..]), shape).prop_flat_map(|(dtype, shape)| {
        let ty = Type::new(dtype, shape).unwrap();
        proptest::collection::vec(any::<u64>(), ty.numel()).prop_map(move |bits| {
            let shape = ty.shape();
            for_dtype!(dtype, T => {
                let elements = bits.iter().map(|&b| <T as Element>::from_bits64(b));
                Tensor::new(shape, elements.collect()).unwrap()
            })
        })
    })
}

fn bits(tensor: &Tensor) -> Vec<u8> {
    for_dtype!(tensor.dtype(), T => {
        let size = size_of::<T>();
        let data = tensor.to_vec::<T>().unwrap();
        data.iter().flat_map(|x| x.to_bits64().to_le_bytes()[..size].to_vec()).collect()
    })
}

fn library_dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::F16 => Dtype::F16,
        DType::Bf16 => Dtype::BF16,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

proptest! {
    #[test]
    fn every_type_shape_and_bit_pattern_comes_back(
        tensors in proptest::collection::btree_map(".{0,6}", tensor(), 0..6),
        metadata in proptest::collection::btree_map(".{0,6}", ".{0,9}", 0..4),
    ) {
        let bytes = to_bytes(&tensors, &metadata).unwrap();
        let back = from_bytes(&bytes).unwrap();
        prop_assert_eq!(&back.tensors, &tensors);
        prop_assert_eq!(&back.metadata, &metadata);
        // Written in any order, the bytes are the same.
        prop_assert_eq!(to_bytes(tensors.iter().rev(), &metadata).unwrap(), bytes);
    }

    #[test]
    fn the_library_writes_the_same_bytes_and_reads_the_same_tensors(
        tensors in proptest::collection::btree_map("[a-z.]{0,6}", tensor(), 0..6),
        about in proptest::option::of(".{0,9}"),
    ) {
        let metadata: Map = about.into_iter().map(|text| ("about".to_string(), text)).collect();
        let ours = to_bytes(&tensors, &metadata).unwrap();
        let data: Vec<_> = tensors.values().map(bits).collect();
        let views = tensors.iter().zip(&data).map(|((name, tensor), data)| {
            let (dtype, shape) = (library_dtype(tensor.dtype()), tensor.shape().to_vec());
            (name, TensorView::new(dtype, shape, data).unwrap())
        });
        let info: HashMap<_, _> = metadata.clone().into_iter().collect();
        let theirs = safetensors::serialize(views, (!info.is_empty()).then_some(info)).unwrap();
        prop_assert_eq!(&ours, &theirs);
        let read = SafeTensors::deserialize(&ours).unwrap();
        prop_assert_eq!(read.len(), tensors.len());
        for (name, tensor) in &tensors {
            prop_assert_eq!(read.tensor(name).unwrap().data(), bits(tensor));
        }
    }
}

#[test]
fn files_larger_than_a_buffer_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.safetensors");
    let n = 100_003;
    let tensors = BTreeMap::from([
        ("f64".to_string(), Tensor::build(&Type::new(DType::F64, [n]).unwrap(), |i| i as f64)),
        ("u8".to_string(), Tensor::build_i64(&Type::new(DType::U8, [n]).unwrap(), |i| i as i64)),
        (
            "on".to_string(),
            Tensor::build(&Type::new(DType::Bool, [n]).unwrap(), |i| (i % 3) as f64),
        ),
    ]);
    save(&path, &tensors, &Map::new()).unwrap();
    assert_eq!(load(&path).unwrap().tensors, tensors);
    assert_eq!(std::fs::read(&path).unwrap(), to_bytes(&tensors, &Map::new()).unwrap());
}

/// Written by the Python package safetensors 0.8.0 with numpy 2.4.6:
/// `save({"w": f32[[1.5, -0], [inf, 2]], "n": i64[-1, 2**40], "on": bool[1, 0, 1], "b": u8(7),
/// "d": f64 zeros (2, 0), "i": i32[-5]}, metadata={"made by": "python"})`.
#[test]
fn a_file_written_by_python_is_read_and_written_alike() {
    let header = concat!(
        r#"{"__metadata__":{"made by":"python"},"#,
        r#""n":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"#,
        r#""d":{"dtype":"F64","shape":[2,0],"data_offsets":[16,16]},"#,
        r#""w":{"dtype":"F32","shape":[2,2],"data_offsets":[16,32]},"#,
        r#""i":{"dtype":"I32","shape":[1],"data_offsets":[32,36]},"#,
        r#""b":{"dtype":"U8","shape":[],"data_offsets":[36,37]},"#,
        r#""on":{"dtype":"BOOL","shape":[3],"data_offsets":[37,40]}}"#,
        "      ",
    );
    let data = [
        255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 1, 0, 0, // n
        0, 0, 192, 63, 0, 0, 0, 128, 0, 0, 128, 127, 0, 0, 0, 64, // w
        251, 255, 255, 255, 7, 1, 0, 1, // i, b, on
    ];
    let bytes = [&376u64.to_le_bytes(), header.as_bytes(), &data].concat();
    assert_eq!(bytes.len(), 424);
    let tensors = BTreeMap::from([
        ("w", Tensor::new([2, 2], vec![1.5f32, -0.0, f32::INFINITY, 2.0]).unwrap()),
        ("n", Tensor::new([2], vec![-1i64, 1 << 40]).unwrap()),
        ("on", Tensor::new([3], vec![true, false, true]).unwrap()),
        ("b", Tensor::scalar(7u8)),
        ("d", Tensor::new::<f64>([2, 0], vec![]).unwrap()),
        ("i", Tensor::new([1], vec![-5i32]).unwrap()),
    ]);
    let metadata = Map::from([("made by".to_string(), "python".to_string())]);
    let back = from_bytes(&bytes).unwrap();
    assert!(
        back.tensors
            .iter()
            .map(|(name, t)| (name.as_str(), t))
            .eq(tensors.iter().map(|(n, t)| (*n, t)))
    );
    assert_eq!(back.metadata, metadata);
    assert_eq!(to_bytes(&back.tensors, &metadata).unwrap(), bytes);
}
