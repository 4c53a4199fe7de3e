"""The options of each architecture: names, defaults and bounds (no TensorFlow here)."""

from __future__ import annotations

import dataclasses

from ..options import bounded

BACKBONES = (
    'mobilenetv2',
    'resnet50',
    'resnet101',
    'densenet121',
    *(f'efficientnetb{number}' for number in range(8)),
)


@dataclasses.dataclass(frozen=True)
class UnetOptions:
    """Of `unet` and `resunet`.

    Attributes:
        filters: channels of the first level; each further level has twice as many.
        depth: levels below the first, each at half the resolution of the one above.
        dropout: share of channels dropped at the lowest level while training.
    """

    filters: int = bounded(16, least=1)
    depth: int = bounded(4, least=0, most=10)
    dropout: float = bounded(0.0, least=0, below=1)


@dataclasses.dataclass(frozen=True)
class FcnnOptions:
    """Of `fcnn`.

    Attributes:
        filters: channels of the first convolution; each further one has twice as many, up to four times as many.
        depth: strided convolutions, and as many transposed ones.
        dropout: share of channels dropped at the lowest resolution while training.
    """

    filters: int = bounded(16, least=1)
    depth: int = bounded(4, least=1, most=10)
    dropout: float = bounded(0.0, least=0, below=1)


@dataclasses.dataclass(frozen=True)
class DilatedOptions:
    """Of `dilated`.

    Attributes:
        filters: channels of each convolution.
        rates: of dilation, one a convolution; with 3 x 3 kernels a pixel sees as far as their sum.
        dropout: share of channels dropped before the last convolution while training.
    """

    filters: int = bounded(32, least=1)
    rates: tuple[int, ...] = bounded((1, 2, 4, 8, 16), least=1)
    dropout: float = bounded(0.0, least=0, below=1)


@dataclasses.dataclass(frozen=True)
class PatchCnnOptions:
    """Of `patchcnn`.

    Attributes:
        filters: channels of the first level; each further level has twice as many, up to eight times as many.
        depth: how often the patch is halved, which is also how much coarser than the image its maps are (2**depth);
            -1: until fewer than 8 pixels are left.
        dense: channels of the dense layer.
        dropout: share of the dense layer dropped while training.
    """

    filters: int = bounded(16, least=1)
    depth: int = bounded(-1, least=-1, most=10)
    dense: int = bounded(128, least=1)
    dropout: float = bounded(0.0, least=0, below=1)


@dataclasses.dataclass(frozen=True)
class TwoBranchOptions:
    """Of `twobranch`.

    Attributes:
        filters: channels of each branch, and of the first level of what they flow into.
        depth: levels below the first of what they flow into, each at half the resolution of the one above.
        dropout: share of channels dropped at the lowest level while training.
    """

    filters: int = bounded(16, least=1)
    depth: int = bounded(2, least=0, most=10)
    dropout: float = bounded(0.0, least=0, below=1)


@dataclasses.dataclass(frozen=True)
class TemporalOptions:
    """Of `temporal`.

    Attributes:
        dates: in the stack, whose bands are all bands of the first date, then all of the second, and so on; 0: every
            source is a date.
        filters: channels of the convolutions along time.
        layers: convolutions along time.
        kernel: dates that a convolution along time looks at.
        dense: channels that the whole series is summed up in.
        context: 3 x 3 convolutions in space after those in time; 0 takes each pixel for itself.
        dropout: share of channels dropped after each convolution along time while training.
    """

    dates: int = bounded(0, least=0)
    filters: int = bounded(32, least=1)
    layers: int = bounded(3, least=1, most=20)
    kernel: int = bounded(5, least=1)
    dense: int = bounded(64, least=1)
    context: int = bounded(1, least=0, most=50)
    dropout: float = bounded(0.0, least=0, below=1)


@dataclasses.dataclass(frozen=True)
class EncoderOptions:
    """Of `encoder`.

    Attributes:
        backbone: one of `BACKBONES`.
        depth: how often the encoder halves the resolution; what it would do after that is left out.
        filters: channels of the decoder's finest level; each level below has twice as many.
        dropout: share of channels dropped at the end of the encoder while training.
        weights: a file with weights of the backbone without its top, for any number of bands: ``.keras``,
            ``.weights.h5``, or ``.h5`` as Keras 2 wrote them; empty: they are drawn at random.
    """

    backbone: str = bounded('mobilenetv2', among=BACKBONES)
    depth: int = bounded(4, least=1, most=5)
    filters: int = bounded(16, least=1)
    dropout: float = bounded(0.0, least=0, below=1)
    weights: str = ''


@dataclasses.dataclass(frozen=True)
class DenseOptions:
    """Of `dense`.

    Attributes:
        hidden_neurons: of each hidden layer.
        hidden_layers: their number.
        dropout: share of neurons dropped after each of them while training.
    """

    hidden_neurons: int = bounded(50, least=1)
    hidden_layers: int = bounded(1, least=0, most=20)
    dropout: float = bounded(0.0, least=0, below=1)
