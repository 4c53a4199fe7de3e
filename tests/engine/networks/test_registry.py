"""What is refused before a network is built, in one line each; and architectures from a folder of the user's own."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from fractions import Fraction

import keras
import numpy as np
import pytest

from quadrat.engine.errors import InvalidJob, ModelError
from quadrat.engine.jobs import ARCHITECTURES
from quadrat.engine.networks.registry import Head, SourceShape, build, check

PIXELS = Head('segmentation', 3, True)
PATCHES = Head('classification', 3, False)
IMAGE = SourceShape('image', 6, (0.0,) * 6, (1.0,) * 6, patch_size=(48, 80))
OTHER = dataclasses.replace(IMAGE, name='other')
FINER = dataclasses.replace(IMAGE, name='pan', ratio=Fraction(4), patch_size=(192, 320))


def refused(message, architecture, sources=(IMAGE,), head=PIXELS, folder='', **options):
    with pytest.raises(InvalidJob, match=message) as caught:
        check(architecture, sources, head, options, folder)
    assert '\n' not in str(caught.value)


def test_names_that_are_nearly_right():
    refused("'unett': unknown. Did you mean 'unet'", 'unett')
    refused(', '.join(ARCHITECTURES), 'alexnet')
    refused("'filter'.*Did you mean 'filters'.*filters, depth, dropout", 'unet', filter=3)
    refused("Did you mean 'mobilenetv2'", 'encoder', backbone='mobilenet_v2')


@pytest.mark.parametrize(
    ('message', 'architecture', 'options'),
    [
        ('depth: expected int', 'unet', {'depth': '4'}),
        ('depth: expected int', 'unet', {'depth': True}),
        ('depth 11: must be at most 10', 'unet', {'depth': 11}),
        ('filters 0: must be at least 1', 'fcnn', {'filters': 0}),
        ('dropout 1.0: must be less than 1', 'unet', {'dropout': 1}),
        ('dropout nan: must be at least 0', 'unet', {'dropout': float('nan')}),
        (r'rates\[1\]: expected int', 'dilated', {'rates': [1, 2.5]}),
        ('rates 0: must be at least 1', 'dilated', {'rates': [1, 0]}),
    ],
)
def test_values_of_options(message, architecture, options):
    refused(message, architecture, **options)


def test_patches_that_cannot_be_halved_so_often():
    refused('48 x 80 pixels cannot be halved 5 times.*"depth": 4}.*multiple of 32', 'unet', depth=5)
    check('unet', [IMAGE], PIXELS, {'depth': 4})
    small = dataclasses.replace(IMAGE, patch_size=(13, 40))
    refused('13 x 40 pixels cannot be halved 4 times.*"depth": 3}', 'encoder', [small], PATCHES)
    refused('13 x 40 pixels cannot be halved 3 times by conv.*"depth": 2}', 'patchcnn', [small], PATCHES, depth=3)
    check('patchcnn', [small], PATCHES, {'depth': 2})
    check('temporal', [small], PIXELS, {'dates': 3})
    unknown = dataclasses.replace(IMAGE, patch_size=(0, 0))
    check('unet', [unknown], PIXELS, {'depth': 7})
    refused('one size, which is not known', 'patchcnn', [unknown], PATCHES)
    refused('dense is made for patches of one size', 'dense', [unknown], PATCHES)
    check('dense', [unknown], PIXELS, {})


def test_sources_that_do_not_fit():
    refused('at least one source', 'unet', [])
    refused("'image' of a source is taken", 'unet', [IMAGE, IMAGE])
    refused("'logits' of a source is taken", 'unet', [dataclasses.replace(IMAGE, name='logits')])
    refused('6 bands, but statistics of 2', 'unet', [dataclasses.replace(IMAGE, mean=(0.0, 0.0))])
    refused('one resolution, and pan has 4 pixels for one of image.*twobranch', 'unet', [IMAGE, FINER])
    refused('two sources or more', 'twobranch')
    odd = dataclasses.replace(IMAGE, name='odd', ratio=Fraction(3, 2), patch_size=(72, 120))
    refused('odd has 3/2 pixels for one of image', 'twobranch', [IMAGE, odd])
    short = dataclasses.replace(FINER, patch_size=(190, 320))
    refused('of pan are of 190 x 320 pixels; 48 x 80 of image are 192 x 320', 'twobranch', [IMAGE, short])
    check('twobranch', [IMAGE, FINER], PIXELS, {})
    check('unet', [IMAGE, OTHER], PIXELS, {})


def test_tasks_that_an_architecture_is_not_for():
    refused('unet gives a label for each pixel.*patchcnn, twobranch, temporal, encoder', 'unet', head=PATCHES)
    refused('patchcnn gives a label for the whole patch.*unet, resunet', 'patchcnn')


def test_dates():
    refused('of how many dates the 6 bands', 'temporal')
    refused('6 bands are not 4 dates', 'temporal', dates=4)
    refused('of how many dates', 'temporal', [IMAGE, SourceShape('b', 1, (0.0,), (1.0,), patch_size=(48, 80))])
    check('temporal', [IMAGE, OTHER], PIXELS, {})


def test_looking_at_a_job_needs_no_tensorflow():
    code = (
        'import sys; from quadrat.engine.networks.registry import Head, SourceShape, check\n'
        "check('encoder', [SourceShape('a', 1, (0,), (1,))], Head('segmentation', 2, True), {})\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, '-c', code], check=True)


OWN = """
import keras
from neighbour import WIDTH

