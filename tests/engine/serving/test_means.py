"""The mean of what several models say, and of what one says of all turns of an image."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from quadrat.engine.errors import InvalidJob, ModelError
from quadrat.engine.jobs import ClassDef
from quadrat.engine.model_package.card import InputCard, ModelCard, OutputCard, ReceptiveField
from quadrat.engine.model_package.package import write_package

pytestmark = [pytest.mark.own_network]

CLASSES = (ClassDef(7, 'a', '#ff0000'), ClassDef(3, 'b'), ClassDef(40, 'c'))
VALUES = np.array([7, 3, 40])


def noise(rows=40, cols=33):
    return np.random.default_rng((rows, cols)).random((rows, cols, 2)).astype('float32')


def softmaxes(seed, order=(0, 1, 2)):
    """A network, and the card of its package with the classes in some order; the network has them in that order too."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((None, None, 2), name='image')
    network = keras.Model(image, {'probs': layers.Conv2D(3, 3, padding='same', activation='softmax')(image)})
    last = network.layers[-1]
    last.set_weights([8 * array[..., list(order)] for array in last.get_weights()])
    source = InputCard('image', ('red', 'green'), field=ReceptiveField(1, 1, 1, 1))
    classes = tuple(CLASSES[i] for i in order)
    return network, ModelCard('One', 'segmentation', 'one', (source,), (OutputCard('probs', 3, classes),))


@pytest.fixture(scope='module')
def packages(tmp_path_factory):
    """Two packages, and the second again with its classes in another order."""
    found = []
    for name, arguments in (('a', (1,)), ('b', (2,)), ('c', (2, (2, 0, 1)))):
        path = str(tmp_path_factory.mktemp('packages') / name)
        write_package(path, *softmaxes(*arguments))
        found.append(path)
    return found


def test_the_mean_of_models(packages, write_image, mapped, read_map, tmp_path):
    image, paths = write_image(noise()), {}
    maps = {}
    for name, models in (('a', '0'), ('b', '1'), ('ab', '01'), ('ac', '02'), ('ca', '20'), ('abb', '011')):
        first, *others = (packages[int(number)] for number in models)
        paths[name] = str(tmp_path / f'{name}.p.tif')
        maps[name] = mapped(first, image, ensemble=tuple(others), probabilities=paths[name], tile_size=16).pixels
    given = {name: read_map(path).pixels for name, path in paths.items()}
    mean = (given['a'] + given['b']) / 2
    assert np.abs(given['ab'] - mean).max() <= 1e-6 and np.abs(given['ac'] - mean).max() <= 1e-6
    assert np.abs(given['ca'] - mean[..., [2, 0, 1]]).max() <= 1e-6
    assert np.abs(given['abb'] - (given['a'] + 2 * given['b']) / 3).max() <= 1e-6
    assert np.array_equal(maps['ab'][..., 0], VALUES[given['ab'].argmax(-1)])
    assert np.array_equal(maps['ab'], maps['ac']) and np.array_equal(maps['ab'], maps['ca'])


def two_layers():
    image = keras.Input((None, None, 2), name='image')
    return keras.Model(image, {'out': layers.Conv2D(2, 3, padding='same')(layers.Conv2D(4, 3, padding='same')(image))})


def sigmoid():
    image = keras.Input((None, None, 2), name='image')
    return keras.Model(image, {'out': layers.Conv2D(1, 1, activation='sigmoid')(image)})


@pytest.fixture(scope='module')
def whole_numbers(tmp_path_factory):
    class Label(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 2), tf.float32, name='image')])
        def __call__(self, image):
            return {'label': tf.argmax(image, -1)}

    path = str(tmp_path_factory.mktemp('label') / 'model')
    tf.saved_model.save(Label(), path)
    return path


def test_bare_models_of_different_reach_together(bare, write_image, mapped):
    """Each sees what it needs, whatever the tiles."""
    paths = [bare(build, 'keras')[0] for build in (two_layers, far)]
    image = write_image(noise())
    alone = [mapped(path, image).pixels for path in paths]
    for order in (paths, paths[::-1]):
        for tile in (16, 0):
            found = mapped(order[0], image, ensemble=(order[1],), tile_size=tile).pixels
            assert np.abs(found - (alone[0] + alone[1]) / 2).max() <= 1e-5


