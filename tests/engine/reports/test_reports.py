"""Reports: self-contained, well-formed, safe with any text, and the numbers of the record are in them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from quadrat.engine.errors import OutputRefused
from quadrat.engine.folder import require_file_place, write_whole
from quadrat.engine.reports import html
from quadrat.engine.reports.model import model_report
from quadrat.engine.reports.training import Example, training_report

NASTY = '<script>alert("1")</script> & Büro'
VOID = {'meta', 'img', 'line', 'circle', 'polyline', 'rect', 'br'}


class Checker(HTMLParser):
    """Every element is closed in order; collects tags, and addresses of anything outside."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.outside, self.words = [], set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.outside += [value for name, value in attrs if name in ('src', 'href') and not value.startswith('data:')]

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def check(document):
    checker = Checker()
    checker.feed(document)
    assert not checker.open and not checker.outside and 'script' not in checker.tags
    assert not re.search(r'url\(|@import|<link', document)
    return ' '.join(checker.words)


def result(scale):
    return {
        'loss': 0.25,
        'overall_accuracy': 0.9125,
        'kappa': None,
        'mean_iou': 0.7125 * scale,
        'macro_f1': 0.8,
        'precision': [0.9, None],
        'recall': [0.8, None],
        'f1': [0.85, None],
        'iou': [0.7, None],
        'support': [1234567, 0],
        'confusion': [[1234000, 567], [0, 0]],
        'calibration': {'error': 0.04321, 'count': [0, 3], 'confidence': [None, 0.75], 'accuracy': [None, 1.0]},
    }


@pytest.fixture
def record():
    validation = {'loss': 1.0, 'mean_iou': 0.5}
    history = [
        {'epoch': i, 'seconds': 1.0, 'training': {'loss': 2.0 / i, 'mean_iou': 0.1 * i}, 'validation': validation}
        for i in range(1, 8)
    ]
    return {
        'created': '2026-01-02T03:04:05Z',
        'model': {'name': NASTY, 'parameters': 12345},
        'job': {
            'task': 'segmentation',
            'architecture': 'unet',
            'epochs': 7,
            'batch_size': 16,
            'learning_rate': 0.001,
            'seed': 0,
            'loss': 'auto',
            'warm_start': '/m/' + NASTY,
            'options': {'weight_decay': 0.1},
        },
        'dataset': {
            'folder': '/data/' + NASTY,
            'fingerprint': 'abc',
            'sources': [{'name': NASTY, 'rasters': ['a.tif'], 'bands': ['red'], 'patch_size': [64, 64]}],
            'validation': ['/data/more'],
            'splits': {'train': {'samples': 5, 'pixels': [10, 0]}, 'validation': {'samples': 3, 'pixels': [0, 0]}},
        },
        'classes': [{'value': 1, 'name': NASTY, 'colour': '#112233'}, {'value': 2, 'name': '2', 'colour': '#445566'}],
        'class_weights': [0.5, 2.25],
        'history': history,
        'best': {'epoch': 5, 'score': 0.7125, 'measure': 'mean_iou', 'split': 'validation', 'chosen': True},
        'results': {'validation': result(1), 'test': result(0.5)},
        'warm_start': {'loaded': ['down1', NASTY], 'skipped': []},
        'seconds': 3725.0,
        'device': 'the CPU',
        'versions': {'tensorflow': '2.21'},
    }


def test_the_training_report(record):
    picture = b'\x89PNG...'
    words = check(training_report(record, [Example(picture, picture, picture)]))
    for text in (
        NASTY,
        '5 of 7',
        '0.713',
        '0.043',
        'down1, <script>',
        '/data/more',
        '0.356',
        '1\u202f234\u202f567',
        '100.0%',
        '1 h 2 min',
        '2.250',
        '–',
    ):
        assert text in words, text
    del record['results']['test']
    for epoch in record['history']:
        del epoch['validation']
    record['best'].update(split='train', chosen=False)
    assert 'the last' in check(training_report(record))


