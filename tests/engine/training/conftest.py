"""Small datasets, written by hand: three bands, classes 3 (dark), 7 (bright) and 9 (striped)."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest

from quadrat.engine.datasets.manifest import LabelInfo, Manifest, Shard, SourceInfo, SplitInfo, Statistics
from quadrat.engine.gdalio import osr
from quadrat.engine.jobs import ClassDef

UNLABELLED = 255


def scene(count: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (count, size, size, 3) uint16 and labels (count, size, size, 1) uint8."""
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.choice([3, 7, 9], (count, 2, 2)), np.ones((size // 2, size // 2))).astype(np.uint8)
    level = np.where(labels == 3, 200, np.where(labels == 7, 800, 500))
    stripes = np.where(labels == 9, np.where(np.arange(size) % 4 < 2, 250, -250)[:, None], 0)
    images = (level + stripes)[..., None] * np.array([1.0, 0.5, 2.0]) + rng.normal(0, 60, (count, size, size, 3))
    return np.clip(images, 0, 65535).astype(np.uint16), labels[..., None]


def write_dataset(folder, images, labels, splits, nodata='', classes=(), label_nodata=None, crs='') -> str:
    """A dataset folder with one shard a key; `splits` has one name a sample."""
    folder = Path(folder)
    folder.mkdir()
    splits = np.asarray(splits)
    shards = []
    for key, array in (('source1', images), ('labels', labels)):
        path = folder / f'{key}-00000.npy'
        np.save(path, array)
        data = path.read_bytes()
        shards.append(Shard(key, path.name, len(array), len(data), hashlib.sha256(data).hexdigest()))
    without = {UNLABELLED} | ({label_nodata} if label_nodata is not None else set())
    values = sorted(set(np.unique(labels).tolist()) - without) if not classes else [item.value for item in classes]
    pixels = {value: (labels == value).sum((1, 2, 3)) for value in values}
    train = images[splits == 'train' if 'train' in splits else ...].reshape(-1, images.shape[-1]).astype(float)
    if nodata:
        train = train[(train != float(nodata)).all(1)]
    bands = images.shape[-1]
    spread = [tuple(map(float, value)) for value in (train.mean(0), train.std(0), train.min(0), train.max(0))]
    source = SourceInfo(
        'source1',
        str(images.dtype),
        images.shape[1:],
        tuple(f'B{i + 1}' for i in range(bands)),
        (nodata,) * bands,
        'any',
        (2.0, 2.0),
        ('image.tif',),
        Statistics((len(train),) * bands, *spread),
    )
    manifest = Manifest(
        count=len(images),
        sources=(source,),
        labels=LabelInfo('labels', str(labels.dtype), labels.shape[1:], UNLABELLED, label_nodata),
        classes=tuple(classes) or tuple(ClassDef(value, f'class {value}') for value in values),
        splits={
            name: SplitInfo(
                int((splits == name).sum()), {str(v): int(n[splits == name].sum()) for v, n in pixels.items()}
            )
            for name in ('train', 'validation', 'test')
            if (splits == name).any()
        },
        shards=tuple(shards),
        crs=crs,
        extent=(600000.0, 5800000.0, 601000.0, 5801000.0),
    )
    with open(folder / 'samples.csv', 'w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(['id', 'x', 'y', 'image', 'split', *(f'class_{value}' for value in pixels)])
        for i, split in enumerate(splits):
            rows.writerow([i, 600000 + 100 * i, 5800000, 'image.tif', split, *(int(n[i]) for n in pixels.values())])
    (folder / 'manifest.json').write_text(manifest.to_json(), encoding='utf-8')
    return str(folder)


@pytest.fixture(scope='session')
def make_scene():
    return scene


@pytest.fixture(scope='session')
def make_dataset():
    return write_dataset


@pytest.fixture(scope='session')
def dataset(tmp_path_factory) -> str:
    """33 training samples of 16 x 16 pixels, 9 for validation, 6 for test; some pixels without label."""
    images, labels = scene(48, 16, 0)
    labels[:, :2, :5] = UNLABELLED
    splits = ['train'] * 33 + ['validation'] * 9 + ['test'] * 6
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    return write_dataset(tmp_path_factory.mktemp('data') / 'dataset', images, labels, splits, crs=crs.ExportToWkt())
