"""Maps of whole rasters: the same whatever the tiles, whole or not there, and with everything a map should carry."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading

import numpy as np
import pytest

from quadrat import engine
from quadrat.engine import errors
from quadrat.engine.events import Log, Progress, Warn
from quadrat.engine.gdalio import gdal, ogr, open_raster
from quadrat.engine.jobs import ClassDef, ServeJob, SourceSpec, VectorSpec
from quadrat.engine.maps.writer import RasterWriter
from quadrat.engine.model_package.card import InputCard, ModelCard, OutputCard, ReceptiveField
from quadrat.engine.model_package.package import write_package
from quadrat.engine.raster import RasterStack, padded_index
from quadrat.engine.runtimes.tensorflow import TensorFlowRuntime
from quadrat.engine.vector import VectorWriter

CLASSES = (ClassDef(1, 'a'), ClassDef(2, 'b'), ClassDef(3, 'c'))
VALUES = (11, 3, 255)  # of the classes; their no-data value is 0, since 255 is taken


def serve(model, image, folder, tag='', nodata='', events=None, cancelled=None, **options):
    """Map an image; returns (class map, probabilities with bands last)."""
    paths = {name: os.path.join(folder, f'{name[:5]}{tag}.tif') for name in ('output', 'probabilities')}
    paths.update({key: options.pop(key) for key in paths if key in options})
    options = {'runtime': 'tensorflow', **options}  # which tests watch, and make fail
    job = ServeJob(model, (SourceSpec((image,), nodata=nodata),), **paths, **options)
    engine.run(job, on_event=events.append if events is not None else None, cancelled=cancelled)
    return tuple(pixels(path) for path in paths.values() if path)


def pixels(path):
    values = open_raster(path).ReadAsArray()
    return values if values.ndim == 2 else values.transpose(1, 2, 0)


def write_pixels(path, values):
    """New pixels (rows, columns, bands) for a raster that is there."""
    dataset = gdal.OpenEx(path, gdal.OF_UPDATE)
    rows, cols, _ = values.shape
    dataset.WriteRaster(0, 0, cols, rows, np.ascontiguousarray(values.transpose(2, 0, 1)).tobytes())


def largest_difference(maps):
    """Between any two maps; no-data must be the same."""
    for other in maps[1:]:
        assert np.array_equal(np.isnan(maps[0]), np.isnan(other))
    return float(np.nanmax(np.max(maps, 0) - np.min(maps, 0)))


SIZES = {'t128': 128, 't256': 256, 't384': 384, 'whole': 4096}


def all_tilings(model, image, folder, **options):
    return [serve(model, image, folder, tag, tile_size=size, output='', **options)[0] for tag, size in SIZES.items()]


@pytest.mark.parametrize('rows, cols', [(333, 517), (40, 700)])
def test_the_map_does_not_depend_on_the_tiles(package, make_image, tmp_path, rows, cols):
    def holes(values):
        values[:, : rows // 3, : cols // 3] = -9999
        values[1, rows // 2, :] = -9999

    image = make_image(rows, cols, nodata=-9999, change=holes)
    maps = all_tilings(package, image, str(tmp_path))
    assert maps[0].shape == (rows, cols, 3)
    assert np.isnan(maps[0][0, 0]).all() and np.isnan(maps[0][rows // 2]).all() and not np.isnan(maps[0][-1]).any()
    assert largest_difference(maps) <= 1e-5


@pytest.fixture(scope='module')
def two_branches(tmp_path_factory):
    """A package of a network of a fine image and one four times as coarse; the map has the fine one's pixels."""
    import keras

    keras.utils.set_random_seed(3)
    layers = keras.layers
    fine = keras.Input((None, None, 1), name='pan')
    coarse = keras.Input((None, None, 3), name='xs')
    detail = layers.Conv2D(4, 5, padding='same', activation='relu')(layers.Rescaling(0.001)(fine))
    colour = layers.Conv2D(4, 3, padding='same', activation='relu')(layers.Rescaling(0.001)(coarse))
    both = layers.Concatenate()([detail, layers.Conv2DTranspose(4, 8, 4, 'same')(colour)])
    given = layers.Conv2D(3, 3, padding='same', activation='softmax')(both)
    model = keras.Model({'pan': fine, 'xs': coarse}, {'probabilities': given})
    inputs = (
        InputCard('pan', ('pan',), field=ReceptiveField(3, 3, 3, 3), stride=4),
        InputCard('xs', ('red', 'green', 'blue'), field=ReceptiveField(3, 3, 3, 3)),
    )
    card = ModelCard('Two', 'segmentation', 'two', inputs, (OutputCard('probabilities', 3, CLASSES),))
    path = str(tmp_path_factory.mktemp('two') / 'package')
    write_package(path, model, card)
    return path, model


