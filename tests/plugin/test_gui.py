"""QGIS with its window, under Xvfb: the dialog, the run in the background, the styled layer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

SESSION = Path(__file__).with_name('gui_session.py')
TRAIN = """
import sys
from quadrat import engine
from quadrat.engine.jobs import *

home = sys.argv[1]
image = (SourceSpec((home + '/scene/ms.tif',)),)
engine.run(DemoSceneJob(home + '/scene', 256, 1))
engine.run(SelectPatchesJob(home + '/scene/ms.tif', home + '/points.gpkg', patch_size=32, block_size=64))
engine.run(ExtractPatchesJob(image, VectorSpec(home + '/points.gpkg'), home + '/dataset',
                             labels=LabelRaster(home + '/scene/truth.tif')))
engine.run(TrainJob(home + '/dataset', home + '/landscape', epochs=2, options=TrainOptions(filters=4, depth=2)))
"""


@pytest.fixture
def display():
    """The number of a screen that nobody else has."""
    if shutil.which('Xvfb') is None:
        pytest.skip('Xvfb is not installed')
    read, write = os.pipe()
    command = ['Xvfb', '-displayfd', str(write), '-screen', '0', '1400x900x24', '-nolisten', 'tcp']
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as answer:
        yield f':{answer.readline().strip()}'
    server.send_signal(signal.SIGTERM)
    server.wait(10)


def test_a_map_made_in_the_dialog_is_loaded_with_names_and_colours(tmp_path, display, qgis_profile, engine_python):
    subprocess.run(
        [engine_python, '-c', TRAIN, str(tmp_path)], check=True, env={**os.environ, 'CUDA_VISIBLE_DEVICES': ''}
    )
    environment = {
        **qgis_profile,
        'DISPLAY': display,
        'QT_QPA_PLATFORM': 'xcb',
        'QUADRAT_TEST_MODEL': str(tmp_path / 'landscape'),
        'QUADRAT_TEST_IMAGE': str(tmp_path / 'scene/ms.tif'),
        'QUADRAT_TEST_FOLDER': str(tmp_path),
    }
    command = ['qgis.bin', '--nologo', '--noversioncheck', '--code', str(SESSION)]
    done = subprocess.run(command, env=environment, timeout=240, text=True, capture_output=True)
    assert (tmp_path / 'result.json').exists(), done.stderr[-2000:]
    result = json.loads((tmp_path / 'result.json').read_text())
    assert 'error' not in result, result['error']
    assert result['ok'] and result['size'] == [256, 256]
    names = {
        line.split(',')[1]: line.split(',')[2] for line in (tmp_path / 'scene/classes.csv').read_text().split()[1:]
    }
    assert result['renderer'] == 'QgsPalettedRasterRenderer' and result['labels'] == names
    assert 'landscape' in result['layer']
    assert len(set(names.values()) & set(result['colours'])) >= 2  # on the screen, too
    assert result['ticks'] > 10  # the window lived while the engine worked
    assert {'trainmodel', 'servemodel'} < set(result['algorithms'])
