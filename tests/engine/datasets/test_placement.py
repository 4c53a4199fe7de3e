"""Where patches lie: odd grids, several resolutions, edges, against cuts made by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from quadrat.engine.datasets.extraction import extract_patches
from quadrat.engine.datasets.reader import Dataset
from quadrat.engine.errors import GridMismatch, InvalidJob, NoSamples
from quadrat.engine.events import Reporter
from quadrat.engine.gdalio import gdal, gdal_type, ogr, osr
from quadrat.engine.jobs import ExtractPatchesJob, LabelPolygons, LabelRaster, LayoutOptions, SourceSpec, VectorSpec
from quadrat.engine.vector import VectorWriter, write_points

UTM = (600000.0, 1.0, 0.0, 5800000.0, 0.0, -1.0)


def wkt(epsg):
    crs = osr.SpatialReference()
    if epsg:
        crs.ImportFromEPSG(epsg)
    return crs.ExportToWkt() if epsg else ''


def make(path, pixels, transform=UTM, epsg=32631, nodata=None, options=('TILED=YES', 'BLOCKXSIZE=32', 'BLOCKYSIZE=16')):
    """A raster of an array (rows, columns, bands) or (rows, columns)."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    rows, cols, bands = pixels.shape
    kind = gdal_type(pixels.dtype)
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), cols, rows, bands, kind, list(options))
    if transform:
        dataset.SetGeoTransform(transform)
    if epsg:
        dataset.SetProjection(wkt(epsg))
    for band in range(bands):
        dataset.GetRasterBand(band + 1).WriteRaster(0, 0, cols, rows, np.ascontiguousarray(pixels[..., band]))
        if nodata is not None:
            dataset.GetRasterBand(band + 1).SetNoDataValue(nodata)
    del dataset
    return str(path)


def image_of(rows, cols, bands=2, seed=0):
    return np.random.default_rng(seed).integers(0, 30000, (rows, cols, bands)).astype('int16')


def on_map(transform, cols, rows):
    """Map coordinates of positions in pixels, with exact arithmetic: floats only at the end."""
    t = [Fraction(part) for part in transform]
    places = [(Fraction(col), Fraction(row)) for col, row in zip(cols, rows)]
    return (
        np.array([float(t[0] + c * t[1] + r * t[2]) for c, r in places]),
        np.array([float(t[3] + c * t[4] + r * t[5]) for c, r in places]),
    )


def points_at(path, xy, epsg=32631, **columns):
    write_points(str(path), wkt(epsg), *xy, {'id': np.arange(len(xy[0])), **columns})
    return VectorSpec(str(path))


def extract(folder, sources, points, **changes):
    """The dataset, and the fields of its rejected points by id."""
    said = []
    job = ExtractPatchesJob(
        tuple(sources), points, str(folder / 'dataset'), rejected=str(folder / 'rejected.gpkg'), **changes
    )
    extract_patches(job, Reporter(said.append))
    vector = gdal.OpenEx(job.rejected)
    rejected = {feature['id']: (feature['reason'], feature['source']) for feature in vector.GetLayer(0)}
    dataset = Dataset.open(job.output)
    assert dataset.count + len(rejected) == layer_count(points)
    return dataset, rejected, '\n'.join(event.text for event in said if event.type == 'log')


def layer_count(points):
    vector = gdal.OpenEx(points.path)  # a layer does not keep it open
    return vector.GetLayer(0).GetFeatureCount()


def cut(pixels, col, row, size):
    return pixels[row : row + size[1], col : col + size[0]]


# -- odd grids --------------------------------------------------------------------------------------------------------

