"""Samples on the ground of polygons, along lines and at points: so many of each class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InvalidJob, NoSamples
from ..events import Reporter
from ..folder import write_together
from ..gdalio import ogr
from ..jobs import IMAGE_RATES, SAMPLE_STRATEGIES, SAMPLERS, SampledImage, SelectSamplesJob
from ..vector import VectorWriter, field, require_vector_output
from .classtable import log_table
from .draws import Drawn
from .images import ClassedImage, listed
from .periodic import Periodic
from .rates import Demand, Rate, image_rates, rates_text, read_by_class, single_rates

_Rates = Sequence[Mapping[str, Rate]]  # of each class on each image
_TOGETHER = 1 << 18  # candidates looked at together
_NUMBERS = (ogr.OFTInteger, ogr.OFTInteger64, ogr.OFTReal)  # each holds what those before it hold


def select_samples(job: SelectSamplesJob, reporter: Reporter) -> dict[str, Any]:
    """Choose pixels of the classes of a vector layer and write them as points.

    The pixels of a class are looked at in the order of the features, and within a feature row by row; the sampler says
    which of them are taken. The points are the centres of the pixels, or the points of a point layer themselves, image
    by image and class by class in alphabetical order, in the reference system of the first image. They carry all
    attributes of their feature and ``originfid``, its number; ``row`` and ``col`` of the pixel from 0; of several
    images also ``image``, its number from 1, and ``raster``, its path.

    Where an image comes with statistics, its pixels are not counted before. Should they turn out not to fit, a warning
    says so, and the samples are chosen again from what was found.

    Returns:
        ``OUTPUT`` and, where they are asked for, ``RATES``: the paths of what was written; of several images the first
        file of rates.

    Raises:
        InvalidJob, LabelError: parameters that contradict each other; a field that is missing or holds no classes.
        GridMismatch: a mask lies on another grid than its image.
        NoSamples: there is nothing to sample, or the numbers asked for are all 0.
    """
    demands = _demands(job)
    require_vector_output(job.output)
    images = [ClassedImage(image, job.field, reporter) for image in job.images]
    for number, image in enumerate(images):
        reporter.stage(0.4 * number / len(images), 0.4 * (number + 1) / len(images))
        image.survey()
    reporter.stage(0.4, 1.0)
    while True:
        rates = image_rates(job.image_rates, demands, [image.pixels for image in images])
        _check(job, demands[0], images, rates, reporter)
        try:
            files = _write(job, images, rates, reporter)
            break
        except _Misfit:
            reporter.warn('The samples are chosen again, from the pixels that were found.')
    for number, own in enumerate(rates):
        _log(f'Image {number + 1}, {images[number].path}' if len(images) > 1 else '', own, reporter)
    return {'OUTPUT': job.output, **({'RATES': files[0]} if files else {})}


def _demands(job: SelectSamplesJob) -> list[Demand]:
    """What is asked for on each image, or `InvalidJob` for what makes no sense."""
    for what, value, known in (
        ('Strategy', job.strategy, SAMPLE_STRATEGIES),
        ('Sampler', job.sampler, SAMPLERS),
        ('Rates of several images', job.image_rates, IMAGE_RATES),
    ):
        if value not in known:
            raise InvalidJob(f'{what} {value!r}: choose one of {", ".join(known)}.')
    if not job.images:
        raise InvalidJob('No image is given.')
    if job.jitter < 0 or job.seed < 0:
        raise InvalidJob('The jitter and the seed are 0 or more.')
    return [_demand(job, image) for image in job.images]


def _demand(job: SelectSamplesJob, image: SampledImage) -> Demand:
    """What is asked for on one image."""
    count, percent, table = job.count, job.percent, job.by_class
    if job.image_rates == 'custom':
        count = count if image.count is None else image.count
        percent = percent if image.percent is None else image.percent
        table = image.by_class or table
    if job.strategy in ('constant', 'total') and count < 1:
        raise InvalidJob(f'{count} samples: at least 1 must be asked for.')
    if job.strategy == 'percent' and not 0 <= percent <= 1:
        raise InvalidJob(f'A share of {percent:g} of the pixels: it must lie between 0 and 1.')
    if job.strategy != 'byclass':
        return Demand(job.strategy, count, percent)
    if not table:
        raise InvalidJob('The strategy "byclass" needs a table of classes and numbers of samples (BY_CLASS).')
    return Demand(job.strategy, by_class=read_by_class(table))


class _Misfit(Exception):
    """Statistics that were given do not fit."""


def _check(
    job: SelectSamplesJob, demand: Demand, images: Sequence[ClassedImage], rates: _Rates, reporter: Reporter
) -> None:
    """Say where there is less than was asked for; `NoSamples` where there is nothing, or nothing is asked for."""
    empty = [image for image in images if not any(image.pixels.values())]
    if len(empty) == len(images):
        raise empty[0].no_pixels()
    for image in empty:
        reporter.warn(f'{image.path}: no feature of {image.layer.path} has a pixel there.')
    together: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for image, own in zip(images, rates):
        together.update({**dict.fromkeys(own, 0), **image.pixels})
        taken.update({text: rate.taken for text, rate in own.items()})
        short = [
            f'{text} ({rate.total} of {rate.required})' for text, rate in own.items() if 0 < rate.total < rate.required
        ]
        if short:
            where = f'{image.path}: ' if len(images) > 1 else ''
            reporter.warn(f'{where}OVERFLOW: fewer pixels than were asked for; all are taken of {listed(short)}.')
    without = sorted(text for text, count in together.items() if not count)
    if without:
        reporter.warn(f'Classes without a pixel: {listed(without)}.')
    if not any(taken.values()):
        raise NoSamples(
            f'Not one sample is asked for of the classes {listed(sorted(together))}: look at the strategy '
            f'{job.strategy!r} and its numbers.'
        )
    if len(images) > 1 and job.image_rates != 'custom':
        asked = {text: rate.taken for text, rate in single_rates(demand, together).items()}
        missing = [f'{text} ({taken[text]} of {number})' for text, number in asked.items() if taken[text] < number]
        # Less than one an image is what rounding down costs.
        more = any(number - taken[text] >= len(images) for text, number in asked.items())
        if missing:
            tell = reporter.warn if more else reporter.log
            tell(f'Dealt out over the images, fewer samples are taken than were asked for: {listed(missing)}.')


def _write(job: SelectSamplesJob, images: Sequence[ClassedImage], rates: _Rates, reporter: Reporter) -> list[str]:
    """Write samples and rates, and say where the rates are.

    Raises:
        _Misfit: statistics do not fit; nothing is written, and the images know their pixels now.
    """
    files = _rates_files(job.rates, len(images))
    with VectorWriter(job.output, images[0].grid.crs, _fields(images, reporter)) as writer:
        fits = [_write_image(writer, job, images, number, own, reporter) for number, own in enumerate(rates)]
        if not all(fits):
            raise _Misfit
        write_together({path: rates_text(own) for path, own in zip(files, rates)})
    return files


def _write_image(
    writer: VectorWriter,
    job: SelectSamplesJob,
    images: Sequence[ClassedImage],
    number: int,
    rates: Mapping[str, Rate],
    reporter: Reporter,
) -> bool:
    """Write the samples of one image, and say whether it has as many pixels as was expected."""
    image = images[number]
    place = image.placer(images[0])
    origin: dict[str, object] = {'image': number + 1, 'raster': image.path} if len(images) > 1 else {}

    def write(feature: ogr.Feature, cols: np.ndarray, rows: np.ndarray, xy: np.ndarray) -> None:
        for (x, y), row, col in zip(place(xy).tolist(), rows.tolist(), cols.tolist()):
            writer.add_point(x, y, {'originfid': feature.GetFID(), 'row': row, 'col': col, **origin}, feature)

    found = dict(image.pixels)
    done, features = 0, sum(len(fids) for fids in image.members.values())
    for text, fids in sorted(image.members.items()):
        if image.counted and not rates[text].taken:
            continue
        draw = _sampler(job, rates[text], [number, *text.encode()])
        found[text] = 0
        for fid in fids:
            reporter.progress((number + done / features) / len(images), f'Choosing samples of class {text}')
            done += 1
            found[text] += _choose(image, fid, draw, found[text], write)
    return image.confirm(found)


def _sampler(job: SelectSamplesJob, rate: Rate, place: Sequence[int]) -> Drawn | Periodic:
    """What says which pixels of a class are taken; `place` tells classes and images apart."""
    rng = np.random.default_rng([job.seed, *place])
    if job.sampler == 'random':
        return Drawn(rate.total, rate.taken, rng)
    return Periodic(rate.total, rate.taken, job.jitter, rng)


def _choose(
    image: ClassedImage,
    fid: int,
    draw: Drawn | Periodic,
    seen: int,
    write: Callable[[ogr.Feature, np.ndarray, np.ndarray, np.ndarray], None],
) -> int:
    """Write the samples of a feature, and say how many pixels it has.

    Args:
        draw: which pixels of the class are taken.
        seen: pixels of the class in the features before this one.
        write: called with the feature, and columns, rows and coordinates (n, 2) on the image.
    """
    pixels = 0
    for feature, found in image.candidates(fid):
        for start in range(0, len(found), _TOGETHER):
            first, end = seen + pixels + start, seen + pixels + min(start + _TOGETHER, len(found))
            write(feature, *found.at(draw.within(first, end) + start))
        pixels += len(found)
    return pixels


def _fields(images: Sequence[ClassedImage], reporter: Reporter) -> list[ogr.FieldDefn]:
    """The attributes of all layers, and those of samples; where layers differ in a type, one that holds both."""
    own = [field(name, ogr.OFTInteger64) for name in ('originfid', 'row', 'col')]
    if len(images) > 1:
        own += [field('image', ogr.OFTInteger64), field('raster', ogr.OFTString)]
    taken = {definition.GetName() for definition in own}
    found: dict[str, ogr.FieldDefn] = {}
    layers = [image.layer.layer for image in images]
    for layer in {(layer.path, layer.layer.GetName()): layer for layer in layers}.values():
        schema = layer.layer.GetLayerDefn()
        for definition in (schema.GetFieldDefn(i) for i in range(schema.GetFieldCount())):
            name = definition.GetName().lower()
            if name in taken:
                reporter.warn(f'{layer.path}: the field {definition.GetName()!r} is replaced by that of the samples.')
            else:
                found[name] = _common(found[name], definition) if name in found else definition
    return [*found.values(), *own]


def _common(a: ogr.FieldDefn, b: ogr.FieldDefn) -> ogr.FieldDefn:
    """A field that holds the values of both."""
    if (a.GetType(), a.GetSubType(), a.GetWidth()) == (b.GetType(), b.GetSubType(), b.GetWidth()):
        return a
    if a.GetType() == b.GetType():
        return field(a.GetName(), a.GetType())
    if a.GetType() in _NUMBERS and b.GetType() in _NUMBERS:
        return field(a.GetName(), max(a.GetType(), b.GetType(), key=_NUMBERS.index))
    return field(a.GetName(), ogr.OFTString)


def _rates_files(path: str, images: int) -> list[str]:
    """Where the rates are written: one file, or one an image with its number."""
    if not path or images == 1:
        return [path] if path else []
    base, ending = os.path.splitext(path)
    return [f'{base}_{number}{ending}' for number in range(1, images + 1)]


def _log(title: str, rates: Mapping[str, Rate], reporter: Reporter) -> None:
    """A table of the classes on an image."""
    if title:
        reporter.log(title)
    lines = {
        text: (str(rate.total), str(rate.required), str(rate.taken), f'{rate.rate:.3g}') for text, rate in rates.items()
    }
    total, taken = (sum(getattr(rate, name) for rate in rates.values()) for name in ('total', 'taken'))
    log_table(('pixels', 'asked', 'taken', 'rate'), lines, (str(total), '', str(taken), ''), reporter)
