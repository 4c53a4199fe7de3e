"""Jobs from files, and records of earlier runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

from quadrat.engine.jobs import DemoSceneJob, dumps


def test_a_record_is_done_again(quadrat):
    """From another folder, with relative paths."""
    folder = quadrat.folder
    (folder / 'job.json').write_text(dumps(DemoSceneJob('scene', 64, 3)))
    first = quadrat.run('run', 'job.json')
    assert first.returncode == 0, first.stderr
    assert Path(folder, json.loads(first.stdout)['OUTPUT']) == folder / 'scene'
    pixels = (folder / 'scene/ms.tif').read_bytes()
    os.rename(folder / 'scene', folder / 'before')
    (folder / 'elsewhere').mkdir()
    again = quadrat.run('run', str(folder / 'scene.json'), cwd=folder / 'elsewhere')
    assert again.returncode == 0, again.stderr
    assert (folder / 'scene/ms.tif').read_bytes() == pixels

    wrong = quadrat.run('run', 'none.json')
    assert wrong.returncode == 1
    assert wrong.stderr.strip() == 'Error: none.json: no such file.'