@pytest.mark.own_network
def test_two_resolutions(two_branches, make_image, tmp_path):
    package, model = two_branches
    fine = make_image(240, 300, bands=1, name='pan.tif', change=lambda pixels: pixels[:, :4, :9].fill(-1), nodata=-1)
    # The coarse image begins four of its pixels to the left, and ends before the fine one does.
    coarse = make_image(50, 70, name='xs.tif', pixel=6, west=600000 - 24)
    sources = (SourceSpec((fine,)), SourceSpec((coarse,), 'source2'))
    maps = []
    for name, size in SIZES.items():
        output = str(tmp_path / f'{name}.tif')
        engine.run(ServeJob(package, sources, probabilities=output, tile_size=size))
        maps.append(pixels(output))
    assert largest_difference(maps) <= 1e-5
    whole = maps[0]
    assert np.isnan(whole[:4, :9]).all() and np.isnan(whole[200:]).all() and np.isnan(whole[:, 264:]).all()
    feeds = {
        'pan': pixels(fine).astype('float32')[None, :200, :264, None],
        'xs': pixels(coarse).astype('float32')[None, :50, 4:],
    }
    expected = model(feeds)['probabilities'].numpy()[0]
    assert np.abs(whole[20:180, 20:240] - expected[20:180, 20:240]).max() <= 1e-5
    with pytest.raises(errors.ModelError, match=r'2 sources \(pan, xs\), 1 given'):
        engine.run(ServeJob(package, sources[:1], output=str(tmp_path / 'm.tif')))
    far = make_image(50, 70, name='far.tif', pixel=6, west=780000)
    with pytest.raises(errors.GridMismatch, match=r'far\.tif lies nowhere on the ground of'):
        engine.run(ServeJob(package, (sources[0], SourceSpec((far,), 'b')), output=str(tmp_path / 'm.tif')))


def test_a_halo_one_stride_too_small_would_be_seen(make_package, make_image, tmp_path):
    model = make_package(field=ReceptiveField(38, 38, 38, 38))  # 46 pixels, less a stride of 8
    maps = all_tilings(model, make_image(333, 517), str(tmp_path))
    assert largest_difference(maps) > 1e-4


def test_it_is_what_the_network_says_of_the_mirrored_image(package, network, make_image, tmp_path):
    rows, cols = 61, 45
    image = make_image(rows, cols)
    classes, probabilities = serve(package, image, str(tmp_path), tile_size=16)
    index = np.ix_(padded_index(-48, 64 + 96, rows), padded_index(-48, 48 + 96, cols))
    expected = np.asarray(network(pixels(image)[index][None].astype('float32'))['probabilities'])[0]
    assert np.abs(probabilities - expected[48 : 48 + rows, 48 : 48 + cols]).max() <= 1e-5
    assert np.array_equal(classes, np.array(VALUES)[probabilities.argmax(-1)])


def test_a_part_of_the_image_is_cut_from_the_whole_map(package, make_image, tmp_path):
    image = make_image(150, 200)
    whole = serve(package, image, str(tmp_path), 'w')
    # From within column 41 to the edge between 120 and 121, and beyond the lower edge of the image.
    extent = (600000 + 41.3 * 1.5, 5800000 - 170 * 1.5, 600000 + 121 * 1.5, 5800000 - 33 * 1.5)
    for tile in (0, 32):
        part = serve(package, image, str(tmp_path), f'p{tile}', extent=extent, tile_size=tile)
        assert np.array_equal(part[0], whole[0][33:, 41:121])
        assert np.abs(part[1] - whole[1][33:, 41:121]).max() <= 1e-5
        placed = open_raster(str(tmp_path / f'outpup{tile}.tif')).GetGeoTransform()
        assert placed == (600000 + 41 * 1.5, 1.5, 0, 5800000 - 33 * 1.5, 0, -1.5)


