"""Finished maps: small areas merged, overviews, cloud-optimised files; and the file of the tiles as it was."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess

import numpy as np
import pytest
from scipy import ndimage

from quadrat.engine.errors import Cancelled, DiskFull, InvalidJob, OutputRefused
from quadrat.engine.events import Log, Progress, Reporter, Warn
from quadrat.engine.gdalio import gdal, open_raster, osr
from quadrat.engine.grid import Grid, Window
from quadrat.engine.jobs import ClassDef
from quadrat.engine.maps import cog, finishing
from quadrat.engine.maps.classes import dress, styled
from quadrat.engine.maps.finishing import Finishing, check_options, finish_raster
from quadrat.engine.maps.part import PartFolder
from quadrat.engine.maps.writer import RasterSpec, RasterWriter

NODATA = 255
CLASSES = styled([ClassDef(3, 'wässer', '#0000ff'), ClassDef(11, 'forest'), ClassDef(40, 'town', '#cc2211')])


def utm():
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    return crs.ExportToWkt()


def write(part, pixels, classes=CLASSES, **changes):
    """The raster of tiles in a part folder; pixels (rows, columns, bands)."""
    height, width, bands = pixels.shape
    spec = RasterSpec(
        Grid(utm(), (600000.0, 1.5, 0.0, 5800000.0, 0.0, -1.5), width, height),
        pixels.dtype,
        NODATA,
        tuple(f'band {i}' for i in range(bands)),
        (128, 128),
        metadata={'QUADRAT_MODEL': 'a "model"'},
    )
    part.begin({})
    dressing = (lambda dataset: dress(dataset, classes)) if classes else None
    with RasterWriter(part, dataclasses.replace(spec, **changes), dressing) as writer:
        for row in range(0, height, 128):
            area = Window(0, row, width, min(128, height - row))
            tile = np.ascontiguousarray(pixels[row : row + 128])
            writer.write(area, tile, ((tile != NODATA) & ~np.isnan(tile)).any(-1))
        writer.finish()


def patches(rows=300, cols=340, seed=0, classes=CLASSES, smooth=1.2):
    """Patches of classes of all sizes, with holes without data."""
    rng = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(rng.normal(size=(rows, cols)), smooth) for _ in classes]
    pixels = np.array([item.value for item in classes])[np.argmax(fields, 0)]
    pixels[ndimage.gaussian_filter(rng.normal(size=(rows, cols)), 4) > 0.1] = NODATA
    return pixels


def digest(path):
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()


def finished(path, pixels, what, classes=CLASSES, **changes):
    """Write, finish and publish a raster; the file of the tiles must stay as it was. Returns what was said."""
    events: list = []
    with PartFolder(str(path)) as part:
        write(part, pixels, classes, **changes)
        before = digest(part.file)
        finish_raster(part, classes, what, Reporter(events.append))
        assert digest(part.file) == before
        part.publish()
    assert not os.path.exists(f'{path}.part')
    return events


def read(path):
    return open_raster(str(path)).ReadAsArray()


def areas(pixels, connectivity):
    """An area's number at each pixel, from 1 on (0 without data), and the sizes by number."""
    structure = np.ones((3, 3)) if connectivity == 8 else None
    numbers, count = np.zeros(pixels.shape, int), 0
    for value in np.unique(pixels[pixels != NODATA]):
        found, many = ndimage.label(pixels == value, structure)
        numbers[found > 0] = found[found > 0] + count
        count += many
    return numbers, np.bincount(numbers.ravel(), minlength=count + 1)


def neighbours(numbers, connectivity):
    """Pairs of areas that touch."""
    steps = [(0, 1), (1, 0)] + ([(1, 1), (1, -1)] if connectivity == 8 else [])
    pairs = set()
    rows, cols = numbers.shape
    for down, right in steps:
        a = numbers[: rows - down, max(0, -right) : cols - max(0, right)]
        b = numbers[down:, max(0, right) : cols + min(0, right)]
        touch = (a != b) & (a > 0) & (b > 0)
        pairs |= set(zip(a[touch].tolist(), b[touch].tolist())) | set(zip(b[touch].tolist(), a[touch].tolist()))
    return pairs


