"""Pixels of classes: exact on every grid, DENSE the same where nothing overlaps, and what is wrong is said."""

from __future__ import annotations

import csv
import os
import re

import numpy as np
import pytest

from quadrat.engine.errors import EngineError
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.gdalio import gdal, ogr, osr
from quadrat.engine.grid import Grid
from quadrat.engine.jobs import PolygonStatisticsJob, VectorSpec
from quadrat.engine.sampling import classcounts, spans
from quadrat.engine.sampling.pixels import PixelFinder, simple_parts
from quadrat.engine.sampling.spans import line_spans, polygon_spans
from quadrat.engine.sampling.statistics import count_classes
from quadrat.engine.sampling.statisticsxml import read_class_counts, statistics_xml

PLAIN = ((0, 1, 0, 0, 0, 1), None)
METRES = ((5e5, 1, 0, 5e6, 0, -1), 32631)


def count(tmp_path, raster, vector, said=None, **options):
    """Run the job: pixels of each class and of each feature."""
    output = str(tmp_path / 'statistics.xml')
    job = PolygonStatisticsJob(raster, VectorSpec(vector), options.pop('field', 'class'), output, **options)
    values = count_classes(job, Reporter(None if said is None else said.append))
    assert values['OUTPUT'] == output
    with open(output, encoding='utf-8') as file:
        features = file.read().partition('samplesPerVector')[2]
    return read_class_counts(output), {
        key: int(value) for key, value in re.findall('key="([^"]*)" value="([0-9]+)"', features)
    }


def on_map(grid, positions):
    """WKT of positions in pixels."""
    return ', '.join('{!r} {!r}'.format(*grid.to_map(*position)) for position in positions)


def star(rng, centre, corners, radii, turn=0.0):
    """Corners of a polygon that does not cross itself, in pixels, closed."""
    angles = (np.arange(corners) + rng.uniform(0, 0.8, corners)) / corners * 2 * np.pi + turn
    reach = rng.uniform(*radii, corners)
    ring = np.stack([centre[0] + reach * np.cos(angles), centre[1] + reach * np.sin(angles)], 1)
    return [*ring.tolist(), ring[0].tolist()]


def square(col, row):
    return [(col, row), (col + 1, row), (col + 1, row + 1), (col, row + 1), (col, row)]


def brute_force(wkt, grid):
    """Pixels of a geometry, asked one by one of a library that knows nothing of rasters."""
    geometry = ogr.CreateGeometryFromWkt(wkt)
    parts = [geometry.GetGeometryRef(i) for i in range(geometry.GetGeometryCount())]
    total = 0
    for part in parts if geometry.GetGeometryName().startswith('MULTI') else [geometry]:
        for row in range(grid.height):
            for col in range(grid.width):
                if part.GetGeometryName() == 'POLYGON':
                    x, y = grid.centre(col, row)
                    total += part.Contains(ogr.CreateGeometryFromWkt(f'POINT({x!r} {y!r})'))
                else:
                    whole = ogr.CreateGeometryFromWkt(f'POLYGON(({on_map(grid, square(col, row))}))')
                    total += whole.Intersects(part)
    return total