def test_masks_leave_the_rest_out(package, make_image, tmp_path, monkeypatch):
    image = make_image(150, 200)
    whole = serve(package, image, str(tmp_path), 'w')
    wanted = np.zeros((150, 200), bool)
    coarse = make_image(20, 20, bands=1, name='mask.tif', pixel=6, change=lambda pixels: pixels.fill(0), nodata=5)
    dataset = gdal.OpenEx(coarse, gdal.OF_UPDATE)
    dataset.GetRasterBand(1).WriteRaster(3, 2, 4, 5, bytes([1, 0] * 17 + [5, 0] * 3))
    del dataset
    wanted[8:28, 12:28] = True
    wanted[24:28, 16:28] = False  # no-data of the mask
    computed, original = [], TensorFlowRuntime.run
    monkeypatch.setattr(TensorFlowRuntime, 'run', lambda self, feeds: computed.append(1) or original(self, feeds))
    for tile in (0, 32):
        found = serve(package, image, str(tmp_path), f'm{tile}', mask=coarse, tile_size=tile)
        assert np.array_equal(found[0], np.where(wanted, whole[0], 0))
        assert np.array_equal(np.isnan(found[1]).all(-1), ~wanted)
    assert len(computed) == 1 + 1

    polygons = VectorSpec(str(tmp_path / 'polygons.gpkg'))
    with VectorWriter(polygons.path, open_raster(image).GetProjection(), geometry_type=ogr.wkbPolygon) as writer:
        ring = [
            (600000 + x * 1.5, 5800000 - y * 1.5) for x, y in ((20.4, 10), (90, 10), (90, 80), (20.4, 80), (20.4, 10))
        ]
        text = ', '.join(f'{x} {y}' for x, y in ring)
        writer.add(ogr.CreateGeometryFromWkt(f'POLYGON (({text}))'), {})
    found = serve(package, image, str(tmp_path), 'p', mask_layer=polygons, mask=coarse, tile_size=32)
    inside = np.zeros_like(wanted)
    inside[10:80, 20:90] = True
    assert np.array_equal(found[0], np.where(wanted & inside, whole[0], 0))
    far = make_image(20, 20, bands=1, name='far.tif', pixel=6, west=780000)
    with pytest.raises(errors.GridMismatch, match=r'far\.tif: the mask lies nowhere'):
        serve(package, image, str(tmp_path), 'f', mask=far)


@pytest.mark.parametrize('size', [(1, 1), (2, 3), (1, 200), (17, 16)])
def test_the_smallest_images(package, make_image, tmp_path, size):
    image = make_image(*size)
    classes, probabilities = serve(package, image, str(tmp_path))
    assert classes.shape == size and np.isin(classes, VALUES).all()
    assert np.abs(probabilities.sum(-1) - 1).max() <= 1e-5
    again = serve(package, image, str(tmp_path), 'again', tile_size=16)[1]
    assert np.abs(again - probabilities).max() <= 1e-5


def test_a_measured_field_gives_the_same(make_package, package, make_image, tmp_path):
    image, events = make_image(100, 90), []
    expected = serve(package, image, str(tmp_path))[1]
    found = serve(make_package(field=None, stride=1), image, str(tmp_path), 'm', events=events, tile_size=32)[1]
    assert np.abs(found - expected).max() <= 1e-5
    assert any('46 left, 46 top, 46 right, 46 bottom; stride 8' in e.text for e in events if isinstance(e, Log))


def test_what_is_made_of_the_probabilities(package, make_image, tmp_path):
    image = make_image(70, 90, nodata=-1, change=lambda pixels: pixels[:, :9, :5].fill(-1))
    others = {name: str(tmp_path / f'{name}.tif') for name in ('confidence', 'entropy')}
    classes, given = serve(package, image, str(tmp_path), tile_size=32, **others)
    confidence, entropy = (pixels(path) for path in others.values())
    valid = classes != 0
    assert np.array_equal(valid, ~np.isnan(given).any(-1)) and not valid[:9, :5].any()
    assert np.array_equal(np.array(VALUES)[given[valid].argmax(-1)], classes[valid])
    assert np.array_equal(confidence[valid], given[valid].max(-1)) and np.isnan(confidence[~valid]).all()
    expected = -np.where(given > 0, given * np.log(np.where(given > 0, given, 1)), 0).sum(-1)
    assert np.abs(entropy - expected)[valid].max() < 1e-6 and np.isnan(entropy[~valid]).all()
    assert entropy[valid].min() >= 0 and entropy[valid].max() <= np.log(3) + 1e-6


