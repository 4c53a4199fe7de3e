"""What a model package says of a training: the card of the model, and the record of how it was made."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..events import Reporter
from ..jobs import TrainJob
from ..model_package.card import InputCard, ModelCard, OutputCard, ReceptiveField
from ..records import finite, versions
from .ground import footprint
from .opening import Material, ratios
from .splits import Split

if TYPE_CHECKING:
    import keras


def model_card(job: TrainJob, material: Material, model: keras.Model, created: str, reporter: Reporter) -> ModelCard:
    """What the package says of the model."""
    options = {f'option_{key}': _plain(value) for key, value in dataclasses.asdict(job.options).items()}
    output = 'probabilities' if material.classes else 'values'
    return ModelCard(
        name=os.path.basename(os.path.abspath(job.output)),
        task=job.task,
        architecture=job.architecture,
        inputs=_inputs(material, model),
        outputs=(OutputCard(output, len(material.classes) or 1, material.classes),),
        batch_size=job.batch_size,
        created=created,
        geometry=footprint(material.manifest, reporter),
        hyperparameters={
            'epochs': job.epochs,
            'batch_size': job.batch_size,
            'learning_rate': job.learning_rate,
            'seed': job.seed,
            'optimizer': job.options.optimizer,
            'loss': job.loss,
            **{key: value for key, value in options.items() if value not in (None, '')},
        },
        description=f'Trained by Quadrat on {material.samples.count} patches; training.json says how.',
    )


def _inputs(material: Material, model: keras.Model) -> tuple[InputCard, ...]:
    """The sources. How far a network that takes whole patches sees is what they are large."""
    from ..networks.field import receptive_fields

    relation = {source.name: ratio for source, ratio in zip(material.sources, ratios(material.sources))}
    found = receptive_fields(model, relation) if material.per_pixel else {}
    cards = []
    for source in material.sources:
        reach, statistics = found.get(source.name), source.statistics
        cards.append(
            InputCard(
                name=source.name,
                bands=source.bands,
                field=ReceptiveField(*reach.sides) if reach and reach.sides else None,
                stride=reach.stride if reach else 1,
                patch_size=(source.shape[1], source.shape[0]),
                nodata=source.nodata,
                nodata_policy=source.nodata_policy,
                fill=statistics.mean,
                pixel_size=source.pixel_size,
                mean=statistics.mean,
                stddev=statistics.stddev,
                minimum=statistics.minimum,
                maximum=statistics.maximum,
            )
        )
    return tuple(cards)


def training_record(
    job: TrainJob,
    material: Material,
    parameters: int,
    weights: np.ndarray,
    outcome: Mapping[str, Any],
    created: str,
) -> dict[str, Any]:
    """How the model was made, for training.json and the report.

    Args:
        parameters: of the network.
        weights: of classes in the loss.
        outcome: ``history``, ``best``, ``results`` and what else the training says.
    """
    samples, first = material.samples, material.sources[0]
    return finite(
        {
            'created': created,
            'model': {'name': os.path.basename(os.path.abspath(job.output)), 'parameters': parameters},
            'job': job.to_dict(),
            'dataset': {
                'folder': os.path.abspath(samples.folder) if job.dataset else samples.folder if job.feeders else '',
                'fingerprint': samples.manifest.fingerprint(),
                'rasters': list(dict.fromkeys(raster for source in material.sources for raster in source.rasters)),
                'patch_size': list(first.shape[1::-1]),
                'bands': list(first.bands),
                'sources': [
                    {
                        'name': source.name,
                        'rasters': list(source.rasters),
                        'bands': list(source.bands),
                        'patch_size': list(source.shape[1::-1]),
                    }
                    for source in material.sources
                ],
                'validation': [os.path.abspath(other.folder) for other in material.others],
                'splits': {name: _split_record(split) for name, split in material.splits.items()},
            },
            'classes': [dataclasses.asdict(definition) for definition in material.classes],
            'class_weights': [float(weight) for weight in weights],
            **outcome,
            'versions': versions(),
        }
    )


def _split_record(split: Split) -> dict[str, Any]:
    values = {} if split.spread is None else {'values': dataclasses.asdict(split.spread)}
    return {'samples': split.count, 'pixels': [int(count) for count in split.pixels], **values}


def _plain(value: Any) -> Any:
    """A value as text where STAC would have none: lists and objects."""
    return value if isinstance(value, (str, int, float, bool)) or value is None else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ', '.join(f'{key}={item}' for key, item in value.items())
    return ', '.join(map(str, value)) if isinstance(value, Sequence) else str(value)