def test_pixels_are_those_of_brute_force_on_any_grid(any_grid, write_raster, write_layer, tmp_path):
    transform, epsg = any_grid
    grid = Grid('', tuple(map(float, transform)), 30, 24)
    rng = np.random.default_rng(7)
    shapes = []
    for centre in ((8.3, 9.1), (27.2, 3.4), (-2.0, 20.3), (15.1, 12.2)):
        ring = star(rng, centre, 7, (3, 9))
        hole = star(rng, centre, 5, (0.5, 2.5))
        other = star(rng, (centre[0] + 3, centre[1] + 2), 4, (2, 5))
        path = rng.uniform((-3, -3), (33, 27), (4, 2))
        shapes += [
            f'POLYGON(({on_map(grid, ring)}), ({on_map(grid, hole)}))',
            f'MULTIPOLYGON((({on_map(grid, ring)})), (({on_map(grid, other)})))',  # they overlap: each counts
            f'LINESTRING({on_map(grid, path)})',
            f'MULTIPOINT({on_map(grid, path)})',
        ]
    raster = write_raster('image.tif', 30, 24, any_grid)
    features = [(wkt, str(i % 3)) for i, wkt in enumerate(shapes)]
    vector = write_layer('shapes.gpkg', epsg, {'class': ogr.OFTString}, features)
    classes, found = count(tmp_path, raster, vector)
    expected = [brute_force(wkt, grid) for wkt in shapes]
    assert [found[str(fid)] for fid in range(1, len(shapes) + 1)] == expected
    assert classes == {str(i): sum(expected[i::3]) for i in range(3)}
    assert sum(expected[::4]) > 100 and sum(expected[2::4]) > 50


def test_lines_and_polygons_through_corners_and_centres_of_pixels():
    rng = np.random.default_rng(3)
    finder = PixelFinder(Grid('', (0.0, 1.0, 0.0, 0.0, 0.0, 1.0), 12, 10))
    for _ in range(60):
        corners = rng.integers(-4, 28, (rng.integers(2, 5), 2)) / 2  # on edges and centres
        wkt = 'LINESTRING({})'.format(', '.join(f'{x} {y}' for x, y in corners))
        wkb = bytes(ogr.CreateGeometryFromWkt(wkt).ExportToWkb(ogr.wkbNDR))
        assert sum(map(len, finder.find(simple_parts(wkb)))) == brute_force(wkt, finder.grid)


@pytest.mark.parametrize('reverse', [False, True])
def test_centres_on_edges(any_grid, reverse):
    """Those on the upper and the right edge are inside, as GDAL has it, on any grid and in either sense of the ring."""
    grid = Grid('', tuple(map(float, any_grid[0])), 20, 20)
    ring = [(2.5, 3.5), (7.5, 3.5), (7.5, 9.5), (2.5, 9.5), (2.5, 3.5)]
    wkb = ogr.CreateGeometryFromWkt(f'POLYGON(({on_map(grid, ring[::-1] if reverse else ring)}))').ExportToWkb()
    (found,) = PixelFinder(grid).find(simple_parts(bytes(wkb)))
    cols, rows = found.spans.pixels()
    assert set(zip(cols.tolist(), rows.tolist())) == {(col, row) for col in range(3, 8) for row in range(3, 9)}


@pytest.mark.parametrize('reverse', [False, True])
def test_a_pixel_on_a_common_edge_belongs_to_one_polygon(any_grid, reverse):
    """Edges through centres of pixels, whatever the noise of the coordinates and the sense of the rings."""
    transform, _ = any_grid
    grid = Grid('', tuple(map(float, transform)), 20, 20)
    finder = PixelFinder(grid)
    seen = np.zeros((20, 20), int)
    for i in range(4):
        for j in range(4):
            left, top = 5 * i - 0.5, 5 * j - 0.5
            ring = [(left, top), (left + 5, top), (left + 5, top + 5), (left, top + 5), (left, top)]
            ring = ring[::-1] if reverse and (i + j) % 2 else ring
            wkb = ogr.CreateGeometryFromWkt(f'POLYGON(({on_map(grid, ring)}))').ExportToWkb(ogr.wkbNDR)
            for found in finder.find(simple_parts(bytes(wkb))):
                cols, rows = found.spans.pixels()
                np.add.at(seen, (rows, cols), 1)
    assert (seen[:19, :19] == 1).all() and seen.max() == 1


