"""Extract patches from several sources and zones, as Processing runs it."""

from __future__ import annotations

import json
import os

import pytest

pytest.importorskip('qgis.core')

from osgeo import gdal, osr
from qgis.core import QgsFeature, QgsGeometry, QgsProcessingContext, QgsProcessingException, QgsProject, QgsVectorLayer

from quadrat.algorithms.sourcelist import read_sources, read_zones
from quadrat.engine.errors import InvalidJob
from quadrat.engine.jobs import LabelPolygons, LabelRaster, SourceSpec, VectorSpec, Zone


def make(path, size, pixel, bands, kind=gdal.GDT_UInt16, left=0):
    """A raster whose pixels hold their column; `left` metres from the others."""
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), size, size, bands, kind)
    dataset.SetGeoTransform((600000 + left, pixel, 0, 5800000, 0, -pixel))
    dataset.SetSpatialRef(crs)
    row = bytes(range(1, 251)) * (size // 250 + 1)
    values = b''.join(bytes([value, 0]) for value in row[:size]) if kind == gdal.GDT_UInt16 else row[:size]
    dataset.WriteRaster(0, 0, size, size, values * size * bands, buf_type=kind)
    del dataset
    return str(path)


@pytest.fixture
def inputs(tmp_path):
    """Two zones of a coarse and a fine image; labels for both."""
    folder = tmp_path / 'inputs'
    folder.mkdir()
    for zone, left in (('a', 0), ('b', 5000)):
        make(folder / f'{zone}_ms.tif', 64, 8, 3, left=left)
        make(folder / f'{zone}_pan.tif', 256, 2, 1, left=left)
    make(folder / 'labels.tif', 800, 8, 1, gdal.GDT_Byte)  # of the ground of both
    return folder


def points(run, raster, path):
    return run('selectpatches', {'INPUT': str(raster), 'PATCH_SIZE': 8, 'STRATEGY': 'all', 'OUTPUT': str(path)})[0][
        'OUTPUT'
    ]


def manifest(folder):
    with open(os.path.join(folder, 'manifest.json'), encoding='utf-8') as file:
        return json.load(file)


def test_sources_and_zones_from_files(run, inputs, tmp_path):
    """Sources by name, a zone with points of its own and the labels of the first, as patches-images."""
    sources = [
        {'name': 'ms', 'rasters': 'a_ms.tif', 'bands': [3, 1], 'patch_size': 8, 'receptive_field': [16, 16]},
        {'name': 'pan', 'rasters': ['a_pan.tif'], 'patch_size': [32, 16], 'nodata': 0, 'placeholder': 'x'},
    ]
    (inputs / 'sources.json').write_text(json.dumps(sources))
    first = points(run, inputs / 'a_ms.tif', tmp_path / 'a.gpkg')
    second = points(run, inputs / 'b_ms.tif', inputs / 'b.gpkg')
    zones = [{'sources': ['b_ms.tif', {'rasters': ['b_pan.tif']}], 'points': os.path.basename(second)}]
    (inputs / 'zones.json').write_text(json.dumps(zones))
    parameters = {
        'SOURCES': str(inputs / 'sources.json'),
        'ZONES': str(inputs / 'zones.json'),
        'POINTS': first,
        'LABEL_RASTER': str(inputs / 'labels.tif'),
        'UNLABELLED': 0,
        'FORMAT': 'patchesimages',
        'OUTPUT': str(tmp_path / 'dataset'),
        'REJECTED': str(tmp_path / 'rejected.gpkg'),
    }
    results, said = run('extractpatches', parameters)
    assert results['COUNT'] == 128 and '128 patches taken, 0 rejected' in said
    found = manifest(results['OUTPUT'])
    assert [(source['name'], source['shape']) for source in found['sources']] == [
        ('ms', [8, 8, 2]),
        ('pan', [16, 32, 1]),
    ]
    assert found['labels']['shape'] == [8, 8, 1] and found['labels']['unlabelled'] == 0
    pan = gdal.Open(str(tmp_path / 'dataset' / 'train' / 'pan.tif'))
    assert (pan.RasterXSize, pan.RasterYSize) == (32, 16 * 128)


def test_sources_by_parameters_and_labels_of_points(run, inputs, tmp_path):
    """A memory layer of points, whose field gives one label a patch; a policy for the second source."""
    layer = QgsVectorLayer('Point?crs=EPSG:32631&field=id:integer&field=kind:string(10)', 'Plots', 'memory')
    for number, kind in enumerate(('wood', 'acre', None, 'wood')):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([number, kind])
        feature.setGeometry(QgsGeometry.fromWkt(f'POINT({600000 + 100 * (number + 1)} 5799800)'))
        layer.dataProvider().addFeatures([feature])
    project = QgsProject()
    project.addMapLayer(layer)
    context = QgsProcessingContext()
    context.setProject(project)
    parameters = {
        'INPUT': [str(inputs / 'a_ms.tif')],
        'INPUT_2': [str(inputs / 'a_pan.tif'), str(inputs / 'a_pan.tif')],
        'PATCH_SIZE': 8,
        'PATCH_SIZE_2': 32,
        'NODATA_2': '200',  # of column 199, which lies in the last of the patches
        'NODATA_POLICY_2': 'any',
        'NODATA_POLICY': 'all',
        'POINTS': layer.id(),
        'LABEL_FIELD': 'kind',
        'FORMAT': 'tfrecords',
        'COMPRESSION': 'gzip',
        'OUTPUT': str(tmp_path / 'dataset'),
        'REJECTED': str(tmp_path / 'rejected.gpkg'),
    }
    results, _ = run('extractpatches', parameters, context)
    found = manifest(results['OUTPUT'])
    assert [source['shape'] for source in found['sources']] == [[8, 8, 3], [32, 32, 2]]
    assert [source['nodata_policy'] for source in found['sources']] == ['all', 'any']
    assert [(c['value'], c['name']) for c in found['classes']] == [(1, 'acre'), (2, 'wood')]
    assert found['labels']['shape'] == [1, 1, 1] and (found['layout'], found['compression']) == ('tfrecords', 'gzip')
    rejected = QgsVectorLayer(results['REJECTED'], 'rejected', 'ogr')
    assert {f['id']: (f['reason'], f['source']) for f in rejected.getFeatures()} == {
        2: ('no class in the label field', ''),
        3: ('no-data in the image (source2)', 'source2'),
    }


@pytest.mark.parametrize(
    'changes, words',
    [
        ({'INPUT': None}, 'INPUT: no raster given'),
        ({'INPUT_3': 'a_pan.tif'}, 'INPUT_3 is given, and the source before it is not'),
        ({'INPUT_2': 'gone.tif'}, r'INPUT_2: .*gone\.tif: no such file'),
        ({'SOURCES': '[{"raster": "a"}]'}, "SOURCES, source 1: unknown key 'raster'; did you mean 'rasters'"),
        ({'ZONES': '{}'}, 'ZONES: should be a list of objects'),
        (
            {'ZONES': '[{"sources": ["a", "b"]}]'},
            'zone 1: "sources" should be a list with one item for each of 1 sources',
        ),
        ({'LABEL_FIELD': 'id', 'LABEL_RASTER': 'labels.tif'}, 'LABEL_FIELD or LABEL_RASTER; give one of them'),
        ({'LABEL_FIELD': 'kind'}, "no field 'kind'"),
        ({'COMPRESSION': 'gzip'}, 'COMPRESSION: numpy arrays are not compressed'),
        ({'UNLABELLED': 9, 'LABEL_RASTER': 'labels.tif'}, 'UNLABELLED 9: that is a class'),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run, inputs, tmp_path, changes, words):
    output = str(tmp_path / 'dataset')
    given = points(run, inputs / 'a_ms.tif', tmp_path / 'a.gpkg')
    rasters = {key: str(inputs / value) for key, value in changes.items() if str(value).endswith('.tif')}
    rasters = {key: [value] if key.startswith('INPUT') else value for key, value in rasters.items()}
    parameters = {'INPUT': [str(inputs / 'a_ms.tif')], 'POINTS': given, 'PATCH_SIZE': 8, 'OUTPUT': output}
    with pytest.raises(QgsProcessingException, match=words):
        run('extractpatches', {**parameters, **changes, **rasters})
    assert not os.path.exists(output) and not os.path.exists(output + '.part')


# -- JSON -------------------------------------------------------------------------------------------------------------


def test_lists_of_sources_and_zones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = '[{"rasters": ["a.tif", "/data/b.tif"]}, {"name": "s1", "rasters": "/vsizip/x.zip/c.tif", "bands": 2, '
    text += '"patch_size": [8, 16], "nodata": [0, NaN, -1.5, "none"], "nodata_policy": "all"}, '
    text += '{"rasters": "a.tif", "bands": ["red", "nir"], "placeholder": "x1", "receptive_field": [16, 8]}]'
    assert read_sources(text, 32) == (
        SourceSpec((str(tmp_path / 'a.tif'), '/data/b.tif'), 'source1', patch_size=(32, 32)),
        SourceSpec(('/vsizip/x.zip/c.tif',), 's1', (2,), (8, 16), '0 nan -1.5 none', 'all'),
        SourceSpec(
            (str(tmp_path / 'a.tif'),),
            'source3',
            patch_size=(32, 32),
            band_names=('red', 'nir'),
            placeholder='x1',
            receptive_field=(16, 8),
        ),
    )
    folder = tmp_path / 'folder'
    folder.mkdir()
    zones = '[{"sources": [["a.tif", "b.tif"]], "points": "p.gpkg|layername=plots", "label_raster": "l.tif"}, '
    zones += '{"sources": ["NETCDF:c.nc:v"], "label_polygons": "../p.gpkg"}]'
    (folder / 'zones.json').write_text(zones)
    assert read_zones(str(folder / 'zones.json'), 1, '255', lambda vector: LabelPolygons(vector, 'kind', 0)) == (
        Zone(
            (SourceSpec((str(folder / 'a.tif'), str(folder / 'b.tif'))),),
            VectorSpec(str(folder / 'p.gpkg'), 'plots'),
            LabelRaster(str(folder / 'l.tif'), nodata='255'),
        ),
        Zone(
            (SourceSpec(('NETCDF:c.nc:v',)),),
            polygons=LabelPolygons(VectorSpec(str(tmp_path / 'p.gpkg')), 'kind', 0),
        ),
    )


@pytest.mark.parametrize(
    'text, words',
    [
        ('[{', 'SOURCES: not JSON'),
        ('[]', 'should be a list of objects'),
        ('{"rasters": "a"}', 'should be a list of objects'),
        ('["a.tif"]', r'source 1: should be an object such as \{"rasters": …\}, and is "a.tif"'),
        ('[{"rasters": "a"}, {"name": "b"}]', "source 2: 'rasters' is missing"),
        ('[{"rasters": "a", "zorro": 1}]', "unknown key 'zorro'; known are name, rasters"),
        ('[{"rasters": []}]', 'source 1: no raster given'),
        ('[{"rasters": [1]}]', 'source 1: 1 is no path'),
        ('[{"rasters": "a", "name": "1a"}]', "the name '1a' should be a letter"),
        ('[{"rasters": "a", "bands": [0]}]', r'"bands" should be .*, and is \[0\]'),
        ('[{"rasters": "a", "bands": [1, "nir"]}]', r'numbers from 1 on, or one of names, and is \[1, "nir"\]'),
        ('[{"rasters": "a", "patch_size": 0}]', '"patch_size" should be a number of pixels'),
        ('[{"rasters": "a", "patch_size": [8]}]', '"patch_size" should be a number of pixels'),
        ('[{"rasters": "a", "receptive_field": "8"}]', '"receptive_field" should be'),
        ('[{"rasters": "a", "nodata": true}]', '"nodata" should be a number or a text'),
        ('[{"rasters": "a", "nodata_policy": 1}]', '"nodata_policy" should be a text'),
        ('[{"rasters": "a", "placeholder": 1}]', '"placeholder" should be a text'),
        ('gone.json', r'gone\.json: no such file'),
    ],
)
def test_nonsense_in_json_is_one_line(text, words):
    with pytest.raises(InvalidJob, match=words) as caught:
        read_sources(text)
    assert '\n' not in str(caught.value) and str(caught.value).startswith('SOURCES')