@pytest.mark.parametrize('connectivity', [4, 8])
@pytest.mark.parametrize('seed', range(3))
def test_small_areas_go_to_their_largest_neighbour(tmp_path, connectivity, seed):
    """Each small area as a whole takes the class of a large one that is reached over largest neighbours; all other
    pixels stay, and those without data neither give nor take."""
    least = 12
    before = patches(150, 170, seed)
    before[20:30, 20:30] = before[70:80, 70:80] = NODATA
    before[24, 24:26] = before[74, 74:76] = 3
    before[75, 74:77] = 11  # two small areas with no large one about
    finished(tmp_path / 'a.tif', before[..., None].astype('uint8'), Finishing(sieve=least, connectivity=connectivity))
    after = read(tmp_path / 'a.tif').astype(int)
    numbers, sizes = areas(before, connectivity)
    touching: dict[int, list[int]] = {}
    for a, b in neighbours(numbers, connectivity):
        touching.setdefault(a, []).append(b)

    def ends(area, seen):
        """Areas large enough at the ends of all chains of largest neighbours (several, where sizes are equal)."""
        others = touching.get(area, [])
        largest = [other for other in others if sizes[other] == max(sizes[i] for i in others)]
        found = set()
        for other in largest:
            if sizes[other] >= least:
                found.add(other)
            elif other not in seen:
                found |= ends(other, seen | {other})
        return found

    assert np.array_equal(after == NODATA, before == NODATA)
    merged = kept = 0
    value_of = dict(zip(numbers.ravel().tolist(), before.ravel().tolist()))
    for area in range(1, len(sizes)):
        now = set(after[numbers == area].tolist())
        if sizes[area] >= least:
            assert now == {value_of[area]}
            continue
        wanted = {value_of[end] for end in ends(area, {area})}
        assert len(now) == 1 and now <= (wanted or {value_of[area]})
        merged, kept = merged + bool(wanted), kept + (not wanted)
    assert merged > 50 and kept > 0


def test_an_area_among_nothing_stays_and_the_log_says_what_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(Reporter, 'INTERVAL', 0)
    pixels = np.full((100, 100, 1), 3, 'uint8')
    pixels[40:60, 40:60] = NODATA
    pixels[50, 50] = 11  # alone
    pixels[10, 10:13] = 40  # goes
    pixels[20, 10:14] = 40  # is large enough
    said = finished(tmp_path / 'a.tif', pixels, Finishing(sieve=4))
    expected = pixels[..., 0].copy()
    expected[10, 10:13] = 3
    assert np.array_equal(read(tmp_path / 'a.tif'), expected)
    assert [event.text for event in said if isinstance(event, Log)] == [
        'Sieve: 3 pixels in areas of fewer than 4 took the class of a neighbour.'
    ]
    fractions = [event.fraction for event in said if isinstance(event, Progress)]
    assert len(fractions) > 10 and fractions == sorted(fractions) and 0.85 < fractions[-1] <= 1