def test_what_is_inside_agrees_with_gdal(write_raster):
    """Rings that cross themselves, and many corners: as GDAL draws them."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        ring = rng.uniform(-5, 65, (rng.integers(3, 40), 2))
        ring = np.vstack([ring, ring[:1]])
        dataset = gdal.GetDriverByName('MEM').Create('', 60, 50, 1, gdal.GDT_Byte)
        dataset.SetGeoTransform((0, 1, 0, 0, 0, 1))
        memory = ogr.GetDriverByName('Memory').CreateDataSource('')
        layer = memory.CreateLayer('rings')
        feature = ogr.Feature(layer.GetLayerDefn())
        wkt = 'POLYGON(({}))'.format(', '.join(f'{x!r} {y!r}' for x, y in ring.tolist()))
        feature.SetGeometry(ogr.CreateGeometryFromWkt(wkt))
        layer.CreateFeature(feature)
        gdal.RasterizeLayer(dataset, [1], layer, burn_values=[1])
        drawn = np.frombuffer(dataset.ReadRaster(), np.uint8).reshape(50, 60)
        found = np.zeros_like(drawn)
        for part in polygon_spans([ring], range(50), 60):
            cols, rows = part.pixels()
            found[rows, cols] = 1
        assert (found == drawn).all()


def test_spans_do_not_depend_on_how_the_work_is_cut(monkeypatch):
    rng = np.random.default_rng(11)
    rings = [rng.uniform(0, 300, (50, 2)), rng.uniform(50, 250, (9, 2)), rng.uniform(90, 260, (6, 2))]
    whole = [list(draw(range(300), 280)) for draw in drawers(rings)]
    monkeypatch.setattr(spans, '_MOST', 40)
    for draw, (expected,) in zip(drawers(rings), whole):
        pieces = list(draw(range(300), 280))
        strips = [part for top in range(0, 300, 37) for part in draw(range(top, min(top + 37, 300)), 280)]
        assert len(pieces) > 10
        for parts in (pieces, strips):
            for name in ('row', 'start', 'stop'):
                assert (np.concatenate([getattr(part, name) for part in parts]) == getattr(expected, name)).all()
        numbers = rng.integers(0, len(expected), 100)
        cols, rows = expected.at(numbers)
        every = expected.pixels()
        assert (cols == every[0][numbers]).all() and (rows == every[1][numbers]).all()
        assert (np.diff(every[1] * 280 + every[0]) > 0).all()  # raster order, none twice


def drawers(rings):
    return (
        lambda rows, width: polygon_spans(rings, rows, width),
        lambda rows, width: line_spans(rings[0], rows, width),
    )


@pytest.mark.parametrize('strip', [1 << 23, 1, 100])
def test_dense_is_the_same_where_nothing_overlaps(any_grid, write_raster, write_layer, tmp_path, monkeypatch, strip):
    monkeypatch.setattr(classcounts, '_STRIP', strip)
    transform, epsg = any_grid
    grid = Grid('', tuple(map(float, transform)), 40, 30)
    rng = np.random.default_rng(13)
    mesh = np.stack(np.meshgrid(np.arange(-2, 43, 5), np.arange(-2, 33, 5)), -1) + rng.uniform(-2, 2, (7, 9, 2))
    mesh[:, ::2] = np.round(2 * mesh[:, ::2]) / 2  # some corners on centres of pixels
    features = []
    for j in range(6):
        for i in range(8):
            ring = [mesh[j, i], mesh[j, i + 1], mesh[j + 1, i + 1], mesh[j + 1, i], mesh[j, i]]
            features.append((f'POLYGON(({on_map(grid, ring)}))', 'abc'[(i + j) % 3]))
    raster = write_raster('image.tif', 40, 30, any_grid)
    mask = write_raster('mask.tif', 40, 30, any_grid, rng.integers(0, 2, (30, 40)).astype(np.uint8))
    vector = write_layer('mesh.gpkg', epsg, {'class': ogr.OFTString}, features)
    for options in ({}, {'mask': mask}):
        each = count(tmp_path, raster, vector, **options)
        assert count(tmp_path, raster, vector, dense=True, **options) == each
    assert sum(each[0].values()) > 400


def test_overlaps_mask_and_holes_by_hand(write_raster, write_layer, tmp_path):
    """A large square with a hole, a small one that reaches into it, a line and two points."""
    features = [
        ('POLYGON((1 1, 7 1, 7 7, 1 7, 1 1), (3 3, 5 3, 5 5, 3 5, 3 3))', 'field'),  # 36 - 4
        ('POLYGON((5 5, 9 5, 9 9, 5 9, 5 5))', 'wood'),  # 16, of which 4 are in the field
        ('LINESTRING(0.5 9.5, 3.5 9.5)', 'road'),  # 4
        ('MULTIPOINT(0.2 0.2, 0.8 0.9, 20 20)', 'tree'),  # both in one pixel; one outside
        (None, 'tree'),
        ('POLYGON((30 30, 40 30, 40 40, 30 30))', 'lake'),  # outside
    ]
    mask = np.ones((10, 10), np.float32)
    mask[:, 6:] = -1  # 6 of the field's, 12 of the wood's
    raster = write_raster('image.tif', 10, 10, PLAIN)
    masked = write_raster('mask.tif', 10, 10, PLAIN, mask)
    vector = write_layer('shapes.gpkg', None, {'class': ogr.OFTString}, features)
    said = []
    classes, fids = count(tmp_path, raster, vector, said, table=str(tmp_path / 't.csv'))
    assert classes == {'field': 32, 'lake': 0, 'road': 4, 'tree': 2, 'wood': 16}
    assert fids == {'1': 32, '2': 16, '3': 4, '4': 2, '5': 0, '6': 0}
    with open(tmp_path / 't.csv', encoding='utf-8', newline='') as file:
        table = list(csv.reader(file))
    assert table[:3] == [['class', 'pixels', 'features', 'area'], ['field', '32', '1', ''], ['lake', '0', '1', '']]
    assert [event.text for event in said if isinstance(event, Warn)] == [
        f'{vector}: 1 features have no pixels: no geometry.'
    ]
    logged = [event.text.split() for event in said if isinstance(event, Log)]
    assert ['tree', '2', '2'] in logged and ['all', '54', '6'] in logged
    assert count(tmp_path, raster, vector, dense=True)[0] == {**classes, 'field': 28, 'tree': 1}
    assert count(tmp_path, raster, vector, mask=masked)[0] == {**classes, 'field': 26, 'wood': 4}
    assert count(tmp_path, raster, vector, mask=masked, dense=True)[0] == {
        **classes,
        'field': 24,
        'wood': 4,
        'tree': 1,
    }


@pytest.mark.parametrize(
    ('wkt', 'pixels'),
    [
        ('POLYGON ZM((1 1 5 1, 4 1 5 1, 4 4 5 1, 1 4 5 1, 1 1 5 1))', 9),
        ('TIN(((0 0, 4 0, 0 4, 0 0)), ((4 0, 4 4, 0 4, 4 0)))', 16),
        ('POLYHEDRALSURFACE Z(((0 0 0, 0 4 0, 4 4 0, 4 0 0, 0 0 0)))', 16),
        ('CURVEPOLYGON(COMPOUNDCURVE((2 1, 6 1), (6 1, 6 5), (6 5, 2 5), (2 5, 2 1)))', 16),
        ('MULTICURVE((0.5 0.5, 3.5 0.5), CIRCULARSTRING(9 0.5, 9.2 0.5, 9.4 0.5))', 6),
        ('GEOMETRYCOLLECTION(POINT(1 1), MULTIPOLYGON(((5 5, 7 5, 7 7, 5 7, 5 5))), POINT EMPTY)', 5),
        ('LINESTRING(2.5 2.5, 2.5 2.5)', 1),
        ('LINESTRING(2 1.5, 2 3.5)', 6),  # along the edge of two columns: it touches both
        ('POLYGON EMPTY', 0),
    ],
)
def test_kinds_of_geometries(write_raster, write_layer, tmp_path, wkt, pixels):
    raster = write_raster('image.tif', 10, 10, PLAIN)
    vector = write_layer('g.gpkg', None, {'class': ogr.OFTInteger}, [(wkt, 1), ('POINT(9 9)', 1)])
    for dense in (False, True):
        assert count(tmp_path, raster, vector, dense=dense)[1] == {'1': pixels, '2': 1}


def test_a_layer_in_another_crs_and_the_area(write_raster, write_layer, tmp_path):
    raster = write_raster('image.tif', 100, 100, ((5e5, 2, 0, 5e6, 0, -2), 32631))
    ring = [(500020, 4999980), (500060, 4999980), (500060, 4999900), (500020, 4999900), (500020, 4999980)]
    polygon = ogr.CreateGeometryFromWkt('POLYGON(({}))'.format(', '.join(f'{x} {y}' for x, y in ring)))
    there, here = osr.SpatialReference(), osr.SpatialReference()
    for crs, code in ((here, 32631), (there, 4326)):
        crs.ImportFromEPSG(code)
        crs.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    polygon.Transform(osr.CoordinateTransformation(here, there))
    vector = write_layer('p.geojson', 4326, {'class': ogr.OFTInteger}, [(polygon.ExportToWkt(), 5)])
    said = []
    assert count(tmp_path, raster, vector, said)[0] == {'5': 20 * 40}
    assert ['5', '800', '1', '3200'] in [event.text.split() for event in said if isinstance(event, Log)]


@pytest.mark.parametrize(
    ('kind', 'values', 'keys'),
    [
        (ogr.OFTInteger, [3, -1, 3], ['-1', '3']),
        (ogr.OFTInteger64, [1 << 40, 10, 9], ['10', '1099511627776', '9']),
        (ogr.OFTReal, [3.0, -1.0, 1e15], ['-1', '1000000000000000', '3']),
        (ogr.OFTString, [' wood ', 'field & "wood"\n<2>', 'é'], ['field & "wood"\n<2>', 'wood', 'é']),
    ],
)
def test_keys_of_classes(write_raster, write_layer, tmp_path, kind, values, keys):
    raster = write_raster('image.tif', 4, 4, METRES)
    features = [(f'POINT({5e5 + i + 0.5} 4999999.5)', value) for i, value in enumerate([*values, None])]
    said = []
    vector = write_layer('p.gpkg', 32631, {'class': kind}, features)
    assert list(count(tmp_path, raster, vector, said)[0]) == keys
    warned = [event.text for event in said if isinstance(event, Warn)]
    assert warned == [f"{vector}: 1 features have no pixels: no value in 'class'."]


def test_the_text_of_the_file(tmp_path):
    text = statistics_xml({'b': 2, '10': 0, '9': 7}, {2: 7, 10: 2})
    assert text == (
        '<?xml version="1.0" ?>\n'
        '<GeneralStatistics>\n'
        '    <Statistic name="samplesPerClass">\n'
        '        <StatisticMap key="10" value="0" />\n'
        '        <StatisticMap key="9" value="7" />\n'
        '        <StatisticMap key="b" value="2" />\n'
        '    </Statistic>\n'
        '    <Statistic name="samplesPerVector">\n'
        '        <StatisticMap key="10" value="2" />\n'
        '        <StatisticMap key="2" value="7" />\n'
        '    </Statistic>\n'
        '</GeneralStatistics>\n'
    )
    path = tmp_path / 's.xml'
    for damaged, words in (
        (text[:-30], 'its end is missing'),
        (text.replace('value="7"', 'value="many"'), "key '9' has the value 'many'"),
        (text.replace('samplesPerClass', 'x'), "no 'samplesPerClass' in it"),
        (text.replace('key="10" value="0"', 'key="9" value="0"'), "'9' stands there twice"),
        ('class,pixels\n1,2\n', 'its end is missing'),
        ('', 'its end is missing'),
    ):
        path.write_text(damaged, encoding='utf-8')
        with pytest.raises(EngineError, match=words):
            read_class_counts(str(path))


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'output': 's.txt'}, 'give a name that ends in .xml'),
        ({'output': 'no/such/folder/s.xml'}, 'cannot be written'),
        ({'table': 'no/such/folder/t.csv'}, 'cannot be written'),
        ({'field': 'kind'}, "no field 'kind'; it has class, size, day"),
        ({'field': 'size'}, '1.5 is no class; whole numbers or text are'),
        ({'field': 'day'}, 'of type Date; classes are text or whole numbers'),
        ({'vector': 'empty.gpkg'}, 'there is no feature in it'),
        ({'vector': 'null.gpkg'}, "no feature has a value in 'class'"),
        ({'vector': 'bare.gpkg'}, 'none of the 1 features has a pixel of .*They have no geometry'),
        ({'vector': 'none.gpkg'}, 'no such file'),
        ({'vector': 'image.tif'}, 'not a vector file'),
        ({'vector': 'far.gpkg'}, 'none of the 1 features has a pixel of .*image.tif.*EPSG:32631.*EPSG:4326'),
        ({'raster': 'none.tif'}, 'no such file'),
        ({'mask': 'small.tif'}, 'image.tif.*small.tif|small.tif.*image.tif'),
        ({'mask': 'black.tif'}, 'has a pixel of .*image.tif above 0 in .*black.tif'),
    ],
)
@pytest.mark.parametrize('dense', [False, True])
def test_what_is_wrong_is_said_in_a_line(write_raster, write_layer, tmp_path, changes, words, dense):
    degrees = ((4.0, 1e-3, 0, 52.0, 0, -1e-3), 4326)
    write_raster('image.tif', 10, 10, degrees)
    write_raster('small.tif', 9, 10, degrees)
    write_raster('black.tif', 10, 10, degrees, np.zeros((10, 10), np.uint8))
    fields = {'class': ogr.OFTInteger, 'size': ogr.OFTReal, 'day': ogr.OFTDate}
    inside = 'POLYGON((4.001 51.999, 4.008 51.999, 4.004 51.993, 4.001 51.999))'
    write_layer('shapes.gpkg', 4326, fields, [(inside, 1, 1.5, '2020/01/01')])
    write_layer('null.gpkg', 4326, fields, [(inside, None, 1.5, None)])
    write_layer('empty.gpkg', 4326, fields, [])
    write_layer('bare.gpkg', 4326, fields, [(None, 1, 1.0, None)])
    write_layer('far.gpkg', 32631, fields, [('POLYGON((5e5 1e6, 5e5 1.1e6, 6e5 1e6, 5e5 1e6))', 1, 1.0, None)])
    before = sorted(os.listdir(tmp_path))
    job = {'raster': 'image.tif', 'vector': 'shapes.gpkg', 'output': 's.xml', 'mask': '', 'table': 't.csv', **changes}
    paths = {name: value and str(tmp_path / value) for name, value in job.items() if name != 'field'}
    vector = VectorSpec(paths.pop('vector'))
    with pytest.raises(EngineError, match=words) as caught:
        count_classes(
            PolygonStatisticsJob(vector=vector, field=job.get('field', 'class'), dense=dense, **paths), Reporter()
        )
    assert '\n' not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before


def test_it_stops_when_told_to(write_raster, write_layer, tmp_path):
    raster = write_raster('image.tif', 10, 10, METRES)
    vector = write_layer('p.gpkg', 32631, {'class': ogr.OFTInteger}, [('POINT(500001 4999999)', 1)])
    reporter = Reporter()
    reporter.cancelled.set()
    with pytest.raises(EngineError, match='Cancelled'):
        count_classes(PolygonStatisticsJob(raster, VectorSpec(vector), 'class', str(tmp_path / 's.xml')), reporter)
    assert not (tmp_path / 's.xml').exists()
