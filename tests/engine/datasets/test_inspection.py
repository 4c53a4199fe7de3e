"""Inspection: what it says of a dataset, and that it finds whatever is wrong with one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quadrat.engine.datasets.contactsheet import choose
from quadrat.engine.datasets.inspection import inspect_dataset
from quadrat.engine.errors import DatasetError, InvalidJob, OutputRefused
from quadrat.engine.jobs import InspectDatasetJob

TWO = (('source1', (8, 8, 3), 'int16'), ('pan', (16, 16, 1), 'float32'))
LAYOUTS = [
    ('numpy', 'none'),
    *((layout, pack) for layout in ('tfrecords', 'patchesimages') for pack in ('none', 'gzip')),
]


@pytest.fixture
def inspect(listening, said):
    """A function that inspects a folder: ``(folder, check, …) -> (values or error, log, warnings)``."""

    def run(folder, check='quick', **outputs):
        reporter, events = listening()
        try:
            values = inspect_dataset(InspectDatasetJob(str(folder), check=check, **outputs), reporter)
        except DatasetError as error:
            values = error
        return values, said(events, 'log'), said(events, 'warning')

    return run


def problems(result):
    """The files that are named, in their order, and the message of the error."""
    values, _, warnings = result
    assert isinstance(values, DatasetError) and '\n' not in str(values)
    return [line.split(': ')[0] for line in warnings.splitlines()], str(values)


@pytest.mark.parametrize('check', ['quick', 'full'])
@pytest.mark.parametrize('layout, compression', LAYOUTS)
def test_a_whole_dataset(arrays, inspect, tmp_path, layout, compression, check):
    samples = arrays(forms=TWO, source_nodata='-9')
    dataset = samples.save(tmp_path / 'd', layout, 6, compression)
    values, log, warnings = inspect(tmp_path / 'd', check)
    assert values == {'COUNT': 40} and warnings == '' and f'The {check} check found nothing wrong.' in log
    assert f'40 samples as {layout}' in log and dataset.manifest.fingerprint() in log
    assert 'CRS EPSG:32631 (WGS 84 / UTM zone 31N), extent 600000, 5799990, 600640, 5800010' in log
    assert 'Source pan: 16 × 16 pixels, 1 band, float32, pixels of 1 × 1 map units, no-data policy any' in log
    rows = {line.split()[0]: line for line in log.splitlines() if line.startswith('  ')}
    for split, info in dataset.manifest.splits.items():
        total = info.count * 64
        shares = [f'{n} ({n / total:.1%})' for n in (*info.pixels.values(), total - sum(info.pixels.values()))]
        assert all(share in rows[split] for share in shares) and rows[split].split()[1] == str(info.count)
    mean = dataset.manifest.sources[1].statistics.mean[0]
    assert f'{mean:.6g}' in log


def test_pictures_and_the_report(arrays, inspect, tmp_path):
    samples = arrays(forms=TWO, count=90)
    samples.save(tmp_path / 'd')
    for name in ('a', 'b', 'c'):
        outputs = {'report': str(tmp_path / f'{name}.html'), 'contact_sheet': str(tmp_path / f'{name}.png')}
        values, _, _ = inspect(tmp_path / 'd', patches=30, seed=int(name == 'c'), **outputs)
        assert values == {'COUNT': 90, 'REPORT': outputs['report'], 'CONTACT_SHEET': outputs['contact_sheet']}
    sheets = [(tmp_path / f'{name}.png').read_bytes() for name in 'abc']
    assert sheets[0] == sheets[1] != sheets[2]
    picture = np.asarray(Image.open(tmp_path / 'a.png'))
    colours = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert {(0x1B, 0x9E, 0x77), (0xD9, 0x5F, 0x02), (0x75, 0x70, 0xB3)} <= colours
    text = (tmp_path / 'a.html').read_text('utf-8')
    assert 'class 41 (41)' in text and 'data:image/png;base64,' in text
    assert sorted(os.listdir(tmp_path)) == ['a.html', 'a.png', 'b.html', 'b.png', 'c.html', 'c.png', 'd']


@pytest.mark.parametrize('labels', [None, (1, 1, 1), (4, 4, 1)])
@pytest.mark.parametrize('shape', [(1, 1, 1), (5, 9, 2), (300, 300, 4)])
def test_pictures_of_samples_of_any_form(arrays, inspect, tmp_path, labels, shape):
    samples = arrays(forms=(('a', shape, 'float32'),), labels=labels, count=7, splits=None)
    samples.arrays['a'][3] = np.nan
    samples.save(tmp_path / 'd')
    values, _, _ = inspect(tmp_path / 'd', contact_sheet=str(tmp_path / 'a.png'))
    assert values['COUNT'] == 7 and Image.open(tmp_path / 'a.png').size[0] >= 640


def test_the_choice_of_samples_shows_all_splits_and_classes(arrays, tmp_path):
    samples = arrays(count=400, values=(1, 2, 3), splits=('train',) * 8 + ('validation', 'test'))
    samples.samples.pixels[3][:] = 0
    samples.samples.pixels[3][[7, 80]] = 5  # a rare class
    samples.samples.pixels[1][samples.splits['test'][0]] = 0
    dataset = samples.save(tmp_path / 'd')
    usable = np.ones(400, bool)
    usable[samples.splits['test'][1:]] = False
    chosen = choose(dataset, 40, 0, usable)
    assert sum(map(len, chosen.values())) == 40 and {7, 80} <= {*np.concatenate([*chosen.values()]).tolist()}
    assert chosen['test'].tolist() == [samples.splits['test'][0]]
    assert len(chosen['validation']) > 3  # more than its tenth
    for split, indices in chosen.items():
        assert set(indices) <= set(samples.splits[split].tolist()) and (np.diff(indices) > 0).all()
    everything = choose(dataset, 1000, 0, np.ones(400, bool))
    assert sum(map(len, everything.values())) == 400


def test_folders_of_others(arrays, inspect, tmp_path):
    arrays().save(tmp_path / 'd', 'patchesimages')
    for name in ('manifest.json', 'samples.csv'):
        os.remove(tmp_path / 'd' / name)
    (tmp_path / 'd/readme.txt').write_text('theirs')
    values, log, warnings = inspect(tmp_path / 'd', 'full', report=str(tmp_path / 'r.html'))
    assert values['COUNT'] == 40 and 'readme' not in warnings and 'CRS unknown, extent unknown' in log
    assert 'none; what stands here was found in the files' in (tmp_path / 'r.html').read_text('utf-8')


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('layout, compression', LAYOUTS)
def test_all_that_is_wrong_with_files_is_named(arrays, inspect, tmp_path, layout, compression):
    dataset = arrays(forms=TWO, count=60).save(tmp_path / 'd', layout, 5, compression)
    paths = [shard.path for shard in dataset.manifest.shards]
    gone, cut, renamed = paths[0], paths[1], paths[3]
    (tmp_path / 'd' / gone).unlink()
    os.truncate(tmp_path / 'd' / cut, dataset.manifest.shards[1].size - 3)
    os.rename(tmp_path / 'd' / renamed, tmp_path / 'd' / (renamed + '.bak'))
    (tmp_path / 'd/notes.txt').write_text('mine')
    result = inspect(tmp_path / 'd', report=str(tmp_path / 'r.html'), contact_sheet=str(tmp_path / 's.png'))
    files, message = problems(result)
    assert sorted(files) == sorted([gone, cut, renamed, renamed + '.bak', 'notes.txt'])
    assert f'{tmp_path / "d" / gone}: this part of the dataset is missing and 4 other problems' in message
    text = (tmp_path / 'r.html').read_text('utf-8')
    assert all(name in text for name in files) and (tmp_path / 's.png').exists()


@pytest.mark.parametrize('layout, compression', LAYOUTS)
def test_changed_bytes_are_found_by_the_full_check(arrays, inspect, tmp_path, layout, compression):
    dataset = arrays(forms=TWO, count=60).save(tmp_path / 'd', layout, 5, compression)
    shard = dataset.manifest.shards[2]
    path = Path(dataset.path(shard))
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4] ^= 4
    path.write_bytes(data)
    assert problems(inspect(tmp_path / 'd', 'full'))[0][0] == shard.path
    assert {shard.path} == {*problems(inspect(tmp_path / 'd', 'full', report=str(tmp_path / 'r.html')))[0]}


@pytest.mark.parametrize('layout', ['numpy', 'tfrecords'])
def test_swapped_files_and_rows_are_found_by_the_full_check(arrays, inspect, tmp_path, layout):
    dataset = arrays(count=60).save(tmp_path / 'd', layout, 5)
    one, other = [shard for shard in dataset.manifest.shards if shard.key != 'source1' and shard.count == 5][:2]
    a, b = dataset.path(one), dataset.path(other)
    os.rename(a, a + 'x')
    os.rename(b, a)
    os.rename(a + 'x', b)
    assert inspect(tmp_path / 'd')[0] == {'COUNT': 60}
    assert set(problems(inspect(tmp_path / 'd', 'full'))[0]) == {one.path, other.path}
    os.rename(a, a + 'x')
    os.rename(b, a)
    os.rename(a + 'x', b)
    table = tmp_path / 'd/samples.csv'
    lines = table.read_text().splitlines(True)
    rows = dataset.indices('train')[[0, 1]] + 1
    lines[rows[0]], lines[rows[1]] = lines[rows[1]], lines[rows[0]]
    table.write_text(''.join(lines))
    values, _, warnings = inspect(tmp_path / 'd', 'full')
    assert (
        isinstance(values, DatasetError) and 'pixels of classes are not those of samples.csv in 2 samples' in warnings
    )


def test_values_that_should_not_be_there_are_found_by_the_full_check(arrays, inspect, tmp_path):
    samples = arrays(forms=(('a', (8, 8, 1), 'float32'),), nodata=9)
    samples.arrays['labels'][3, 0, 0] = 77
    samples.arrays['a'][[5, 6], 2, 2] = np.nan
    dataset = samples.save(tmp_path / 'd')
    labels, image = 'labels-00000.npy', 'a-00000.npy'
    table = tmp_path / 'd/samples.csv'
    rows = table.read_text().splitlines()
    rows[1] = rows[1].replace('0,', '1,', 1)
    table.write_text('\n'.join(rows) + '\n')
    manifest = tmp_path / 'd/manifest.json'
    data = json.loads(manifest.read_text())
    data['splits']['train']['pixels']['12'] += 1
    manifest.write_text(json.dumps(data))
    values, _, warnings = inspect(tmp_path / 'd', 'full')
    expected = [
        'samples.csv: 1 ids occur more than once, such as 1.',
        "samples.csv: class 12 in split 'train': ",
        f'{image}: a: pixels that are no numbers, although such patches were rejected, in 2 samples: 5, 6.',
        f'{labels}: labels that are no class: 77 (1 pixels).',
    ]
    assert isinstance(values, DatasetError) and all(text in warnings for text in expected), warnings
    assert dataset.count == 40 and inspect(tmp_path / 'd')[0] == {'COUNT': 40}


def test_tables_that_are_cut_or_gone(arrays, inspect, tmp_path):
    dataset = arrays().save(tmp_path / 'd', 'tfrecords')
    table = tmp_path / 'd/samples.csv'
    rows = table.read_text().splitlines(True)
    table.write_text(''.join(rows[:-1]))
    (tmp_path / 'd' / dataset.manifest.shards[0].path).unlink()
    files, message = problems(inspect(tmp_path / 'd', 'full', report=str(tmp_path / 'r.html')))
    assert (
        files[:2] == ['samples.csv', dataset.manifest.shards[0].path] and '39 samples, the manifest says 40' in message
    )
    assert (tmp_path / 'r.html').exists()
    table.write_text(''.join(rows).replace(',train', ',test'))
    assert problems(inspect(tmp_path / 'd'))[0][-1] == 'samples.csv'
    (tmp_path / 'd/manifest.json').write_text('{')
    values, _, _ = inspect(tmp_path / 'd')
    assert 'manifest.json: cannot be read' in str(values)
    shutil.rmtree(tmp_path / 'd')
    os.makedirs(tmp_path / 'd')
    assert 'it is no dataset' in str(inspect(tmp_path / 'd')[0])


def test_outputs_are_checked_first(arrays, inspect, tmp_path):
    arrays(count=3).save(tmp_path / 'd')
    for outputs in ({'report': str(tmp_path / 'no/r.html')}, {'contact_sheet': str(tmp_path)}):
        with pytest.raises(OutputRefused):
            inspect(tmp_path / 'd', **outputs)
    with pytest.raises(InvalidJob, match='quick, full'):
        inspect(tmp_path / 'd', 'thorough')