def require_same_names(path, classes):
    """The classes' names and colours, no-data and metadata are in a file, or beside it."""
    dataset = open_raster(str(path))
    band = dataset.GetRasterBand(1)
    table = band.GetDefaultRAT()
    assert [(table.GetValueAsInt(i, 0), table.GetValueAsString(i, 1)) for i in range(table.GetRowCount())] == [
        (item.value, item.name) for item in classes
    ]
    assert dataset.GetMetadataItem('QUADRAT_MODEL') == 'a "model"' and band.GetDescription() == 'band 0'
    assert band.GetNoDataValue() == NODATA and dataset.GetGeoTransform()[:2] == (600000.0, 1.5)
    assert dataset.GetSpatialRef().GetAuthorityCode(None) == '32631'
    if band.DataType in (gdal.GDT_Byte, gdal.GDT_UInt16):
        names, colours = band.GetCategoryNames(), band.GetColorTable()
        for item in classes:
            assert names[item.value] == item.name
            assert '#{:02x}{:02x}{:02x}'.format(*colours.GetColorEntry(item.value)[:3]) == item.colour


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int32'])
@pytest.mark.parametrize(
    'what',
    [
        Finishing(cog=True),
        Finishing(cog=True, sieve=6, options=('BLOCKSIZE=128', 'COMPRESS=ZSTD', 'ZSTD_LEVEL=2')),
        Finishing(overviews=True),
        Finishing(overviews=True, sieve=6, connectivity=8),
        Finishing(sieve=6),
    ],
    ids=str,
)
def test_class_maps_keep_names_and_colours_and_gain_what_was_asked_for(tmp_path, dtype, what):
    classes = CLASSES if dtype != 'int32' else styled([*CLASSES, ClassDef(8_388_607, 'far')])
    pixels = patches(500, 560, 1, classes).astype(dtype)
    path = tmp_path / 'a.tif'
    finished(path, pixels[..., None], what, classes)
    assert sorted(os.listdir(tmp_path)) == ['a.tif', 'a.tif.aux.xml']
    require_same_names(path, classes)
    dataset = open_raster(str(path))
    band = dataset.GetRasterBand(1)
    assert (dataset.GetMetadataItem('LAYOUT', 'IMAGE_STRUCTURE') == 'COG') == what.cog
    sizes = [band.GetOverview(i).XSize for i in range(band.GetOverviewCount())]
    if what.cog:
        side = 128 if what.options else 512
        assert band.GetBlockSize() == [side, side] and sizes[0] == 280 and sizes[-1] <= side
    else:
        assert band.GetBlockSize() == [128, 128] and sizes == ([280, 140] if what.overviews else [])
    for i in range(band.GetOverviewCount()):
        assert set(np.unique(band.GetOverview(i).ReadAsArray())) <= set(np.unique(pixels))
    if not what.sieve:
        assert np.array_equal(dataset.ReadAsArray(), pixels)


def test_class_values_that_overviews_would_change_have_none(tmp_path):
    classes = styled([*CLASSES, ClassDef(8_388_608, 'farther')])
    pixels = patches(600, 560, 1, classes)[..., None].astype('int32')
    for what in (Finishing(cog=True), Finishing(overviews=True, sieve=4)):
        said = finished(tmp_path / 'a.tif', pixels, what, classes)
        assert any(isinstance(event, Warn) and 'no overviews' in event.text for event in said)
        dataset = open_raster(str(tmp_path / 'a.tif'))
        assert dataset.GetRasterBand(1).GetOverviewCount() == 0
        assert set(np.unique(dataset.ReadAsArray())) == set(np.unique(pixels))


@pytest.mark.parametrize(
    'options', [(), ('COMPRESS=DEFLATE', 'ZLEVEL=4', 'PREDICTOR=2', 'BLOCKXSIZE=256', 'BLOCKYSIZE=256', 'TILED=YES')]
)
def test_cogs_of_values_keep_every_bit_and_the_scale(tmp_path, options):
    rng = np.random.default_rng(3)
    values = rng.normal(size=(600, 700, 3)).astype('float32')
    values[:200, :300] = np.nan
    what = Finishing(cog=True, sieve=50, options=options)
    check_options(what, [values.dtype])
    finished(tmp_path / 'v.tif', values, what, (), nodata=float('nan'))
    assert np.array_equal(read(tmp_path / 'v.tif'), values.transpose(2, 0, 1), equal_nan=True)
    assert os.listdir(tmp_path) == ['v.tif']
    scaled = rng.integers(0, 251, (600, 700, 2)).astype('uint8')
    finished(tmp_path / 's.tif', scaled, Finishing(cog=True), (), scale=0.004, offset=-0.5)
    dataset = open_raster(str(tmp_path / 's.tif'))
    band = dataset.GetRasterBand(2)
    assert (band.GetScale(), band.GetOffset(), band.GetDescription()) == (0.004, -0.5, 'band 1')
    middle = band.GetOverview(0).ReadAsArray()[1:-1, 1:-1]
    mean = scaled[..., 1].reshape(300, 2, 350, 2).mean((1, 3))[1:-1, 1:-1]
    assert np.abs(middle - mean).max() <= 0.5


