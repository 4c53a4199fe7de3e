"""Inspect, convert and merge datasets as Processing runs them, in QGIS and through qgis_process."""

from __future__ import annotations

import json
import os
import shutil

import pytest

pytest.importorskip('qgis.core')

from osgeo import gdal, osr
from qgis.core import QgsProcessingException, QgsRasterLayer


@pytest.fixture
def dataset(run, tmp_path):
    """A folder with 100 patches of 16 pixels, in three splits."""
    folder = tmp_path / 'inputs'
    folder.mkdir()
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    for name, bands in (('image.tif', 3), ('labels.tif', 1)):
        raster = gdal.GetDriverByName('GTiff').Create(str(folder / name), 160, 160, bands, gdal.GDT_Byte)
        raster.SetGeoTransform((600000, 2, 0, 5800000, 0, -2))
        raster.SetSpatialRef(crs)
        for number in range(bands):
            pixels = bytes(1 + (row // 8 + col // 8 + number) % 2 for row in range(160) for col in range(160))
            raster.GetRasterBand(number + 1).WriteRaster(0, 0, 160, 160, pixels)
        del raster
    image, labels, points = str(folder / 'image.tif'), str(folder / 'labels.tif'), str(folder / 'points.gpkg')
    run('selectpatches', {'INPUT': image, 'PATCH_SIZE': 16, 'BLOCK_SIZE': 32, 'OUTPUT': points})
    parameters = {'INPUT': [image], 'POINTS': points, 'PATCH_SIZE': 16, 'LABEL_RASTER': labels}
    return run('extractpatches', {**parameters, 'OUTPUT': str(tmp_path / 'dataset')})[0]['OUTPUT']


def manifest(folder):
    with open(os.path.join(folder, 'manifest.json'), encoding='utf-8') as file:
        return json.load(file)


def test_inspect(run, dataset, tmp_path):
    results, said = run('inspectdataset', {'INPUT': dataset})
    assert results['COUNT'] == 100 and '16 × 16 pixels, 3 bands, uint8' in said and 'nothing wrong' in said
    outputs = {'REPORT': str(tmp_path / 'r.html'), 'CONTACT_SHEET': str(tmp_path / 's.png')}
    results, _ = run('inspectdataset', {'INPUT': dataset, 'CHECK': 'full', 'PATCHES': 9, 'SEED': 1, **outputs})
    assert {name: results[name] for name in outputs} == outputs and all(map(os.path.isfile, outputs.values()))
    os.remove(os.path.join(dataset, manifest(dataset)['shards'][0]['path']))
    os.remove(outputs['REPORT'])
    with pytest.raises(QgsProcessingException, match='this part of the dataset is missing'):
        run('inspectdataset', {'INPUT': os.path.join(dataset, 'manifest.json'), 'REPORT': outputs['REPORT']})
    assert os.path.isfile(outputs['REPORT'])


def test_convert_there_and_back(run, dataset, tmp_path):
    records, images, arrays = (str(tmp_path / name) for name in ('records', 'images', 'arrays'))
    run('convertdataset', {'INPUT': dataset, 'FORMAT': 'tfrecords', 'SAMPLES_PER_SHARD': 7, 'OUTPUT': records})
    assert os.path.isfile(os.path.join(records, 'train', '1.records'))
    run('convertdataset', {'INPUT': records, 'FORMAT': 'patchesimages', 'COMPRESSION': 'gzip', 'OUTPUT': images})
    layer = QgsRasterLayer(os.path.join(images, 'train', 'labels.tif'), 'labels')
    assert layer.isValid() and [item.value for item in layer.renderer().classes()] == [1, 2]  # from its .qml
    results, _ = run('convertdataset', {'INPUT': images, 'OUTPUT': arrays})
    assert results['COUNT'] == 100 and manifest(arrays) == manifest(dataset)
    with pytest.raises(QgsProcessingException, match='COMPRESSION: numpy arrays are not compressed'):
        run('convertdataset', {'INPUT': images, 'COMPRESSION': 'gzip', 'OUTPUT': arrays})
    with pytest.raises(QgsProcessingException, match='this is the dataset that is read'):
        run('convertdataset', {'INPUT': dataset, 'OUTPUT': dataset})


def test_convert_what_others_made(run, dataset, tmp_path):
    run('convertdataset', {'INPUT': dataset, 'FORMAT': 'patchesimages', 'OUTPUT': str(tmp_path / 'images')})
    for split in ('train', 'validation', 'test'):
        folder = tmp_path / 'images' / split
        os.rename(folder / 'labels.tif', folder / 'roofs.tif')
    for name in ('manifest.json', 'samples.csv'):
        os.remove(tmp_path / 'images' / name)
    parameters = {'INPUT': str(tmp_path / 'images'), 'LABELS': 'roofs', 'OUTPUT': str(tmp_path / 'ours')}
    results, said = run('convertdataset', parameters)
    assert 'Labels: roofs (16 x 16 pixels, 1 band) with the values 1, 2' in said
    assert results['COUNT'] == 100 and manifest(parameters['OUTPUT'])['labels']['name'] == 'roofs'


def test_merge(run, dataset, tmp_path):
    shutil.copytree(dataset, tmp_path / 'copy')
    parameters = {'INPUT': [dataset, str(tmp_path / 'copy/manifest.json')], 'OUTPUT': str(tmp_path / 'both')}
    results, said = run('mergedatasets', {**parameters, 'FORMAT': 'patchesimages'})
    assert results['COUNT'] == 200 and 'At 100 places there are several samples of the same image' in said
    assert manifest(results['OUTPUT'])['layout'] == 'patchesimages'
    for folders in ([], [dataset]):
        with pytest.raises(QgsProcessingException):
            run('mergedatasets', {**parameters, 'INPUT': folders})


def test_from_the_command_line(qgis_process, dataset, tmp_path):
    shutil.copytree(dataset, tmp_path / 'copy')
    done = qgis_process('mergedatasets', INPUT=[dataset, str(tmp_path / 'copy')], OUTPUT=str(tmp_path / 'both'))
    assert done.returncode == 0 and 'COUNT:\t200' in done.stdout, done.stdout
    done = qgis_process('convertdataset', INPUT=dataset, FORMAT='patchesimages', OUTPUT=str(tmp_path / 'images'))
    assert done.returncode == 0 and os.path.isfile(tmp_path / 'images/train/labels.tif'), done.stdout
    os.truncate(tmp_path / 'images/train/labels.tif', 300)
    done = qgis_process('inspectdataset', INPUT=str(tmp_path / 'images'), CONTACT_SHEET=str(tmp_path / 's.png'))
    assert done.returncode == 1 and 'labels.tif: 300 bytes' in done.stdout and 'Traceback' not in done.stdout
    assert os.path.isfile(tmp_path / 's.png')
