"""The modes that do as OTBTF does: the same size, origin and values as its own baselines."""

from __future__ import annotations

import os

import numpy as np
import pytest

from quadrat import engine
from quadrat.engine.gdalio import gdal, gdal_type, open_raster
from quadrat.engine.jobs import ServeJob, SourceSpec

pytestmark = [pytest.mark.own_network]


def serve(model, sources, output, **options):
    """Map rasters, each with its receptive field, and return the open map."""
    specs = tuple(SourceSpec((str(path),), receptive_field=(field, field)) for path, field in sources)
    engine.run(ServeJob(str(model), specs, str(output), **{'runtime': 'tensorflow', **options}))
    return open_raster(str(output))


@pytest.mark.baseline
@pytest.mark.parametrize(
    ('model', 'sources', 'baseline', 'options', 'differing'),
    [
        # One pixel lies on a tie of two classes, which rounding decides.
        (1, {'pxs_subset': 16}, 'CNN16x16PB', {'mode': 'otbtf-patch'}, 1),
        (2, {'xs_subset': 8, 'pan_subset': 32}, 'CNN8x8_32x32PB', {'mode': 'otbtf-patch'}, 0),
        (2, {'xs_subset': 8, 'pan_subset': 32}, 'CNN8x8_32x32FC', {'mode': 'otbtf-patch', 'spacing_scale': 4.0}, 0),
        (3, {'pxs_subset': 16}, 'FCNN16x16PB', {'mode': 'otbtf-patch'}, 0),
        (3, {'pxs_subset': 16}, 'FCNN16x16FC', {'mode': 'otbtf-fullyconv'}, 0),
        (4, {'pxs_subset2': 64}, 'FCNN64x64to32x32', {'mode': 'otbtf-fullyconv', 'expression_field': (32, 32)}, 0),
        (
            4,
            {'pxs_subset2': 64},
            'FCNN64x64to32x32',
            {'mode': 'otbtf-fullyconv', 'expression_field': (32, 32), 'tile_size': 32},
            0,
        ),
    ],
)
def test_baselines(shared, tmp_path, model, sources, baseline, options, differing):
    suite = shared / 'data' / 'otbtf-suite'
    given = [(suite / 'data' / f'{name}.tif', field) for name, field in sources.items()]
    names = ('prediction_fcn',) if model == 4 else ('prediction',)
    found = serve(suite / 'models' / f'model{model}', given, tmp_path / 'map.tif', output_names=names, **options)
    expected = open_raster(str(next((suite / 'data').rglob(f'apTvClTensorflowModelServe{baseline}.tif'))))
    assert (found.RasterXSize, found.RasterYSize) == (expected.RasterXSize, expected.RasterYSize)
    assert np.allclose(found.GetGeoTransform(), expected.GetGeoTransform(), rtol=0, atol=1e-6)
    assert (found.ReadAsArray() != expected.ReadAsArray()).sum() <= differing


@pytest.mark.baseline
@pytest.mark.parametrize('mode', ['otbtf-patch', 'otbtf-fullyconv', 'native'])
@pytest.mark.parametrize('name', ['tf.reshape', 'tf.reshape_1', 'tf.reshape_2', 'tf.reshape_3'])
def test_outputs_of_any_shape(shared, tmp_path, name, mode):
    suite = shared / 'data' / 'otbtf-suite'
    image = suite / 'data' / 'pan_subset.tif'
    found = serve(suite / 'models' / 'model5', [(image, 1)], tmp_path / 'map.tif', output_names=(name,), mode=mode)
    assert np.array_equal(found.ReadAsArray(), open_raster(str(image)).ReadAsArray())
    assert found.GetGeoTransform() == open_raster(str(image)).GetGeoTransform()


@pytest.fixture(scope='module')
def norm(tmp_path_factory):
    """A SavedModel of the length of each pixel's vector."""
    import tensorflow as tf

    class Norm(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, None), tf.float32, name='x')])
        def __call__(self, x):
            return {'norm': tf.norm(x, axis=-1, keepdims=True)}

    path = str(tmp_path_factory.mktemp('norm') / 'model')
    tf.saved_model.save(Norm(), path)
    return path


@pytest.mark.parametrize('tile_size', [16, 0])
def test_where_all_that_a_block_reads_is_no_data(norm, tmp_path, tile_size):
    x, y = np.meshgrid(np.arange(32), np.arange(32))
    pixels = np.where(x > y, x * y, 0).astype('float32')
    path = str(tmp_path / 'image.tif')
    dataset = gdal.GetDriverByName('GTiff').Create(path, 32, 32, 1, gdal_type(pixels.dtype))
    dataset.SetGeoTransform((493938, 6, 0, 6444426, 0, -6))
    dataset.WriteRaster(0, 0, 32, 32, pixels.tobytes())
    dataset = None
    source = SourceSpec((path,), nodata='0', receptive_field=(4, 4))
    output = os.path.join(tmp_path, 'map.tif')
    engine.run(
        ServeJob(
            norm,
            (source,),
            output,
            mode='otbtf-fullyconv',
            expression_field=(4, 4),
            fill_value=1024.0,
            tile_size=tile_size,
            runtime='tensorflow',
        )
    )
    found = open_raster(output)
    assert found.GetGeoTransform() == (493938, 6, 0, 6444426, 0, -6)
    assert np.array_equal(found.ReadAsArray(), np.where(x // 4 < y // 4, 1024, pixels))