def test_a_raster_smaller_than_a_block_and_nothing_to_do(tmp_path):
    pixels = patches(20, 30)[..., None].astype('uint8')
    for what in (Finishing(cog=True), Finishing(overviews=True), Finishing()):
        finished(tmp_path / 'a.tif', pixels, what)
        assert np.array_equal(read(tmp_path / 'a.tif'), pixels[..., 0])
        require_same_names(tmp_path / 'a.tif', CLASSES)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('COMPRESS=PACKBITS',), 'PACKBITS'),
        (('BLOCKXSIZE=256', 'BLOCKYSIZE=512'), 'square'),
        (('INTERLEAVE=BAND',), 'INTERLEAVE=BAND'),
        (('TFW=YES',), 'TFW=YES'),
        (('TARGET_SRS=EPSG:3857',), 'TARGET_SRS'),
        (('COMPRES=LZW',), 'did you mean COMPRESS'),
        (('LEVEL=99',), '99'),
        (('BLOCKSIZE=100',), 'multiple of 16'),
        (('BLOCKSIZE=-1',), 'multiple of 16'),
        (('RESAMPLING=FINE',), 'FINE'),
        (('ZLEVEL',), 'KEY=VALUE'),
    ],
)
def test_options_that_make_no_sense_for_a_cog_are_refused(options, message):
    with pytest.raises(InvalidJob, match=message):
        check_options(Finishing(cog=True, options=options))


def test_options_of_geotiff_are_translated():
    given = ('compress=zstd', 'ZLEVEL=9', 'ZSTD_LEVEL=3', 'PREDICTOR=2', 'NUM_THREADS=2', 'INTERLEAVE=PIXEL')
    assert cog.cog_options(given) == {
        'COMPRESS': 'zstd',
        'LEVEL': '3',
        'PREDICTOR': 'STANDARD',
        'NUM_THREADS': '2',
    }
    assert Finishing(True, options=('BLOCKSIZE=256',)).raw_options == ('BLOCKXSIZE=256', 'BLOCKYSIZE=256')
    assert Finishing(options=given).raw_options == given
    check_options(Finishing(cog=True, options=('PREDICTOR=3',)))
    with pytest.raises(InvalidJob, match='PREDICTOR'):
        check_options(Finishing(cog=True, options=('PREDICTOR=3',)), [np.dtype('uint8')])
    for wrong in (Finishing(sieve=-1), Finishing(connectivity=6)):
        with pytest.raises(InvalidJob):
            check_options(wrong)


STEPS = {  # what to do, and the text of the progress within it where it ends
    'sieve': (Finishing(sieve=6), 'merging small areas'),
    'copy': (Finishing(overviews=True), 'overviews'),
    'overviews': (Finishing(sieve=6, overviews=True), 'overviews'),
    'cog': (Finishing(cog=True), 'cloud-optimised GeoTIFF'),
    'check': (Finishing(cog=True, sieve=6), 'checking'),
}
stopped = pytest.mark.parametrize(('what', 'text'), STEPS.values(), ids=list(STEPS))


