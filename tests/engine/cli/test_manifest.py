"""Files of samples: a line each, all faults at once, and an exit status that tells."""

from __future__ import annotations

import json

import pytest

# A record without content: its length, that of nothing, and the checksums of both.
RECORD = bytes(8) + b'\x29\x03\x98\x07' + b'\xd8\xea\x82\xa2'
METADATA = '_tfrecord_metadata.json'


@pytest.fixture
def records(quadrat):
    for number in range(3):
        (quadrat.folder / f'x-{number}.tfrecord').write_bytes(RECORD * (number + 1))
    return quadrat


def test_sound_files(records):
    done = records.run('manifest', 'create', '*.tfrecord')
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f'x-{number}.tfrecord: ok' for number in range(3)]
    listed = json.loads((records.folder / METADATA).read_text())['files']
    assert [file['total_records'] for file in listed.values()] == [1, 2, 3]
    for action in (['check'], ['check', '--full']):
        again = records.run('manifest', *action, '*.tfrecord')
        assert again.returncode == 0 and again.stdout == done.stdout
    # The shell may have made names of the pattern.
    counted = records.run('manifest', 'count', 'x-1.tfrecord', 'x-2.tfrecord')
    assert counted.stdout.splitlines() == ['x-1.tfrecord: 2', 'x-2.tfrecord: 3', 'total: 5']
    values = json.loads(records.run('manifest', 'count', 'x-*', '--json').stdout.splitlines()[-1])['values']
    assert values['RECORDS'] == 6 and [file['records'] for file in values['FILES']] == [1, 2, 3]


def test_faults(records):
    records.run('manifest', 'create', '*.tfrecord')
    (records.folder / 'x-0.tfrecord').write_bytes(RECORD[:-1] + b'?')
    (records.folder / 'x-2.tfrecord').unlink()
    quick = records.run('manifest', 'check', '*.tfrecord')
    assert quick.returncode == 1 and quick.stderr == 'Error: 1 of 3 files is not sound.\n'
    assert quick.stdout.splitlines()[:2] == ['x-0.tfrecord: ok', 'x-1.tfrecord: ok']
    full = records.run('manifest', 'check', '--full', '*.tfrecord')
    first, second, third = full.stdout.splitlines()
    assert full.returncode == 1 and full.stderr == 'Error: 2 of 3 files are not sound.\n'
    assert first != 'x-0.tfrecord: ok' and second == 'x-1.tfrecord: ok' and third.startswith('x-2.tfrecord: ')
    last = json.loads(records.run('manifest', 'check', '--full', '*.tfrecord', '--json').stdout.splitlines()[-1])
    assert (last['type'], last['code'], last['faults']) == ('error', 'dataset', [first, third])

    (records.folder / METADATA).write_text('{')
    for arguments in (['check', 'x-1.tfrecord'], ['create', 'x-1.tfrecord']):
        broken = records.run('manifest', *arguments)
        assert broken.returncode == 1 and METADATA in broken.stdout
        assert (records.folder / METADATA).read_text() == '{'
    forced = records.run('manifest', 'create', '--force', 'x-1.tfrecord')
    assert 'x-1.tfrecord: ok' in forced.stdout
    assert records.run('manifest', 'check', 'x-1.tfrecord').returncode == 0


def test_nothing_matches(quadrat):
    done = quadrat.run('manifest', 'check', 'none-*')
    assert done.returncode == 1 and 'none-*' in done.stdout


def test_datasets(quadrat):
    """The folder of a dataset, or its manifest, besides other files."""
    from quadrat import engine
    from quadrat.engine import jobs

    at = quadrat.folder
    image = str(at / 'scene/ms.tif')
    engine.run(jobs.DemoSceneJob(str(at / 'scene'), 64, 3))
    engine.run(jobs.SelectPatchesJob(image, str(at / 'points.gpkg'), patch_size=16))
    source = jobs.SourceSpec((image,), patch_size=(16, 16))
    labels = jobs.LabelRaster(str(at / 'scene/truth.tif'))
    engine.run(
        jobs.ExtractPatchesJob((source,), jobs.VectorSpec(str(at / 'points.gpkg')), str(at / 'data'), labels=labels)
    )
    (at / 'x.tfrecord').write_bytes(RECORD)
    for place in ('data', 'data/manifest.json'):
        done = quadrat.run('manifest', 'check', '--full', place)
        assert done.returncode == 0 and 'manifest.json: ok' in done.stdout.splitlines()
    counted = quadrat.run('manifest', 'count', 'data', 'x.tfrecord').stdout.splitlines()
    assert counted[-2:] == ['x.tfrecord: 1', 'total: 17'] and counted[0].startswith('train: ')
    shard = next((at / 'data').glob('labels*.npy'))
    shard.write_bytes(shard.read_bytes()[:-1] + b'?')
    assert quadrat.run('manifest', 'check', 'data').returncode == 0
    full = quadrat.run('manifest', 'check', '--full', 'data', '--json')
    (fault,) = json.loads(full.stdout.splitlines()[-1])['faults']
    assert full.returncode == 1 and fault.startswith(shard.name)
    refused = quadrat.run('manifest', 'create', 'data')
    assert refused.returncode == 1 and 'checked only' in refused.stderr
