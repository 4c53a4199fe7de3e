"""Several images into one dataset: the same samples as from each by itself."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.engine.datasets.extraction import extract_patches
from quadrat.engine.datasets.reader import Dataset
from quadrat.engine.errors import BandMismatch, EngineError, GridMismatch, InvalidJob, NoSamples
from quadrat.engine.events import Reporter
from quadrat.engine.gdalio import gdal, gdal_type, ogr, osr, same_crs
from quadrat.engine.jobs import (
    ExtractPatchesJob,
    LabelPolygons,
    LabelRaster,
    SelectPatchesJob,
    SourceSpec,
    VectorSpec,
    Zone,
)
from quadrat.engine.sampling.patches import select_patches
from quadrat.engine.vector import VectorWriter, field, write_points

SIZE = (8, 8)


def crs(epsg):
    out = osr.SpatialReference()
    out.ImportFromEPSG(epsg)
    out.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return out


class Area:
    """An image with labels at `corner` (map coordinates), 40 pixels wide and 30 high."""

    def __init__(
        self, folder, name, corner, epsg=32631, bands=2, dtype='int16', seed=0, nodata=None, label_nodata=None
    ):
        rng = np.random.default_rng(seed)
        self.folder, self.name, self.epsg = folder, name, epsg
        self.transform = (corner[0], 2.0, 0.0, corner[1], 0.0, -2.0)
        self.image = rng.integers(0, 250, (bands, 30, 40)).astype(dtype)
        self.labels = rng.choice([1, 2, 7], (1, 30, 40)).astype('uint8')
        self.path = self._write(f'{name}.tif', self.image, nodata)
        self.raster = LabelRaster(self._write(f'{name}_labels.tif', self.labels, label_nodata))
        self.sources = (SourceSpec((self.path,), patch_size=SIZE),)

    def _write(self, name, array, nodata):
        path = str(self.folder / name)
        bands, rows, cols = array.shape
        dataset = gdal.GetDriverByName('GTiff').Create(path, cols, rows, bands, gdal_type(array.dtype))
        dataset.SetGeoTransform(self.transform)
        dataset.SetSpatialRef(crs(self.epsg))
        dataset.WriteRaster(0, 0, cols, rows, array.tobytes())
        if nodata is not None:
            for band in range(bands):
                dataset.GetRasterBand(band + 1).SetNoDataValue(nodata)
        return path

    def place(self, col, row):
        """Map coordinates of the centre of a pixel."""
        return self.transform[0] + 2 * (col + 0.5), self.transform[3] - 2 * (row + 0.5)

    def points(self, pixels, split='train', first=0):
        path = str(self.folder / f'{self.name}.gpkg')
        x, y = np.array([self.place(*pixel) for pixel in pixels]).reshape(-1, 2).T
        ids = np.arange(first, first + len(pixels))
        write_points(path, crs(self.epsg).ExportToWkt(), x, y, {'id': ids, 'split': [split] * len(pixels)})
        return VectorSpec(path)

    def patch(self, pixel):
        col, row = pixel[0] - 4, pixel[1] - 4
        return self.image[:, row : row + 8, col : col + 8].transpose(1, 2, 0), self.labels[
            0, row : row + 8, col : col + 8
        ]


def extract(folder, first, *others, **job):
    """The dataset and the events of an extraction from several areas."""
    events = []
    values = {
        'sources': first.sources,
        'labels': first.raster,
        'zones': tuple(others),
        'output': str(folder / 'dataset'),
        'rejected': str(folder / 'rejected.gpkg'),
        'accepted': str(folder / 'accepted.gpkg'),
        **job,
    }
    extract_patches(ExtractPatchesJob(**values), Reporter(events.append))
    return Dataset.open(values['output']), '\n'.join(f'{event.type}: {getattr(event, "text", "")}' for event in events)


def rows_of(path):
    vector = gdal.OpenEx(str(path))
    return [feature.items() for feature in vector.GetLayer(0)]


FAR = (32616, (733600.0, 3725140.0))  # Atlanta: no place in zone 31
NEAR = (32632, (205000.0, 5818000.0))  # the neighbouring zone
HERE = (32631, (640000.0, 5800000.0))


@pytest.mark.parametrize('epsg, corner', [FAR, NEAR, HERE])
def test_zones_follow_one_another_each_on_its_grid(tmp_path, epsg, corner):
    rng = np.random.default_rng(3)
    a, b = Area(tmp_path, 'a', (600000.0, 58e5)), Area(tmp_path, 'b', corner, epsg, dtype='float32', seed=1)
    pixels = [(int(c), int(r)) for c, r in zip(rng.integers(4, 37, 20), rng.integers(4, 27, 20))]
    first, second = a.points(pixels[:12], 'train'), b.points([*pixels[12:], (1, 1)], 'test', 12)
    dataset, _ = extract(tmp_path, a, Zone(b.sources, second, b.raster), points=first)
    assert dataset.count == 20 and dataset.samples.images == (a.path,) * 12 + (b.path,) * 8
    assert dataset.samples.splits == ('train',) * 12 + ('test',) * 8
    assert dataset.manifest.sources[0].dtype == 'float32' and dataset.manifest.sources[0].rasters == (a.path, b.path)
    for number, pixel in enumerate(pixels):
        image, labels = (a if number < 12 else b).patch(pixel)
        np.testing.assert_array_equal(dataset.read('source1', [number])[0], image)
        np.testing.assert_array_equal(dataset.read('labels', [number])[0, ..., 0], labels)
    # One reference system for all: the first zone's, or WGS 84 where the other has no place in it.
    target = crs(4326 if epsg == FAR[0] else 32631)
    assert same_crs(dataset.manifest.crs, target.ExportToWkt())
    west, south, east, north = dataset.manifest.extent
    for number, pixel in enumerate(pixels):
        area = a if number < 12 else b
        x, y, _ = osr.CoordinateTransformation(crs(area.epsg), target).TransformPoint(*area.place(*pixel))
        assert (dataset.samples.x[number], dataset.samples.y[number]) == pytest.approx((x, y), rel=1e-9)
        assert west < x < east and south < y < north
    (rejected,) = rows_of(tmp_path / 'rejected.gpkg')
    assert rejected['id'] == 20 and rejected['image'] == b.path and rejected['split'] == 'test'
    accepted = rows_of(tmp_path / 'accepted.gpkg')
    assert [(row['col'], row['row'], row['image']) for row in accepted] == [
        (*pixel, a.path if number < 12 else b.path) for number, pixel in enumerate(pixels)
    ]


def test_one_layer_of_points_and_labels_for_all_zones(tmp_path):
    """Each point goes to the first zone in which its patch lies; it is rejected only where no zone holds it."""
    a, b = Area(tmp_path, 'a', (600000.0, 58e5)), Area(tmp_path, 'b', (600060.0, 58e5), seed=1)  # columns 30 to 69 of a
    pixels = [(10, 10), (33, 10), (37, 10), (50, 10), (67, 10), (69, 10), (90, 10)]
    points = a.points(pixels)
    with VectorWriter(
        str(tmp_path / 'p.gpkg'), crs(32631).ExportToWkt(), [field('kind', ogr.OFTString)], None, 3
    ) as out:
        for kind, left, right in (('wood', 0, 40), ('acre', 40, 80)):
            x = [600000 + 2 * col for col in (left, right, right, left, left)]
            ring = ', '.join(f'{x} {y}' for x, y in zip(x, (58e5, 58e5, 5799900, 5799900, 58e5)))
            out.add(ogr.CreateGeometryFromWkt(f'POLYGON(({ring}))'), {'kind': kind})
    polygons = LabelPolygons(VectorSpec(str(tmp_path / 'p.gpkg')), 'kind')
    dataset, said = extract(tmp_path, a, Zone(b.sources), points=points, labels=None, polygons=polygons)
    assert dataset.samples.ids == ('0', '1', '2', '3') and dataset.samples.images == (a.path, a.path, b.path, b.path)
    for number, (area, pixel) in enumerate([(a, (10, 10)), (a, (33, 10)), (b, (7, 10)), (b, (20, 10))]):
        np.testing.assert_array_equal(dataset.read('source1', [number])[0], area.patch(pixel)[0])
    columns = np.arange(8)
    expected = [np.where(col - 4 + columns < 40, 2, 1) for col, _ in pixels[:4]]
    np.testing.assert_array_equal(dataset.read('labels', range(4))[:, 0, :, 0], expected)
    assert [(c.value, c.name) for c in dataset.manifest.classes] == [(1, 'acre'), (2, 'wood')]
    edge, outside = 'patch reaches over the edge of the image', 'point outside the image'
    assert {row['id']: row['reason'] for row in rows_of(tmp_path / 'rejected.gpkg')} == {4: edge, 5: edge, 6: outside}
    assert f'log: {a.path}: 2 patches' in said and f'log: {b.path}: 2 patches' in said


def test_text_classes_are_numbered_over_all_zones(tmp_path):
    areas = [Area(tmp_path, 'a', (600000.0, 58e5)), Area(tmp_path, 'b', (700000.0, 58e5))]
    specs = []
    for area, kind in zip(areas, ('wood', 'acre')):
        path = str(tmp_path / f'{area.name}_polygons.gpkg')
        with VectorWriter(path, crs(32631).ExportToWkt(), [field('kind', ogr.OFTString)], None, 3) as out:
            west, north = area.transform[0], area.transform[3]
            box = f'{west} {north}, {west + 80} {north}, {west + 80} {north - 60}, {west} {north - 60}, {west} {north}'
            out.add(ogr.CreateGeometryFromWkt(f'POLYGON(({box}))'), {'kind': kind})
        specs.append(LabelPolygons(VectorSpec(path), 'kind'))
    a, b = areas
    zone = Zone(b.sources, b.points([(10, 10)]), polygons=specs[1])
    dataset, _ = extract(tmp_path, a, zone, points=a.points([(10, 10)]), labels=None, polygons=specs[0])
    assert [int(values.ravel()[0]) for values in dataset.read('labels', [0, 1])] == [2, 1]


def test_no_data_of_labels_is_kept_where_all_zones_have_the_same(tmp_path):
    def stored(first, second):
        a = Area(tmp_path, 'a', (600000.0, 58e5), label_nodata=first)
        b = Area(tmp_path, 'b', (700000.0, 58e5), label_nodata=second)
        zone = Zone(b.sources, b.points([(10, 10)]), b.raster)
        dataset, said = extract(tmp_path, a, zone, points=a.points([(10, 10)]))
        assert 'label pixels are left out' in said
        return (
            dataset.manifest.labels.nodata,
            sorted(c.value for c in dataset.manifest.classes),
            [set(values.ravel().tolist()) for values in dataset.read('labels', [0, 1])],
        )

    assert stored(7, 7) == (7, [1, 2], [{1, 2, 7}, {1, 2, 7}])
    assert stored(7, 2) == (None, [1, 2, 7], [{1, 2, 255}, {1, 7, 255}])
    assert stored(None, 2) == (None, [1, 2, 7], [{1, 2, 7}, {1, 7, 255}])


def test_zones_of_overlapping_splits_are_counted_each_on_its_grid(tmp_path):
    a, b = Area(tmp_path, 'a', (600000.0, 58e5)), Area(tmp_path, 'b', (700000.0, 58e5))
    path = str(tmp_path / 'points.gpkg')
    places = [a.place(10, 10), a.place(12, 13), b.place(10, 10), b.place(20, 20)]
    x, y = np.array(places).T
    splits = {'id': np.arange(4), 'split': ['train', 'test', 'train', 'test']}
    write_points(path, crs(32631).ExportToWkt(), x, y, splits)
    _, said = extract(tmp_path, a, Zone(b.sources, labels=b.raster), points=VectorSpec(path))
    assert 'warning: 30 pixels lie in patches of more than one split' in said


@pytest.mark.parametrize(
    'change, error, words',
    [
        ({'bands': 3}, BandMismatch, r'source1: 2 bands in .*a\.tif, 3 in .*b\.tif'),
        ({'nodata': 5}, InvalidJob, r'no-data is none in .*a\.tif and 5 in .*b\.tif; a dataset has one'),
        ({'epsg': 0}, GridMismatch, r'a\.tif has the CRS EPSG:32631 .* and .*b\.tif none'),
    ],
)
def test_zones_that_do_not_fit(tmp_path, monkeypatch, change, error, words):
    if change.get('epsg') == 0:
        monkeypatch.setattr(Area, '_write', _write_without_crs(Area._write))
    a, b = Area(tmp_path, 'a', (600000.0, 58e5)), Area(tmp_path, 'b', (700000.0, 58e5), **change)
    points = a.points([(10, 10)])
    with pytest.raises(error, match=words):
        extract(tmp_path, a, Zone(b.sources, labels=b.raster), points=points)
    assert not (tmp_path / 'dataset').exists()


def _write_without_crs(write):
    def go(self, name, array, nodata):
        if self.epsg:
            return write(self, name, array, nodata)
        self.epsg = 32631
        path = write(self, name, array, nodata)
        self.epsg = 0
        dataset = gdal.Open(path, gdal.GA_Update)
        dataset.SetProjection('')
        return path

    return go


def test_what_contradicts_itself_is_one_line(tmp_path):
    a, b = Area(tmp_path, 'a', (600000.0, 58e5)), Area(tmp_path, 'b', (700000.0, 58e5))
    points = a.points([(10, 10)])
    twice = (*b.sources, SourceSpec((b.path,), 'two', patch_size=SIZE))
    polygons = LabelPolygons(points)
    for zone, changes, words in (
        (Zone(twice), {}, 'Zone 2 has 2 sources and the first 1'),
        (Zone(b.sources, labels=b.raster, polygons=polygons), {}, 'Zone 2: labels come from a raster or from polygons'),
        (Zone(b.sources, labels=b.raster), {'labels': None}, r'a\.tif: this zone has no labels and others do'),
        (Zone(b.sources, labels=b.raster), {'labels': None, 'label_field': 'id'}, 'zones have no rasters or polygons'),
        (Zone(a.sources, b.points([])), {}, 'no points in it'),
    ):
        with pytest.raises(EngineError, match=words) as caught:
            extract(tmp_path, a, zone, points=points, **changes)
        assert '\n' not in str(caught.value) and isinstance(caught.value, (InvalidJob, NoSamples))
    assert not (tmp_path / 'dataset').exists()


@pytest.mark.baseline
def test_two_cities_in_one_run(tmp_path, shared):
    """Real images of two continents, with polygons and a raster of labels."""
    amsterdam, atlanta = shared / 'data/otbtf-suite/data/fake_spot6.jp2', shared / 'data/atlanta/worldview_pan.tif'
    points = {}
    for name, image in (('a', amsterdam), ('b', atlanta)):
        points[name] = VectorSpec(str(tmp_path / f'{name}.gpkg'))
        select_patches(SelectPatchesJob(str(image), points[name].path, step=128, block_size=128), Reporter())
    job = ExtractPatchesJob(
        sources=(SourceSpec((str(amsterdam),), bands=(1,), nodata='0'),),
        points=points['a'],
        labels=LabelRaster(str(shared / 'data/otbtf-suite/data/amsterdam_labelimage.tif'), nodata='none'),
        zones=(
            Zone(
                (SourceSpec((str(atlanta),)),),
                points['b'],
                polygons=LabelPolygons(VectorSpec(str(shared / 'data/atlanta/buildings.geojson')), outside=0),
            ),
        ),
        output=str(tmp_path / 'dataset'),
    )
    extract_patches(job, Reporter())
    dataset = Dataset.open(job.output)
    images = np.array(dataset.samples.images)
    assert (images == str(amsterdam)).sum() == 64 and (images == str(atlanta)).sum() == 49
    for name, path in (('a', amsterdam), ('b', atlanta)):
        opened = gdal.Open(str(path))
        whole = opened.GetRasterBand(1).ReadAsArray()
        for number, row in zip(np.flatnonzero(images == str(path)).tolist(), rows_of(points[name].path)):
            top, left = row['row'] - 32, row['col'] - 32
            patch = dataset.read('source1', [number])[0, ..., 0]
            np.testing.assert_array_equal(patch, whole[top : top + 64, left : left + 64])
    assert [c.value for c in dataset.manifest.classes] == [0, 1]
    assert -85 < dataset.manifest.extent[0] < -84 and 4 < dataset.manifest.extent[2] < 5
