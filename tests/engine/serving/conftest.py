"""An untrained model with sharp classes, and images to map."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shutil
import tempfile

import keras
import numpy as np
import pytest

from quadrat import engine
from quadrat.engine.gdalio import gdal, gdal_type, open_raster, osr
from quadrat.engine.jobs import ClassDef, ServeJob, SourceSpec
from quadrat.engine.model_package import importers
from quadrat.engine.model_package.card import InputCard, ModelCard, OutputCard, ReceptiveField
from quadrat.engine.model_package.package import write_package
from quadrat.engine.networks.field import receptive_field
from quadrat.engine.networks.unet import build_unet

BANDS = ('red', 'green', 'blue')
CLASSES = (ClassDef(11, 'forest', '#118811'), ClassDef(3, 'wässer', '#0000ff'), ClassDef(255, 'town', ''))
MEAN, STDDEV = 500.0, 250.0


@pytest.fixture(scope='session')
def network():
    """A U-Net of depth 3 whose probabilities react to what is far away."""
    keras.utils.set_random_seed(2)
    options = {'mean': [MEAN] * 3, 'stddev': [STDDEV] * 3, 'filters': 4, 'depth': 3}
    model = build_unet(len(BANDS), len(CLASSES), input_name='source1', **options)
    logits = model.get_layer('logits')
    kernel, bias = logits.get_weights()
    logits.set_weights([kernel * 3, bias])
    return model


@pytest.fixture(scope='session')
def card(network):
    reach = receptive_field(network)
    source = InputCard(
        'source1',
        BANDS,
        field=ReceptiveField(*reach.sides),
        stride=reach.stride,
        nodata=('', '', ''),
        fill=(MEAN,) * 3,
        pixel_size=(1.5, 1.5),
    )
    return ModelCard('Land cover', 'segmentation', 'unet', (source,), (OutputCard('probabilities', 3, CLASSES),))


@pytest.fixture(scope='session')
def package(network, card, tmp_path_factory):
    path = str(tmp_path_factory.mktemp('model') / 'package')
    write_package(path, network, card)
    return path


@pytest.fixture
def make_package(package, card):
    """A function: changes to the input's card -> path of a package that differs only in what it says."""

    def make(**changes) -> str:
        path = tempfile.mkdtemp(dir=package + '/..')
        shutil.copytree(package, path, dirs_exist_ok=True)
        with open(os.path.join(path, 'item.json'), encoding='utf-8') as file:
            assets = json.load(file)['assets']
        changed = dataclasses.replace(card, inputs=(dataclasses.replace(card.inputs[0], **changes),))
        with open(os.path.join(path, 'item.json'), 'w', encoding='utf-8') as file:
            json.dump(changed.to_item(assets), file)
        return path

    return make


@pytest.fixture(scope='session')
def loaded():
    return {}


@pytest.fixture(autouse=True)
def load_once(request, monkeypatch, loaded):
    """Most packages here hold the same network, and loading it takes longer than most tests."""
    if request.node.get_closest_marker('own_network'):
        return
    load = importers.load

    def once(*arguments, **options):
        if not loaded:
            loaded['runtime'] = load(*arguments, **options)
        return loaded['runtime']

    monkeypatch.setattr(importers, 'load', once)