def plain(sources, head, options):
    inputs = keras.Input((None, None, sources[0].bands), name=sources[0].name)
    logits = keras.layers.Conv2D(head.channels, options.get('size', WIDTH), padding='same', name='logits')(inputs)
    return keras.Model(inputs, {'probabilities': keras.layers.Softmax()(logits)})

class Net(keras.Model):
    def __init__(self, sources, head, options):
        inputs = keras.Input((None, None, sources[0].bands), name=sources[0].name)
        logits = keras.layers.Dense(head.channels, name='logits')(inputs)
        super().__init__(inputs, {'probabilities': keras.layers.Softmax()(logits)})

def fails(sources, head, options):
    raise KeyError('missing')

def nothing(sources, head, options):
    return 5

def unnamed(sources, head, options):
    inputs = keras.Input((None, None, sources[0].bands))
    return keras.Model(inputs, {'probabilities': inputs})

def headless(sources, head, options):
    inputs = keras.Input((None, None, sources[0].bands), name=sources[0].name)
    return keras.Model(inputs, {'probabilities': keras.layers.Dense(3)(inputs)})

def narrow(sources, head, options):
    inputs = keras.Input((None, None, sources[0].bands), name=sources[0].name)
    return keras.Model(inputs, {'probabilities': keras.layers.Dense(2, name='logits')(inputs)})

number = 5
"""


@pytest.fixture
def folder(tmp_path):
    """A folder of own architectures; one module is called as one of Python's."""
    (tmp_path / 'nets').mkdir()
    (tmp_path / 'json.py').write_text(OWN)
    (tmp_path / 'neighbour.py').write_text('WIDTH = 3')
    (tmp_path / 'nets' / '__init__.py').write_text('from .inner import plain')
    (tmp_path / 'nets' / 'inner.py').write_text(OWN)
    (tmp_path / 'broken.py').write_text('def f(:')
    return str(tmp_path)


def test_own_architectures(folder, monkeypatch):
    path = list(sys.path)
    for name in ('json:plain', 'json:Net', 'nets:plain', 'nets.inner:Net'):
        model = build(name, [IMAGE], PIXELS, {'anything': 1}, folder=folder)
        assert isinstance(model, keras.Model) and model.input.name == 'image'
        assert model(np.zeros((1, 5, 7, 6), np.float32))['probabilities'].shape == (1, 5, 7, 3)
    wide = build('json:plain', [IMAGE], PIXELS, {'size': 5}, folder=folder)
    assert wide.get_layer('logits').kernel_size == (5, 5)
    import json

    assert json.dumps([1]) == '[1]' and sys.path == path
    monkeypatch.delitem(sys.modules, 'neighbour', raising=False)


def test_own_architectures_come_from_their_folder_alone(folder):
    refused('name the folder', 'json:plain')
    refused('no module os in the folder', 'os:getcwd', folder=folder)
    refused('module:Class', '../json:plain', folder=folder)
    refused('cannot be imported .SyntaxError', 'broken:f', folder=folder)
    refused('has no class or function there', 'json:there', folder=folder)
    refused('has no class or function number', 'json:number', folder=folder)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('fails', "failed .KeyError: 'missing'"),
        ('nothing', 'functional Keras model, not int'),
        ('unnamed', 'inputs must be image'),
        ('headless', 'no layer named logits'),
        ('narrow', 'logits has 2 channels instead of 3'),
    ],
)
def test_own_architectures_must_do_what_others_do(folder, name, message):
    with pytest.raises(ModelError, match=message):
        build(f'json:{name}', [IMAGE], PIXELS, {}, folder=folder)
