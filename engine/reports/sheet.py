"""A contact sheet: many small pictures with captions, in groups, and a legend."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Optional

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]

EDGE = 128  # of the longer side of a picture, about
_WIDTH = 1280  # of the sheet, about
_NARROWEST = 640
_MARGIN, _GAP, _TOUCH, _FRAME = 28, 12, 2, 4  # around the sheet, between items, within and around an item
_TITLE, _HEADING, _TEXT = 24, 17, 13  # sizes of letters
_LINE = 22  # height of a line of the legend
_INK, _SOFT, _GROUND = (29, 43, 54), (93, 109, 122), (255, 255, 255)
_HATCH, _HATCH_LINE = (238, 241, 244), (186, 196, 205)
_MOST_NAMES = 60  # in the legend


class Item(NamedTuple):
    """Pictures of one thing, all of the same size, (rows, columns, 3) bytes each; `frame` is drawn around them."""

    pictures: Sequence[np.ndarray]
    caption: str
    frame: Optional[Colour] = None


class Group(NamedTuple):
    """Items under a heading, with a remark beside it."""

    heading: str
    remark: str
    items: Sequence[Item]


def contact_sheet(
    title: str, subtitle: str, groups: Sequence[Group], legend: Sequence[tuple[str, Optional[Colour]]]
) -> bytes:
    """The sheet as a PNG.

    Args:
        groups: their items all have as many pictures, of the same size.
        legend: names and colours; None is hatched.
    """
    stream = io.BytesIO()
    _Sheet(groups).draw(title, subtitle, legend).save(stream, 'PNG')
    return stream.getvalue()


def resized(picture: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """A picture (rows, columns, …) in another size: each pixel shows the one that lies below its centre."""
    down = ((np.arange(rows) + 0.5) * picture.shape[0] / rows).astype(int)
    across = ((np.arange(cols) + 0.5) * picture.shape[1] / cols).astype(int)
    return picture[down][:, across]


def hatched(picture: np.ndarray, where: np.ndarray) -> np.ndarray:
    """A picture that is hatched `where` (rows, columns) there is nothing to show."""
    out = picture.copy()
    rows, cols = np.indices(where.shape)
    out[where] = _HATCH
    out[where & ((rows + cols) % 7 < 2)] = _HATCH_LINE
    return out


class _Sheet:
    """Draws from top to bottom."""

    def __init__(self, groups: Sequence[Group]) -> None:
        from PIL import ImageFont

        self._groups = groups
        first = next((item for group in groups for item in group.items), Item([np.zeros((EDGE, EDGE, 3))], ''))
        rows, cols = first.pictures[0].shape[:2]
        number = len(first.pictures)
        self._size = number * cols + (number - 1) * _TOUCH, rows
        self._cell = self._size[0] + 2 * _FRAME, rows + 2 * _FRAME + _TEXT + 6
        self._across = max(1, (_WIDTH - 2 * _MARGIN + 2 * _FRAME + _GAP) // (self._cell[0] + _GAP))
        self._width = max(self._across * (self._cell[0] + _GAP) - _GAP + 2 * (_MARGIN - _FRAME), _NARROWEST)
        self._fonts = {size: ImageFont.load_default(size) for size in (_TITLE, _HEADING, _TEXT)}

    def draw(self, title: str, subtitle: str, legend: Sequence[tuple[str, Optional[Colour]]]) -> Image:
        from PIL import Image, ImageDraw

        lines = sum(-(-len(group.items) // self._across) for group in self._groups)
        most = 200 + len(legend) * _LINE + len(self._groups) * 60 + lines * (self._cell[1] + _GAP)
        self._image = Image.new('RGB', (self._width, most), _GROUND)
        self._pen = ImageDraw.Draw(self._image)
        self._text(_MARGIN, 22, title, _TITLE, _INK)
        self._text(_MARGIN, 56, subtitle, _TEXT, _SOFT)
        y = self._legend(88, legend)
        for group in self._groups:
            y = self._group(y + 14, group)
        return self._image.crop((0, 0, self._width, y + _MARGIN - _GAP))

    def _legend(self, y: int, legend: Sequence[tuple[str, Optional[Colour]]]) -> int:
        """Names and colours in lines; returns where the next thing goes."""
        x = _MARGIN
        shown = [*legend[:_MOST_NAMES], *([('…', _GROUND)] if len(legend) > _MOST_NAMES else [])]
        for name, colour in shown:
            needed = 20 + round(self._fonts[_TEXT].getlength(name))
            if x > _MARGIN and x + needed > self._width - _MARGIN:
                x, y = _MARGIN, y + _LINE
            swatch = np.full((14, 14, 3), colour or _GROUND, np.uint8)
            swatch = hatched(swatch, np.ones((14, 14), bool)) if colour is None else swatch
            self._paste(x, y, swatch)
            if name != '…':
                self._pen.rectangle((x, y, x + 13, y + 13), outline=_SOFT)
            self._text(x + 20, y - 1, name, _TEXT, _SOFT)
            x += needed + 18
        return y + _LINE if shown else y

    def _group(self, y: int, group: Group) -> int:
        """A heading and its items; returns where the next thing goes."""
        self._text(_MARGIN, y, group.heading, _HEADING, _INK)
        after = _MARGIN + round(self._fonts[_HEADING].getlength(group.heading)) + 10
        self._text(after, y + 4, group.remark, _TEXT, _SOFT)
        y += _HEADING + 14
        for number, item in enumerate(group.items):
            column = number % self._across
            if number and not column:
                y += self._cell[1] + _GAP
            self._item(_MARGIN - _FRAME + column * (self._cell[0] + _GAP), y, item)
        return y + self._cell[1] + _GAP

    def _item(self, x: int, y: int, item: Item) -> None:
        width, height = self._size
        if item.frame:
            outer = (x, y, x + width + 2 * _FRAME - 1, y + height + 2 * _FRAME - 1)
            self._pen.rectangle(outer, fill=item.frame)
        for number, picture in enumerate(item.pictures):
            self._paste(x + _FRAME + number * (picture.shape[1] + _TOUCH), y + _FRAME, picture)
        self._text(x + _FRAME, y + height + 2 * _FRAME + 1, self._cut(item.caption, width), _TEXT, _SOFT)

    def _paste(self, x: int, y: int, picture: np.ndarray) -> None:
        from PIL import Image

        self._image.paste(Image.fromarray(np.ascontiguousarray(picture, np.uint8)), (x, y))

    def _text(self, x: int, y: int, words: str, size: int, colour: Colour) -> None:
        self._pen.text((x, y), words, fill=colour, font=self._fonts[size])

    def _cut(self, words: str, width: int) -> str:
        """Words that are no wider than their picture."""
        font = self._fonts[_TEXT]
        while words and font.getlength(words) > width:
            words = words[:-2].rstrip() + '…' if len(words) > 2 else ''
        return words
