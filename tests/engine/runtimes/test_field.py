"""The measured geometry of networks against what is known of them."""

from __future__ import annotations

import math
from fractions import Fraction

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from quadrat.engine.errors import ModelError
from quadrat.engine.model_package.card import ReceptiveField
from quadrat.engine.networks.field import receptive_field
from quadrat.engine.networks.unet import build_unet
from quadrat.engine.runtimes.base import TensorInfo, load
from quadrat.engine.runtimes.field import measure, measure_field
from quadrat.engine.runtimes.geometry import Geometry, union

HALF = Fraction(1, 2)


def convolution(x):
    return layers.Conv2D(2, (3, 7), padding='same', activation='relu')(x)


def dilated(x):
    for rate in (1, 2, 4):
        x = layers.Conv2D(2, 3, padding='same', dilation_rate=rate, activation='relu')(x)
    return x


def strided(x):
    x = layers.Conv2D(4, 3, strides=2, padding='same', activation='relu')(x)
    return layers.Conv2DTranspose(3, 3, strides=2, padding='same')(x)


def fully_convolutional(x):  # as the models of the peer: strided and transposed convolutions, skips added
    skips = []
    for filters in (4, 4, 8):
        skips.append(x)
        x = layers.Conv2D(filters, 3, strides=2, padding='same', activation='relu')(x)
    for filters, skip in zip((4, 4), reversed(skips)):
        x = layers.Conv2DTranspose(filters, 3, strides=2, padding='same', activation='relu')(x)
        x = layers.Add()([x, skip])
    return layers.Conv2DTranspose(2, 3, strides=2, padding='same')(x)


def by_five(x):  # sizes must be multiples of five
    x = layers.MaxPooling2D(5)(layers.Conv2D(4, 3, padding='same')(x))
    return layers.UpSampling2D(5)(layers.Softmax()(x))


def pixelwise(x):
    return layers.Dense(3, activation='softmax')(x)


def image(bands=3, dtype='float32', size=None, name='input'):
    return keras.Input((size, size, bands), dtype=dtype, name=name)


def network_of(model):
    """A network for `measure`, and its inputs."""
    inputs = {item.name: TensorInfo(np.dtype(item.dtype), tuple(item.shape)) for item in model.inputs}

    def run(feeds):
        arrays = [feeds[name] for name in inputs]
        try:
            return {'output': np.asarray(model(arrays if len(arrays) > 1 else arrays[0]))}
        except (ValueError, tf.errors.OpError) as error:
            raise ModelError(str(error)) from error

    return run, inputs


def geometry(model, **options):
    network, inputs = network_of(model)
    return measure(network, inputs, ['output'], **options)['output']


def only(found: Geometry):
    (item,) = found.inputs.values()
    return item


@pytest.mark.parametrize('layer', [convolution, dilated, strided, fully_convolutional, by_five, pixelwise])
def test_it_is_that_of_the_graph(layer):
    keras.utils.set_random_seed(0)
    inputs = image()
    model = keras.Model(inputs, layer(inputs))
    known = receptive_field(model)
    found = measure_field(lambda pixels: network_of(model)[0]({'input': pixels})['output'], 3)
    assert found == (ReceptiveField(*known.sides), known.stride)


def test_a_unet():
    keras.utils.set_random_seed(1)
    unet = build_unet(3, 4, input_name='input', mean=[500.0] * 3, stddev=[300.0] * 3, filters=4, depth=2)
    model = keras.Model(unet.inputs[0], unet.outputs[0])
    item = only(geometry(model))
    assert (item.field, item.stride, item.scale, item.lost) == (ReceptiveField(22, 22, 22, 22), 4, 1, (0, 0))


def test_dead_rectifiers_do_not_hide_it():
    """Whatever the input, this gives zero, but for what is not a number."""
    inputs = image(1)
    dead = layers.Conv2D(1, 5, padding='same', activation='relu', bias_initializer=keras.initializers.Constant(-1e9))
    found = only(geometry(keras.Model(inputs, dead(inputs))))
    assert (found.field, found.stride) == (ReceptiveField(2, 2, 2, 2), 1)


