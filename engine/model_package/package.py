"""Model packages on disk: written as a whole, read from a folder or a .zip."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import shutil
import stat
import tempfile
import zipfile
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, write_error
from ..folder import OutputFolder
from .card import ITEM, ModelCard, read_card, zip_root

if TYPE_CHECKING:
    import keras

SAVEDMODEL = 'model/savedmodel'
KERAS = 'model/model.keras'
TRAINING = 'training.json'
REPORT = 'report.html'
HISTORY = 'history.csv'
LOGS = 'logs'  # of TensorBoard
_NAMES = {'model', ITEM, TRAINING, REPORT, HISTORY, LOGS}
_TOLERANCE = 1e-5  # what the exported graph may differ from the Keras model in a probability; of values, their share


class PackageFolder(OutputFolder):
    """A model package's `OutputFolder`."""

    def __init__(self, output: str) -> None:
        super().__init__(output, 'model package', _NAMES.__contains__, read_card)


def write_package(
    output: str,
    model: keras.Model,
    card: ModelCard,
    training: dict[str, Any] | None = None,
    report: str = '',
) -> ModelCard:
    """Write a model package, whole or not at all.

    Args:
        output: the folder; see `PackageFolder` for what may be there already.
        model: takes inputs named as the card's, gives a dictionary of outputs named as the card's.
        card: what to say of it; `created`, `parameters` and `framework_version` are filled in where empty.
        training: how it was made, for training.json; None leaves the file out.
        report: HTML; empty leaves the file out.

    Returns:
        The card as written.

    Raises:
        OutputRefused, DiskFull: see there.
    """
    folder = PackageFolder(output)
    with folder:
        card = fill_package(folder, model, card, training, report)
        folder.finish()
    return card


def fill_package(
    folder: PackageFolder,
    model: keras.Model,
    card: ModelCard,
    training: dict[str, Any] | None = None,
    report: str = '',
) -> ModelCard:
    """The files of a package, into a folder that was made before the work began; see `write_package`."""
    import tensorflow as tf

    card = dataclasses.replace(
        card,
        created=card.created or now(),
        parameters=card.parameters or model.count_params(),
        framework_version=card.framework_version or tf.__version__,
    )
    try:
        os.makedirs(os.path.join(folder.part, 'model'))
        model.save(os.path.join(folder.part, KERAS))
        model.export(os.path.join(folder.part, SAVEDMODEL), format='tf_saved_model', verbose=False)
        _check_export(model, os.path.join(folder.part, SAVEDMODEL), card)
        if training is not None:
            write_text(os.path.join(folder.part, TRAINING), json.dumps(training, indent=1, ensure_ascii=False))
        if report:
            write_text(os.path.join(folder.part, REPORT), report)
        item = card.to_item(_assets(folder.part))
        write_text(os.path.join(folder.part, ITEM), json.dumps(item, indent=1, ensure_ascii=False))
    except (OSError, RuntimeError, tf.errors.OpError) as error:
        raise write_error(folder.output, error) from error
    return card


def now() -> str:
    """The time as cards hold it."""
    return datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')


@dataclasses.dataclass(frozen=True)
class Package:
    """An open model package; a context manager.

    Attributes:
        path: what was opened.
        folder: where its files lie, which for a .zip is temporary.
        card: what it says of its model.
    """

    path: str
    folder: str
    card: ModelCard
    _temporary: str = ''

    @property
    def savedmodel(self) -> str:
        """The folder of the SavedModel."""
        return os.path.join(self.folder, SAVEDMODEL)

    @property
    def keras(self) -> str:
        """The .keras file; there may be none."""
        return os.path.join(self.folder, KERAS)

    @property
    def training(self) -> dict[str, Any]:
        """What training.json holds; empty where there is none."""
        path = os.path.join(self.folder, TRAINING)
        if not os.path.isfile(path):
            return {}
        try:
            with open(path, encoding='utf-8') as file:
                return dict(json.load(file))
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(f'{self.path}: its {TRAINING} cannot be read ({error}).') from error

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._temporary:
            _remove(self._temporary)

    def __enter__(self) -> Package:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_package(path: str) -> Package:
    """Open a model package: its folder, its item.json, or the folder as a .zip.

    Raises:
        InputMissing: there is nothing at `path`.
        ModelError: it is no model package, or one that is damaged or not safe to unpack.
    """
    path = os.fspath(path)
    card = read_card(path)
    if os.path.isfile(path) and os.path.basename(path) != ITEM:
        temporary = tempfile.mkdtemp(prefix='quadrat-package-')
        try:
            folder = _unzip(path, temporary)
            _require_savedmodel(path, folder)
        except BaseException:
            _remove(temporary)
            raise
        return Package(path, folder, card, temporary)
    folder = path if os.path.isdir(path) else os.path.dirname(path) or '.'
    _require_savedmodel(path, folder)
    return Package(path, folder, card)


