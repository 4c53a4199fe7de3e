"""Metadata beside TFRecords: made, checked, counted; every fault named, and nothing lost."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from quadrat.engine.datasets import recordscan
from quadrat.engine.datasets.crc import crc32c
from quadrat.engine.datasets.records import masked
from quadrat.engine.datasets.tfmetadata import check_metadata, count_records, create_metadata
from quadrat.engine.errors import InvalidJob, OutputRefused

LISTING = '_tfrecord_metadata.json'
A, B, C = 'train-00000-of-00002', 'train-00001-of-00002', 'validation.tfrecord.gz'
COUNTS = {A: 12, B: 7, C: 5}


def checksum(data: bytes) -> bytes:
    found = crc32c(np.frombuffer(data, np.uint8), np.zeros(1, np.int64), np.array([len(data)]))
    return struct.pack('<I', masked(found)[0])


def records(contents) -> bytes:
    """The bytes of a file of records."""
    parts = []
    for data in contents:
        head = struct.pack('<Q', len(data))
        parts += [head, checksum(head), data, checksum(data)]
    return b''.join(parts)


def contents(count: int, seed: int = 0) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [rng.bytes(int(size)) for size in rng.integers(0, 400, count)]


@pytest.fixture
def folder(tmp_path):
    """A folder of three sound files, not listed yet."""
    path = tmp_path / 'data'
    path.mkdir()
    for seed, (name, count) in enumerate(COUNTS.items()):
        data = records(contents(count, seed))
        (path / name).write_bytes(gzip.compress(data) if name.endswith('gz') else data)
    return path


def listing(folder) -> dict:
    return json.loads((folder / LISTING).read_text())


def texts(report) -> dict[str, str]:
    assert all('\n' not in str(file) for file in report.files)
    return {file.name: file.text for file in report.files}


def wrong(report) -> dict[str, str]:
    assert report.sound == (not report.problems)
    return {file.name: file.status for file in report.problems}


# -- sound files ------------------------------------------------------------------------------------------------------


def test_the_file_is_that_of_the_format(folder):
    report = create_metadata(str(folder / '*'))
    assert report.sound and report.records == 24 and [*map(str, report.files)] == [f'{name}: ok' for name in COUNTS]
    assert {file.name: file.change for file in report.files} == dict.fromkeys(COUNTS, 'added')
    expected = {
        name: {
            'total_records': count,
            'file_size': (folder / name).stat().st_size,
            'md5_hash': hashlib.md5((folder / name).read_bytes()).hexdigest(),
        }
        for name, count in COUNTS.items()
    }
    assert (folder / LISTING).read_text() == json.dumps({'version': 1, 'files': expected}, indent=4)
    assert sorted(os.listdir(folder)) == sorted([LISTING, *COUNTS])
    for full in (False, True):
        found = check_metadata(str(folder / '*'), full=full)
        assert found.sound and found.records == 24
        assert texts(found) == {**dict.fromkeys(COUNTS, 'ok'), LISTING: 'skipped: these are metadata, and no records.'}


def test_what_patterns_mean(folder, tmp_path, monkeypatch):
    other = tmp_path / 'more' / 'deep'
    other.mkdir(parents=True)
    (other / 'x[1].tfrecord').write_bytes(records(contents(3)))
    (folder / 'README').write_text('What this is about.')
    (folder / 'quicklook.png').write_bytes(b'\x89PNG\r\n\x1a\n' + bytes(300))
    (folder / 'table.csv.gz').write_bytes(gzip.compress(b'a,b\n' * 100))
    (folder / '.hidden').write_bytes(records(contents(1)))
    monkeypatch.chdir(tmp_path)
    for patterns, names in (
        ('data', [A, B, C]),
        ('data/', [A, B, C]),
        (f'data/{A}', [A]),
        ('data/train-*', [A, B]),
        (['data/train-*', f'data/{A}', 'data/val*'], [A, B, C]),
        ('data/*-0000[1-9]-*', [B]),
        ('more/deep/x[1].tfrecord', ['x[1].tfrecord']),
        ('data/.hid*', ['.hidden']),
        ('*/**/*.tfrecord*', [f'data/{C}', 'more/deep/x[1].tfrecord']),
        (['more/**', folder / B], [f'data/{B}', 'more/deep/x[1].tfrecord']),
    ):
        report = count_records(patterns)
        assert report.sound and [file.name for file in report.files if file.status == 'ok'] == names, patterns
    skipped = {name: text for name, text in texts(count_records('data')).items() if text != 'ok'}
    assert skipped == dict.fromkeys(
        ['README', 'quicklook.png', 'table.csv.gz'], 'skipped: no file of records (TFRecord).'
    )
    report = count_records(['data/train-*', 'nothing-*', 'data/no', 'nowhere/x', 'data/README'])
    assert wrong(report) == {
        'nothing-*': 'unmatched', 'data/no': 'unmatched', 'nowhere/x': 'unmatched', 'README': 'damaged',
    }  # fmt: skip
    assert wrong(count_records('data/*ook*')) == {'data/*ook*': 'unmatched'}
    for name in (f'data/{LISTING}', f'{folder}/{LISTING}'):  # is its folder
        assert wrong(check_metadata(name)) == {LISTING: 'missing', A: 'unlisted', B: 'unlisted', C: 'unlisted'}
    for patterns in ([], '', ['']):
        with pytest.raises(InvalidJob, match='No file named'):
            check_metadata(patterns)
    with pytest.raises(InvalidJob, match='auto, none, gzip'):
        count_records('data', compression='zip')


@pytest.mark.parametrize('block', [16, 50, 1000])
@pytest.mark.parametrize('packed', [False, True])
def test_records_of_any_size_are_counted_in_pieces(tmp_path, monkeypatch, packed, block):
    monkeypatch.setattr(recordscan, '_BLOCK', block)
    rng = np.random.default_rng(1)
    data = [b'', rng.bytes(1500), b'x', rng.bytes(49), rng.bytes(50), rng.bytes(977), b'', *contents(20)]
    whole, path = records(data), tmp_path / 'a.tfrecord'

    def write(content):
        path.write_bytes(gzip.compress(content) if packed else content)

    write(whole)
    seen = []
    report = count_records(str(path), on_progress=lambda share, name: seen.append(share))
    assert report.records == len(data) and seen == sorted(seen) and seen[-1] == 1
    ends = np.cumsum([len(item) + 16 for item in data]).tolist()
    for place in [0, 9, 13, 16 + 5, 16 + 13, 40, 1000, 16 + 1516 + 2, *rng.integers(0, len(whole), 12).tolist()]:
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        write(bytes(changed))
        (file,) = count_records(str(path)).files
        number = int(np.searchsorted(ends, place, 'right'))
        words = f'record {number} is damaged' if number else ('at its beginning', 'record 0 is damaged')
        assert file.status == 'damaged' and any(text in file.text for text in np.atleast_1d(words)), (place, file.text)
        write(whole[:place])
        if place not in (0, *ends):
            assert f'cut off within record {number}' in count_records(str(path)).files[0].text


def test_empty_files_hold_no_records(tmp_path):
    (tmp_path / 'a').write_bytes(b'')
    (tmp_path / 'b.gz').write_bytes(gzip.compress(b''))
    report = create_metadata(str(tmp_path / '*'))
    assert report.sound and [file.records for file in report.files] == [0, 0]
    assert check_metadata(str(tmp_path), full=True).sound


# -- every row of the peer's table of checks, and what it does not find ------------------------------------------------


def change_entry(folder, **values):
    data = listing(folder)
    data['files'][A].update(values)
    (folder / LISTING).write_text(json.dumps(data))


def replace_text(text):
    return lambda folder: (folder / LISTING).write_text(text)


def turn_byte(folder):
    data = bytearray((folder / A).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / A).write_bytes(data)


def other_records(folder):
    """Sound records of the same sizes."""
    (folder / A).write_bytes(records(data[::-1] for data in contents(COUNTS[A], 0)))


def swap(folder):
    for name in (A, B):
        (folder / name).write_bytes(records([name.encode() * 3]))
    os.remove(folder / LISTING)
    create_metadata(str(folder))
    os.rename(folder / A, folder / 'x')
    os.rename(folder / B, folder / A)
    os.rename(folder / 'x', folder / B)


ALL = dict.fromkeys(COUNTS, 'unchecked')
FAULTS = {  # what is done -> what the quick check says; what the full one says; words of it
    'missing': (lambda f: os.remove(f / A), {A: 'missing'}, None, 'listed, but not there'),
    'longer': (
        lambda f: (f / A).write_bytes((f / A).read_bytes() + records([b'x'])),
        {A: 'resized'}, None, 'bytes, the metadata say',
    ),
    'cut': (lambda f: os.truncate(f / A, 100), {A: 'resized'}, None, 'cut off within record'),
    'cut within gzip': (lambda f: os.truncate(f / C, 100), {C: 'resized'}, None, 'cannot be unpacked'),
    'changed': (turn_byte, {}, {A: 'damaged'}, 'is damaged: '),
    'other records': (other_records, {}, {A: 'changed'}, 'not those that are listed (MD5)'),
    'swapped': (swap, {}, {A: 'changed', B: 'changed'}, f'They are those listed as {B!r}'),
    'no metadata': (
        lambda f: os.remove(f / LISTING),
        {LISTING: 'missing', **dict.fromkeys(COUNTS, 'unlisted')}, None, 'has no metadata',
    ),
    'no JSON': (replace_text('{"version": 1, '), {LISTING: 'faulty', **ALL}, None, 'cannot be read'),
    'binary': (lambda f: (f / LISTING).write_bytes(b'\xff\xfe'), {LISTING: 'faulty', **ALL}, None, 'cannot be read'),
    'nested too deep': (replace_text('[' * 200000), {LISTING: 'faulty', **ALL}, None, 'cannot be read'),
    'a list': (replace_text('[]'), {LISTING: 'faulty', **ALL}, None, 'a JSON object'),
    'twice': (
        replace_text('{"version": 1, "files": {"a": {}, "a": {}}}'), {LISTING: 'faulty', **ALL}, None, 'twice',
    ),
    'version 2': (replace_text('{"version": 2, "files": {}}'), {LISTING: 'faulty', **ALL}, None, 'version 2 is not'),
    'version true': (replace_text('{"version": true}'), {LISTING: 'faulty', **ALL}, None, 'version true is not'),
    'no version': (replace_text('{"files": {}}'), {LISTING: 'faulty', **ALL}, None, 'version null is not'),
    'files as list': (replace_text('{"version": 1, "files": []}'), {LISTING: 'faulty', **ALL}, None, '"files" should'),
    'count as text': (lambda f: change_entry(f, total_records='12'), {A: 'faulty'}, None, 'total_records "12"'),
    'negative size': (lambda f: change_entry(f, file_size=-1), {A: 'faulty'}, None, 'file_size -1'),
    'hash of another kind': (lambda f: change_entry(f, md5_hash='ab'), {A: 'faulty'}, None, 'md5_hash "ab"'),
    'count changed': (lambda f: change_entry(f, total_records=13), {}, {A: 'changed'}, 'the metadata say 13'),
    'not listed': (
        lambda f: (f / 'new').write_bytes(records([b'x'])), {'new': 'unlisted'}, None, 'not listed in the metadata',
    ),
    'renamed': (
        lambda f: os.rename(f / A, f / 'new'), {A: 'renamed', 'new': 'unlisted'}, None, "renamed to 'new'",
    ),
}  # fmt: skip


@pytest.mark.parametrize('fault', FAULTS)
def test_every_fault_is_named(folder, fault):
    create_metadata(str(folder))
    make, quick, full, words = FAULTS[fault]
    make(folder)
    assert wrong(check_metadata(str(folder))) == quick
    report = check_metadata(str(folder), full=True)
    assert wrong(report) == (quick if full is None else full)
    assert any(words in str(file) for file in report.files), [*map(str, report.files)]


def test_all_faults_are_named_at_once_and_only_those_asked_for(folder):
    create_metadata(str(folder))
    os.truncate(folder / A, 50)
    os.remove(folder / C)
    (folder / 'new').write_bytes(records([b'x']))
    assert wrong(check_metadata(str(folder))) == {A: 'resized', C: 'missing', 'new': 'unlisted'}
    assert wrong(check_metadata(str(folder / 'train-*'))) == {A: 'resized'}
    assert wrong(check_metadata(str(folder / 'val*'))) == wrong(check_metadata(str(folder / C))) == {C: 'missing'}
    assert check_metadata(str(folder / B)).sound


def test_entries_name_no_files_elsewhere(folder, tmp_path):
    create_metadata(str(folder))
    (tmp_path / 'secret').write_bytes(records([b'x']))
    data = listing(folder)
    for name in ('../secret', str(tmp_path / 'secret'), '..', ''):
        data['files'] = {name: data['files'].get(A) or next(iter(data['files'].values()))}
        (folder / LISTING).write_text(json.dumps(data))
        report = check_metadata(str(folder), full=True)
        assert wrong(report) == {LISTING: 'faulty', **ALL} and 'in the same folder' in texts(report)[LISTING]


# -- changing metadata ------------------------------------------------------------------------------------------------


def test_creating_again_keeps_adds_and_changes_only_with_force(folder):
    create_metadata(str(folder / 'train-*'))
    data = listing(folder)
    assert [*data['files']] == [A, B]
    data['note'], data['files'][A]['origin'] = 'ours', 'here'
    (folder / LISTING).write_text(json.dumps(data))
    before = (folder / LISTING).stat().st_mtime_ns
    assert create_metadata(str(folder / 'train-*')).sound and (folder / LISTING).stat().st_mtime_ns == before
    other_records(folder)
    os.remove(folder / B)
    report = create_metadata(str(folder))
    assert wrong(report) == {A: 'changed', B: 'missing'} and 'force updates it' in texts(report)[A]
    kept = listing(folder)
    assert kept['note'] == 'ours' and kept['files'] == {**data['files'], C: kept['files'][C]}
    report = create_metadata(str(folder), force=True)
    assert report.sound and {file.name: file.change for file in report.files} == {A: 'updated', B: 'removed', C: ''}
    assert not report.notes and [*listing(folder)['files']] == [A, C] and listing(folder)['note'] == 'ours'
    assert listing(folder)['files'][A]['origin'] == 'here' and check_metadata(str(folder), full=True).sound


def test_damaged_files_get_no_entry(folder):
    create_metadata(str(folder))
    turn_byte(folder)
    os.truncate(folder / C, 60)
    (folder / 'new').write_bytes(records([b'abc'])[:-1])
    report = create_metadata(str(folder))
    assert wrong(report) == {A: 'damaged', C: 'damaged', 'new': 'damaged'} and [*listing(folder)['files']] == [A, B, C]
    report = create_metadata(str(folder), force=True)
    assert wrong(report) == {A: 'damaged', C: 'damaged', 'new': 'damaged'} and [*listing(folder)['files']] == [B]


@pytest.mark.parametrize('fault', ['no JSON', 'binary', 'version 2', 'files as list', 'count as text', 'twice'])
def test_metadata_that_are_not_understood_are_not_lost(folder, fault):
    create_metadata(str(folder))
    FAULTS[fault][0](folder)
    before = (folder / LISTING).read_bytes()
    report = create_metadata(str(folder))
    assert not report.sound and (folder / LISTING).read_bytes() == before and len(os.listdir(folder)) == 4
    copies = []
    for number in (1, 2):
        report = create_metadata(str(folder), force=True)
        copies.append(folder / f'{LISTING}.{number}.bak')
        assert report.sound and str(copies[-1]) in report.notes[0] and copies[-1].read_bytes() == before
        assert check_metadata(str(folder), full=True).sound
        (folder / LISTING).write_bytes(before)
    for name in COUNTS:
        os.truncate(folder / name, 30)
    report = create_metadata(str(folder), force=True)
    assert set(wrong(report)) >= set(COUNTS)
    if fault != 'count as text':  # one entry of which nothing is left
        assert LISTING in wrong(report) and (folder / LISTING).read_bytes() == before


def test_what_was_found_before_an_interruption_is_kept(folder):
    def stop(share, name):
        if name == B:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_metadata(str(folder), on_progress=stop)
    assert [*listing(folder)['files']] == [A]


def test_many_write_to_one_folder(tmp_path):
    count = 24
    for number in range(count):
        (tmp_path / f'{number}.tfrecord').write_bytes(records(contents(3, number)))
    threads = [
        threading.Thread(target=create_metadata, args=(str(tmp_path / f'{number}.tfrecord'),))
        for number in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(listing(tmp_path)['files']) == count and len(os.listdir(tmp_path)) == count + 1
    assert check_metadata(str(tmp_path), full=True).records == 3 * count


def test_a_place_where_nothing_can_be_written(folder, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr('os.replace', refuse)
    with pytest.raises(OutputRefused, match=LISTING):
        create_metadata(str(folder))
    assert sorted(os.listdir(folder)) == sorted(COUNTS)


def test_neither_tensorflow_nor_gdal_is_needed(folder):
    code = (
        'import sys; from quadrat.engine.datasets.tfmetadata import *; p = sys.argv[1]; create_metadata(p); '
        'assert check_metadata(p, full=True).records == count_records(p).records == 24; '
        "assert not {'tensorflow', 'keras', 'osgeo'} & set(sys.modules)"
    )
    root = Path(sys.modules['quadrat'].__path__[0]).parent
    done = subprocess.run(
        [sys.executable, '-c', code, str(folder)], env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}, cwd=root
    )
    assert done.returncode == 0
