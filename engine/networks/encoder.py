"""Networks of Keras applications as encoders, for any number of bands."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from .options import EncoderOptions
from .parts import MOMENTUM, block, finish, open_stack, patch_logits, pixel_logits
from .shapes import Head, SourceShape
from .transfer import donor, take_weights

# The layers before each halving of the resolution, at 1/2, 1/4, 1/8, 1/16 and 1/32.
_EFFICIENTNET = (
    'block2a_expand_activation',
    'block3a_expand_activation',
    'block4a_expand_activation',
    'block6a_expand_activation',
    'top_activation',
)
_LEVELS = {
    'MobileNetV2': (
        'block_1_expand_relu',
        'block_3_expand_relu',
        'block_6_expand_relu',
        'block_13_expand_relu',
        'out_relu',
    ),
    'ResNet50': ('conv1_relu', 'conv2_block3_out', 'conv3_block4_out', 'conv4_block6_out', 'conv5_block3_out'),
    'ResNet101': ('conv1_relu', 'conv2_block3_out', 'conv3_block4_out', 'conv4_block23_out', 'conv5_block3_out'),
    'DenseNet121': ('conv1_relu', 'pool2_relu', 'pool3_relu', 'pool4_relu', 'relu'),
    **{f'EfficientNetB{number}': _EFFICIENTNET for number in range(8)},
}
_APPLICATIONS = {name.lower(): name for name in _LEVELS}  # by the names of `options.BACKBONES`


def encoder(sources: Sequence[SourceShape], head: Head, options: EncoderOptions) -> keras.Model:
    """One of Keras' applications, without its top, and a decoder as that of a U-Net: MobileNetV2 (Sandler and others,
    CVPR 2018), ResNet (He, Zhang, Ren and Sun, CVPR 2016), DenseNet (Huang and others, CVPR 2017), EfficientNet (Tan
    and Le, ICML 2019). Nothing is downloaded; weights come from a file or are drawn at random. The backbone is fed
    normalised bands, whatever its preprocessing was.

    EfficientNet weighs its channels by the mean over the whole image, so its receptive field has no bounds.

    Args:
        sources: of one resolution; they are stacked.
        head: per pixel, or one answer a patch: then there is no way up.

    Returns:
        See `registry.build`. For an answer a pixel, rows and columns may be any multiples of ``2**depth``.

    Raises:
        InputMissing, ModelError: the file with weights is not there, or of another backbone.
    """
    inputs, x = open_stack(sources)
    backbone = _backbone(x, options.backbone)
    if options.weights:
        bands = sum(source.bands for source in sources)
        other = donor(options.weights, lambda count: _plain_backbone(options.backbone, count), bands)
        take_weights(backbone.layers, other.layers, options.weights)
    levels = [backbone.get_layer(name).output for name in _LEVELS[_APPLICATIONS[options.backbone]][: options.depth]]
    x = levels.pop()
    if options.dropout:
        x = keras.layers.SpatialDropout2D(options.dropout, name='bottom_dropout')(x)
    if not head.per_pixel:
        return finish(inputs, patch_logits(x, head), head, 'encoder')
    for level in reversed(range(options.depth)):
        x = keras.layers.UpSampling2D(2, name=f'up{level + 1}_enlarge')(x)
        if level:
            x = keras.layers.Concatenate(name=f'up{level + 1}_skip')([levels[level - 1], x])
        for part in 'ab':
            x = block(x, options.filters << level, f'up{level + 1}{part}')
    return finish(inputs, pixel_logits(x, head), head, 'encoder')


def _backbone(x: keras.KerasTensor, name: str) -> keras.Model:
    """The application on normalised bands, its layers with their own names."""
    if name.startswith('efficientnet'):
        x = keras.layers.Rescaling(255.0, name='bytes')(x)  # its first layer divides by as much
    model = getattr(keras.applications, _APPLICATIONS[name])(include_top=False, weights=None, input_tensor=x)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
    return model


def _plain_backbone(name: str, bands: int) -> keras.Model:
    """The application as Keras makes it, which files with weights are of."""
    shape = (None, None, bands)
    return getattr(keras.applications, _APPLICATIONS[name])(include_top=False, weights=None, input_shape=shape)
