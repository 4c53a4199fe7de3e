"""Models of any kind, opened as one thing: model packages, bare SavedModels, ``.keras`` files, Tensor/IO bundles.

What nobody wrote down of a bare model is read from its signature; TensorFlow is not needed for that.
"""

from __future__ import annotations

import dataclasses
import os
import zipfile
from collections.abc import Mapping
from fractions import Fraction
from types import TracebackType
from typing import Any

from ..bundles.description import Layer
from ..bundles.folder import BundleFiles, is_bundle, open_bundle
from ..bundles.model import PreparedRuntime, bundle_card
from ..errors import InputMissing, ModelError
from ..events import Reporter
from ..runtimes import kerasfile, savedmodel
from ..runtimes.base import Runtime, load
from ..runtimes.geometry import Geometry
from ..runtimes.savedmodel import MetaGraph, Signature, Tensor
from ..runtimes.spec import MOST_AXES, TAGS, ModelSpec
from .card import ITEM, InputCard, ModelCard, OutputCard
from .package import Package, open_package


@dataclasses.dataclass(frozen=True)
class Placeholder:
    """Something that a model can be given besides images.

    Attributes:
        dtype: name of numpy's type, or ``string``.
        shape: None for any length; None as a whole where it is not known.
        default: the value that is taken where none is given; None: one has to be given.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None
    default: Any = None


@dataclasses.dataclass(frozen=True)
class Model:
    """An open model; a context manager.

    Attributes:
        path: what was opened.
        card: what is known of it.
        spec: what a runtime is asked for: all outputs.
        placeholders: what it can be given besides images.
        tag_sets, signatures: all that its SavedModel has.
        package: the model package, where it is one.
        bundle: the Tensor/IO bundle, where it is one.
        layers: what a bundle says of its inputs, by name.
    """

    path: str
    card: ModelCard
    spec: ModelSpec
    placeholders: tuple[Placeholder, ...] = ()
    tag_sets: tuple[tuple[str, ...], ...] = ()
    signatures: tuple[str, ...] = ()
    package: Package | None = None
    bundle: BundleFiles | None = None
    layers: Mapping[str, Layer] = dataclasses.field(default_factory=dict)

    @property
    def savedmodel(self) -> str:
        """The folder of the SavedModel; empty where there is none."""
        return '' if self.spec.path.endswith(kerasfile.EXTENSION) else self.spec.path

    @property
    def keras(self) -> str:
        """The .keras file; empty where there is none."""
        return self.spec.keras if self.savedmodel else self.spec.path

    @property
    def training(self) -> dict[str, Any]:
        """What the package says of how it was made; empty where it does not."""
        return self.package.training if self.package else {}

    def asked(
        self, outputs: tuple[str, ...] = (), inputs: tuple[str, ...] = (), constants: Mapping[str, str] | None = None
    ) -> ModelSpec:
        """The part of the model that is named; see `ModelSpec`."""
        inputs, outputs = inputs or self.spec.inputs, outputs or self.spec.outputs
        return dataclasses.replace(self.spec, outputs=outputs, inputs=inputs, constants=dict(constants or {}))

    def load(
        self,
        runtime: str,
        outputs: tuple[str, ...] = (),
        *,
        inputs: tuple[str, ...] = (),
        constants: Mapping[str, str] | None = None,
        precision: str = 'float32',
        device: str = 'auto',
        threads: int = 0,
        reporter: Reporter | None = None,
    ) -> Runtime:
        """The model in a runtime; see `runtimes.base.load`."""
        loaded = load(
            runtime,
            self.spec.path,
            outputs or self.spec.outputs,
            inputs=inputs or self.spec.inputs,
            tags=self.spec.tags,
            signature=self.spec.signature,
            constants=constants,
            keras=self.spec.keras,
            precision=precision,
            device=device,
            threads=threads,
            reporter=reporter,
        )
        return PreparedRuntime(loaded, self.layers) if self.layers else loaded

    def survey(
        self,
        outputs: tuple[str, ...] = (),
        *,
        inputs: tuple[str, ...] = (),
        constants: Mapping[str, str] | None = None,
        ratios: Mapping[str, Fraction] | None = None,
        reporter: Reporter | None = None,
    ) -> dict[str, Geometry]:
        """How each of the outputs lies on the inputs, measured once and kept; see `runtimes.survey.survey`."""
        from ..runtimes.survey import survey  # which loads TensorFlow

        return survey(self.asked(outputs, inputs, constants), ratios, reporter)

    def close(self) -> None:
        """Remove what was unpacked."""
        for opened in (self.package, self.bundle):
            if opened:
                opened.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def tag_set(text: str) -> tuple[str, ...] | None:
    """The tags that a text names, separated by commas, as `open_model` takes them; None where it names none."""
    return tuple(part.strip() for part in text.split(',')) if text else None


def open_model(path: str, *, tags: tuple[str, ...] | None = None, signature: str = '') -> Model:
    """Open a model.

    Args:
        path: a model package (its folder, its item.json or the folder as a .zip), the folder of a SavedModel, or one
            right above it, a ``.keras`` file, or a Tensor/IO bundle (its folder, its model.json or its .zip).
        tags: tag set of the SavedModel's graph; None: ``serve``, or else the only one there is.
        signature: its name; empty: ``serving_default``, or else the first, or else what the graph has.

    Raises:
        InputMissing: there is nothing at `path`.
        ModelError: it is no model, one that is damaged, or one without these tags or that signature.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise InputMissing(f'{path}: no such file or folder. Give a model package, a SavedModel or a .keras file.')
    if os.path.isfile(path) and path.endswith(kerasfile.EXTENSION):
        return _from_keras(path)
    if is_bundle(path):
        return _from_bundle(path, tags)
    if _is_package(path):
        return _from_package(path, tags, signature)
    if savedmodel.is_there(path):
        return _from_savedmodel(path, tags, signature)
    raise ModelError(
        f'{path}: no model. Give the folder of a model package, with its {ITEM}, or that folder as a .zip, the folder '
        f'of a SavedModel, with its {savedmodel.FILE}, or a .keras file.'
    )