TURN = math.radians(25)
GRIDS = {
    'thirty centimetres': ((733601.1, 0.3, 0.0, 3725139.3, 0.0, -0.3), 32616),
    'sixty centimetres': ((733600.7, 0.6, 0.0, 3725139.1, 0.0, -0.6), 32616),
    'one metre twenty': ((733601.2, 1.2, 0.0, 3725139.6, 0.0, -1.2), 32616),
    'degrees': ((4.839723, 0.00026949458523585647, 0.0, 52.410064, 0.0, -0.00026949458523585647), 4326),
    'seconds': ((-84.5, 1 / 3600, 0.0, 33.7, 0.0, -1 / 3600), 4326),
    'south up': ((600000.3, 0.3, 0.0, 5800000.1, 0.0, 0.3), 32631),
    'columns to the left': ((600000.3, -0.6, 0.0, 5800000.1, 0.0, -0.6), 32631),
    'oblong pixels': ((600000.3, 0.7, 0.0, 5800000.1, 0.0, -1.9), 32631),
    'turned': (
        (600000.3, 0.6 * math.cos(TURN), 0.6 * math.sin(TURN), 58e5, 0.6 * math.sin(TURN), -0.6 * math.cos(TURN)),
        32631,
    ),
    'no place at all': (None, 0),
}