@stopped
def test_ended_anywhere_the_tiles_stay_and_the_next_run_does_it_all(tmp_path, what, text, monkeypatch):
    monkeypatch.setattr(Reporter, 'INTERVAL', 0)
    path = str(tmp_path / 'a.tif')
    pixels = patches(600, 600)[..., None].astype('uint8')
    finished(path, pixels, what)
    expected = read(path)
    former = {name: digest(tmp_path / name) for name in os.listdir(tmp_path)}

    def end(event):
        if getattr(event, 'text', '') == text:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), PartFolder(path) as part:
        write(part, pixels)
        before = digest(part.file)
        part.keep = True
        finish_raster(part, CLASSES, what, Reporter(end))
    left = tmp_path / 'a.tif.part' / 'cog'
    left.mkdir(exist_ok=True)
    (left / 'a.tif.ovr.tmp').write_text('what a killed run left')
    os.rename(tmp_path / 'a.tif.part', tmp_path / 'kept')
    assert {name: digest(tmp_path / name) for name in os.listdir(tmp_path) if name != 'kept'} == former
    os.rename(tmp_path / 'kept', tmp_path / 'a.tif.part')
    with PartFolder(path) as part:
        assert digest(part.file) == before
        finish_raster(part, CLASSES, what, Reporter())
        part.publish()
    assert np.array_equal(read(path), expected) and sorted(os.listdir(tmp_path)) == ['a.tif', 'a.tif.aux.xml']
    require_same_names(path, CLASSES)


@stopped
def test_cancelled_anywhere(tmp_path, what, text, monkeypatch):
    monkeypatch.setattr(Reporter, 'INTERVAL', 0)
    reporter = Reporter(lambda event: reporter.cancelled.set() if getattr(event, 'text', '') == text else None)
    with PartFolder(str(tmp_path / 'a.tif')) as part:
        write(part, patches(600, 600)[..., None].astype('uint8'))
        before = digest(part.file)
        with pytest.raises(Cancelled):
            finish_raster(part, CLASSES, what, reporter)
        assert digest(part.file) == before and part.result == part.file
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('what', [Finishing(cog=True), Finishing(sieve=6), Finishing(overviews=True)], ids=str)
def test_damage_is_found_before_the_file_gets_its_name(tmp_path, what, monkeypatch):
    """A part of the new file is lost after it was closed."""

    def spoil(made, *others):
        with open(made.GetDescription(), 'rb+') as file:
            size = os.path.getsize(made.GetDescription())
            file.seek(size // 3)
            file.write(bytes(size // 3))
        return count(open_raster(made.GetDescription()), *others)

    count = finishing.count_changes
    monkeypatch.setattr(finishing, 'count_changes', spoil)
    monkeypatch.setattr(cog, 'count_changes', spoil)
    with PartFolder(str(tmp_path / 'a.tif')) as part:
        write(part, patches(600, 600)[..., None].astype('uint8'))
        with pytest.raises(OutputRefused, match=r'cannot be read|other values|lost pixels'):
            finish_raster(part, CLASSES, what, Reporter())
        assert part.result == part.file
    assert os.listdir(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MiB."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', str(folder)]
    if os.name != 'posix' or subprocess.run(command, capture_output=True).returncode:
        pytest.skip('no right to mount a file system')
    yield folder
    subprocess.run(['umount', str(folder)], check=True)


@pytest.mark.parametrize(
    ('what', 'free'),
    [
        (Finishing(cog=True), 0),
        (Finishing(cog=True), 300_000),
        (Finishing(cog=True), 1_100_000),
        (Finishing(sieve=2), 300_000),
        (Finishing(overviews=True), 1_000_000),
        (Finishing(overviews=True), 1_100_000),
    ],
    ids=str,
)
def test_a_full_disk_is_said_and_the_tiles_stay(small_disk, what, free):
    rng = np.random.default_rng(0)
    pixels = rng.choice([3, 11, 40], (2400, 2400, 1)).astype('uint8')
    with PartFolder(str(small_disk / 'a.tif')) as part:
        write(part, pixels)
        before = digest(part.file)
        disk = os.statvfs(small_disk)
        (small_disk / 'other').write_bytes(bytes(max(0, disk.f_bavail * disk.f_frsize - free)))
        with pytest.raises(DiskFull, match=r'a\.tif: the disk is full'):
            finish_raster(part, CLASSES, what, Reporter())
        assert digest(part.file) == before and part.result == part.file
    assert os.listdir(small_disk) == ['other']