def with_geometry(card: ModelCard, geometry: Geometry) -> ModelCard:
    """The card with what was measured, where it does not say it."""
    inputs = []
    for item in card.inputs:
        known = geometry.inputs.get(item.name)
        if item.field is None and known is not None and known.field is not None:
            item = dataclasses.replace(item, field=known.field, stride=known.stride)
        inputs.append(item)
    outputs = [dataclasses.replace(item, bands=item.bands or geometry.bands.get(item.name, 0)) for item in card.outputs]
    return dataclasses.replace(card, inputs=tuple(inputs), outputs=tuple(outputs))


def _is_package(path: str) -> bool:
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, ITEM))
    return os.path.basename(path) == ITEM or zipfile.is_zipfile(path)


def _from_package(path: str, tags: tuple[str, ...] | None, signature: str) -> Model:
    package = open_package(path)
    try:
        keras = package.keras if os.path.isfile(package.keras) else ''
        graph, sets = _graph(package.savedmodel, tags)
        graph.signature_name(path, signature)
        spec = ModelSpec(package.savedmodel, tags=graph.tags, signature=signature, keras=keras)
        return Model(path, package.card, spec, (), sets, tuple(graph.signatures), package)
    except BaseException:
        package.close()
        raise


def _from_savedmodel(path: str, tags: tuple[str, ...] | None, signature: str) -> Model:
    folder = savedmodel.locate(path)
    graph, sets = _graph(folder, tags)
    asked = graph.signature(path, signature)
    used = Signature(asked.inputs, {name: item for name, item in asked.outputs.items() if _mappable(item)})
    if not used.outputs:
        raise ModelError(f'{path}: none of its outputs can be mapped ({", ".join(asked.outputs) or "it has none"}).')
    inputs, placeholders = _inputs(graph, used)
    card = _card(folder, Signature(inputs, used.outputs), graph.version)
    spec = ModelSpec(folder, tags=graph.tags, signature=signature)
    return Model(path, card, spec, placeholders, sets, tuple(graph.signatures))