@pytest.mark.parametrize('name', GRIDS)
@pytest.mark.parametrize('size, otbtf', [((8, 8), False), ((5, 9), True)])
def test_odd_grids(tmp_path, name, size, otbtf):
    """Image, raster of labels and polygons; points anywhere in a pixel, on its edges and on its corners."""
    transform, epsg = GRIDS[name]
    rng = np.random.default_rng(3)
    image, labels = image_of(70, 90), rng.integers(1, 6, (70, 90)).astype('uint8')
    cols, rows = rng.integers(10, 80, 60), rng.integers(10, 60, 60)
    within = rng.choice([0.0, 0.125, 0.5, 0.875], (2, 60))  # 0: on the edge, which belongs to the higher pixel
    place = transform or (0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    points = points_at(tmp_path / 'points.gpkg', on_map(place, cols + within[0], rows + within[1]), epsg)
    source = SourceSpec((make(tmp_path / 'image.tif', image, transform, epsg),), patch_size=size)
    raster = LabelRaster(make(tmp_path / 'labels.tif', labels, transform, epsg))
    dataset, rejected, _ = extract(tmp_path, [source], points, labels=raster, otbtf=otbtf)
    assert not rejected
    starts = [(int(col) - size[0] // 2, int(row) - size[1] // 2) for col, row in zip(cols, rows)]
    np.testing.assert_array_equal(dataset.read('source1', range(60)), [cut(image, *start, size) for start in starts])
    np.testing.assert_array_equal(
        dataset.read('labels', range(60))[..., 0], [cut(labels, *start, size) for start in starts]
    )
    polygons = str(tmp_path / 'polygons.gpkg')
    with VectorWriter(
        polygons, wkt(epsg), geometry_type=ogr.wkbPolygon
    ) as writer:  # one that covers pixels 20 to 69, 15 to 44
        x, y = on_map(place, (20, 70, 70, 20, 20), (15, 15, 45, 45, 15))
        ring = ', '.join(f'{a:.17g} {b:.17g}' for a, b in zip(x, y))
        writer.add(ogr.CreateGeometryFromWkt(f'POLYGON(({ring}))'), {})
    drawn = np.zeros((70, 90), int)
    drawn[15:45, 20:70] = 1
    dataset, rejected, _ = extract(
        tmp_path, [source], points, polygons=LabelPolygons(VectorSpec(polygons), outside=0), otbtf=otbtf
    )
    np.testing.assert_array_equal(
        dataset.read('labels', range(60))[..., 0], [cut(drawn, *start, size) for start in starts]
    )


def test_coordinates_that_are_none(tmp_path):
    """What programs write for missing coordinates; infinities and such lie outside, and nothing breaks."""
    x, y = on_map(UTM, (20.5, 30.5), (20.5, 30.5))
    far = [1e30, -1.7976931348623157e308, 5e11, np.nan]
    xy = np.concatenate([x, far]), np.concatenate([y, [58e5, 58e5, 58e5, np.nan]])
    path = make(tmp_path / 'image.tif', image_of(70, 90))
    dataset, rejected, _ = extract(
        tmp_path, [SourceSpec((path,), patch_size=(8, 8))], points_at(tmp_path / 'points.gpkg', xy)
    )
    assert dataset.samples.ids == ('0', '1')
    nowhere, outside = 'no point, or none in the CRS of the image', 'point outside the image'
    assert [rejected[i][0] for i in range(2, 6)] == [nowhere, nowhere, outside, nowhere]


# -- several resolutions ----------------------------------------------------------------------------------------------


def grid_of(size, left=0, top=0):
    """A geotransform with pixels of `size` metres, its corner `left` and `top` metres from that of UTM."""
    return (UTM[0] + left, float(size), 0.0, UTM[3] - top, 0.0, -float(size))


def ground_pixel(transform, x, y):
    """The position of a point in pixels, exactly."""
    t = [Fraction(part) for part in transform]
    return (Fraction(x) - t[0]) / t[1], (Fraction(y) - t[3]) / t[5]


CASES = {
    'twice as fine': ((2, 1), (8, 16), (0, 0)),
    'coarse source second': ((1, 2), (16, 8), (0, 0)),
    'four times, odd patches': ((4, 1), (7, 28), (0, 0)),
    'patches of other ground': ((4, 1), (8, 9), (0, 0)),
    'another corner': ((1, 4), (10, 3), (-1, 7)),
    'a ratio of three to two': ((3, 2), (8, 12), (0, 0)),
    'the same pixels': ((1, 1), (9, 4), (5, 2)),
    'three sources': ((1, 2, 6), (24, 12, 4), (3, 6)),
}


@pytest.mark.parametrize('name', CASES)
def test_sources_of_different_resolution(tmp_path, name):
    """The patch of the coarsest source stands where the point says; the others are centred on its ground."""
    pixel_sizes, patch_sizes, corner = CASES[name]
    transforms = [grid_of(size, *(corner if i else (0, 0))) for i, size in enumerate(pixel_sizes)]
    images = [image_of(120 // size * 2, 150 // size * 2, 1, i) for i, size in enumerate(pixel_sizes)]
    rng = np.random.default_rng(7)
    x, y = on_map(UTM, rng.integers(60, 160, 80) + rng.random(80), rng.integers(60, 130, 80) + rng.random(80))
    sources = [
        SourceSpec((make(tmp_path / f'{i}.tif', image, transform),), f's{i}', patch_size=(size, size))
        for i, (image, transform, size) in enumerate(zip(images, transforms, patch_sizes))
    ]
    dataset, rejected, _ = extract(tmp_path, sources, points_at(tmp_path / 'points.gpkg', (x, y)))
    assert not rejected
    coarsest = pixel_sizes.index(max(pixel_sizes))
    for number in range(80):
        col, row = ground_pixel(transforms[coarsest], x[number], y[number])
        half = Fraction(patch_sizes[coarsest], 2)
        middle = (
            math.floor(col) - patch_sizes[coarsest] // 2 + half,
            math.floor(row) - patch_sizes[coarsest] // 2 + half,
        )
        t = [Fraction(part) for part in transforms[coarsest]]
        centre = t[0] + middle[0] * t[1], t[3] + middle[1] * t[5]
        for i, (image, transform, size) in enumerate(zip(images, transforms, patch_sizes)):
            col, row = ground_pixel(transform, *centre)
            start = math.floor(col - Fraction(size, 2)), math.floor(row - Fraction(size, 2))
            np.testing.assert_array_equal(dataset.read(f's{i}', [number])[0], cut(image, *start, (size, size)))


def test_patches_of_the_same_ground_show_it(tmp_path):
    coarse = image_of(60, 80, 1)
    fine = np.kron(coarse, np.ones((4, 4, 1), 'int16'))
    labels = np.kron(coarse[..., 0] % 5, np.ones((2, 2), 'int16'))
    rng = np.random.default_rng(7)
    points = points_at(tmp_path / 'p.gpkg', on_map(grid_of(4), rng.uniform(8, 70, 50), rng.uniform(8, 50, 50)))
    sources = [
        SourceSpec((make(tmp_path / 'fine.tif', fine, grid_of(1)),), 'pan', patch_size=(32, 32)),
        SourceSpec((make(tmp_path / 'coarse.tif', coarse, grid_of(4)),), 'ms', patch_size=(8, 8)),
    ]
    raster = LabelRaster(make(tmp_path / 'labels.tif', labels, grid_of(2)))
    dataset, rejected, _ = extract(tmp_path, sources, points, labels=raster)
    assert not rejected and dataset.manifest.labels.shape == (16, 16, 1)
    pan, ms, found = (dataset.read(key, range(50)) for key in ('pan', 'ms', 'labels'))
    np.testing.assert_array_equal(pan, np.kron(ms, np.ones((1, 4, 4, 1), 'int16')))
    np.testing.assert_array_equal(found, np.kron(ms % 5, np.ones((1, 2, 2, 1), 'int16')))
    vector = gdal.OpenEx(points.path)
    table = [(dataset.samples.x[i], dataset.samples.y[i]) for i in range(50)]
    assert table == [(f.geometry().GetX(), f.geometry().GetY()) for f in vector.GetLayer(0)]


def test_the_peer_places_each_source_by_itself(tmp_path):
    """Also on grids that have nothing to do with each other, which are an error else."""
    transforms = [grid_of(2), grid_of(0.83, -3.1, 0.7)]
    images = [image_of(90, 100, 1), image_of(250, 260, 1, 1)]
    rng = np.random.default_rng(7)
    x, y = on_map(grid_of(2), rng.integers(20, 80, 50) + rng.random(50), rng.integers(20, 70, 50) + rng.random(50))
    sources = [
        SourceSpec((make(tmp_path / f'{i}.tif', image, transform),), f's{i}', patch_size=(size, size))
        for i, (image, transform, size) in enumerate(zip(images, transforms, (8, 17)))
    ]
    points = points_at(tmp_path / 'points.gpkg', (x, y))
    dataset, rejected, _ = extract(tmp_path, sources, points, otbtf=True)
    assert not rejected
    for number in range(50):
        for i, size in enumerate((8, 17)):
            col, row = ground_pixel(transforms[i], x[number], y[number])
            start = math.floor(col) - size // 2, math.floor(row) - size // 2
            np.testing.assert_array_equal(dataset.read(f's{i}', [number])[0], cut(images[i], *start, (size, size)))
    with pytest.raises(GridMismatch, match=r'0\.tif: .*1\.tif: '):
        extract(tmp_path, sources, points)


@pytest.mark.parametrize(
    'transform, epsg, words',
    [
        ((UTM[0], 1.0, 0.0, UTM[3], 0.0, -1.0), 32632, 'EPSG:32631.*EPSG:32632'),
        (grid_of(1, 5000), 32631, r'0\.tif and .*1\.tif share no ground'),
        (grid_of(2, 0.5), 32631, 'shifted against each other'),
        ((UTM[0], 1.0, 0.0, UTM[3], 0.0, 1.0), 32631, 'share no ground'),
        ((UTM[0], 1.0, 0.0, UTM[3] - 90, 0.0, 1.0), 32631, 'different directions'),
        ((UTM[0], 1.0, 0.02, UTM[3], 0.02, -1.0), 32631, 'different directions'),
    ],
)
def test_sources_that_do_not_fit(tmp_path, transform, epsg, words):
    paths = make(tmp_path / '0.tif', image_of(90, 90)), make(tmp_path / '1.tif', image_of(90, 90), transform, epsg)
    sources = [SourceSpec((path,), f's{i}', patch_size=(8, 8)) for i, path in enumerate(paths)]
    with pytest.raises(GridMismatch, match=words):
        extract(tmp_path, sources, points_at(tmp_path / 'p.gpkg', on_map(UTM, [20], [20])))
    assert not (tmp_path / 'dataset').exists()


# -- rejections -------------------------------------------------------------------------------------------------------


def test_each_source_has_its_no_data_and_its_policy(tmp_path):
    fine, coarse = image_of(80, 80, 2), image_of(40, 40, 1).astype('float32')
    fine[10, 10, 0] = -9  # one band of one pixel
    fine[40:60, 40:60] = -9
    coarse[28:31, 10:11] = np.nan
    coarse[2:12, 25:35] = np.nan
    places = [(10, 10), (50, 50), (44, 38), (60, 14), (20, 60), (70, 70), (2, 2), (90, 40)]
    points = points_at(tmp_path / 'points.gpkg', on_map(UTM, *zip(*[(c + 0.5, r + 0.5) for c, r in places])))
    paths = make(tmp_path / 'f.tif', fine, nodata=-9), make(tmp_path / 'c.tif', coarse, grid_of(2))

    def reasons(policy, fine_policy='', coarse_policy='', **changes):
        sources = [
            SourceSpec((paths[0],), 'fine', patch_size=(8, 8), nodata_policy=fine_policy),
            SourceSpec((paths[1],), 'coarse', patch_size=(4, 4), nodata_policy=coarse_policy),
        ]
        dataset, rejected, _ = extract(tmp_path, sources, points, nodata_policy=policy, **changes)
        used = tuple(source.nodata_policy for source in dataset.manifest.sources)
        assert used == (fine_policy or policy, coarse_policy or policy)
        return {number: text for number, text in rejected.items() if number < 6}, rejected

    f, c = ('no-data in the image (fine)', 'fine'), ('no-data in the image (coarse)', 'coarse')
    found, everything = reasons('any')
    assert found == {0: f, 1: f, 2: f, 3: c, 4: c}
    assert everything[6] == ('patch reaches over the edge of the image (fine)', 'fine')
    assert everything[7] == ('point outside the image (fine)', 'fine')
    assert reasons('all')[0] == {1: f, 3: c}
    assert reasons('ignore')[0] == {}
    assert reasons('any', coarse_policy='ignore')[0] == {0: f, 1: f, 2: f}
    assert reasons('ignore', coarse_policy='any')[0] == {3: c, 4: c}
    assert reasons('any', 'all', 'all')[0] == {1: f, 3: c}


def test_labels_are_hidden_where_a_source_of_the_same_ground_has_no_data(tmp_path):
    """Policy "all": labels stand on the ground of the first source. Others hide them too, if they show just that."""
    fine, coarse = image_of(80, 80, 1), image_of(40, 40, 1)
    fine[20:24, 20:26] = 7
    coarse[6:9, 13:15] = 7  # rows 12 to 17, columns 26 to 29 of the fine one
    labels = np.random.default_rng(0).integers(1, 4, (80, 80)).astype('uint8')
    points = points_at(tmp_path / 'points.gpkg', on_map(UTM, [24.5], [20.5]))
    raster = LabelRaster(make(tmp_path / 'labels.tif', labels))
    fine_path = make(tmp_path / 'f.tif', fine, nodata=7)
    coarse_path = make(tmp_path / 'c.tif', coarse, grid_of(2), nodata=7)
    for coarse_size, hides in ((8, True), (6, False)):
        sources = [
            SourceSpec((fine_path,), 'fine', patch_size=(16, 16)),
            SourceSpec((coarse_path,), 'coarse', patch_size=(coarse_size, coarse_size)),
        ]
        dataset, _, log = extract(tmp_path, sources, points, labels=raster, nodata_policy='all')
        expected = labels.astype(int)
        expected[20:24, 20:26] = 255
        if hides:
            expected[12:18, 26:30] = 255
        np.testing.assert_array_equal(dataset.read('labels', [0])[0, ..., 0], cut(expected, 16, 12, (16, 16)))
        assert f'{48 if hides else 24} (' in log
        assert sum(int(n[0]) for n in dataset.samples.pixels.values()) == 256 - (48 if hides else 24)


def test_no_patch_at_all_says_where_everything_lies(tmp_path):
    points = points_at(tmp_path / 'points.gpkg', on_map(UTM, [2000, 3000], [20, 30]))
    source = SourceSpec((make(tmp_path / 'image.tif', image_of(70, 90)),), patch_size=(8, 8))
    with pytest.raises(
        NoSamples, match=r'outside the image \(2\)\. The points lie at x 602000 to 603000, y 5799970 to'
    ):
        extract(tmp_path, [source], points)
    empty = np.full((70, 90), np.nan, 'float32')
    nothing = SourceSpec((make(tmp_path / 'nan.tif', empty),), patch_size=(8, 8))
    points = points_at(tmp_path / 'points.gpkg', on_map(UTM, [20, 30], [20, 30]))
    for policy in ('any', 'all'):
        with pytest.raises(NoSamples, match=r'^No patch is left: no-data in the image \(2\)\.$'):
            extract(tmp_path, [nothing], points, nodata_policy=policy)
    none = points_at(tmp_path / 'none.gpkg', on_map(UTM, [], []))
    with pytest.raises(NoSamples, match='no points in it'):
        extract(tmp_path, [source], none)
    with pytest.raises(InvalidJob, match='the patch size is 0 x 8 pixels'):
        extract(tmp_path, [SourceSpec(source.rasters, patch_size=(0, 8))], points)
    assert not (tmp_path / 'dataset').exists() and not (tmp_path / 'dataset.part').exists()


# -- mirrored edges ---------------------------------------------------------------------------------------------------


def reflected(length, start, count):
    """Which pixel stands at each place, and whether it stands the other way round: mirrors put up one by one.

    The first and the last pixel, in which the mirrors stand, are their own image."""
    out = []
    for place in range(start, start + count):
        turned = False
        while not 0 <= place < length:
            place, turned = (-place if place < 0 else 2 * (length - 1) - place), not turned
        out.append((place, turned and 0 < place < length - 1))
    return out


@pytest.mark.parametrize('factor', [1, 3])
@pytest.mark.parametrize('shape, size', [((40, 50), (8, 8)), ((40, 50), (21, 13)), ((5, 9), (32, 32))])
def test_patches_over_the_edge_are_mirrored_with_their_labels(tmp_path, factor, shape, size):
    rows, cols = shape
    image = image_of(rows, cols)
    labels = np.random.default_rng(1).integers(1, 200, (rows * factor, cols * factor)).astype('uint8')
    places = [(0, 0), (cols - 1, rows - 1), (0, rows // 2), (cols // 2, 0), (cols // 2, rows // 2), (cols, 3), (-1, 3)]
    points = points_at(tmp_path / 'p.gpkg', on_map(UTM, *zip(*[(c + 0.5, r + 0.5) for c, r in places])))
    source = SourceSpec((make(tmp_path / 'image.tif', image),), patch_size=size)
    raster = LabelRaster(make(tmp_path / 'labels.tif', labels, grid_of(1 / factor)))
    dataset, rejected, log = extract(tmp_path, [source], points, labels=raster, border='reflect')
    assert {number: text for number, (text, _) in rejected.items()} == dict.fromkeys((5, 6), 'point outside the image')
    whole = size[0] // 2 <= cols // 2 <= cols - size[0] + size[0] // 2 and size[1] <= rows
    assert f'{4 if whole else 5} patches reach over the edge of an image, and are mirrored there' in log
    for number, (col, row) in enumerate(places[:5]):
        across = reflected(cols, col - size[0] // 2, size[0])
        down = reflected(rows, row - size[1] // 2, size[1])
        expected = image[np.ix_([place for place, _ in down], [place for place, _ in across])]
        np.testing.assert_array_equal(dataset.read('source1', [number])[0], expected)
        found = dataset.read('labels', [number])[0, ..., 0]
        for i, (place_y, turned_y) in enumerate(down):
            for j, (place_x, turned_x) in enumerate(across):
                part = labels[place_y * factor :, place_x * factor :][:factor, :factor]
                part = part[:: -1 if turned_y else 1, :: -1 if turned_x else 1]
                block = found[i * factor : (i + 1) * factor, j * factor : (j + 1) * factor]
                np.testing.assert_array_equal(block, part)


def test_coarse_labels_go_where_their_centre_goes(tmp_path):
    """Labels of three pixels' width: what lies over the edge is the label of the pixel that the centre mirrors."""
    image, labels = image_of(30, 30), np.arange(1, 101).reshape(10, 10).astype('uint8')
    points = points_at(tmp_path / 'p.gpkg', on_map(UTM, [3.5], [6.5]))
    source = SourceSpec((make(tmp_path / 'image.tif', image),), patch_size=(12, 12))
    raster = LabelRaster(make(tmp_path / 'labels.tif', labels, grid_of(3)))
    dataset, _, _ = extract(tmp_path, [source], points, labels=raster, border='reflect')
    # Columns -3 to 8 of the image: the centre of the label at -3 to -1 is -2, which shows pixel 2.
    np.testing.assert_array_equal(dataset.read('labels', [0])[0, ..., 0], labels[:4][:, [0, 0, 1, 2]])


# -- order and layout -------------------------------------------------------------------------------------------------


def test_shuffled_points_give_the_same_samples_shuffled(tmp_path):
    rng = np.random.default_rng(5)
    image, labels = image_of(150, 170), rng.integers(1, 4, (150, 170)).astype('uint8')
    x, y = on_map(UTM, rng.uniform(0, 170, 300), rng.uniform(0, 150, 300))  # some reach over the edge
    source = SourceSpec((make(tmp_path / 'image.tif', image),), patch_size=(20, 20))
    raster = LabelRaster(make(tmp_path / 'labels.tif', labels))
    order = rng.permutation(300)
    found = []
    for chosen in (np.arange(300), order):
        path = tmp_path / 'points.gpkg'
        write_points(str(path), wkt(32631), x[chosen], y[chosen], {'id': chosen})
        dataset, rejected, _ = extract(tmp_path, [source], VectorSpec(str(path)), labels=raster)
        ids = [int(text) for text in dataset.samples.ids]
        assert ids == [number for number in chosen.tolist() if number not in rejected]
        samples = [dataset.read(key, range(dataset.count)) for key in ('source1', 'labels')]
        found.append({number: [values[i] for values in samples] for i, number in enumerate(ids)})
    assert found[0].keys() == found[1].keys() and 100 < len(found[0]) < 300
    for number, samples in found[0].items():
        for a, b in zip(samples, found[1][number]):
            np.testing.assert_array_equal(a, b)


def test_how_files_are_laid_out_changes_nothing(tmp_path):
    """The same pixels in other blocks, more files or less memory: the same samples, statistics and checksums."""
    rng = np.random.default_rng(5)
    image = image_of(150, 170).astype('float32')
    image[rng.random(image.shape) < 0.01] = np.nan
    points = points_at(tmp_path / 'points.gpkg', on_map(UTM, rng.uniform(0, 170, 300), rng.uniform(0, 150, 300)))
    manifests = []
    for options in (['TILED=YES', 'BLOCKXSIZE=16', 'BLOCKYSIZE=64'], ['BLOCKYSIZE=1'], ['BLOCKYSIZE=150']):
        path = make(tmp_path / 'image.tif', image, options=['COMPRESS=DEFLATE', *options])
        for per_shard in (0, 7):
            source = SourceSpec((path,), patch_size=(20, 20))
            layout = LayoutOptions(samples_per_shard=per_shard)
            dataset, _, _ = extract(tmp_path, [source], points, nodata_policy='ignore', layout=layout)
            manifests.append((per_shard, dataset.manifest))
    assert len({manifest.fingerprint() for per_shard, manifest in manifests if per_shard == 0}) == 1
    assert len({manifest.fingerprint() for per_shard, manifest in manifests if per_shard == 7}) == 1
    assert manifests[0][1].sources == manifests[1][1].sources


def test_labels_of_the_dataset_are_those_of_the_ground(tmp_path):
    """Class by class, over patches that tile an image of another resolution than the labels."""
    rng = np.random.default_rng(5)
    labels = rng.choice([-5, 3, 40000], (96, 128), p=[0.1, 0.6, 0.3]).astype('int32')
    image = image_of(48, 64)
    cols, rows = np.meshgrid(np.arange(0, 64, 16), np.arange(0, 48, 16))
    points = points_at(tmp_path / 'p.gpkg', on_map(grid_of(2), (cols + 8.5).ravel(), (rows + 8.5).ravel()))
    source = SourceSpec((make(tmp_path / 'image.tif', image, grid_of(2)),), patch_size=(16, 16))
    raster = LabelRaster(make(tmp_path / 'labels.tif', labels, grid_of(1)))
    for otbtf in (False, True):
        dataset, rejected, _ = extract(tmp_path, [source], points, labels=raster, otbtf=otbtf)
        assert not rejected and dataset.manifest.labels.dtype == 'int32'  # nothing is clamped
        values, counts = np.unique(labels, return_counts=True)
        assert dataset.manifest.splits['train'].pixels == dict(zip(map(str, values.tolist()), counts.tolist()))
        stored = np.unique(dataset.read('labels', range(dataset.count)), return_counts=True)
        np.testing.assert_array_equal(stored, (values, counts))
