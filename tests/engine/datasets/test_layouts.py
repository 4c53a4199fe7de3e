"""The layouts of datasets: what is written is what is read, by us, by GDAL and by TensorFlow."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from quadrat.engine.datasets.conversion import convert_dataset
from quadrat.engine.datasets.layouts import rewrite
from quadrat.engine.datasets.legend import raster_legend
from quadrat.engine.datasets.manifest import read_manifest
from quadrat.engine.datasets.patchesimages import write_patches_image
from quadrat.engine.datasets.reader import Dataset
from quadrat.engine.datasets.records import RecordWriter
from quadrat.engine.datasets.stores import Form
from quadrat.engine.errors import Cancelled, DatasetError, DiskFull, InputMissing, InvalidJob, OutputRefused
from quadrat.engine.events import Progress, Reporter
from quadrat.engine.gdalio import gdal
from quadrat.engine.jobs import ConvertDatasetJob, LayoutOptions

LAYOUTS = [
    ('numpy', 'none'),
    ('tfrecords', 'none'),
    ('tfrecords', 'gzip'),
    ('patchesimages', 'none'),
    ('patchesimages', 'gzip'),
]
TWO = (('source1', (8, 8, 3), 'int16'), ('pan', (16, 16, 1), 'uint8'))


def convert(source, target, layout='numpy', per_shard=0, compression='none', labels='', reporter=None):
    options = LayoutOptions(layout, per_shard, compression)
    convert_dataset(ConvertDatasetJob(str(source), str(target), options, labels), reporter or Reporter())
    return Dataset.open(str(target))


def without_manifest(source, target):
    """A copy that looks as if another program had made it."""
    shutil.copytree(source, target)
    for name in ('manifest.json', 'samples.csv'):
        os.remove(target / name)
    return target


# -- round trips ------------------------------------------------------------------------------------------------------

SHAPES = [
    {'forms': TWO, 'labels': (8, 8, 1)},
    {'forms': (('a', (5, 7, 1), 'uint8'),), 'labels': (1, 1, 1)},
    {'forms': (('a', (6, 4, 2), 'float32'), ('b', (3, 2, 5), 'float64')), 'labels': None},
    {'forms': (('a', (4, 4, 4), 'uint16'),), 'labels': (8, 8, 1), 'splits': None},
    {'forms': (('a', (1, 1, 3), 'int32'),), 'labels': (1, 1, 1), 'splits': ('train', 'test')},
    {'forms': (('a', (16, 16, 2), 'uint32'),), 'labels': (4, 4, 1), 'dtype': 'int16', 'values': (-3, 0, 300)},
]


@pytest.mark.parametrize('number', range(len(SHAPES)))
@pytest.mark.parametrize('compression', ['none', 'gzip'])
def test_round_trips_change_nothing(arrays, tmp_path, number, compression):
    samples = arrays(count=23, seed=number, **{'unlabelled': 255, **SHAPES[number]})
    first = samples.save(tmp_path / 'numpy', per_shard=6)
    records = convert(first.folder, tmp_path / 'records', 'tfrecords', 4, compression)
    images = convert(records.folder, tmp_path / 'images', 'patchesimages', 0, compression)
    last = convert(images.folder, tmp_path / 'last', 'numpy', 6)
    table = Path(first.folder, 'samples.csv').read_bytes()
    for dataset in (first, records, images, last):
        samples.check(dataset)
        assert Path(dataset.folder, 'samples.csv').read_bytes() == table
        same = dataclasses.replace(dataset.manifest, layout='numpy', compression='none', shards=first.manifest.shards)
        assert same == first.manifest
    assert last.manifest == first.manifest  # the same bytes, too: checksums are in it


@pytest.mark.parametrize('layout, compression', LAYOUTS[1:])
def test_shards_are_rewritten_in_place(arrays, tmp_path, layout, compression):
    """What extraction and merging do: nothing of the numpy shards is left."""
    samples = arrays(forms=TWO)
    dataset = samples.save(tmp_path / 'd', per_shard=7)
    os.remove(tmp_path / 'd/manifest.json')
    found = rewrite(dataset.folder, dataset.manifest, LayoutOptions(layout, 9, compression), Reporter())
    (tmp_path / 'd/manifest.json').write_text(found.to_json(), encoding='utf-8')
    samples.check(Dataset.open(dataset.folder))
    assert sorted(os.listdir(tmp_path / 'd')) == ['manifest.json', 'samples.csv', 'test', 'train', 'validation']
    assert (found.layout, found.compression) == (layout, compression)


@pytest.mark.parametrize('layout, compression', LAYOUTS)
def test_threads_share_a_dataset(arrays, tmp_path, layout, compression):
    samples = arrays(forms=TWO, count=60)
    dataset = samples.save(tmp_path / 'd', layout, 1 if layout != 'patchesimages' else 0, compression)
    wrong = []

    def work(seed):
        order = np.random.default_rng(seed).integers(0, 60, 40)
        for key, array in samples.arrays.items():
            if not np.array_equal(dataset.read(key, order), array[order]):
                wrong.append((seed, key))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert dataset.read('pan', []).shape == (0, 16, 16, 1)
    with pytest.raises(IndexError):
        dataset.read('pan', [60])
    with pytest.raises(DatasetError, match='no source'):
        dataset.read('other', [0])


@pytest.mark.parametrize('layout, compression', LAYOUTS)
def test_few_samples_make_one_short_file(arrays, tmp_path, layout, compression):
    samples = arrays(count=1, splits=None)
    dataset = samples.save(tmp_path / 'd', layout, 500, compression)
    samples.check(dataset)
    assert [shard.count for shard in dataset.manifest.shards] == [1] * len(dataset.manifest.shards)


def test_training_reads_the_same_from_every_layout(arrays, tmp_path):
    from quadrat.engine.training.pipeline import SampleReader
    from quadrat.engine.training.targets import ClassTarget, LabelCodes

    samples = arrays(nodata=7, source_nodata='0')
    order = np.random.default_rng(1).permutation(40)
    batches = []
    for number, (layout, compression) in enumerate(LAYOUTS):
        dataset = samples.save(tmp_path / str(number), layout, 9, compression)
        labels = dataset.manifest.labels
        target = ClassTarget(labels, LabelCodes([11, 12, 41], labels))
        batches.append(SampleReader(dataset, dataset.manifest.sources[:1], target).read(order))
    assert 0 < batches[0].counted.mean() < 1
    for batch in batches[1:]:
        for found, expected in zip((*batch.images, *batch[1:]), (*batches[0].images, *batches[0][1:])):
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == expected.dtype


# -- what others find in the files ------------------------------------------------------------------------------------


def test_patches_images_are_as_the_peer_writes_them(arrays, tmp_path):
    samples = arrays(forms=TWO, source_nodata='-9')
    dataset = samples.save(tmp_path / 'd', 'patchesimages')
    expected = {
        'source1': (2.0, -2.0, 'band 0', -9.0),
        'pan': (1.0, -1.0, 'band 0', -9.0),
        'labels': (2.0, -2.0, '', 255.0),
    }
    for split, indices in samples.splits.items():
        for key, (x, y, name, nodata) in expected.items():
            image = gdal.Open(str(tmp_path / 'd' / split / f'{key}.tif'))
            array = samples.arrays[key][indices]
            count, rows, cols, bands = array.shape
            assert (image.RasterXSize, image.RasterYSize, image.RasterCount) == (cols, rows * count, bands)
            assert image.GetGeoTransform() == (-x / 2, x, 0, -y / 2, 0, y) and image.GetProjection() == ''
            band = image.GetRasterBand(bands)
            assert (image.GetRasterBand(1).GetDescription(), band.GetNoDataValue()) == (name, nodata)
            pixels = image.ReadAsArray().reshape(bands, count, rows, cols).transpose(1, 2, 3, 0)
            np.testing.assert_array_equal(pixels, array)
        assert raster_legend(str(tmp_path / 'd' / split / 'labels.tif')) == dataset.manifest.classes
    assert all(dataset.shard(shard).mapped is not None for shard in dataset.manifest.shards)


def test_labels_of_patches_have_no_place(arrays, tmp_path):
    arrays(labels=(1, 1, 1), splits=None).save(tmp_path / 'd', 'patchesimages')
    image = gdal.Open(str(tmp_path / 'd/labels.tif'))
    assert (image.RasterXSize, image.RasterYSize) == (1, 40)
    assert image.GetGeoTransform() == (-0.5, 1, 0, -0.5, 0, 1)


@pytest.mark.parametrize('shape', [(1, 1, 1), (3, 2, 1), (64, 64, 3)])
@pytest.mark.parametrize('count', [1, 2, 3, 100, 5957, 8192, 9001])
def test_patches_images_of_any_length(tmp_path, shape, count):
    """From one patch to more than fit into one strip; readers of TIFF take some single strips apart."""
    if count * np.prod(shape) > 1 << 22:
        count = 41
    pixels = np.random.default_rng(count).integers(0, 3, (count, *shape)).astype('uint8')
    path = str(tmp_path / 'a.tif')
    form = Form(shape, pixels.dtype)
    write_patches_image(path, form, count, (2, -2), lambda first, last: pixels[first:last])
    dataset = gdal.Open(path)
    found = np.frombuffer(dataset.ReadRaster(buf_pixel_space=shape[2], buf_band_space=1), np.uint8)
    assert np.array_equal(found, pixels.ravel())


@pytest.mark.parametrize('compression', ['none', 'gzip'])
def test_tensorflow_reads_the_records(arrays, tmp_path, compression):
    import tensorflow as tf

    samples = arrays(forms=TWO)
    samples.save(tmp_path / 'd', 'tfrecords', 4, compression)
    for split, indices in samples.splits.items():
        place = tmp_path / 'd' / split
        types = json.loads((place / 'output_types.json').read_text())
        shapes = json.loads((place / 'output_shapes.json').read_text())
        assert types == {'source1': 'int16', 'pan': 'uint8', 'labels': 'uint8'}
        assert shapes == {'source1': [8, 8, 3], 'pan': [16, 16, 1], 'labels': [8, 8, 1]}
        paths = [str(place / f'{i}.records') for i in range(-(-len(indices) // 4))]
        assert sorted(os.listdir(place)) == sorted(
            ['output_types.json', 'output_shapes.json', *map(os.path.basename, paths)]
        )
        features = {key: tf.io.FixedLenFeature([], tf.string) for key in types}
        records = tf.data.TFRecordDataset(paths, 'GZIP' if compression == 'gzip' else '')
        for number, record in zip(indices.tolist(), records):
            parsed = tf.io.parse_single_example(record, features)
            for key, dtype in types.items():
                tensor = tf.ensure_shape(tf.io.parse_tensor(parsed[key], dtype), shapes[key])
                np.testing.assert_array_equal(tensor.numpy(), samples.arrays[key][number])
        assert len(list(records)) == len(indices)


@pytest.mark.parametrize(
    'mapped, options',
    [
        (False, ['TILED=YES', 'BLOCKXSIZE=16', 'BLOCKYSIZE=16']),
        (False, ['INTERLEAVE=BAND']),
        (False, ['BLOCKYSIZE=3', 'COMPRESS=LZW']),
        (False, ['INTERLEAVE=PIXEL', 'BLOCKYSIZE=5']),  # GDAL puts strips of zeros at the end of the file
        (True, ['INTERLEAVE=PIXEL', 'ENDIANNESS=BIG']),
    ],
)
def test_rasters_of_any_form_are_read(arrays, tmp_path, mapped, options):
    samples = arrays(splits=None)
    samples.save(tmp_path / 'd', 'patchesimages')
    for key in ('source1', 'labels'):
        path = str(tmp_path / 'd' / f'{key}.tif')
        os.rename(path, path + '.old')
        gdal.Translate(path, path + '.old', creationOptions=options)
        os.remove(path + '.old')
    os.remove(tmp_path / 'd/manifest.json')
    dataset = Dataset.open(tmp_path / 'd')
    assert (dataset.shard(dataset.manifest.shards[1]).mapped is not None) == mapped
    np.testing.assert_array_equal(dataset.read('source1', range(40)), samples.arrays['source1'])
    np.testing.assert_array_equal(dataset.read('labels', range(40)), samples.arrays['labels'])


# -- folders of others ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('layout, compression', LAYOUTS[1:])
def test_a_folder_without_manifest_is_read(arrays, tmp_path, layout, compression):
    samples = arrays(count=60)
    samples.save(tmp_path / 'd', layout, 2, compression)  # more than ten files: 10 comes after 2
    os.rename(without_manifest(tmp_path / 'd', tmp_path / 'f') / 'validation', tmp_path / 'f/valid')
    dataset = Dataset.open(tmp_path / 'f')
    order = np.concatenate(list(samples.splits.values()))
    for key, array in samples.arrays.items():
        np.testing.assert_array_equal(dataset.read(key, range(60)), array[order])
    found, manifest = dataset.manifest, samples.manifest
    assert dataset.foreign and found.extent is None and found.crs == '' and not found.unsplit
    assert {split: info.count for split, info in found.splits.items()} == {
        split: info.count for split, info in manifest.splits.items()
    }
    statistics = manifest.sources[0].statistics
    assert found.sources[0].statistics.mean == pytest.approx(statistics.mean, rel=1e-12)
    assert found.sources[0].statistics.maximum == statistics.maximum
    if layout == 'patchesimages':
        assert found.classes == manifest.classes and found.labels == manifest.labels
        assert found.sources[0].pixel_size == (2.0, 2.0)
    else:  # records do not say which value is none
        assert [item.value for item in found.classes] == [11, 12, 41, 255] and found.labels.unlabelled == 254
    for value in (11, 12, 41):
        np.testing.assert_array_equal(dataset.samples.pixels[value], samples.samples.pixels[value][order])
    ours = convert(tmp_path / 'f', tmp_path / 'ours')
    assert not ours.foreign and np.isnan(ours.samples.x).all() and ours.samples.ids == dataset.samples.ids
    assert ours.samples.images == dataset.samples.images and ours.manifest.splits == found.splits
    np.testing.assert_array_equal(ours.read('labels', range(60)), dataset.read('labels', range(60)))


def write_records(folder, samples, shards=1, types=None, shapes=None):
    folder.mkdir(parents=True)
    from quadrat.engine.datasets.example import encode

    for number, part in enumerate(np.array_split(np.arange(len(samples)), shards)):
        with RecordWriter(str(folder / f'{number}.records')) as writer:
            for i in part.tolist():
                writer.write(encode(samples[i]))
    kinds = {key: 'string' if value.dtype.kind in 'SU' else value.dtype.name for key, value in samples[0].items()}
    (folder / 'output_types.json').write_text(json.dumps(kinds if types is None else types))
    sizes = {key: value.shape for key, value in samples[0].items()}
    (folder / 'output_shapes.json').write_text(json.dumps(sizes if shapes is None else shapes))


def test_records_of_other_kinds(tmp_path, listening, said):
    """Keys without three axes, text, labels as float or int64, twelve files in the order of their numbers."""
    rng = np.random.default_rng(0)
    samples = [
        {
            'image': rng.integers(0, 99, (4, 4, 2)).astype('uint8'),
            'dem': rng.normal(size=(4, 4)).astype('float32'),
            'month': np.int64(i % 12),
            'place': np.array('Metz'),
            'label': np.array([[[float(i % 3)]]], 'float32'),
        }
        for i in range(30)
    ]
    write_records(tmp_path / 'd', samples, 12)
    reporter, events = listening()
    dataset = Dataset.open(tmp_path / 'd', reporter=reporter)
    assert "'place' is text; it is left out" in said(events, 'warning')
    assert dataset.keys == ('image', 'dem', 'month', 'label')
    assert [source.shape for source in dataset.manifest.sources] == [(4, 4, 2), (4, 4, 1), (1, 1, 1)]
    for key in dataset.keys:
        expected = np.stack([sample[key] for sample in samples]).reshape(dataset.read(key, range(30)).shape)
        np.testing.assert_array_equal(dataset.read(key, range(30)), expected)
    assert dataset.read('label', [0]).dtype == 'uint8' and dataset.manifest.labels.shape == (1, 1, 1)
    none = Dataset.open(tmp_path / 'd', 'none')
    assert none.manifest.labels is None and none.keys == ('image', 'dem', 'month', 'label')
    month = Dataset.open(tmp_path / 'd', 'month')
    assert month.manifest.labels.name == 'month' and len(month.manifest.classes) == 12
    os.remove(tmp_path / 'd/3.records')
    reporter, events = listening()
    assert Dataset.open(tmp_path / 'd', reporter=reporter).count == 27
    assert 'there is 11.records, but no 3.records' in said(events, 'warning')


def test_records_that_make_no_sense_are_refused(tmp_path):
    sample = {'a': np.zeros((2, 2, 1), 'uint8'), 'labels': np.full((2, 2, 1), 0.5, 'float32')}
    write_records(tmp_path / 'half', [sample])
    write_records(tmp_path / 'only', [{'labels': np.zeros((2, 2, 1), 'uint8')}])
    write_records(tmp_path / 'other', [sample], types={'a': 'int16', 'labels': 'float32'})
    write_records(tmp_path / 'axes', [sample], shapes={'a': [1, 2, 2, 1], 'labels': [2, 2, 1]})
    write_records(tmp_path / 'names', [{'a b': sample['a']}])
    write_records(tmp_path / 'two', [{'a': sample['a'], 'old_labels': sample['a'], 'new_labels': sample['a']}])
    write_records(tmp_path / 'json', [sample])
    os.remove(tmp_path / 'json/output_types.json')
    for name, words in (
        ('half', r'0\.records: sample 0: .labels. should be labels, but: 0\.5 is no class value'),
        ('only', 'nothing but .labels., the labels'),
        ('other', r'0\.records: record 0: .a. is uint8 of shape \(2, 2, 1\), and should be int16'),
        ('axes', r'output_shapes\.json: .a. has the shape'),
        ('names', "the key 'a b' should be of letters"),
        ('two', 'which of old_labels, new_labels are the labels'),
        ('json', r'output_types\.json: is missing'),
    ):
        with pytest.raises(DatasetError, match=words) as caught:
            Dataset.open(tmp_path / name)
        assert '\n' not in str(caught.value)
    with pytest.raises(DatasetError, match=r"no 'lables' for the labels \(LABELS\); it holds a, old_labels"):
        Dataset.open(tmp_path / 'two', 'lables')


def write_image(path, array, **tags):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, cols, bands = array.shape
    kinds = {'uint8': gdal.GDT_Byte, 'float32': gdal.GDT_Float32, 'int16': gdal.GDT_Int16}
    image = gdal.GetDriverByName('GTiff').Create(str(path), cols, rows, bands, kinds[str(array.dtype)])
    for number in range(bands):
        image.GetRasterBand(number + 1).WriteArray(array[..., number])
        if 'nodata' in tags:
            image.GetRasterBand(number + 1).SetNoDataValue(tags['nodata'])


def test_rasters_that_make_no_sense_are_refused(tmp_path):
    four, five = np.zeros((16, 4, 1), 'uint8'), np.zeros((20, 4, 1), 'uint8')
    write_image(tmp_path / 'square/a.tif', np.zeros((17, 4, 1), 'uint8'))
    write_image(tmp_path / 'counts/a.tif', four)
    write_image(tmp_path / 'counts/labels.tif', five)
    write_image(tmp_path / 'gone/train/a.tif', four)
    write_image(tmp_path / 'gone/train/labels.tif', four)
    write_image(tmp_path / 'gone/test/a.tif', four)
    write_image(tmp_path / 'more/train/a.tif', four)
    write_image(tmp_path / 'more/test/b.tif', four)
    write_image(tmp_path / 'twice/valid/a.tif', four)
    write_image(tmp_path / 'twice/val/a.tif', four)
    write_image(tmp_path / 'bands/a.tif', four)
    write_image(tmp_path / 'bands/labels.tif', np.zeros((16, 4, 2), 'uint8'))
    write_image(tmp_path / 'values/a.tif', np.zeros((1600, 40, 1), 'uint8'))
    write_image(tmp_path / 'values/labels.tif', np.arange(64000, dtype='float32').reshape(1600, 40, 1))
    write_image(tmp_path / 'cut/a.tif', np.random.default_rng(0).integers(0, 255, (4000, 40, 1)).astype('uint8'))
    os.truncate(tmp_path / 'cut/a.tif', 100000)
    (tmp_path / 'text').mkdir()
    (tmp_path / 'text/a.tif').write_text('no raster')
    (tmp_path / 'empty').mkdir()
    for name, words in (
        ('square', r'a\.tif: 4 x 17 pixels are no whole number of square patches'),
        ('counts', r'labels\.tif: 5 patches, but .*a\.tif has 4'),
        ('gone', r'there is no labels as in the other splits'),
        ('more', r'b\.tif: the other splits have no such file'),
        ('twice', "both val and valid hold samples of the split 'validation'"),
        ('bands', r'labels\.tif: sample 0: .* several bands'),
        ('values', r'labels\.tif: sample 0: .* more than 1000 values'),
        ('cut', r'a\.tif: '),
        ('text', r'a\.tif: not a raster'),
        ('empty', 'no manifest.json in it, and no TFRecords or patches-images'),
    ):
        with pytest.raises(DatasetError, match=words) as caught:
            Dataset.open(tmp_path / name)
        assert '\n' not in str(caught.value)
    with pytest.raises(InputMissing):
        Dataset.open(tmp_path / 'nowhere')


def test_labels_that_are_missing_in_places(tmp_path, listening, said):
    """NaN, and the value that the file declares as no-data, are no labels."""
    labels = np.array([0, 1, np.nan, 5] * 4, 'float32').reshape(16, 1).repeat(4, 1)[..., None]
    write_image(tmp_path / 'd/image-1.tif', np.zeros((16, 4, 1), 'uint8'))
    write_image(tmp_path / 'd/my_labels.tif', labels, nodata=5)
    reporter, events = listening()
    dataset = Dataset.open(tmp_path / 'd', reporter=reporter)
    assert dataset.keys == ('image_1', 'my_labels')
    assert dataset.manifest.labels.unlabelled == 5 and [item.value for item in dataset.manifest.classes] == [0, 1]
    np.testing.assert_array_equal(dataset.read('my_labels', [2])[0, :, 0, 0], [0, 1, 5, 5])
    assert '16 pixels have no label: their value 5 is declared as no-data' in said(events, 'warning')


@pytest.mark.baseline
def test_the_patches_images_of_the_peer(tmp_path, shared):
    """Read, and written again: the same pixels, size and place."""
    suite, folder = shared / 'data/otbtf-suite/data', tmp_path / 'peer'
    folder.mkdir()
    for name in ('patches', 'labels'):
        shutil.copy(suite / f'amsterdam_{name}_A.tif', folder)
    dataset = convert(folder, tmp_path / 'numpy')
    assert dataset.count == 113 and dataset.manifest.unsplit
    assert dataset.read('amsterdam_labels_A', range(113)).dtype == 'uint8'
    assert [item.value for item in dataset.manifest.classes] == [0, 1]
    again = convert(convert(dataset.folder, tmp_path / 'r', 'tfrecords').folder, tmp_path / 'i', 'patchesimages')
    for name in ('patches', 'labels'):
        ours = gdal.Open(str(tmp_path / f'i/amsterdam_{name}_A.tif'))
        theirs = gdal.Open(str(suite / f'amsterdam_{name}_A.tif'))
        np.testing.assert_array_equal(ours.ReadAsArray(), theirs.ReadAsArray())
        assert ours.GetGeoTransform() == theirs.GetGeoTransform() and ours.GetProjection() == theirs.GetProjection()
    assert again.manifest.fingerprint() != dataset.manifest.fingerprint()
    folder = tmp_path / 's2'
    folder.mkdir()
    for name in ('labels_A.tif', 'patches_A.jp2'):
        shutil.copy(suite / f'Sentinel-2_B4328_10m_{name}', folder)
    dataset = Dataset.open(folder)
    assert dataset.count == 3000 and dataset.manifest.labels.shape == (1, 1, 1)
    theirs = gdal.Open(str(folder / 'Sentinel-2_B4328_10m_patches_A.jp2')).ReadAsArray().reshape(4, 3000, 16, 16)
    np.testing.assert_array_equal(
        dataset.read('Sentinel_2_B4328_10m_patches_A', range(3000)), theirs.transpose(1, 2, 3, 0)
    )


# -- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('layout, compression', LAYOUTS)
def test_damage_is_named(arrays, tmp_path, layout, compression):
    dataset = arrays(forms=TWO, count=60).save(tmp_path / 'd', layout, 6, compression)
    path = Path(dataset.path(dataset.manifest.shards[1]))
    whole = path.read_bytes()
    for data, words in ((None, 'is missing'), (whole[:-1], r'\d+ bytes'), (b'x' * len(whole), '')):
        path.unlink()
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(DatasetError, match=f'{path}: .*{words}'):
            Dataset.open(dataset.folder).read('pan', range(60))
        path.write_bytes(whole)
    Dataset.open(dataset.folder)


def test_what_the_manifest_does_not_name_is_never_read(arrays, tmp_path):
    """Files left from an earlier run, or put there by somebody."""
    samples = arrays()
    dataset = samples.save(tmp_path / 'd', 'tfrecords', 4)
    for name in ('train/999.records', '0.records'):
        shutil.copy(dataset.path(dataset.manifest.shards[0]), tmp_path / 'd' / name)
    samples.check(Dataset.open(dataset.folder))


@pytest.mark.parametrize('layout', ['numpy', 'tfrecords', 'patchesimages'])
def test_cancelling_leaves_the_old_dataset(arrays, tmp_path, layout):
    arrays().save(tmp_path / 'a')
    arrays(seed=5).save(tmp_path / 'out/b')
    cancelled = threading.Event()
    reporter = Reporter(lambda event: cancelled.set() if isinstance(event, Progress) else None, cancelled)
    reporter.INTERVAL = 0
    with pytest.raises(Cancelled):
        convert(tmp_path / 'a', tmp_path / 'out/b', layout, reporter=reporter)
    assert os.listdir(tmp_path / 'out') == ['b']
    arrays(seed=5).check(Dataset.open(tmp_path / 'out/b'))


@pytest.mark.parametrize('layout, compression', LAYOUTS)
def test_a_full_disk_is_one_line_and_nothing_is_left(arrays, tmp_path, layout, compression):
    arrays(forms=(('a', (32, 32, 3), 'uint16'),), labels=None, count=200).save(tmp_path / 'a')
    (tmp_path / 'out').mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200000, hard))
    try:
        with pytest.raises((DiskFull, OutputRefused)) as caught:
            convert(tmp_path / 'a', tmp_path / 'out/b', layout, 0, compression)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert '\n' not in str(caught.value) and os.listdir(tmp_path / 'out') == []


def test_outputs_that_would_spoil_something_are_refused(arrays, tmp_path):
    arrays().save(tmp_path / 'a')
    images = arrays().save(tmp_path / 'i', 'patchesimages')
    for target, words in ((tmp_path / 'a', 'the dataset that is read'), (tmp_path / 'a/b', 'lies within')):
        with pytest.raises(OutputRefused, match=words):
            convert(tmp_path / 'a', target)
    with pytest.raises(InvalidJob, match='not compressed'):
        convert(tmp_path / 'a', tmp_path / 'b', 'numpy', compression='gzip')
    # A raster of the user's in the dataset's folder, or in that of a split, is no part of it.
    for name in ('map.tif', 'train/map.tif', 'notes.txt'):
        (tmp_path / 'i' / name).write_text('mine')
        with pytest.raises(OutputRefused, match='would be replaced, but holds'):
            convert(tmp_path / 'a', tmp_path / 'i')
        (tmp_path / 'i' / name).unlink()
    (tmp_path / 'i/train/labels.tif.aux.xml').write_text('statistics of QGIS')
    assert convert(tmp_path / 'a', tmp_path / 'i').manifest.fingerprint() != images.manifest.fingerprint()
    assert read_manifest(str(tmp_path / 'i')).layout == 'numpy' and not (tmp_path / 'i/train').exists()