def padded(x):  # asymmetrically: two more to the left than to the right, one more at the bottom than at the top
    return layers.Conv2D(2, (4, 5))(layers.ZeroPadding2D(((1, 2), (3, 1)))(x))


def valid(x):
    return layers.Conv2D(2, (4, 3))(layers.Conv2D(2, 3)(x))


def classifier(x):  # convolutions and poolings without padding, as of the peer's first model: 16 pixels, stride 4
    x = layers.MaxPooling2D(2)(layers.Conv2D(4, 5)(x))
    x = layers.MaxPooling2D(2)(layers.Conv2D(4, 3)(x))
    return layers.Conv2D(3, 2)(x)


def uneven(x):
    return layers.Conv2D(2, 3, strides=2)(x)


def cropped(x):
    return layers.Cropping2D(16)(fully_convolutional(x))


def cut_unevenly(x):
    return layers.Cropping2D(((3, 5), (4, 4)))(layers.Conv2D(2, (3, 4), padding='same')(x))


def twice_as_fine(x):
    return layers.UpSampling2D(2, interpolation='nearest')(layers.Conv2D(2, 3, padding='same')(x))


def four_times_as_fine(x):
    x = layers.Conv2D(16, 5)(x)
    return layers.Conv2DTranspose(1, 4, strides=4)(x)


def valid_unet(x):
    y = layers.Conv2D(4, 3, activation='relu')(layers.Conv2D(4, 3)(x))
    z = layers.Conv2D(4, 3)(layers.Conv2D(4, 3)(layers.MaxPooling2D(2)(y)))
    z = layers.Concatenate()([layers.Cropping2D(4)(y), layers.Conv2DTranspose(4, 2, strides=2)(z)])
    return layers.Conv2D(2, 3)(layers.Conv2D(4, 3)(z))


def half_as_fine(x):
    return layers.AveragePooling2D(2)(layers.Conv2D(2, 3, padding='same')(x))


@pytest.mark.parametrize(
    ('layer', 'field', 'stride', 'scale', 'offset', 'lost', 'width'),
    [
        (padded, (3, 1, 1, 2), 1, 1, (0, 0), (0, 0), 5),
        (valid, (2, 3, 2, 2), 1, 1, (2, 2 + HALF), (4, 5), 6),
        (classifier, (6, 6, 6, 6), 4, Fraction(1, 4), (6, 6), (12, 12), 16),
        (uneven, (1, 1, 0, 0), 2, HALF, (HALF, HALF), (2, 2), 3),
        (cropped, (8, 8, 7, 7), 8, 1, (16, 16), (32, 32), 16),
        (cut_unevenly, (1, 1, 2, 1), 1, 1, (4, 3), (8, 8), 4),
        (twice_as_fine, (1, 1, 1, 1), 1, 2, (0, 0), (0, 0), 3),
        (four_times_as_fine, (2, 2, 2, 2), 1, 4, (2, 2), (4, 4), 5),
        (valid_unet, (8, 8, 8, 8), 2, 1, (8, 8), (16, 16), 17),
        (half_as_fine, (1, 1, 1, 1), 2, HALF, (0, 0), (0, 0), 4),
    ],
)
def test_outputs_that_are_smaller_or_finer(layer, field, stride, scale, offset, lost, width):
    keras.utils.set_random_seed(0)
    inputs = image()
    item = only(geometry(keras.Model(inputs, layer(inputs))))
    assert item.field == ReceptiveField(*field), item
    assert (item.stride, item.scale, item.offset, item.lost, item.width) == (stride, scale, offset, lost, width)


def test_two_inputs_at_resolutions_one_to_four():
    keras.utils.set_random_seed(0)
    coarse, fine = image(4, name='a'), image(1, name='b')
    x = layers.Conv2D(2, 3, padding='same')(coarse)
    y = layers.Conv2D(2, 5, padding='same')(layers.AveragePooling2D(4)(layers.Conv2D(2, 3, padding='same')(fine)))
    found = geometry(keras.Model([coarse, fine], layers.Concatenate()([x, y])))
    a, b = found.inputs['a'], found.inputs['b']
    assert (a.field, a.stride, a.scale, a.ratio) == (ReceptiveField(1, 1, 1, 1), 1, 1, 1)
    assert (b.field, b.stride, b.scale, b.ratio) == (ReceptiveField(9, 9, 9, 9), 4, Fraction(1, 4), 4)
    assert 'b at 4 of the resolution' in found.tried


