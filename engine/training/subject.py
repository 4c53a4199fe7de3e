"""The model that is evaluated: which of its outputs is judged, and what that output says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..classes import complete
from ..errors import InvalidJob, LabelError, ModelError
from ..jobs import TASKS, ClassDef, EvaluateJob, ServeJob
from ..model_package.importers import Model
from ..runtimes import kerasfile, savedmodel
from ..runtimes.names import find, unknown_name
from ..runtimes.savedmodel import Tensor
from ..serving.network import class_output

SEGMENTATION, CLASSIFICATION, REGRESSION = TASKS
_MEASURES = {SEGMENTATION: 'mean_iou', CLASSIFICATION: 'macro_f1', REGRESSION: 'r2'}
_SHOWN = 10  # values that a message lists


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model under evaluation.

    Attributes:
        model: opened.
        output: the name of the output that is judged.
        bands: its classes in the order of its bands, or those of its values; none where it gives values.
        task: one of `jobs.TASKS`.
        serving: how the model is applied; without sources and places of outputs.
        probable: the output gives probabilities of classes, not their values.
    """

    model: Model
    output: str
    bands: tuple[ClassDef, ...]
    task: str
    serving: ServeJob
    probable: bool

    @property
    def classes(self) -> tuple[ClassDef, ...]:
        """The classes in ascending order of their values, all with names and colours."""
        return complete(sorted({item.value for item in self.bands}), self.bands)

    @property
    def measure(self) -> str:
        """The score that counts first."""
        return _MEASURES[self.task]

    @property
    def products(self) -> tuple[str, ...]:
        """What is made of the output: the class or the value, and how sure the model is where it says so."""
        return ('OUTPUT', 'CONFIDENCE') if self.probable else ('OUTPUT',)

    def trained(self, key: str) -> Any:
        """What the package says of the training, a part of its record; an empty dictionary where it says nothing."""
        found = self.model.training.get(key)
        return found if isinstance(found, dict) else {}

    def unknown(self, where: str, counts: Mapping[int, int], remedy: str) -> LabelError:
        """The error for labels of a reference that are no class of the model.

        Args:
            where: the reference.
            counts: of each such value.
            remedy: what to do about it, if the model is the right one.
        """
        some = ', '.join(f'{value} ({count})' for value, count in sorted(counts.items())[:_SHOWN])
        more = ', …' if len(counts) > _SHOWN else ''
        known = ', '.join(f'{item.value} ({item.name})' for item in self.classes)
        return LabelError(
            f'{where}: labels that are no class of the model: {some}{more}; its classes are {known}. {remedy}, or give '
            'a model that knows them.'
        )


def subject_of(model: Model, job: EvaluateJob) -> Subject:
    """What is judged of a model.

    Raises:
        ModelError: there is no such output, or it has to be said which is meant, or what its bands are.
        InvalidJob: values are to be judged, and there are several a pixel.
    """
    asked = (job.output_name,) if job.output_name else ()
    given = class_output(model, ServeJob(job.model, (), output_names=asked, classes=job.classes))
    known = {item.name: item for item in model.card.outputs}
    own = find(job.output_name, known) if job.output_name else None
    if given is not None and asked and not job.classes and own != given.name:
        given = known[own] if own and known[own].classes else None
    name = given.name if given is not None else _only(model, job, own)
    tensor = _tensor(model, name)
    bands = given.classes if given is not None else ()
    if not bands and name in known and known[name].bands > 1:
        raise InvalidJob(
            f'{job.model}: the output {name} has {known[name].bands} bands. If these are classes, name them in '
            'CLASSES, in the order of the bands; of values one a pixel can be judged.'
        )
    task = _task(model, bands, tensor)
    serving = ServeJob(
        job.model,
        (),
        output_names=(name,),
        classes=bands,
        user_placeholders=job.user_placeholders,
        tags=job.tags,
        signature=job.signature,
        batch_size=job.batch_size,
        runtime=job.runtime,
        device=job.device,
        resume=False,
    )
    whole = bool(tensor and tensor.dtype and np.dtype(tensor.dtype).kind in 'iub')
    return Subject(model, name, bands, task, serving, bool(bands) and not whole)


def _only(model: Model, job: EvaluateJob, own: str | None) -> str:
    """The name of an output of values."""
    names = [item.name for item in model.card.outputs]
    if job.output_name:
        if own is None:
            raise unknown_name(job.model, 'output', job.output_name, names)
        return own
    if len(names) != 1:
        raise ModelError(
            f'{job.model}: has the outputs {", ".join(names)}; say with OUTPUT_NAME which is judged, and what its '
            'bands are with CLASSES if these are classes.'
        )
    return names[0]


def _task(model: Model, bands: tuple[ClassDef, ...], tensor: Tensor | None) -> str:
    """What the output says: what the package says, or what its classes and axes tell."""
    if not bands:
        return REGRESSION
    if model.card.task in (SEGMENTATION, CLASSIFICATION):
        return model.card.task
    flat = tensor is not None and tensor.shape is not None and 0 < len(tensor.shape) < 3
    return CLASSIFICATION if flat else SEGMENTATION


def _tensor(model: Model, name: str) -> Tensor | None:
    """What a bare model's signature says of an output; None where it does not name it."""
    if model.savedmodel:
        graph = savedmodel.choose(model.savedmodel, model.spec.tags)
        return graph.signature(model.path, model.spec.signature).outputs.get(name)
    return kerasfile.read_signature(model.keras).outputs.get(name)
