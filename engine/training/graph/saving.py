"""Checkpoints and SavedModels that appear under their names only when they are whole."""

from __future__ import annotations

import os
import shutil

import tensorflow as tf

from ...errors import ModelError, OutputRefused, write_error
from ...folder import OutputFolder
from ...runtimes import savedmodel
from .session import VARIABLES, GraphSession

_FINGERPRINT = 'fingerprint.pb'  # of the weights too, so it does not hold for others
_OLD = 'old'
_NAMES = {
    savedmodel.FILE, 'saved_model.pbtxt', VARIABLES, 'assets', 'assets.extra', 'debug', 'keras_metadata.pb',
    _FINGERPRINT,
}  # fmt: skip


class SavedModelFolder(OutputFolder):
    """The `OutputFolder` of a SavedModel."""

    def __init__(self, output: str) -> None:
        super().__init__(output, 'SavedModel', _NAMES.__contains__, savedmodel.read)


def write_savedmodel(session: GraphSession, folder: str) -> None:
    """Write the SavedModel of a session, with the variables as they are there; also over one written before.

    Args:
        folder: that exists.

    Raises:
        ModelError: other graphs of the SavedModel need variables that this one does not have.
        OutputRefused, DiskFull: it cannot be written.
    """
    try:
        for name in sorted((_NAMES - {VARIABLES, _FINGERPRINT}).intersection(os.listdir(session.folder))):
            source, target = os.path.join(session.folder, name), os.path.join(folder, name)
            if os.path.isdir(source):
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copyfile(source, target)
        os.makedirs(os.path.join(folder, VARIABLES), exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
    prefix = os.path.join(folder, VARIABLES, VARIABLES)
    session.save(prefix)
    _require_all(session, prefix)


def _require_all(session: GraphSession, prefix: str) -> None:
    """Raise `ModelError` where a checkpoint lacks variables that the SavedModel had."""
    kept = {name for name, _ in tf.train.list_variables(prefix)}
    before = {name for name, _ in tf.train.list_variables(os.path.join(session.folder, VARIABLES, VARIABLES))}
    lost = sorted(before - kept)
    if lost:
        raise ModelError(
            f'{session.path}: the graph {",".join(session.meta.tags)} does not save {lost[0]}, which another graph of '
            'the model needs. Train the graph that has all variables; TAGS says which.'
        )


def require_checkpoint_place(prefix: str) -> None:
    """Raise `OutputRefused` before long work where no checkpoint could be written at its end."""
    folder = os.path.dirname(os.path.abspath(prefix))
    if not os.path.basename(prefix) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise OutputRefused(
            f'SAVE_TO: {prefix}: not what files in a folder that can be written to could begin with, such as '
            '…/variables/variables.'
        )


def save_checkpoint(session: GraphSession, prefix: str) -> None:
    """Write the variables as a checkpoint, in place of one that may be there: all of it, or nothing.

    Raises:
        OutputRefused, DiskFull: it cannot be written; what was there is kept.
    """
    folder, name = os.path.split(os.path.abspath(prefix))
    part = os.path.join(folder, f'{name}.part')
    try:
        if os.path.isdir(part):
            _put_back(part, folder)
            _remove(part)
        os.mkdir(part)
        session.save(os.path.join(part, name))
        _replace(folder, name, part)
    except OSError as error:
        raise write_error(prefix, error) from error
    finally:
        _remove(part)


def _replace(folder: str, name: str, part: str) -> None:
    """Move the files of a checkpoint into a folder; those that were there are put back if that fails."""
    old, fresh = os.path.join(part, _OLD), sorted(item for item in os.listdir(part) if item.startswith(f'{name}.'))
    os.mkdir(old)
    before = [item for item in os.listdir(folder) if item == f'{name}.index' or item.startswith(f'{name}.data-')]
    try:
        for item in before:
            os.rename(os.path.join(folder, item), os.path.join(old, item))
        for item in fresh:
            os.rename(os.path.join(part, item), os.path.join(folder, item))
    except OSError:
        for item in fresh:
            if not os.path.exists(os.path.join(part, item)):
                os.remove(os.path.join(folder, item))
        _put_back(part, folder)
        raise


def _put_back(part: str, folder: str) -> None:
    """Undo what was begun of replacing a checkpoint."""
    old = os.path.join(part, _OLD)
    for item in os.listdir(old) if os.path.isdir(old) else ():
        os.replace(os.path.join(old, item), os.path.join(folder, item))


def _remove(folder: str) -> None:
    if os.path.isdir(folder):
        shutil.rmtree(folder)