def test_whole_numbers_and_classes_do_not_hide_it(tmp_path):
    """What is not a number cannot be fed, and the class of pixels changes rarely: the graph is made to show it."""
    keras.utils.set_random_seed(0)
    inputs = image(dtype='uint8')
    x = layers.Rescaling(1 / 255.0)(inputs)
    for _ in range(6):
        x = layers.Conv2D(4, 3, padding='same', activation='relu', bias_initializer='ones')(x)
    classes = ops.expand_dims(ops.argmax(layers.Conv2D(3, 1)(x), axis=-1), -1)
    path = str(tmp_path / 'm.keras')
    keras.Model(inputs, {'classes': classes}).save(path)
    runtime = load('tensorflow', path)
    network, infos = runtime.visible()
    assert runtime.inputs['input'].dtype == np.uint8 and infos['input'].dtype == np.float32
    item = only(measure(network, infos, runtime.outputs)['classes'])
    assert (item.field, item.stride) == (ReceptiveField(6, 6, 6, 6), 1)
    assert runtime.run({'input': np.zeros((1, 8, 8, 3), np.uint8)})['classes'].max() < 3


def test_whole_numbers_of_a_network_that_cannot_be_changed():
    keras.utils.set_random_seed(0)
    inputs = image(dtype='int16')
    model = keras.Model(inputs, layers.Conv2D(2, 5, padding='same')(ops.cast(inputs, 'float32')))
    assert only(geometry(model)).field == ReceptiveField(2, 2, 2, 2)


def test_a_field_without_bounds_is_said_to_be():
    inputs = image()
    whole = layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    model = keras.Model(inputs, layers.Add()([inputs, whole]))
    found = geometry(model)
    assert only(found).field is None and only(found).stride == 1 and 'whole image' in found.reason
    with pytest.raises(ModelError, match=r'whole image.*tile by tile'):
        measure_field(lambda pixels: np.asarray(model(pixels)), 3)


def test_attention_is_given_up_before_memory_is_out():
    """Every fourth pixel looks at all others, so memory grows with the square of the pixels."""
    info = {'input': TensorInfo(np.dtype('float32'), (None, None, None, 3))}
    shrink = layers.Conv2D(4, 3, strides=4, padding='same')
    enlarge = layers.UpSampling2D(4)
    asked = []

    def affordable(sizes):
        asked.append(math.prod(sizes['input']))
        return asked[-1] <= 16384

    def network(feeds):
        x = shrink(feeds['input'])
        tokens = tf.reshape(x, (len(x), -1, 4))
        seen = tf.reshape(tf.nn.softmax(tokens @ tf.transpose(tokens, (0, 2, 1))) @ tokens, x.shape)
        try:
            return {'output': (enlarge(seen) + feeds['input'][..., :1]).numpy()}
        except tf.errors.OpError as error:
            raise ModelError(str(error)) from error

    found = measure(network, info, ['output'], affordable=affordable)['output']
    assert only(found).field is None and only(found).stride == 4 and 'or on the whole image' in found.reason
    assert max(asked) > 16384 and 'strips of up to 2048 pixels' in found.tried


def test_the_stride_is_the_one_with_which_the_output_really_repeats():
    """Every second column is weighed otherwise, which what it depends on does not tell."""

    def network(feeds):
        pixels = feeds['input']
        return {'output': pixels * (1.0 + np.arange(pixels.shape[2]) % 2)[:, None]}

    info = {'input': TensorInfo(np.dtype('float32'), (None, None, None, 1))}
    item = only(measure(network, info, ['output'])['output'])
    assert (item.field, item.stride) == (ReceptiveField(0, 0, 0, 0), 2)


