"""Where there is no data: between pixels, beyond the edges of an image, beside another source; and jobs that cannot
be done."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
from keras import layers

from quadrat.engine import errors
from quadrat.engine.jobs import ClassDef, SourceSpec

pytestmark = [pytest.mark.own_network]

GRID = (600000, 1.5, 0, 5800000, 0, -1.5)
COARSE = (600000, 6, 0, 5800000, 0, -6)


def noise(rows=40, cols=36, bands=2, seed=0):
    return np.random.default_rng((rows, cols, bands, seed)).random((rows, cols, bands)).astype('float32') + 1


def side_by_side(ratio=1):
    a, b = keras.Input((None, None, 2), name='a'), keras.Input((None, None, 2), name='b')
    x = layers.UpSampling2D(ratio)(b) if ratio > 1 else b
    return keras.Model({'a': a, 'b': b}, {'out': layers.Concatenate()([a, x])})


def one_to_four():
    return side_by_side(4)


# -- no-data ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('policies', [('', 'all'), ('any', 'any'), ('all', 'any'), ('all', 'all'), ('ignore', '')])
@pytest.mark.parametrize(('build', 'ratio'), [(side_by_side, 1), (one_to_four, 4)])
def test_each_source_has_its_own_rule(bare, write_image, mapped, policies, build, ratio):
    path, _ = bare(build, 'keras')
    first, second = noise(), noise(40 // ratio, 36 // ratio)
    first[3, 4], first[5:7, 8, 1] = 0, 0
    second[2, 3], second[4, 5:8, 0] = 0, 0
    first[30, 30, 0], second[-2, 1, 1] = np.nan, np.inf
    sources = [
        SourceSpec((write_image(values, name, place, nodata=0),), placeholder=name[0], nodata_policy=policy)
        for values, name, place, policy in zip(
            (first, second), ('a.tif', 'b.tif'), (GRID, COARSE if ratio > 1 else GRID), policies
        )
    ]
    used = []
    for values, policy in zip((first, second), policies):
        missing = {'': (values == 0).any(-1), 'any': (values == 0).any(-1), 'all': (values == 0).all(-1)}
        used.append(np.isfinite(values).all(-1) & ~missing.get(policy, np.zeros(values.shape[:2], bool)))
    valid = used[0] & used[1].repeat(ratio, 0).repeat(ratio, 1)
    expected = np.concatenate([first, second.repeat(ratio, 0).repeat(ratio, 1)], -1)
    for tile in (16, 0):
        found = mapped(path, *sources, tile_size=tile)
        assert np.isnan(found.dataset.GetRasterBand(1).GetNoDataValue())
        assert np.array_equal(found.pixels, np.where(valid[..., None], expected, np.nan), equal_nan=True)
    filled = mapped(path, *sources, fill_value=-9.0)
    assert filled.dataset.GetRasterBand(4).GetNoDataValue() == -9
    assert np.array_equal(filled.pixels, np.where(valid[..., None], expected, -9))


@functools.cache
def means(field, stride=1):
    def build():
        image = keras.Input((None, None, 2), name='image')
        return keras.Model(image, {'out': layers.AveragePooling2D(field, stride)(image)})

    return build


def averaged(values, field, stride=1):
    """Means over windows that lie within the values."""
    rows, cols = ((length - field) // stride + 1 for length in values.shape[:2])
    parts = [
        values[i : i + rows * stride : stride, j : j + cols * stride : stride][:rows, :cols].astype('float64')
        for i in range(field)
        for j in range(field)
    ]
    return sum(parts) / field**2


def test_what_is_fed_where_there_is_no_data(bare, write_image, mapped):
    """A model that does not say otherwise sees what is there, and 0 for what is not a number."""
    path, _ = bare(means(3), 'keras')
    pixels = noise()
    pixels[10, 12], pixels[20, 22, 1] = -50, np.nan
    found = mapped(path, SourceSpec((write_image(pixels),), nodata='-50 none'), tile_size=16).pixels
    expected = averaged(np.pad(np.nan_to_num(pixels, nan=0), ((1, 1), (1, 1), (0, 0)), 'reflect'), 3)
    expected[10, 12] = expected[20, 22] = np.nan
    assert np.allclose(found, expected, rtol=0, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize(('field', 'stride', 'half'), [(4, 2, 0), (3, 2, 0.5), (16, 4, 0), (8, 3, 0.5)])
def test_coarser_pixels_have_data_where_any_under_them_has(bare, write_image, mapped, field, stride, half):
    path, _ = bare(means(field, stride), 'keras')
    pixels = noise(50, 61)
    rng = np.random.default_rng(3)
    pixels[rng.random((50, 61)) < 0.8] = np.nan
    maps = [mapped(path, write_image(pixels), tile_size=tile).pixels for tile in (16, 0)]
    assert np.array_equal(maps[0], maps[1], equal_nan=True)
    known = np.isfinite(pixels[..., 0])
    expected = np.zeros(maps[0].shape[:2], bool)
    for row, col in np.argwhere(known):
        top, left = int((row + half) // stride), int((col + half) // stride)
        bottom, right = (int(np.ceil((place + 1 + half) / stride)) for place in (row, col))
        expected[top:bottom, left:right] = True
    assert np.array_equal(np.isfinite(maps[0][..., 0]), expected) and 0 < expected.mean() < 1


@pytest.mark.parametrize('padding', ['reflect', 'constant', 'nodata'])
@pytest.mark.parametrize('field', [3, 9, 16])
def test_beyond_the_edges(bare, write_image, mapped, padding, field):
    path, _ = bare(means(field), 'savedmodel')
    for size in ((40, 36), (5, 1), (3, 50)):
        pixels = noise(*size)
        widths = ((field // 2, (field - 1) // 2), (field // 2, (field - 1) // 2), (0, 0))
        if padding == 'reflect':
            padded = np.pad(pixels, widths, 'reflect')
        else:
            padded = np.pad(pixels, widths, constant_values=-3.5 if padding == 'constant' else 0)
        image, expected = write_image(pixels), averaged(padded, field)
        for tile in (16, 0):
            found = mapped(path, image, padding=padding, padding_value=-3.5, tile_size=tile).pixels
            assert found.shape == expected.shape and np.abs(found - expected).max() <= 1e-4


def test_nothing_but_no_data(bare, write_image, mapped):
    path, _ = bare(means(3), 'keras')
    image = write_image(np.zeros((40, 36, 2), 'float32'), nodata=0)
    assert np.isnan(mapped(path, image, tile_size=16).pixels).all()


# -- what cannot be done ----------------------------------------------------------------------------------------------


def pixelwise():
    image = keras.Input((None, None, 2), name='image')
    return keras.Model(image, {'out': layers.Conv2D(3, 1)(image)})


def half():
    image = keras.Input((None, None, 2), name='image')
    return keras.Model(image, {'out': layers.AveragePooling2D(2)(image)})


def any_patch():
    image = keras.Input((None, None, 2), name='image')
    return keras.Model(image, {'out': layers.Dense(3)(layers.GlobalAveragePooling2D()(image))})


def five_axes():
    image = keras.Input((None, None, None, 2), name='volume')
    return keras.Model(image, {'out': layers.Conv3D(3, 1)(image)})


def two_sizes():
    image = keras.Input((None, None, 2), name='image')
    return keras.Model(image, {'small': layers.AveragePooling2D(2)(image), 'large': layers.Conv2D(1, 1)(image)})


A, B, C = ClassDef(1, 'a'), ClassDef(2, 'b'), ClassDef(3, 'c')
FAULTS = {
    'too few sources': (side_by_side, ['image'], {}, errors.ModelError, r'2 sources \(a, b\), 1 given'),
    'too many sources': (pixelwise, ['image', 'image'], {}, errors.ModelError, r'1 sources? \(image\), 2 given'),
    'bands': (pixelwise, ['three'], {}, errors.BandMismatch, r'3 bands, but the model wants 2 \(B1, B2\)'),
    'output': (
        pixelwise,
        ['image'],
        {'output_names': ('outs',)},
        errors.ModelError,
        "no output 'outs'; did you mean 'out'",
    ),
    'input': (
        pixelwise,
        [SourceSpec(('image.tif',), placeholder='imagee')],
        {},
        errors.ModelError,
        "no input 'imagee'; did you mean 'image'",
    ),
    'the same input twice': (
        side_by_side,
        [SourceSpec(('image.tif',), placeholder='a'), SourceSpec(('image.tif',), 'source2', placeholder='a')],
        {},
        errors.ModelError,
        'two sources are to feed the input a',
    ),
    'any patch': (any_patch, ['image'], {}, errors.ModelError, 'RECEPTIVE_FIELD for the input image'),
    'spacing scale': (half, ['image'], {'spacing_scale': 4.0}, errors.InvalidJob, 'SPACING_SCALE 4: .* 2 times'),
    'no spacing scale': (half, ['image'], {'spacing_scale': -1.0}, errors.InvalidJob, 'SPACING_SCALE -1'),
    'expression field': (
        pixelwise,
        ['image'],
        {'expression_field': (4, 4)},
        errors.InvalidJob,
        'EXPRESSION_FIELD: only in the otbtf-fullyconv mode',
    ),
    'window': (pixelwise, ['image'], {'window': (30, 0, 7, 5)}, errors.InvalidJob, 'WINDOW 30, 0, 7, 5 .* 36 x 40'),
    'window of the map': (
        half,
        ['image'],
        {'window': (0, 0, 19, 5)},
        errors.InvalidJob,
        'WINDOW 0, 0, 19, 5 .* 18 x 20',
    ),
    'empty window': (pixelwise, ['image'], {'window': (0, 0, 0, 5)}, errors.InvalidJob, 'WINDOW'),
    'window and extent': (
        pixelwise,
        ['image'],
        {'window': (0, 0, 5, 5), 'extent': (600000.0, 5799990.0, 600010.0, 5800000.0)},
        errors.InvalidJob,
        'EXTENT and WINDOW',
    ),
    'apart': (side_by_side, ['image', 'far'], {}, errors.GridMismatch, r'far\.tif lies nowhere on the ground of'),
    'shifted': (side_by_side, ['image', 'shifted'], {}, errors.GridMismatch, 'part'),
    'resolution': (one_to_four, ['image', 'half'], {}, errors.ModelError, 'Source 2 has 0.5 pixels .* wants 0.25'),
    'one resolution': (one_to_four, ['image', 'image'], {}, errors.ModelError, 'Source 2 has 1 pixels .* wants 0.25'),
    'other resolution': (
        side_by_side,
        ['image', 'coarse'],
        {},
        errors.ModelError,
        'Source 2 has 0.25 pixels .* wants 1',
    ),
    'axes': (five_axes, ['image'], {}, errors.ModelError, 'mapped'),
    'sizes of outputs': (two_sizes, ['image'], {}, errors.ModelError, 'outputs large and small lie differently'),
    'classes': (pixelwise, ['image'], {'classes': (A, B)}, errors.InvalidJob, 'CLASSES: there are 2, .* 3 bands'),
    'type of classes': (
        pixelwise,
        ['image'],
        {'classes': (A, B, ClassDef(300, 'c')), 'output_type': 'uint8'},
        errors.InvalidJob,
        'OUTPUT_TYPE uint8: .* 300',
    ),
    'filling that is a class': (
        pixelwise,
        ['image'],
        {'classes': (A, B, C), 'fill_value': 2.0},
        errors.InvalidJob,
        'FILL_VALUE 2: this is a class',
    ),
    'filling of classes': (
        pixelwise,
        ['image'],
        {'classes': (A, B, C), 'fill_value': float('nan')},
        errors.InvalidJob,
        'FILL',
    ),
    'signature': (pixelwise, ['image'], {'signature': 'none'}, errors.ModelError, 'signature'),
    'tags': (pixelwise, ['image'], {'tags': 'none'}, errors.ModelError, 'none'),
    'constants': (pixelwise, ['image'], {'user_placeholders': 'a=1'}, errors.ModelError, "'a'"),
    'memory': (pixelwise, ['image'], {'memory': 0}, errors.InvalidJob, 'MEMORY 0'),
    'padding': (pixelwise, ['image'], {'padding': 'wrap'}, errors.InvalidJob, "PADDING 'wrap'"),
    'mask': (pixelwise, ['image'], {'mask': 'shifted.tif'}, errors.GridMismatch, r'shifted\.tif'),
}


@pytest.mark.parametrize('case', FAULTS)
def test_one_line_that_says_what_is_wrong(bare, write_image, mapped, tmp_path, monkeypatch, case):
    build, names, options, error, message = FAULTS[case]
    monkeypatch.chdir(tmp_path)
    write_image(noise())
    write_image(noise(bands=3), 'three.tif')
    write_image(noise(), 'far.tif', (900000, 1.5, 0, 5800000, 0, -1.5))
    write_image(noise(), 'shifted.tif', (600000.5, 1.5, 0, 5800000, 0, -1.5))
    write_image(noise(20, 18), 'half.tif', (600000, 3, 0, 5800000, 0, -3))
    write_image(noise(10, 9), 'coarse.tif', COARSE)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    sources = [f'{name}.tif' if isinstance(name, str) else name for name in names]
    with pytest.raises(error, match=message) as caught:
        mapped(bare(build)[0], *sources, **options)
    text = str(caught.value)
    assert '\n' not in text and len(text) < 500
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
