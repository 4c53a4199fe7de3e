"""Bundles on disk: a folder ``NAME.tiobundle``, or a .zip that holds just that."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import stat
import tempfile
import zipfile
from types import TracebackType

from ..errors import InputMissing, ModelError, OutputRefused, write_error
from ..events import Reporter
from ..folder import OutputFolder
from ..runtimes import savedmodel
from ..runtimes.names import unknown_name
from ..runtimes.savedmodel import Signature, Tensor
from .description import FILE, Description, Layer, parse

ENDINGS = ('.tiobundle', '.tfbundle')
_ASSETS = 'assets'
_OTHERS = ('tflite', 'pytorch')


@dataclasses.dataclass(frozen=True)
class BundleFiles:
    """An open bundle; a context manager.

    Attributes:
        path: what was opened.
        folder: where its files lie, which for a .zip is temporary.
        description: what it says of itself.
    """

    path: str
    folder: str
    description: Description
    _temporary: str = ''

    @property
    def savedmodel(self) -> str:
        """The folder of its model.

        Raises:
            ModelError: it has none yet.
        """
        if self.description.empty:
            raise ModelError(f'{self.path}: a bundle without a model ("placeholder"), so nothing can be run.')
        return os.path.join(self.folder, *self.description.file.split('/'))

    @property
    def tags(self) -> tuple[str, ...]:
        """The tag set of its graph: ``train`` where the bundle trains, else ``serve``; or of the only one there is."""
        wanted = ('train',) if self.description.trains else ('serve',)
        sets = [graph.tags for graph in savedmodel.read(self.savedmodel)]
        return sets[0] if len(sets) == 1 else wanted

    @property
    def signature(self) -> Signature:
        """Its inputs and outputs as a signature of its graph."""

        def tensors(layers: tuple[Layer, ...]) -> dict[str, Tensor]:
            return {
                layer.name: Tensor(layer.name if ':' in layer.name else f'{layer.name}:0', layer.dtype, None)
                for layer in layers
            }

        return Signature(tensors(self.description.inputs), tensors(self.description.outputs))

    def labels(self, file: str) -> tuple[str, ...]:
        """The lines of a file of labels."""
        with open(os.path.join(self.folder, _ASSETS, *file.split('/')), encoding='utf-8') as stream:
            return tuple(stream.read().rstrip('\n').split('\n'))

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._temporary and os.path.isdir(self._temporary):
            shutil.rmtree(self._temporary)

    def __enter__(self) -> BundleFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_bundle(path: str) -> bool:
    """Whether something at a path is a bundle, whole or not."""
    if os.path.isdir(path):
        return path.rstrip('/\\').endswith(ENDINGS) or os.path.isfile(os.path.join(path, FILE))
    if os.path.basename(path) == FILE:
        return True
    if not os.path.isfile(path) or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.count('/') == 1 and name.endswith(f'/{FILE}') for name in archive.namelist())


def open_bundle(path: str, reporter: Reporter | None = None) -> BundleFiles:
    """Open a bundle, and check that it is whole: its description, its model, its labels, and that the tensors and
    operations that it names are there.

    Args:
        path: its folder, the model.json in it, or its .zip.
        reporter: hears of what is unusual.

    Raises:
        InputMissing: there is nothing at `path`.
        ModelError: it is no bundle, or a damaged one, or not for TensorFlow.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise InputMissing(f'{path}: no such file or folder. Give a .tiobundle, its model.json, or its .zip.')
    if os.path.isfile(path) and os.path.basename(path) != FILE:
        temporary = tempfile.mkdtemp(prefix='quadrat-bundle-')
        try:
            return _opened(path, _unpack(path, temporary), reporter, temporary)
        except BaseException:
            shutil.rmtree(temporary)
            raise
    folder = path if os.path.isdir(path) else os.path.dirname(path) or '.'
    return _opened(path, os.path.abspath(folder), reporter)


class BundleFolder(OutputFolder):
    """The `OutputFolder` of a bundle that is another one trained further.

    Args:
        output: the folder; its name ends in .tiobundle.
        files: the other one.

    Raises:
        OutputRefused: the name is none of a bundle.
    """

    def __init__(self, output: str, files: BundleFiles) -> None:
        self._files = files
        if not output.rstrip('/\\').endswith(ENDINGS):
            raise OutputRefused(f'{output}: the folder of a bundle ends in {ENDINGS[0]}; give such a name.')
        super().__init__(output, 'bundle', set(os.listdir(files.folder)).__contains__, open_bundle)

    @property
    def savedmodel(self) -> str:
        """The folder of its model while it is being written."""
        return os.path.join(self.part, *self._files.description.file.split('/'))

    def copy(self) -> None:
        """Write all but the model.

        Raises:
            OutputRefused, DiskFull: it cannot be written.
        """
        model = os.path.abspath(self._files.savedmodel)
        try:
            shutil.copytree(
                self._files.folder,
                self.part,
                dirs_exist_ok=True,
                ignore=lambda place, names: [name for name in names if os.path.join(place, name) == model],
            )
            os.makedirs(self.savedmodel)
        except OSError as error:
            raise write_error(self.output, error) from error


