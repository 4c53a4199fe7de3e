"""The run configurations that come with Quadrat: complete but for what is the user's own, and they train."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from quadrat import engine
from quadrat.engine import jobs
from quadrat.engine.errors import ConfigurationError
from quadrat.engine.experiments.configuration import open_configuration
from quadrat.engine.experiments.finding import find_configuration
from quadrat.engine.gdalio import gdal

ROOT = Path(__file__).resolve().parents[3]
OWN = {'crops-time-series': ['model.dates=2']}  # besides the dataset
NAMES = ('buildings-vhr', 'crops-time-series', 'land-cover-sentinel2', 'super-resolution')


@pytest.fixture(scope='module')
def datasets(tmp_path_factory) -> dict[str, str]:
    """Classes of a demo scene; and its near infrared from coarse panchromatic and coarser multispectral pixels."""
    folder = tmp_path_factory.mktemp('presets')
    ms, pan, truth = (str(folder / f'{name}.tif') for name in ('ms', 'pan', 'truth'))
    engine.run(jobs.DemoSceneJob(str(folder), 128, 3))
    engine.run(jobs.SelectPatchesJob(ms, str(folder / 'points.gpkg'), patch_size=16, block_size=32))
    gdal.Translate(str(folder / 'fine.tif'), pan, width=128, height=128, resampleAlg='average')
    gdal.Translate(str(folder / 'coarse.tif'), ms, width=32, height=32, resampleAlg='average')
    gdal.Translate(str(folder / 'band.tif'), ms, bandList=[4])
    points = jobs.VectorSpec(str(folder / 'points.gpkg'))
    source = jobs.SourceSpec((ms,), patch_size=(16, 16))
    engine.run(jobs.ExtractPatchesJob((source,), points, str(folder / 'classes'), labels=jobs.LabelRaster(truth)))
    pair = (
        jobs.SourceSpec((str(folder / 'fine.tif'),), 'source1', patch_size=(16, 16)),
        jobs.SourceSpec((str(folder / 'coarse.tif'),), 'source2', patch_size=(4, 4)),
    )
    band = jobs.LabelRaster(str(folder / 'band.tif'))
    engine.run(jobs.ExtractPatchesJob(pair, points, str(folder / 'values'), labels=band, values=True))
    return {name: str(folder / ('values' if name == 'super-resolution' else 'classes')) for name in NAMES}


def test_all_are_known_and_have_a_page():
    presets = {path.stem for path in (ROOT / 'resources/presets').iterdir()}
    assert presets == {path.stem for path in (ROOT / 'docs/presets').iterdir()} == set(NAMES)
    assert all(os.path.samefile(find_configuration(name), ROOT / f'resources/presets/{name}.yaml') for name in presets)


@pytest.mark.parametrize('name', NAMES)
def test_they_ask_for_what_is_the_users_own(name, datasets):
    file = find_configuration(name)
    own = [f'data.dataset={datasets[name]}', *OWN.get(name, [])]
    with pytest.raises(ConfigurationError) as caught:
        open_configuration(file)
    assert len(caught.value.faults) == len(own) and all('must be given' in fault for fault in caught.value.faults)
    found = open_configuration(file, own)
    assert found.job.options.schedule == 'cosine' and found.job.options.patience and not found.output


def test_the_guide_has_all_keys(datasets):
    guide = (ROOT / 'docs/experiments.md').read_text('utf-8')
    values = open_configuration(find_configuration(NAMES[0]), [f'data.dataset={datasets[NAMES[0]]}']).values
    keys = [*values['data'], *values['train'], 'type', 'task', 'folder', 'extend', 'algorithm', 'output', 'sweep']
    assert not [key for key in keys if f'`{key}`' not in guide]
    assert not [preset for preset in NAMES if f'(presets/{preset}.md)' not in guide]


def trained(name: str, dataset: str, output: Path, *overrides: str) -> dict:
    """An epoch of a small network."""
    own = (f'data.dataset={dataset}', 'model.filters=4', 'model.depth=1', 'train.epochs=1', *overrides)
    values = engine.run(jobs.RunExperimentJob(find_configuration(name), str(output), own))
    assert values['BEST_EPOCH'] == 1 and np.isfinite(values['BEST_SCORE'])
    return values


def test_land_cover_trains(datasets, tmp_path):
    values = trained('land-cover-sentinel2', datasets['land-cover-sentinel2'], tmp_path / 'run')
    assert os.path.isfile(os.path.join(values['BEST'], 'item.json')) and os.path.isfile(values['REPORT'])


def test_super_resolution_maps_one_scale_up(datasets, tmp_path):
    """Learnt from coarser images, applied to those as they are: the map has the pixels of the fine one."""
    scene = Path(datasets['super-resolution']).parent
    package = trained('super-resolution', str(scene / 'values'), tmp_path / 'run')['BEST']
    sources = (
        jobs.SourceSpec((str(scene / 'pan.tif'),), 'source1'),
        jobs.SourceSpec((str(scene / 'ms.tif'),), 'source2'),
    )
    engine.run(jobs.ServeJob(package, sources, str(tmp_path / 'map.tif')))
    found, fine = gdal.Open(str(tmp_path / 'map.tif')), gdal.Open(str(scene / 'pan.tif'))
    assert (found.RasterXSize, found.RasterYSize, found.RasterCount) == (fine.RasterXSize, fine.RasterYSize, 1)
    assert found.GetGeoTransform() == fine.GetGeoTransform()