@pytest.fixture
def make_image(tmp_path):
    """A function: rows, columns, bands -> path of a raster of noise with structure."""

    def make(
        rows, cols, bands=3, name='image.tif', dtype='int16', nodata=None, change=None, pixel=1.5, west=600000
    ) -> str:
        rng = np.random.default_rng(rows * cols)
        coarse = rng.normal(MEAN, STDDEV, (bands, rows // 8 + 1, cols // 8 + 1))
        pixels = np.kron(coarse, np.ones((8, 8)))[:, :rows, :cols] + rng.normal(0, 60, (bands, rows, cols))
        pixels = np.clip(pixels, 1, 10000).astype(dtype)
        if change is not None:
            change(pixels)
        path = str(tmp_path / name)
        dataset = gdal.GetDriverByName('GTiff').Create(path, cols, rows, bands, gdal_type(np.dtype(dtype)))
        dataset.SetGeoTransform((west, pixel, 0, 5800000, 0, -pixel))
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(32631)
        dataset.SetSpatialRef(crs)
        for number in range(1, bands + 1):
            band = dataset.GetRasterBand(number)
            band.SetDescription((*BANDS, *'xyz')[number - 1])
            if nodata is not None:
                band.SetNoDataValue(nodata)
        dataset.WriteRaster(0, 0, cols, rows, pixels.tobytes())
        return path

    return make


# -- bare models, and images of given pixels ---------------------------------------------------------------------------


@pytest.fixture(scope='session')
def bare(tmp_path_factory):
    """A function: what builds a network, kind of file -> (path of it as a model without a card, the network)."""
    made = {}

    def make(build, kind='savedmodel'):
        if (build, kind) not in made:
            keras.utils.set_random_seed(5)
            network = build()
            path = str(tmp_path_factory.mktemp('bare') / ('model.keras' if kind == 'keras' else 'model'))
            if kind == 'keras':
                network.save(path)
            else:
                network.export(path, verbose=False)
            made[build, kind] = path, network
        return made[build, kind]

    return make


@pytest.fixture
def write_image(tmp_path):
    """A function: pixels (rows, columns, bands), what else a raster has -> its path."""

    def write(pixels, name='image.tif', transform=(600000, 1.5, 0, 5800000, 0, -1.5), epsg=32631, nodata=None) -> str:
        pixels = np.atleast_3d(pixels)
        rows, cols, bands = pixels.shape
        path = str(tmp_path / name)
        dataset = gdal.GetDriverByName('GTiff').Create(path, cols, rows, bands, gdal_type(pixels.dtype))
        if transform:
            dataset.SetGeoTransform(transform)
        if epsg:
            crs = osr.SpatialReference()
            crs.ImportFromEPSG(epsg)
            dataset.SetSpatialRef(crs)
        for number in range(1, bands + 1):
            if nodata is not None:
                dataset.GetRasterBand(number).SetNoDataValue(nodata)
        dataset.WriteRaster(0, 0, cols, rows, np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes())
        return path

    return write


@dataclasses.dataclass(frozen=True)
class Mapped:
    """A map: pixels (rows, columns, bands), and the rest."""

    pixels: np.ndarray
    transform: tuple[float, ...]
    dataset: gdal.Dataset

    @classmethod
    def of(cls, path):
        dataset = open_raster(str(path))
        pixels = dataset.ReadAsArray()
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels.transpose(1, 2, 0)
        return cls(pixels, dataset.GetGeoTransform(), dataset)


@pytest.fixture(scope='session')
def runtimes():
    return {}


@pytest.fixture
def mapped(tmp_path, monkeypatch, runtimes):
    """A function: model, sources (paths or `SourceSpec`), options of the job -> its `Mapped` OUTPUT.

    What of a model was loaded before is not loaded again, which takes longer than most maps here.
    """
    count, load = itertools.count(), importers.load

    def once(*arguments, reporter=None, **options):
        key = repr((arguments, sorted(options.items())))
        if key not in runtimes:
            runtimes[key] = load(*arguments, reporter=reporter, **options)
        return runtimes[key]

    monkeypatch.setattr(importers, 'load', once)

    def run(model, *sources, events=None, **options):
        specs = tuple(
            item if isinstance(item, SourceSpec) else SourceSpec((item,), f'source{number}')
            for number, item in enumerate(sources, 1)
        )
        job = ServeJob(
            model, specs, **{'output': str(tmp_path / f'map{next(count)}.tif'), 'runtime': 'tensorflow', **options}
        )
        engine.run(job, on_event=events.append if events is not None else None)
        return Mapped.of(job.output) if job.output else None

    return run


@pytest.fixture
def read_map():
    """A function: path -> `Mapped`."""
    return Mapped.of