def _from_keras(path: str) -> Model:
    card = _card(path.removesuffix(kerasfile.EXTENSION), kerasfile.read_signature(path), '')
    return Model(path, card, ModelSpec(path))


def _from_bundle(path: str, tags: tuple[str, ...] | None) -> Model:
    """Of a Tensor/IO bundle. Its inputs and outputs are the tensors that it names, by their keys in the signature where
    they have such: in graphs of TensorFlow 2 only these can be fed."""
    files = open_bundle(path)
    try:
        folder, own = files.savedmodel, files.signature
        graph, sets = _graph(folder, tags or files.tags)
        known = graph.signature(path)
        inputs = {_key_of(item, known.inputs) or name: item for name, item in own.inputs.items()}
        outputs = {_key_of(item, known.outputs) or name: item for name, item in own.outputs.items()}
        images, placeholders = _inputs(graph, Signature(inputs, outputs))
        card = bundle_card(files, list(inputs), list(outputs))
        card = dataclasses.replace(card, inputs=tuple(item for item in card.inputs if item.name in images))
        spec = ModelSpec(folder, tuple(outputs), tuple(images), graph.tags)
        layers = dict(zip(inputs, files.description.inputs))
        return Model(path, card, spec, placeholders, sets, tuple(graph.signatures), bundle=files, layers=layers)
    except BaseException:
        files.close()
        raise


def _key_of(tensor: Tensor, known: Mapping[str, Tensor]) -> str:
    """The key in a signature of a tensor; empty where it has none."""
    return next((key for key, item in known.items() if item.name == tensor.name), '')


def _inputs(graph: MetaGraph, signature: Signature) -> tuple[dict[str, Tensor], tuple[Placeholder, ...]]:
    """The inputs that images are fed to, and what else the outputs depend on."""
    reached = {node.name: node for node in graph.placeholders(item.name for item in signature.outputs.values())}
    images, others = {}, []
    for name, item in signature.inputs.items():
        node = reached.pop(savedmodel.operation(item.name), None)
        if node is not None and item.shape is not None and len(item.shape) < 2:
            others.append(Placeholder(name, item.dtype, item.shape, graph.default(node)))
        elif node is not None:
            images[name] = item
    for node in reached.values():
        others.append(Placeholder(node.name, node.tensor.dtype, node.tensor.shape, graph.default(node)))
    return images, tuple(others)


def _card(path: str, signature: Signature, version: str) -> ModelCard:
    """The card of a model that says no more than its signature."""
    inputs = tuple(
        InputCard(name, tuple(f'B{band}' for band in range(1, _bands(item.shape) + 1)), item.dtype)
        for name, item in signature.inputs.items()
    )
    outputs = tuple(OutputCard(name, _bands(item.shape)) for name, item in signature.outputs.items())
    return ModelCard(os.path.basename(os.path.abspath(path)), '', '', inputs, outputs, framework_version=version)


def _bands(shape: tuple[int | None, ...] | None) -> int:
    """The number of bands that a shape tells; 0 where it does not."""
    if shape is None:
        return 0
    return (shape[-1] or 0) if len(shape) in (2, 4) else 1


def _mappable(item: Tensor) -> bool:
    """Whether a map can be made of an output, as far as it is known."""
    return item.dtype != 'string' and (item.shape is None or 0 < len(item.shape) <= MOST_AXES)


def _graph(folder: str, tags: tuple[str, ...] | None) -> tuple[MetaGraph, tuple[tuple[str, ...], ...]]:
    """The graph of a SavedModel that is meant, and the tag sets of all."""
    sets = tuple(graph.tags for graph in savedmodel.read(folder))
    if tags is None:
        tags = sets[0] if len(sets) == 1 else TAGS
    return savedmodel.choose(folder, tags), sets
