"""Files of records: any record in any order, and every kind of damage named."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from quadrat.engine.datasets.crc import crc32c
from quadrat.engine.datasets.example import encode
from quadrat.engine.datasets.records import RecordFile, RecordWriter, compression_of
from quadrat.engine.errors import DatasetError, InvalidJob, OutputRefused

tf = pytest.importorskip('tensorflow')

RECORDS = [b'first', b'', b'x' * 1000, bytes(range(256)) * 150, b'last']


def write(path: Path, records=RECORDS, compression: str = 'none') -> str:
    with RecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    assert writer.count == len(records)
    return str(path)


@pytest.mark.parametrize('compression', ['none', 'gzip'])
@pytest.mark.parametrize('records', [RECORDS, []])
def test_records_come_back_in_any_order(tmp_path, compression, records):
    path = write(tmp_path / '0.records', records, compression)
    kind = 'GZIP' if compression == 'gzip' else ''
    assert [record.numpy() for record in tf.data.TFRecordDataset(path, kind)] == records
    assert compression_of(path) == (compression if records or compression == 'gzip' else 'none')
    with RecordFile(path, compression) as file:
        assert len(file) == len(records)
        for index in np.random.default_rng(0).permutation(len(records)).tolist():
            assert file.record(index) == records[index]
        with pytest.raises(IndexError, match=r'0\.records'):
            file.record(len(records))
        file.verify()


def test_a_length_that_looks_like_gzip_is_none(tmp_path):
    assert compression_of(write(tmp_path / 'a', [bytes(0x088B1F)])) == 'none'


@pytest.mark.parametrize('compression', ['none', 'gzip'])
def test_a_file_cut_off_anywhere_is_named(tmp_path, compression):
    whole = Path(write(tmp_path / 'whole', RECORDS[:3], compression)).read_bytes()
    path = tmp_path / '7.records'
    ends = {sum(len(record) + 16 for record in RECORDS[:count]) for count in range(4)} if compression == 'none' else ()
    for length in range(1, len(whole)):
        if length in ends:
            continue  # a file of fewer records: only a manifest can tell
        path.write_bytes(whole[:length])
        with pytest.raises(DatasetError, match=r'7\.records: .*cut off'):
            RecordFile(str(path), compression)


def test_any_changed_byte_is_found_and_its_record_named(tmp_path):
    records = RECORDS[:3]
    whole = Path(write(tmp_path / 'whole', records)).read_bytes()
    path, start = tmp_path / '3.records', 0
    for number, record in enumerate(records):
        for place in range(len(record) + 16):
            data = bytearray(whole)
            data[start + place] ^= 1 << place % 8
            path.write_bytes(data)
            with pytest.raises(DatasetError, match=rf'3\.records: record {number} is damaged'):
                RecordFile(str(path)).verify()
        start += len(record) + 16


def test_damage_within_a_compressed_file_is_found(tmp_path):
    path = Path(write(tmp_path / '0.records', RECORDS, 'gzip'))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r'0\.records'):
        RecordFile(str(path), 'gzip').verify()
    path.write_bytes(gzip.compress(b'not records at all'))
    with pytest.raises(DatasetError, match=r'0\.records: record 0 is damaged'):
        RecordFile(str(path), 'gzip')


def test_other_files_are_named(tmp_path):
    with pytest.raises(DatasetError, match=r'nowhere: .*missing'):
        RecordFile(str(tmp_path / 'nowhere'))
    with pytest.raises(DatasetError, match=r'nowhere: .*missing'):
        RecordFile(str(tmp_path / 'nowhere'), 'gzip')
    with pytest.raises(DatasetError, match='missing'):
        compression_of(str(tmp_path / 'nowhere'))
    with pytest.raises(DatasetError, match='cannot be unpacked'):
        RecordFile(write(tmp_path / 'plain'), 'gzip')
    with pytest.raises(DatasetError, match='compressed in another way'):
        RecordFile(write(tmp_path / 'packed', compression='gzip'))
    with pytest.raises(InvalidJob, match='gzip'):
        RecordFile(write(tmp_path / 'plain'), 'zip')
    with pytest.raises(OutputRefused, match='nowhere'):
        RecordWriter(str(tmp_path / 'nowhere' / '0.records'))


def test_a_record_that_is_no_sample_names_file_and_number(tmp_path):
    path = write(tmp_path / '5.records', [encode({'a': np.arange(3)}), b'\xff'])
    with RecordFile(path) as file:
        np.testing.assert_array_equal(file.sample(0)['a'], [0, 1, 2])
        with pytest.raises(DatasetError, match=r'5\.records: record 1: not a record'):
            file.sample(1)


def test_no_temporary_file_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path / 'temporary'))
    os.mkdir(tmp_path / 'temporary')
    with RecordFile(write(tmp_path / 'a', compression='gzip'), 'gzip') as file:
        assert not os.listdir(tmp_path / 'temporary')
        assert file.record(0) == b'first'


def test_checksums_are_the_standard_ones():
    data = np.frombuffer(b'123456789' + bytes(32) + b'\xff' * 32, np.uint8)
    found = crc32c(data, np.array([0, 9, 41, 0]), np.array([9, 32, 32, 0]))
    assert found.tolist() == [0xE3069283, 0x8A9136AA, 0x62A8AB43, 0]  # RFC 3720, appendix B.4


def test_damage_is_told_from_within_a_block(tmp_path):
    path = tmp_path / '0.records'
    writer = RecordWriter(str(path))
    for number in range(3):
        writer.write(bytes([number]) * 100)
    writer.close()
    content = bytearray(path.read_bytes())
    content[150] ^= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match='record 1 is damaged'), RecordFile(str(path)) as records:
        records.verify()
