"""Records written and read by hand are those of TensorFlow; damaged ones give one clear error."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from quadrat.engine.datasets.example import decode, decode_tensor, encode, encode_tensor, tensor_header
from quadrat.engine.errors import DatasetError

tf = pytest.importorskip('tensorflow')

TYPES = ['float16', 'float32', 'float64', 'bfloat16', 'complex64', 'complex128', 'bool']
TYPES += [f'{sign}int{bits}' for sign in ('', 'u') for bits in (8, 16, 32, 64)]
SHAPES = [(), (1,), (3,), (2, 3, 4), (0, 3), (1, 1, 1, 1)]


def numbers(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values over the type's whole range, the negative ones included."""
    rng = np.random.default_rng(0)
    kind = tf.as_dtype(dtype).as_numpy_dtype
    if np.dtype(kind).kind in 'iu':
        return rng.integers(np.iinfo(kind).min, np.iinfo(kind).max, shape, dtype=kind)
    return np.asarray(rng.normal(0, 100, shape)).astype(kind) if dtype != 'bool' else rng.random(shape) > 0.5


@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize('shape', SHAPES)
def test_tensors_are_those_of_tensorflow(dtype, shape):
    array = np.asarray(numbers(dtype, shape))
    serialised = tf.io.serialize_tensor(tf.constant(array)).numpy()
    assert encode_tensor(array) == serialised
    assert serialised.startswith(tensor_header(array.dtype, shape))
    assert len(serialised) == len(tensor_header(array.dtype, shape)) + array.nbytes
    # Other writers list the values one by one, and leave out those at the end that repeat.
    for tensor in (serialised, tf.compat.v1.make_tensor_proto(array).SerializeToString(), listed(array)):
        found = decode_tensor(tensor)
        assert found.shape == shape
        assert found.dtype == ('float32' if dtype == 'bfloat16' else array.dtype)
        np.testing.assert_array_equal(found, array.astype(found.dtype))


def listed(array: np.ndarray) -> bytes:
    """A tensor with its values in the list of their type, as TensorFlow's own compact form has them."""
    tensor = tf.compat.v1.make_tensor_proto(array)
    dtype = tf.as_dtype(array.dtype)
    flat = array.reshape(-1)
    tensor.ClearField('tensor_content')
    if dtype in (tf.float16, tf.bfloat16):
        name, values = 'half_val', flat.view(np.uint16)
    elif dtype in (tf.complex64, tf.complex128):
        name, values = ('scomplex_val' if dtype == tf.complex64 else 'dcomplex_val'), flat.view(flat.real.dtype)
    else:
        names = {'float32': 'float', 'float64': 'double', 'int64': 'int64', 'bool': 'bool'}
        name = names.get(dtype.name, dtype.name if dtype.name in ('uint32', 'uint64') else 'int') + '_val'
        values = flat
    tensor.ClearField(name)
    getattr(tensor, name).extend(values.tolist())
    return tensor.SerializeToString()


def test_repeated_values_are_filled_in():
    tensor = tf.compat.v1.make_tensor_proto(np.float32([1, 2, 2, 2]))
    tensor.ClearField('tensor_content')
    tensor.float_val.extend([1, 2])
    np.testing.assert_array_equal(decode_tensor(tensor.SerializeToString()), np.float32([1, 2, 2, 2]))
    tensor.ClearField('float_val')
    np.testing.assert_array_equal(decode_tensor(tensor.SerializeToString()), np.zeros(4, np.float32))


@pytest.mark.parametrize('text', ['été', b'\x00\xff', np.array(['a', 'bc']), np.array([[b'x'], [b'']], object)])
def test_text(text):
    record = encode({'name': text})
    array = np.asarray(text)
    expected = np.array([v.encode() if isinstance(v, str) else v for v in array.reshape(-1).tolist()], object)
    found = decode(record)['name']
    assert found.shape == array.shape
    assert found.reshape(-1).tolist() == expected.tolist()
    assert encode_tensor(array) == tf.io.serialize_tensor(tf.constant(found)).numpy()


def test_a_record_is_what_tensorflow_reads_and_writes():
    sample = {'image': numbers('uint16', (8, 8, 4)), 'ähm': numbers('int8', (8, 8, 1)), 'date': np.asarray('2024')}
    record = encode(sample)
    assert record == encode(dict(reversed(sample.items())))
    parsed = tf.io.parse_single_example(record, {key: tf.io.FixedLenFeature([], tf.string) for key in sample})
    for key, dtype in (('image', tf.uint16), ('ähm', tf.int8)):
        np.testing.assert_array_equal(tf.io.parse_tensor(parsed[key], dtype), sample[key])
    assert tf.io.parse_tensor(parsed['date'], tf.string).numpy() == b'2024'
    example = tf.train.Example.FromString(record)
    assert sorted(example.features.feature) == sorted(sample)
    for written in (example.SerializeToString(), record):
        for key, array in decode(written).items():
            assert array.tolist() == (b'2024' if key == 'date' else sample[key].tolist())


def test_other_records_are_refused_in_one_line():
    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
    number = tf.train.Example(features=tf.train.Features(feature={'class': feature})).SerializeToString()
    two = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b'a', b'b']))
    picture = tf.train.Example(features=tf.train.Features(feature={'jpeg': two})).SerializeToString()
    for record in (number, picture, b'\x0a', b'not a record', b'\xff' * 20):
        with pytest.raises(DatasetError, match='record'):
            decode(record)
    assert decode(b'') == {}
    with pytest.raises(DatasetError, match='when: arrays of datetime64'):
        encode({'when': np.array('2024-01-01', 'datetime64[D]')})
    with pytest.raises(DatasetError, match='things: objects of type dict'):
        encode({'things': np.array([{}], object)})


def test_a_few_bytes_never_become_a_huge_array():
    head = encode_tensor(np.zeros((1,), np.float64))[:2]
    size = b'\x08' + b'\xff' * 7 + b'\x01'
    shape = b'\x12' + bytes([len(size) + 2]) + b'\x12' + bytes([len(size)]) + size
    for values in (b'', b'\x31' + b'\x00' * 8, b'\x22\x08' + b'\x00' * 8):
        with pytest.raises(ValueError, match=r'(values|bytes) for a tensor'):
            decode_tensor(head + shape + values)


def test_damaged_records_raise_nothing_else():
    """Whatever a byte is changed to, or wherever a record ends: an array comes out, or one kind of error."""
    rng = np.random.default_rng(1)
    whole = encode({'image': numbers('int16', (2, 2, 3)), 'name': 'abc', 'scale': np.float32(2)})
    for turn in range(4000):
        record = bytearray(whole if turn % 2 else whole[: rng.integers(len(whole))])
        for place in rng.integers(len(record), size=min(len(record), rng.integers(1, 4))) if record else ():
            record[place] = rng.integers(256)
        try:
            decode(bytes(record))
        except DatasetError as error:
            assert '\n' not in str(error)


def test_no_tensorflow_is_needed():
    code = (
        'import sys, numpy as np\nfrom quadrat.engine.datasets.example import decode, encode\n'
        'from quadrat.engine.datasets.records import RecordFile\n'
        'decode(encode({"a": np.zeros(3)}))\nprint("tensorflow" in sys.modules, "osgeo" in sys.modules)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'False False'