def test_the_training_report_of_values(record):
    values = {'minimum': -5.0, 'maximum': 2000.0, 'mean': 700.0, 'stddev': 3.0}
    split = {'samples': 5, 'pixels': [1234], 'values': values}
    pairs = {'low': -5.0, 'high': 2000.0, 'counts': [[0, 7], [90, 1]]}
    scores = {'rmse': 12.5, 'mae': 9.0, 'bias': -1.25, 'r2': None, 'correlation': 0.5, 'count': 98, 'loss': 0.1}
    part = {'loss': 1.0, 'r2': -3.0}
    record.update(classes=[], class_weights=[], results={'validation': {**scores, 'pairs': pairs}})
    record.update(history=[{'epoch': 1, 'training': part, 'validation': {'loss': 0.5, 'r2': None}}], warm_start=None)
    record['dataset']['splits'] = {'train': split, 'validation': split}
    record['best'].update(measure='r2')
    words = check(training_report(record, [Example(b'1', b'2', b'3')]))
    for text in ('12.500', '-1.250', '–', 'Reference', '1\u202f234', '-5 (dark) to 2000 (bright)'):
        assert text in words, text
    assert 'onfusion' not in words


def test_the_description_of_a_model():
    item = {
        'name': 'source1',
        'bands': ['red', NASTY],
        'dtype': 'float32',
        'receptive_field': None,
        'receptive_field_width': 0,
        'stride': 1,
        'scale': '1',
        'shape': [None, None, None, 2],
        'patch_size': [0, 0],
        'nodata': ['', ''],
        'nodata_policy': 'any',
        'pixel_size': [1.5, 1.5],
        'mean': [1.25, 2.0],
        'stddev': [],
        'minimum': [],
        'maximum': [],
    }
    description = {
        'model': '/x',
        'name': NASTY,
        'task': 'segmentation',
        'architecture': 'unet',
        'created': '',
        'parameters': 10,
        'framework_version': '2.21.0',
        'description': '',
        'hyperparameters': {'seed': 1},
        'inputs': [item],
        'outputs': [
            {
                'name': 'p',
                'bands': 1,
                'dtype': '',
                'shape': None,
                'lost': [0, 0],
                'classes': [{'value': 7, 'name': '', 'colour': ''}],
            }
        ],
        'window': [512, 512],
        'memory': 12.3,
        'tag_sets': [['serve', NASTY]],
        'signatures': [],
        'placeholders': [{'name': NASTY, 'dtype': 'float32', 'shape': [], 'default': None}],
        'layers': [{'name': 'a', 'type': 'Conv2D', 'shape': [None, None, None, 3], 'parameters': 9}],
        'training': {},
    }
    words = check(model_report(description))
    assert 'unknown' in words and 'any × any × any × 3' in words and NASTY in words
    assert '12 MiB' in words and 'to be given' in words and 'a single value' in words
    description['training'] = {'results': {'test': result(1)}}
    assert '0.713' in check(model_report(description))


@pytest.mark.parametrize('values', [[0.5], [0.0, 0.0], [None, 3.0, None, 1e6], [1e-7, 2e-7], list(range(1, 400))])
def test_charts_of_any_values(values):
    chart = html.line_chart('Loss', [html.Line('training', values)], mark=1)
    check(chart)
    numbers = [float(x) for pair in re.findall(r'points="([^"]*)"', chart) for x in pair.replace(',', ' ').split()]
    assert all(0 <= number <= 520 for number in numbers)
    ticks = [float(tick) for tick in re.findall(r'text-anchor="end">([^<]*)</text>', chart)]
    assert 2 <= len(ticks) <= 6 and ticks[0] == 0 and ticks[-1] >= max(value or 0 for value in values)
    assert len(re.findall('text-anchor="middle"', chart)) <= 12


def test_a_report_is_written_whole_or_not_at_all(tmp_path):
    write_whole(str(tmp_path / 'a.html'), 'x')
    assert [path.name for path in tmp_path.iterdir()] == ['a.html']
    (tmp_path / 'folder').mkdir()
    for path in (tmp_path / 'folder', tmp_path / 'no/where.html'):
        with pytest.raises(OutputRefused, match=path.name):
            require_file_place(str(path))
