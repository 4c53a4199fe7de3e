"""Classifiers in files: what skops writes, which runs no code when it is read, with a card in JSON.

A file is a zip archive: skops' ``schema.json`` and arrays, and `CARD`. ``skops.io.load`` opens it too.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import warnings
import zipfile

import skops.io

from ..errors import InputMissing, InputUnreadable, InvalidJob
from ..jobs import CLASSIFIERS, from_dict
from ..records import versions
from .checking import Unsafe, check
from .classifier import Classifier, ClassifierCard

EXTENSION = '.skops'
CARD = 'quadrat.json'
VERSION = 1
LARGEST = 4 << 30  # bytes that a file may hold when it is unpacked
# What skops, or an older one, does not trust of itself, for each kind; nothing else is ever trusted.
_TREE = ('sklearn.tree._tree.Tree',)
TRUSTED: dict[str, tuple[str, ...]] = {
    'rf': _TREE,
    'extratrees': _TREE,
    'gbt': (
        'sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor',
        'sklearn.ensemble._hist_gradient_boosting.binning._BinMapper',
        'sklearn._loss.link.Interval',
        'sklearn._loss.link.LogitLink',
        'sklearn._loss.link.MultinomialLogit',
        'sklearn._loss.loss.HalfBinomialLoss',
        'sklearn._loss.loss.HalfMultinomialLoss',
        '_loss.CyHalfBinomialLoss',
        '_loss.CyHalfMultinomialLoss',
    ),
    'dt': _TREE,
    'svm': ('sklearn.calibration._CalibratedClassifier', 'sklearn.calibration._SigmoidCalibration'),
    'ann': ('sklearn.neural_network._stochastic_optimizers.AdamOptimizer',),
}


def to_bytes(classifier: Classifier) -> bytes:
    """The contents of a file."""
    text = json.dumps({'classifier': VERSION, **dataclasses.asdict(classifier.card)}, indent=1, ensure_ascii=False)
    file = io.BytesIO(skops.io.dumps(classifier.pipeline, compression=zipfile.ZIP_DEFLATED, compresslevel=1))
    with zipfile.ZipFile(file, 'a', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CARD, text)
    return file.getvalue()


def load_classifier(path: str) -> Classifier:
    """A classifier from its file. Nothing in the file is run, and what it holds is checked.

    Raises:
        InputMissing: there is no such file.
        InputUnreadable: it is damaged, not one of ours, not safe, or of a version of scikit-learn that this one cannot
            read.
    """
    if not os.path.isfile(path):
        raise InputMissing(f'{path}: no such file. It should be a classifier that "Train a classifier" made.')
    card = _card(path)
    trusted = list(TRUSTED.get(card.kind, ()))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of another version of scikit-learn; see below
            pipeline = skops.io.load(path, trusted=trusted)
        check(pipeline, card)
    except Unsafe as error:
        raise InputUnreadable(f'{path}: the classifier is not as its card says: {error}. It is not used.') from error
    except Exception as error:  # whatever a damaged or crafted file may lead to
        made = card.versions.get('sklearn', '?')
        raise InputUnreadable(
            f'{path}: the classifier cannot be read ({_first_line(error)}). It was made with scikit-learn {made}, here '
            f'is {versions().get("sklearn", "?")}; if these differ, train it again.'
        ) from error
    return Classifier(card, pipeline)


def _card(path: str) -> ClassifierCard:
    """The card in a file."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > LARGEST:
                raise InputUnreadable(f'{path}: unpacked, it would have more than {LARGEST >> 30} GiB; not opened.')
            data = json.loads(archive.read(CARD))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise InputUnreadable(
            f'{path}: no classifier of Quadrat\'s ({_first_line(error)}). Give one that "Train a classifier" made.'
        ) from error
    if not isinstance(data, dict) or data.pop('classifier', None) != VERSION:
        raise InputUnreadable(f'{path}: a classifier of another version of Quadrat; train it again.')
    try:
        card = from_dict(ClassifierCard, data)
    except InvalidJob as error:
        raise InputUnreadable(f'{path}: the card of the classifier is damaged: {error}') from error
    sizes = len(card.features) == len(card.mean) == len(card.scale) and len(card.classes) == len(card.samples)
    if card.kind not in CLASSIFIERS or not sizes or not card.features or not card.classes:
        raise InputUnreadable(f'{path}: the card of the classifier is damaged; train it again.')
    return card


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
