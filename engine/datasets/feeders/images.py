"""Pictures in the bytes of their files, as the arrays that networks are fed (Pillow, no TensorFlow).

PNG and 24-bit BMP give the numbers of ``tf.io.decode_image``, JPEG those of ``tf.io.decode_jpeg`` with
``dct_method='INTEGER_ACCURATE'``; what is not equal are 16-bit colours that are made grey, off by 1 of 255 at most.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from .descriptors import FORMATS, ImageFeature

if TYPE_CHECKING:
    from PIL.Image import Image

# What libpng makes grey of red, green and blue with, for the weights 0.299 and 0.587: 15 bits behind the point.
_RED, _GREEN = 9797, 19234
_BLUE = (1 << 15) - _RED - _GREEN


def read_image(data: bytes, how: ImageFeature) -> np.ndarray:
    """(rows, columns, channels) of the first picture in a file.

    Raises:
        ValueError: the bytes are no such picture, or a damaged one.
    """
    pixels = _decode(data, how)
    if how.enforced_dtype == 'uint8':
        return pixels
    out = pixels.astype(np.float32) * np.float32(1 / 255)
    if how.resize_height:
        out = resized(out, how.resize_height, how.resize_width)
    return (out - np.float32(0.5)) * np.float32(2) if how.standard_scaling else out


def resized(pixels: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """A picture of another size: bilinear as ``tf.image.resize``, centres of pixels half a pixel from their edges, no
    antialiasing.

    Args:
        pixels: (rows, columns, channels) float32.
    """
    if pixels.shape[:2] == (rows, cols):
        return pixels
    above, below, down = _between(pixels.shape[0], rows)
    left, right, along = _between(pixels.shape[1], cols)
    down, along = down[:, None, None], along[None, :, None]
    upper, lower = pixels[above], pixels[below]
    upper = upper[:, left] + (upper[:, right] - upper[:, left]) * along
    lower = lower[:, left] + (lower[:, right] - lower[:, left]) * along
    return upper + (lower - upper) * down


def _between(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each new pixel along an axis the two old ones that it lies between, and how near it is to the second."""
    scale = np.float32(old) / np.float32(new)
    place = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    first = np.floor(place)
    before = np.clip(first, 0, old - 1).astype(np.int64)
    after = np.clip(np.ceil(place), 0, old - 1).astype(np.int64)
    return before, after, place - first


def _decode(data: bytes, how: ImageFeature) -> np.ndarray:
    """As bytes, with the channels that are asked for."""
    from PIL import Image, UnidentifiedImageError

    known = [how.decode_format] if how.decode_format != FORMATS[0] else FORMATS[1:]
    try:
        with Image.open(io.BytesIO(data), formats=[name.upper() for name in known]) as picture:
            if how.channels == 1 and picture.format == 'JPEG':
                picture.draft('L', picture.size)  # its own brightness, as it was stored
            pixels = _pixels(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        what = 'picture' if how.decode_format == FORMATS[0] else how.decode_format.upper()
        # Pillow's own words tell where in memory the bytes lay.
        why = f'it begins with {data[:8]!r}' if isinstance(error, UnidentifiedImageError) else error
        raise ValueError(f'is no {what} that can be read ({why})') from error
    if not how.channels or pixels.shape[2] == how.channels:
        return pixels
    coloured = pixels.shape[2] > 2  # what is beyond colours or grey is opacity
    if how.channels == 1:
        return _grey(pixels) if coloured else pixels[..., :1]
    return pixels[..., :3] if coloured else np.repeat(pixels[..., :1], 3, 2)


def _pixels(picture: Image) -> np.ndarray:
    """A picture as bytes, of as many channels as it has; palettes are followed."""
    if picture.mode.startswith('I'):  # grey of 16 bits, which Pillow has in several modes
        return (np.asarray(picture) >> 8).astype(np.uint8)[..., None]
    if picture.mode == 'P':
        picture = picture.convert('RGBA' if 'transparency' in picture.info and picture.format == 'PNG' else 'RGB')
    elif picture.mode not in ('L', 'LA', 'RGB', 'RGBA'):
        picture = picture.convert('L' if picture.mode == '1' else 'RGB')
    pixels = np.asarray(picture)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _grey(pixels: np.ndarray) -> np.ndarray:
    red, green, blue = (pixels[..., band].astype(np.int32) for band in range(3))
    return ((_RED * red + _GREEN * green + _BLUE * blue) >> 15).astype(np.uint8)[..., None]
