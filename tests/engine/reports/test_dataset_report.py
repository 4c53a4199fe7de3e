"""The report on a dataset, its lines for the log, and the pictures of both."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

from quadrat.engine.reports import html
from quadrat.engine.reports.dataset import dataset_lines, dataset_report
from quadrat.engine.reports.pictures import png, stretched, visible_bands
from quadrat.engine.reports.sheet import Group, Item, contact_sheet, hatched, resized

NASTY = '<script>alert("1")</script> & Büro'


def found(**changes):
    band = {'name': NASTY, 'nodata': '', 'mean': 1.5, 'stddev': 0.25, 'minimum': -3.0, 'maximum': 1e6}
    return {
        'folder': f'/data/{NASTY.replace("/", "")}', 'foreign': True, 'layout': 'tfrecords', 'compression': 'gzip',
        'files': 2, 'bytes': 12_345_678, 'count': 1234, 'crs': 'EPSG:32631', 'extent': (1.0, 2.0, 3.0, 4.5),
        'fingerprint': 'abc', 'images': [NASTY],
        'sources': [{'name': NASTY, 'dtype': 'uint8', 'shape': (4, 6, 2), 'pixel_size': (2.0, 2.0),
                     'nodata_policy': 'any', 'rasters': (NASTY,), 'bands': [band, {**band, 'name': 'red'}]}],
        'labels': {'name': 'labels', 'dtype': 'uint8', 'shape': (4, 6, 1), 'unlabelled': 255, 'nodata': None},
        'classes': [{'value': 1, 'name': NASTY, 'colour': '#ff0000'}, {'value': 2, 'name': '2', 'colour': '#00ff00'}],
        'splits': {'train': {'count': 1000, 'pixels': [18000, 0], 'gap': 6000, 'total': 24000},
                   'test': {'count': 0, 'pixels': [0, 0], 'gap': 0, 'total': 0}},
        **changes,
    }  # fmt: skip


def test_the_page_is_safe_and_holds_the_numbers():
    picture = png(np.zeros((2, 2, 3), np.uint8))
    problems = [('train/0.records', NASTY), ('x', 'missing')]
    page = dataset_report(found(), 'full check', problems, picture)
    assert '<script' not in page and 'src="data:image/png;base64,' in page
    for text in (
        '12.3 MB',
        '1\u202f234',
        '18\u202f000',
        '(75.0%)',
        '(25.0%)',
        'train/0.records',
        '6 × 4',
        'gzip',
        '1e+06',
    ):
        assert text in page, text
    for tag in ('section', 'table', 'div', 'span', 'tr', 'td'):
        assert len(re.findall(f'<{tag}[ >]', page)) == page.count(f'</{tag}>'), tag
    bare = dataset_report(found(labels=None, classes=[], extent=None, foreign=False), 'quick check', ())
    assert (
        'What is wrong' not in bare
        and 'Classes' not in bare
        and 'unknown' in bare
        and 'img' not in bare.split('<main>')[1]
    )


def test_the_log_stands_in_columns():
    lines = list(dataset_lines(found()))
    assert lines[0] == '1234 samples as tfrecords, gzip: 2 files, 12.3 MB'
    header, train = (next(line for line in lines if line.startswith(f'  {word}')) for word in ('Split', 'train'))
    assert header.endswith('2  No label') or header.split()[-2:] == ['No', 'label']
    assert '18000 (75.0%)' in train and '6000 (25.0%)' in train and len(header) == len(train)
    assert not any('labels' in line for line in dataset_lines(found(labels=None)))


def test_a_bar_of_shares():
    bar = html.share_bar([('a', '#ff0000', 3), ('b', '', 1), ('c', '#00ff00', 0)])
    assert (
        'a: 75.0%' in bar and 'width:75.000%' in bar and 'class="gap"' in bar and '>c' not in bar and 'c: ' not in bar
    )
    assert html.share_bar([('a', '', 0)]) == '<div class="bar"></div>'


def test_bands_and_brightness():
    assert visible_bands(['blue', 'green', 'red', 'nir']) == [2, 1, 0] == visible_bands(['B1', 'B2', 'B3', 'B4'])
    assert visible_bands(['Red', 'Green', 'Blue', 'NIR']) == [0, 1, 2] == visible_bands(['a', 'b', 'c'])
    assert visible_bands(['pan']) == visible_bands(['vv', 'vh']) == [0, 0, 0]
    pixels = np.linspace(-50, 150, 10000).reshape(1, 100, 100, 1).repeat(3, -1)
    counted = (pixels[..., 0] >= 0) & (pixels[..., 0] <= 100)
    levels = stretched(pixels, counted)
    assert levels.min() == 0 and levels.max() == 255
    assert abs((levels[counted] == 0).mean() - 0.02) < 0.005 and abs((levels[counted] == 255).mean() - 0.02) < 0.005
    pixels[0, 0, 0] = np.nan
    assert (stretched(pixels, counted)[0, 0, 0] == 0).all()
    assert (stretched(np.full((2, 2, 3), 7), np.zeros((2, 2), bool)) == 0).all()


def test_pictures_in_other_sizes():
    picture = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(resized(picture, 6, 8), picture.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(resized(picture, 1, 2), [[5, 7]])
    where = np.zeros((20, 20), bool)
    where[5:] = True
    out = hatched(np.zeros((20, 20, 3), np.uint8), where)
    assert (out[:5] == 0).all() and len(np.unique(out[5:].reshape(-1, 3), axis=0)) == 2


@pytest.mark.parametrize('number', [1, 3])
def test_all_pictures_are_on_the_sheet(number):
    rng = np.random.default_rng(0)
    pictures = [[rng.integers(0, 256, (32, 48, 3), np.uint8) for _ in range(number)] for _ in range(17)]
    items = [
        Item(pair, 'a caption that is far too long ' * 3, (1, 2, 3) if i % 2 else None)
        for i, pair in enumerate(pictures)
    ]
    groups = [Group('Train', '13 of 99', items[:13]), Group('Test', '', items[13:])]
    legend = [(f'class {i}', (200, i, 0)) for i in range(90)] + [('none', None)]
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet('Title', 'subtitle', groups, legend))))
    starts = np.lib.stride_tricks.sliding_window_view(sheet[..., 0], (1, 6))[:, :, 0]
    for pair in pictures:
        for picture in pair:
            rows, cols = np.nonzero((starts == picture[0, :6, 0]).all(-1))
            assert any((sheet[row : row + 32, col : col + 48] == picture).all() for row, col in zip(rows, cols))
    assert (sheet[:, -20:] == 255).all()  # nothing runs over the edge
    empty = Image.open(io.BytesIO(contact_sheet('Title', '', [], [])))
    assert empty.size[0] >= 640
