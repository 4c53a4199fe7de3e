"""What OTBTF made of the same images and points, pixel for pixel and label for label."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.engine.datasets.extraction import extract_patches
from quadrat.engine.datasets.reader import Dataset
from quadrat.engine.events import Reporter
from quadrat.engine.gdalio import gdal
from quadrat.engine.jobs import (
    ClassDef,
    ExtractPatchesJob,
    LabelRaster,
    LayoutOptions,
    SelectPatchesJob,
    SourceSpec,
    VectorSpec,
)
from quadrat.engine.sampling.patches import select_patches

pytestmark = pytest.mark.baseline


@pytest.fixture
def data(shared):
    return shared / 'data/otbtf-suite/data'


def chessboard(image, size, folder):
    points = str(folder / 'points.gpkg')
    job = SelectPatchesJob(
        str(image), points, patch_size=size, step=32 * (size // 32), strategy='chessboard', otbtf=True
    )
    select_patches(job, Reporter())
    return VectorSpec(points)


def patches(path, size):
    """The patches of a patches-image, (patches, rows, columns, bands), and its geotransform."""
    dataset = gdal.Open(str(path))
    pixels = dataset.ReadAsArray().reshape(dataset.RasterCount, -1, size, dataset.RasterXSize)
    return pixels.transpose(1, 2, 3, 0), dataset.GetGeoTransform()


@pytest.mark.parametrize('size, baseline', [(32, 'patchimg_01.tif'), (33, 'patchimg_11.tif')])
def test_even_and_odd_patches(tmp_path, data, size, baseline):
    image = data / 'pxs_subset2.tif'
    job = ExtractPatchesJob(
        sources=(SourceSpec((str(image),), patch_size=(size, size)),),
        points=chessboard(image, size, tmp_path),
        label_field='id',
        otbtf=True,
        layout=LayoutOptions('patchesimages'),
        output=str(tmp_path / 'dataset'),
    )
    extract_patches(job, Reporter())
    dataset = Dataset.open(job.output)
    expected, transform = patches(data / baseline, size)
    np.testing.assert_array_equal(dataset.read('source1', dataset.indices('train')), expected)
    found, place = patches(tmp_path / 'dataset/train/source1.tif', size)
    np.testing.assert_array_equal(found, expected)
    assert place == transform and gdal.Open(str(tmp_path / 'dataset/train/source1.tif')).GetProjection() == ''
    labels, place = patches(tmp_path / 'dataset/train/labels.tif', 1)
    assert labels.ravel().tolist() == [0, 2, 5, 7, 8, 10] and place == (-0.5, 1, 0, -0.5, 0, 1)


def test_an_image_and_its_labels(tmp_path, data):
    image = data / 'fake_spot6.jp2'
    job = ExtractPatchesJob(
        sources=(SourceSpec((str(image),)),),
        points=chessboard(image, 64, tmp_path),
        labels=LabelRaster(str(data / 'amsterdam_labelimage.tif')),
        classes=(ClassDef(0, 'other'), ClassDef(1, 'building')),
        otbtf=True,
        layout=LayoutOptions('patchesimages'),
        output=str(tmp_path / 'dataset'),
    )
    assert extract_patches(job, Reporter())['COUNT'] == 113 + 112
    for split, letter in (('train', 'A'), ('validation', 'B')):
        folder = tmp_path / 'dataset' / split
        for name, baseline in (('source1', 'patches'), ('labels', 'labels')):
            found, place = patches(folder / f'{name}.tif', 64)
            expected, transform = patches(data / f'amsterdam_{baseline}_{letter}.tif', 64)
            np.testing.assert_array_equal(found, expected)
            assert place == transform
        assert patches(folder / 'source1.tif', 64)[0].dtype == 'int16'  # the peer's are float32


@pytest.mark.parametrize('letter, count', [('A', 5957), ('B', 5956)])
def test_labels_of_points(tmp_path, data, letter, count):
    """Of 6000 points as many have whole patches, with one source and with two of different resolution."""
    truth = gdal.Open(str(data / f'terrain_truth_epsg32654_{letter}.tif'))
    x, size, _, y, _, _ = truth.GetGeoTransform()
    paths = []
    for factor in (1, 2):
        path = str(tmp_path / f'{factor}.tif')
        side = 4096 // factor
        blank = gdal.GetDriverByName('GTiff').Create(
            path, side, side, 1, gdal.GDT_Byte, ['SPARSE_OK=TRUE', 'TILED=YES']
        )
        blank.SetGeoTransform((x, size * factor, 0, y, 0, -size * factor))
        blank.SetProjection(truth.GetProjection())
        del blank
        paths.append(path)
    one = (SourceSpec((paths[0],), patch_size=(16, 16)),)
    two = (SourceSpec((paths[1],), 's2_20m', patch_size=(8, 8)), SourceSpec((paths[0],), 's2_10m', patch_size=(16, 16)))
    for sources, baseline in ((one, 's2_labels'), (two, 's2_10m_labels')):
        job = ExtractPatchesJob(
            sources=sources,
            points=VectorSpec(str(data / f'outvec_{letter}.gpkg')),
            label_field='class',
            otbtf=True,
            output=str(tmp_path / 'dataset'),
        )
        assert extract_patches(job, Reporter())['COUNT'] == count
        dataset = Dataset.open(job.output)
        expected, _ = patches(data / f'{baseline}_{letter}.tif', 1)
        np.testing.assert_array_equal(dataset.read('labels', range(count)), expected)
