"""An untrained model with sharp classes, and images to map."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile

import keras
import numpy as np
import pytest

from quadrat.engine.gdalio import gdal, gdal_type, osr
from quadrat.engine.jobs import ClassDef
from quadrat.engine.model_package.card import InputCard, ModelCard, OutputCard, ReceptiveField
from quadrat.engine.model_package.package import write_package
from quadrat.engine.networks.field import receptive_field
from quadrat.engine.networks.unet import build_unet
from quadrat.engine.serving import network as serving_network

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
    load = serving_network.load

    def once(*arguments, **options):
        if not loaded:
            loaded['runtime'] = load(*arguments, **options)
        return loaded['runtime']

    monkeypatch.setattr(serving_network, 'load', once)


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