def test_the_mean_of_all_turns_knows_no_direction(package, make_image, tmp_path):
    """The map of a turned image is the turned map, whatever the tiles; without the mean it is not."""
    side = 96  # of whole strides, so that turning keeps the phase
    plain, turned = make_image(side, side), make_image(side, side, name='turned.tif')
    values = np.rot90(pixels(plain), 1, (0, 1))[:, ::-1]
    write_pixels(turned, values)
    for tile in (0, 32):
        maps = [
            serve(package, image, str(tmp_path), f'{name}{tile}', tta='d4', tile_size=tile, output='')[0]
            for name, image in (('a', plain), ('b', turned))
        ]
        assert np.abs(np.rot90(maps[0], 1, (0, 1))[:, ::-1] - maps[1]).max() <= 1e-5
    once = [serve(package, image, str(tmp_path), 'c', output='')[0] for image in (plain, turned)]
    assert np.abs(np.rot90(once[0], 1, (0, 1))[:, ::-1] - once[1]).max() > 1e-2
    assert largest_difference([maps[0], once[0]]) > 1e-3


def test_batches_and_zipped_packages_give_the_same(package, make_image, tmp_path):
    image = make_image(150, 130)
    zipped = shutil.make_archive(str(tmp_path / 'model'), 'zip', package)
    expected = serve(package, image, str(tmp_path), tile_size=32)[1]
    found = serve(zipped, image, str(tmp_path), 'zip', tile_size=32, batch_size=4)[1]
    assert np.abs(found - expected).max() <= 1e-6


# -- no-data ----------------------------------------------------------------------------------------------------------


def zero_corner(values):
    values[:, :40, :40] = 0


@pytest.mark.parametrize(
    ('user', 'stated', 'declared', 'masked'),
    [
        ('', '', None, False),
        ('', '', 0, True),
        ('', '0', None, True),
        ('', '0', -1, True),  # the file's and the package's both count
        ('none', '0', 0, False),
        ('0', '', -1, True),
        ('0 none none', '', None, True),
    ],
)
def test_what_is_no_data(make_package, make_image, tmp_path, user, stated, declared, masked):
    model = make_package(nodata=(stated,) * 3)
    image = make_image(64, 80, nodata=declared, change=zero_corner)
    classes, probabilities = serve(model, image, str(tmp_path), nodata=user, tile_size=32)
    corner = np.zeros((64, 80), bool)
    corner[:40, :40] = masked
    assert np.array_equal(classes == 0, corner)
    assert np.array_equal(np.isnan(probabilities), np.broadcast_to(corner[..., None], probabilities.shape))


def test_what_stands_at_no_data_does_not_matter(package, make_image, tmp_path):
    """NaN, infinities and a no-data value are all fed as the mean."""

    def spoil(value):
        def change(values):
            values[:, 20:50, 20:50] = value

        return change

    maps = [
        serve(
            package, make_image(90, 80, name=f'{i}.tif', dtype='float32', nodata=-1, change=spoil(v)), str(tmp_path), i
        )
        for i, v in enumerate((-1, np.nan, np.inf))
    ]
    for classes, probabilities in maps:
        assert np.array_equal(classes, maps[0][0])
        assert np.array_equal(probabilities, maps[0][1], equal_nan=True)
        assert (classes[20:50, 20:50] == 0).all() and (classes[:20] != 0).all()


def test_tiles_without_data_are_not_computed(package, make_image, tmp_path, monkeypatch):
    calls = []
    run = TensorFlowRuntime.run
    monkeypatch.setattr(TensorFlowRuntime, 'run', lambda self, feeds: calls.append(1) or run(self, feeds))

    def lower_half(values):
        values[:, 64:] = 0

    serve(package, make_image(128, 128, nodata=0, change=lower_half), str(tmp_path), tile_size=64)
    assert len(calls) == 2
    everything = make_image(64, 64, name='nothing.tif', nodata=0, change=lambda values: values.fill(0))
    classes, probabilities = serve(package, everything, str(tmp_path), 'nothing')
    assert len(calls) == 2 and not classes.any() and np.isnan(probabilities).all()


def test_a_model_that_gives_no_numbers_is_reported(package, make_image, tmp_path, monkeypatch):
    run = TensorFlowRuntime.run

    def spoilt(self, feeds):
        values = {name: array.copy() for name, array in run(self, feeds).items()}
        values['probabilities'][:, 70:72, 70:75, 1] = np.nan
        return values

    monkeypatch.setattr(TensorFlowRuntime, 'run', spoilt)
    events = []
    classes, probabilities = serve(package, make_image(64, 64), str(tmp_path), events=events)
    lost = np.isnan(probabilities).all(-1)
    assert lost.sum() == 10 and np.array_equal(lost, classes == 0)
    assert any('At 10 pixels' in event.text for event in events if isinstance(event, Warn))


