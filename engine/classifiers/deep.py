"""Training a classifier on what a network gives for pixels of polygons."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from ..errors import NoSamples
from ..events import Reporter
from ..folder import OutputFolder
from ..gdalio import open_raster
from ..grid import Grid, Window
from ..jobs import UNSUPERVISED, ServeJob, SourceSpec, TrainDeepFeaturesJob
from ..model_package.importers import open_model, tag_set
from ..raster import RasterStack
from ..sampling.periodic import Periodic
from ..serving.masks import Mask
from ..serving.serve import serve_model
from .pixels import NOTHING, Choice, ChosenMask, Pixels, all_of, demand, require_numbers, shared_number
from .samples import Samples
from .training import check, finish

_TILE = 256  # side of tiles; of smaller ones more are computed that hold few samples
_FILE = 'features.tif'
_SERVING = (0.05, 0.8)  # from where to where in the progress the network is at work
# What of a job of serving has no meaning for features, which are not a map that stays.
_OF_MAPS = {
    *('output', 'probabilities', 'confidence', 'entropy', 'margin', 'output_folder', 'polygons', 'classes'),
    *('fill_value', 'output_type', 'probability_type', 'threshold', 'sieve', 'connectivity', 'resume', 'cog'),
    *('overviews', 'creation_options'),
}


def train_deep_features(job: TrainDeepFeaturesJob, reporter: Reporter) -> dict[str, Any]:
    """Train a classifier on the values that outputs of a network have at pixels of polygons.

    The pixels are chosen on the grid of the network's map, as OTB's TrainImagesClassifier chooses them, and only tiles
    that hold some are computed; patch by patch, only these pixels are. Features are the bands of the outputs that are
    named, or of all outputs, one after the other.

    Returns:
        What `training.finish` returns.

    Raises:
        EngineError: of the fitting class, with one line; then no output has changed.
    """
    check(job)
    require_numbers(job.mt, job.mv, job.vtr, job.validation is not None)
    with OutputFolder(job.output + '.features', 'raster of features', _belongs) as folder:
        path = os.path.join(folder.part, _FILE)
        serving = _serving(job.serving, path)
        chosen = _Chosen(job, reporter)
        serve_model(serving, reporter.within(*_SERVING), select=chosen.choose)
        reporter.stage(_SERVING[1], 1.0)
        reporter.progress(0.0, 'Reading features')
        stack = RasterStack(SourceSpec((path,)))
        training = read_features(stack, chosen.training, reporter)
        validation = read_features(stack, chosen.validation, reporter) if chosen.validation is not None else None
        tags = open_raster(path).GetMetadata()
    if validation is None and job.vtr > 0 and job.classifier not in UNSUPERVISED:
        training, validation = split(training, job.vtr)
        reporter.log(
            f'{len(validation)} of the samples are kept for validation. They lie in the polygons of the others, so the '
            'accuracy of a map is lower; give other polygons as VALIDATION_VECTOR to learn it.'
        )
    return finish(
        job,
        stack.bands,
        training,
        validation if validation else None,
        reporter,
        outputs=serving.output_names,
        model=tags.get('QUADRAT_MODEL', ''),
        model_id=tags.get('QUADRAT_MODEL_ID', ''),
    )


def _belongs(name: str) -> bool:
    return name.startswith(_FILE)


def _serving(job: ServeJob, path: str) -> ServeJob:
    """The job that writes the features."""
    names = job.output_names
    if not names:
        with open_model(job.model, tags=tag_set(job.tags), signature=job.signature) as model:
            names = tuple(item.name for item in model.card.outputs)
    kept = {field.name: getattr(job, field.name) for field in dataclasses.fields(job) if field.name not in _OF_MAPS}
    kept.update(output_names=names, tile_size=job.tile_size or _TILE)
    return ServeJob(**kept, output=path, output_type='float32', fill_value=float('nan'), resume=False)


class _Chosen:
    """The pixels to train with and to judge by, chosen when the map's grid is known.

    Attributes:
        training: those to train with; without a validation layer those to judge by are among them.
        validation: those to judge by, from the validation layer; None without one.
    """

    def __init__(self, job: TrainDeepFeaturesJob, reporter: Reporter) -> None:
        self._job, self._reporter = job, reporter
        self.training = NOTHING
        self.validation: Pixels | None = None

    def choose(self, grid: Grid, part: Window, masks: list[Mask]) -> Mask:
        """The mask of what is to be computed; see `serve_model`."""
        job, reporter, balanced = self._job, self._reporter, bool(self._job.bm)
        reporter.stage(0.0, _SERVING[0])
        ground, wanted = grid.sub(part), all_of(masks, part)
        number = job.mt if job.validation else shared_number(job.mt, job.mv, job.vtr)
        first = Choice(job.vector, job.field, demand(number, balanced), (job.seed, 0), reporter)
        self.training = first.choose(ground, wanted)
        chosen = [self.training]
        if job.validation:
            second = Choice(job.validation, job.field, demand(job.mv, balanced), (job.seed, 1), reporter)
            self.validation = second.choose(ground, wanted)
            chosen.append(self.validation)
        return ChosenMask(chosen, part)


def read_features(stack: RasterStack, pixels: Pixels, reporter: Reporter) -> Samples:
    """The values of a raster at pixels, in their order; those without data are left out, and a warning says so.

    Raises:
        NoSamples: all are.
    """
    values = np.empty((len(pixels), len(stack.bands)), np.float32)
    cols, rows = stack.block
    keys = np.stack([pixels.rows // rows, pixels.cols // cols])
    order = np.lexsort(keys[::-1])
    for group in np.split(order, np.flatnonzero(np.diff(keys[:, order]).any(0)) + 1):
        reporter.check_cancelled()
        left, top = int(pixels.cols[group].min()), int(pixels.rows[group].min())
        right, bottom = int(pixels.cols[group].max()) + 1, int(pixels.rows[group].max()) + 1
        found = stack.read(Window(left, top, right - left, bottom - top))
        values[group] = found[pixels.rows[group] - top, pixels.cols[group] - left]
    known = np.isfinite(values).all(1)
    if not known.any():
        raise NoSamples(f'The model gives no values for any of the {len(pixels)} samples: all lie on no-data.')
    if not known.all():
        reporter.warn(f'{int((~known).sum())} of {len(pixels)} samples lie on no-data and are left out.')
    return Samples(values, pixels.texts).chosen(known)


def split(samples: Samples, share: float) -> tuple[Samples, Samples]:
    """Samples for training and for validation: of each class the share, rounded down, at even distances."""
    kept = np.zeros(len(samples), bool)
    for text in np.unique(samples.texts):
        places = np.flatnonzero(samples.texts == text)
        draw = Periodic(len(places), int(len(places) * share), 0, np.random.default_rng(0))
        kept[places[draw.within(0, len(places))]] = True
    return samples.chosen(~kept), samples.chosen(kept)