def _opened(path: str, folder: str, reporter: Reporter | None, temporary: str = '') -> BundleFiles:
    if not folder.rstrip('/\\').endswith(ENDINGS):
        raise ModelError(f'{path}: the folder of a bundle ends in {ENDINGS[0]}; rename {os.path.basename(folder)}.')
    if folder.endswith(ENDINGS[1]) and reporter:
        reporter.warn(f'{path}: {ENDINGS[1]} is the old ending of bundles; {ENDINGS[0]} is the new one.')
    files = BundleFiles(path, folder, _described(path, os.path.join(folder, FILE)), temporary)
    try:
        _check(files)
    except ModelError as error:
        text = str(error)
        raise ModelError(text if text.startswith(path) else f'{path}: {FILE}: {text}') from error
    return files


def _described(path: str, file: str) -> Description:
    try:
        with open(file, encoding='utf-8') as stream:
            data = json.load(stream)
    except FileNotFoundError:
        raise ModelError(f'{path}: no {FILE} in it, so it is no bundle.') from None
    except (OSError, ValueError) as error:
        raise ModelError(f'{path}: its {FILE} cannot be read ({error}).') from error
    try:
        return parse(data)
    except ModelError as error:
        raise ModelError(f'{path}: {FILE}: {error}') from error


def _unpack(path: str, folder: str) -> str:
    """Unpack a .zip of one folder; returns that folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            tops = {name.split('/')[0] for name in archive.namelist()}
            if len(tops) != 1 or not next(iter(tops)).endswith(ENDINGS):
                raise ModelError(f'{path}: should hold one folder that ends in {ENDINGS[0]}, and nothing beside it.')
            for item in archive.infolist():
                target = os.path.normpath(os.path.join(folder, item.filename))
                if not target.startswith(folder + os.sep) or stat.S_ISLNK(item.external_attr >> 16):
                    raise ModelError(f'{path}: holds {item.filename}, which leads out of it.')
            archive.extractall(folder)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ModelError(f'{path}: cannot be unpacked ({error}).') from error
    return os.path.join(folder, next(iter(tops)))


def _check(files: BundleFiles) -> None:
    """Raise `ModelError` where something that the description names is not there."""
    description = files.description
    for layer in description.outputs:
        if layer.labels:
            _inside(layer.labels, 'labels')
            try:
                lines = files.labels(layer.labels)
            except (OSError, ValueError) as error:
                raise ModelError(f'outputs: the labels of {layer.name}: assets/{layer.labels}: {error}') from error
            count = layer.shape[-1] if layer.shape else 1
            if len(lines) != count:
                raise ModelError(f'outputs: {layer.name} has {count} values, but {len(lines)} labels.')
    if description.empty:
        return
    if description.backend in _OTHERS or description.file.endswith(('.tflite', '.pt')):
        raise ModelError(
            f'model: of {description.backend or description.file}; only SavedModels of TensorFlow run here.'
        )
    _inside(description.file, 'model.file')
    place = files.savedmodel
    if not os.path.isfile(os.path.join(place, savedmodel.FILE)):
        raise ModelError(f'model.file: {description.file}: no SavedModel there, as it has no {savedmodel.FILE}.')
    nodes = savedmodel.choose(place, files.tags).nodes
    named = {
        'input': [layer.name for layer in description.inputs],
        'output': [layer.name for layer in description.outputs],
        'placeholder': [layer.name for layer in description.placeholders],
        'operation': list(description.ops),
    }
    for where, names in named.items():
        lost = next((name for name in names if savedmodel.operation(name) not in nodes), '')
        if lost:
            tensors = [node.name for node in nodes.values() if node.op in savedmodel.PLACEHOLDERS]
            raise unknown_name(files.path, where, lost, tensors, nodes)


def _inside(name: str, where: str) -> None:
    """Raise `ModelError` for a path that is none within the bundle."""
    parts = name.split('/')
    if os.path.isabs(name) or '\\' in name or any(part in ('', '.', '..') for part in parts):
        raise ModelError(f'{where}: {name!r} is no path within the bundle.')