# -- what a map carries -----------------------------------------------------------------------------------------------


def test_a_map_says_what_it_is(package, make_image, tmp_path):
    events = []
    image = make_image(70, 50)
    serve(package, image, str(tmp_path), events=events, tile_size=32)
    classes, probabilities = open_raster(str(tmp_path / 'outpu.tif')), open_raster(str(tmp_path / 'proba.tif'))
    source = open_raster(image)
    for raster in (classes, probabilities):
        assert raster.GetGeoTransform() == source.GetGeoTransform()
        assert raster.GetSpatialRef().IsSame(source.GetSpatialRef())
        assert raster.GetMetadataItem('QUADRAT_MODEL') == 'Land cover'
        assert '"halo": [48, 48, 48, 48]' in raster.GetMetadataItem('QUADRAT_SETTINGS')
        assert raster.GetMetadataItem('COMPRESSION', 'IMAGE_STRUCTURE') == 'DEFLATE'
    assert classes.GetRasterBand(1).GetNoDataValue() == 0
    assert np.isnan(probabilities.GetRasterBand(1).GetNoDataValue())
    names = [probabilities.GetRasterBand(number).GetDescription() for number in (1, 2, 3)]
    assert names == ['forest', 'wässer', 'town']
    assert classes.GetRasterBand(1).GetCategoryNames()[11] == 'forest'
    style = (tmp_path / 'outpu.qml').read_text(encoding='utf-8')
    assert 'value="3" label="wässer" color="#0000ff"' in style
    log = '\n'.join(event.text for event in events if isinstance(event, Log))
    assert '70 pixels in 6 tiles of 32 x 32 pixels, halo 48' in log
    fractions = [event.fraction for event in events if isinstance(event, Progress)]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert sorted(os.listdir(tmp_path)) == [
        'image.tif',
        'outpu.qml',
        'outpu.tif',
        'outpu.tif.aux.xml',
        'outpu.tif.json',
        'outpu.tif.log',
        'proba.tif',
        'proba.tif.json',
        'proba.tif.log',
    ]


def test_the_same_job_gives_the_same_bytes(package, make_image, tmp_path):
    image, digests = make_image(200, 170), []
    for _ in range(2):
        serve(package, image, str(tmp_path), tile_size=32)
        digests.append(
            [hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ('outpu.tif', 'proba.tif')]
        )
    assert digests[0] == digests[1]


def test_the_users_creation_options_win(package, make_image, tmp_path):
    options = ('COMPRESS=LZW', 'PREDICTOR=1', 'BLOCKXSIZE=128', 'BLOCKYSIZE=64')
    serve(package, make_image(300, 300), str(tmp_path), tile_size=100, creation_options=options)
    raster = open_raster(str(tmp_path / 'proba.tif'))
    assert raster.GetRasterBand(1).GetBlockSize() == [128, 64]
    assert raster.GetMetadataItem('COMPRESSION', 'IMAGE_STRUCTURE') == 'LZW'


# -- faults -----------------------------------------------------------------------------------------------------------


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} | {
        path.name: None for path in folder.iterdir() if path.is_dir()
    }


