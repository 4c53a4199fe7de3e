"""What is trained: a SavedModel, or the one in a Tensor/IO bundle, with what that says of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from ...bundles.feeding import image
from ...bundles.folder import ENDINGS, BundleFiles, BundleFolder, is_bundle, open_bundle
from ...events import Reporter
from ...folder import OutputFolder
from ...jobs import TrainSavedModelJob
from ...runtimes.savedmodel import Signature
from .saving import SavedModelFolder

if TYPE_CHECKING:
    from .wiring import Preparation


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is trained; a context manager.

    Attributes:
        job: with what a bundle says in place of what the user left open.
        folder: of the SavedModel.
        tags: tag set of the graph; None: open.
        signatures: to look names up in before those of the SavedModel.
        preparations: what is done with samples before they are fed, by the names of the inputs.
        bundle: None where it is none.
    """

    job: TrainSavedModelJob
    folder: str
    tags: Sequence[str] | None
    signatures: tuple[Signature, ...] = ()
    preparations: Mapping[str, Preparation] = dataclasses.field(default_factory=dict)
    bundle: BundleFiles | None = None

    def output(self) -> tuple[OutputFolder, str]:
        """Where the result is written, and where in it the SavedModel lies while it is."""
        if self.bundle is not None and self.job.output.rstrip('/\\').endswith(ENDINGS):
            folder = BundleFolder(self.job.output, self.bundle)
            return folder, folder.savedmodel
        plain = SavedModelFolder(self.job.output)
        return plain, plain.part

    def __enter__(self) -> Subject:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bundle is not None:
            self.bundle.close()


def open_subject(job: TrainSavedModelJob, reporter: Reporter) -> Subject:
    """What a job trains.

    Raises:
        InputMissing, ModelError: it is a bundle that is not whole, or has no model.
    """
    tags = [tag.strip() for tag in job.tags.split(',') if tag.strip()] or None
    if not is_bundle(job.model):
        return Subject(job, job.model, tags)
    bundle = open_bundle(job.model, reporter)
    try:
        description, folder = bundle.description, bundle.savedmodel
        numbers = tuple(item.name for item in description.outputs if item.batched is None and item.shape in ((), (1,)))
        job = dataclasses.replace(
            job,
            target_nodes=job.target_nodes or description.ops,
            output_tensors=job.output_tensors or numbers,
        )
        reporter.resolve('TARGET_NODES', ', '.join(job.target_nodes))
        preparations = {
            item.name: functools.partial(image, item) for item in description.inputs if item.type == 'image'
        }
        return Subject(job, folder, tags or bundle.tags, (bundle.signature,), preparations, bundle)
    except BaseException:
        bundle.close()
        raise