def _require_savedmodel(path: str, folder: str) -> None:
    file = os.path.join(folder, SAVEDMODEL, 'saved_model.pb')
    if not os.path.isfile(file):
        raise ModelError(f'{path}: the package is not whole, {SAVEDMODEL}/saved_model.pb is missing.')


def _unzip(path: str, target: str) -> str:
    """Unpack an archive, refusing whatever would not stay in `target`; returns the package's folder in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            root = zip_root(archive)
            for member in archive.infolist():
                parts = member.filename.replace('\\', '/').split('/')
                if parts[0] == '' or '..' in parts or ':' in parts[0] or stat.S_ISLNK(member.external_attr >> 16):
                    raise ModelError(f'{path}: not unpacked, its entry {member.filename!r} is not safe.')
            archive.extractall(target)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ModelError(f'{path}: cannot be unpacked ({error}).') from error
    return os.path.join(target, root.rstrip('/'))


def _check_export(model: keras.Model, path: str, card: ModelCard) -> None:
    """Raise `ModelError` where the exported graph has other names, or other results, than the model."""
    import numpy as np
    import tensorflow as tf

    signature = tf.saved_model.load(path).signatures['serving_default']
    names = set(signature.structured_input_signature[1]), set(signature.structured_outputs)
    wanted = {item.name for item in card.inputs}, {item.name for item in card.outputs}
    if names != wanted:
        raise ModelError(f'The exported model has inputs and outputs {names}, not {wanted}.')
    rng = np.random.default_rng(0)
    feed = {}
    for item in card.inputs:
        low, spread = (np.asarray(values or 0.0, np.float32) for values in (item.mean, item.stddev))
        cols, rows = item.patch_size if all(item.patch_size) else (2 * item.stride, 2 * item.stride)
        feed[item.name] = low + spread * rng.standard_normal((1, rows, cols, len(item.bands)), np.float32)
    expected = model(feed if len(feed) > 1 else next(iter(feed.values())), training=False)
    for name, value in signature(**{key: tf.constant(array) for key, array in feed.items()}).items():
        difference = float(np.max(np.abs(value.numpy() - expected[name].numpy())))
        if not difference <= _TOLERANCE * max(1.0, float(np.max(np.abs(expected[name].numpy())))):
            raise ModelError(f'The exported model differs from the trained one by {difference:g} in {name}.')


def _assets(folder: str) -> dict[str, dict[str, Any]]:
    """STAC assets for the files of a package."""
    candidates = {
        'model': (KERAS, 'application/zip; application=keras', ['mlm:model', 'mlm:weights'], 'tf.keras.Model.save'),
        'training': (TRAINING, 'application/json', ['metadata'], ''),
        'report': (REPORT, 'text/html', ['metadata'], ''),
    }
    assets: dict[str, dict[str, Any]] = {
        'savedmodel': {
            'href': f'./{SAVEDMODEL}/',
            'type': 'application/octet-stream; framework=tensorflow; profile=savedmodel',
            'roles': ['mlm:model'],
            'mlm:artifact_type': 'tf.keras.Model.export',
        }
    }
    for key, (name, kind, roles, artifact) in candidates.items():
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            assets[key] = {'href': f'./{name}', 'type': kind, 'roles': roles, 'file:size': os.path.getsize(path)}
            with open(path, 'rb') as file:
                # A multihash: function 0x12 (SHA-256), length 0x20.
                assets[key]['file:checksum'] = '1220' + hashlib.sha256(file.read()).hexdigest()
            if artifact:
                assets[key]['mlm:artifact_type'] = artifact
    return assets


def write_text(path: str, text: str) -> None:
    """A text file that lasts once this returns."""
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text + ('' if text.endswith('\n') else '\n'))
        file.flush()
        os.fsync(file.fileno())


def _remove(folder: str) -> None:
    """Delete a folder if it exists."""
    if os.path.isdir(folder):
        shutil.rmtree(folder)