@pytest.mark.parametrize(
    ('error', 'message', 'options'),
    [
        (errors.InputMissing, 'no such file', {'model': 'none'}),
        (errors.ModelError, 'no model. Give the folder', {'model': '.'}),
        (errors.InputMissing, 'no such file', {'image': 'none.tif'}),
        (errors.InputUnreadable, 'not a raster', {'image': 'text.txt'}),
        (errors.BandMismatch, r'2 bands, but the model wants 3 \(red, green, blue\)', {'image': 'two.tif'}),
        (errors.InvalidJob, 'No output asked for', {'output': '', 'probabilities': ''}),
        (errors.InvalidJob, 'the same file', {'output': 'a.tif', 'probabilities': 'a.tif'}),
        (errors.OutputRefused, 'is an input', {'output': 'image.tif'}),
        (errors.OutputRefused, 'no folder', {'output': 'none/a.tif'}),
        (errors.OutputRefused, 'GeoTIFF', {'output': 'a.png'}),
        (errors.InvalidJob, 'RUNTIME', {'runtime': 'torch'}),
        (errors.InvalidJob, 'negative', {'tile_size': -1}),
        (errors.InvalidJob, 'EXTENT .* holds no pixel of image.tif', {'extent': (0.0, 0.0, 10.0, 10.0)}),
        (errors.InvalidJob, 'KEY=VALUE', {'creation_options': ('LZW',)}),
        (errors.GridMismatch, 'one grid', {'image': ('image.tif', 'two.tif')}),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(package, make_image, tmp_path, monkeypatch, error, message, options):
    monkeypatch.chdir(tmp_path)
    make_image(64, 64)
    make_image(65, 64, bands=2, name='two.tif')
    (tmp_path / 'text.txt').write_text('no raster')
    options = {'model': package, 'image': 'image.tif', 'output': 'a.tif', 'probabilities': '', **options}
    rasters = options.pop('image')
    source = SourceSpec(rasters if isinstance(rasters, tuple) else (rasters,))
    before = snapshot(tmp_path)
    with pytest.raises(error, match=message) as caught:
        engine.run(ServeJob(options.pop('model'), (source,), **options))
    assert '\n' not in str(caught.value)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize('stage', ['read', 'run', 'write'])
def test_a_fault_halfway_leaves_the_former_map(package, make_image, tmp_path, monkeypatch, stage):
    image = make_image(128, 128)
    serve(package, image, str(tmp_path), tile_size=32)
    before = snapshot(tmp_path)
    owner = {'read': RasterStack, 'run': TensorFlowRuntime, 'write': RasterWriter}[stage]
    original, calls = getattr(owner, stage), []

    def fail(self, *arguments):
        calls.append(1)
        if len(calls) > 9:
            raise errors.InputUnreadable('here: broken')
        return original(self, *arguments)

    monkeypatch.setattr(owner, stage, fail)
    with pytest.raises(errors.InputUnreadable, match='here: broken'):
        serve(package, image, str(tmp_path), tile_size=32, resume=False)
    assert snapshot(tmp_path) == before


def test_cancelling_leaves_the_former_map(package, make_image, tmp_path):
    image, cancelled, seen = make_image(300, 300), threading.Event(), []
    serve(package, image, str(tmp_path), tile_size=32)
    before = snapshot(tmp_path)

    class Listener(list):
        def append(self, event):
            if isinstance(event, Progress) and event.fraction > 0.1:
                seen.append(event.fraction)
                cancelled.set()

    with pytest.raises(errors.Cancelled):
        serve(package, image, str(tmp_path), tile_size=32, resume=False, events=Listener(), cancelled=cancelled)
    assert seen[-1] < 0.5 and snapshot(tmp_path) == before


def test_no_memory_names_the_remedy(package, make_image, tmp_path, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(RasterStack, 'read_padded', full)
    with pytest.raises(errors.OutOfMemory, match='smaller TILE_SIZE'):
        serve(package, make_image(64, 64), str(tmp_path))


@pytest.mark.parametrize(('most', 'batch'), [(120 * 120, 1), (128 * 128, 2)])
def test_tiles_too_large_for_the_memory_are_computed_in_pieces(package, make_image, tmp_path, monkeypatch, most, batch):
    image, original = make_image(200, 260), TensorFlowRuntime.run
    expected = serve(package, image, str(tmp_path), 'a', tile_size=128, batch_size=batch)

    def small(self, feeds):
        if feeds['source1'][..., 0].size > most:
            raise errors.OutOfMemory('too much')
        return original(self, feeds)

    monkeypatch.setattr(TensorFlowRuntime, 'run', small)
    events = []
    found = serve(package, image, str(tmp_path), 'b', tile_size=128, batch_size=batch, events=events)
    assert np.array_equal(found[0], expected[0]) and np.abs(found[1] - expected[1]).max() <= 1e-5
    told = [event.text for event in events if isinstance(event, Warn) and 'pieces' in event.text]
    assert told and len(told) <= 6  # once for each halving, not for each tile
    most = 0
    with pytest.raises(errors.OutOfMemory, match='too much'):
        serve(package, image, str(tmp_path), 'c', tile_size=128, resume=False)


def test_other_pixels_and_another_order_of_bands_are_warned_of(package, make_package, make_image, tmp_path):
    for model, pixel, words in (
        (package, 1.6, ''),
        (package, 3.0, 'Resample'),
        (make_package(pixel_size=(0.0, 0.0)), 9, ''),
    ):
        events = []
        serve(model, make_image(20, 20, pixel=pixel), str(tmp_path), events=events)
        assert [words in event.text for event in events if isinstance(event, Warn)] == ([True] if words else [])
    events = []
    swapped = make_package(bands=('blue', 'green', 'red'))
    serve(swapped, make_image(20, 20), str(tmp_path), events=events)
    assert any('another order' in event.text for event in events if isinstance(event, Warn))