def far():
    """With another name for its input, and strides."""
    image = keras.Input((None, None, 2), name='other')
    x = layers.Conv2D(4, 5, padding='same', dilation_rate=3)(layers.MaxPooling2D(2)(image))
    return keras.Model(image, {'out': layers.UpSampling2D(2)(layers.Conv2D(2, 3, padding='same')(x))})


def coarser():
    image = keras.Input((None, None, 2), name='image')
    return keras.Model(image, {'out': layers.AveragePooling2D(2)(image)})


def test_models_that_have_no_mean(bare, whole_numbers, packages, write_image, mapped):
    image = write_image(noise())
    path = bare(two_layers, 'keras')[0]
    for first, other, error, message in (
        (path, bare(coarser)[0], ModelError, 'lie differently'),
        (path, bare(sigmoid)[0], ModelError, 'ENSEMBLE: .* gives 1 bands, .* 2'),
        (packages[0], path, ModelError, "no output 'probs'|ENSEMBLE"),
    ):
        with pytest.raises(error, match=message) as caught:
            mapped(first, image, ensemble=(other,))
        assert '\n' not in str(caught.value)
    with pytest.raises(InvalidJob, match='whole numbers'):
        mapped(whole_numbers, image, ensemble=(whole_numbers,))


def in_patches():
    image = keras.Input((9, 9, 2), name='image')
    return keras.Model(image, {'out': layers.Dense(3)(layers.Flatten()(image))})


def in_even_patches():
    image = keras.Input((8, 8, 2), name='image')
    return keras.Model(image, {'out': layers.Dense(3)(layers.Flatten()(image))})


def unpadded():
    image = keras.Input((None, None, 2), name='image')
    return keras.Model(image, {'out': layers.Conv2D(3, 3)(layers.Conv2D(4, 5, activation='relu')(image))})


def shrinking():
    image = keras.Input((None, None, 2), name='image')
    return keras.Model(image, {'out': layers.MaxPooling2D(2)(layers.Conv2D(3, 3)(image))})


@pytest.mark.parametrize('build', [in_patches, in_even_patches, unpadded, shrinking])
def test_the_mean_over_all_turns(bare, write_image, mapped, build):
    """Is that of the maps of all turned images, turned back."""
    path, _ = bare(build, 'keras')
    pixels = noise(48, 48)
    found = [mapped(path, write_image(pixels), tta='d4', tile_size=tile).pixels for tile in (16, 0)]
    assert np.abs(found[0] - found[1]).max() <= 1e-5
    total = 0
    for turns in range(4):
        for flipped in (False, True):
            turned = np.rot90(pixels[:, ::-1] if flipped else pixels, turns)
            back = np.rot90(mapped(path, write_image(turned, 'turned.tif')).pixels, -turns)
            total = total + (back[:, ::-1] if flipped else back)
    inner = np.s_[8:-8, 8:-8]
    if build is in_even_patches:  # the pixel right of and below the middle is another one in a turned image
        assert found[0].shape == total.shape
    else:
        assert np.abs(found[0] - total / 8)[inner].max() <= 1e-5
    assert np.abs(found[0] - mapped(path, write_image(pixels)).pixels)[inner].max() > 1e-3


def uneven():
    image = keras.Input((None, None, 2), name='image')
    return keras.Model(image, {'out': layers.Cropping2D(((2, 0), (0, 2)))(layers.Conv2D(3, 3)(image))})


def test_turns_that_do_not_fit(bare, whole_numbers, write_image, mapped):
    image = write_image(noise())
    with pytest.raises(InvalidJob, match='TTA d4: the model does not look equally far'):
        mapped(bare(uneven)[0], image, tta='d4')
    with pytest.raises(InvalidJob, match=r'TTA d4: .* whole numbers'):
        mapped(whole_numbers, image, tta='d4')