@pytest.mark.parametrize('declared', [True, False])
def test_patches_of_one_size(declared):
    keras.utils.set_random_seed(0)
    if declared:
        inputs = image(2, size=16)
        model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(inputs)))
        found = geometry(model)
    else:
        weights = np.random.default_rng(0).random((512, 3), np.float32)

        def network(feeds):
            pixels = feeds['input']
            if pixels[0].size != 512:
                raise ModelError('matrices do not fit')
            return {'output': pixels.reshape(len(pixels), -1) @ weights}

        info = TensorInfo(np.dtype('float32'), (None, None, None, 2))
        found = measure(network, {'input': info}, ['output'])['output']
    assert found.patches and found.size == {'input': (16, 16)} and found.bands == {'output': 3} and not found.reason
    assert only(found).field == ReceptiveField(8, 8, 7, 7) and only(found).width == 16


def test_windows_of_one_size():
    inputs = image(2, size=32)
    found = geometry(keras.Model(inputs, layers.Conv2D(3, 5)(inputs)))
    assert not found.patches and found.size == {'input': (32, 32)} and '32 x 32' in found.reason
    assert only(found).field is None and only(found).lost == (4, 4)


def test_one_value_for_a_window_of_any_size():
    inputs = image(2)
    found = geometry(keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(inputs))))
    assert found.patches and not found.size and only(found).field is None and 'say which size' in found.reason


def test_a_network_that_takes_one_image_at_a_time():
    inputs = keras.Input((None, None, 2), batch_size=1, name='input')
    model = keras.Model(inputs, layers.Conv2D(1, 3, padding='same')(inputs))
    assert only(geometry(model)).field == ReceptiveField(1, 1, 1, 1)


def test_another_size_of_output_is_said():
    inputs = image()
    model = keras.Model(inputs, layers.Conv2D(2, 3)(inputs))
    with pytest.raises(ModelError, match=r'has not the rows and columns.*2 columns and 2 rows fewer'):
        measure_field(lambda pixels: np.asarray(model(pixels)), 3)


def test_nothing_that_can_be_taken():
    def network(feeds):
        raise ModelError('no')

    info = TensorInfo(np.dtype('float32'), (None, None, None, 1))
    with pytest.raises(ModelError, match=r'multiple of \(64, 60, 56\) pixels works, nor one of up to 512: no'):
        measure(network, {'input': info}, ['output'])


def test_several_outputs_together():
    keras.utils.set_random_seed(0)
    inputs = image()
    model = keras.Model(inputs, [convolution(inputs), dilated(inputs), twice_as_fine(inputs)])
    info = {'input': TensorInfo(np.dtype('float32'), (None, None, None, 3))}
    names = ['a', 'b', 'c']
    found = measure(lambda feeds: dict(zip(names, map(np.asarray, model(feeds['input'])))), info, names)
    both = union({name: found[name] for name in 'ab'})
    assert only(both).field == ReceptiveField(7, 7, 7, 7) and both.bands == {'a': 2, 'b': 2}
    with pytest.raises(ModelError, match='a and c lie differently'):
        union(found)
    for one in (*found.values(), both):
        assert Geometry.from_dict(one.to_dict()) == one


@pytest.mark.baseline
def test_the_peers_models(shared):
    models = shared / 'data/otbtf-suite/models'

    def measured(number, output):
        runtime = load('tensorflow', str(models / f'model{number}'), (output,))
        network, infos = runtime.visible()
        return measure(network, infos, [output])[output]

    one, three = (only(measured(number, 'prediction')) for number in (1, 3))
    assert (one.width, one.stride, one.scale, one.lost) == (16, 4, Fraction(1, 4), (12, 12))
    assert (three.width, three.stride, three.scale, three.field) == (16, 1, 1, ReceptiveField(8, 8, 7, 7))
    two = measured(2, 'features')
    assert [(item.width, item.stride, item.ratio) for item in two.inputs.values()] == [(8, 1, 1), (32, 4, 4)]
    four = only(measured(4, 'prediction_fcn'))
    # A block of 32 pixels of the map is computed from 64 of the image.
    assert (four.stride, four.offset, four.lost) == (16, (16, 16), (32, 32))
    assert max(four.field.left, four.field.right) <= 16
    five = only(measured(5, 'tf.reshape'))
    assert (five.field, five.stride, five.lost) == (ReceptiveField(0, 0, 0, 0), 1, (0, 0))
