"""OTBTF's own models, on the patches of its test suite: they learn, and then map an image."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat import engine
from quadrat.engine import jobs
from quadrat.engine.datasets.pipelines.arrays import gdal_open, read_as_np_arr

LOSS = 'sparse_softmax_cross_entropy_loss/value'
S2 = 'Sentinel-2_B4328_10m_{}'


@pytest.fixture
def suite(shared):
    return shared / 'data/otbtf-suite'


@pytest.fixture
def train(suite, tmp_path):
    """Trains a model on rasters, by its inputs; returns the trained model, its losses, its accuracies on others."""

    def go(name, rasters, others, epochs, batch_size=100, lr='2e-4'):
        def sources(paths):
            return tuple(
                jobs.SourceSpec((str(path),), f'source{i}', patch_size=(0, 0), placeholder=key)
                for i, (key, path) in enumerate(paths.items(), 1)
            )

        events = []
        job = jobs.TrainSavedModelJob(
            str(suite / 'models' / name),
            str(tmp_path / name),
            ('optimizer',),
            sources=sources(rasters),
            output_tensors=(LOSS,),
            user_placeholders=f'lr={lr}',
            batch_size=batch_size,
            epochs=epochs,
            seed=1,
            validation=jobs.GraphValidation('class', 1, sources(others)),
        )
        engine.run(job, lambda event: events.append(event) if event.type == 'metric' else None)
        losses = [event.value for event in events if event.name == f'training/{LOSS}']
        scores = [event.value for event in events if event.name == 'validation/prediction/overall_accuracy']
        return job.output, losses, scores

    return go


@pytest.fixture
def serve(suite, tmp_path):
    """Maps images of the suite: (name of the output, input -> (file, receptive field), …) -> values."""

    def go(model, output, images, **fields):
        sources = tuple(
            jobs.SourceSpec((str(suite / 'data' / name),), placeholder=key, receptive_field=(size, size))
            for key, (name, size) in images.items()
        )
        path = str(tmp_path / 'map.tif')
        engine.run(jobs.ServeJob(model, sources, path, output_names=(output,), **fields))
        return read_as_np_arr(gdal_open(path), as_patches=False)[0, ..., 0]

    return go


def sentinel(suite, letter, label):
    return {
        'x': suite / f'data/{S2.format("patches")}_{letter}.jp2',
        label: suite / f'data/{S2.format("labels")}_{letter}.tif',
    }


@pytest.mark.baseline
@pytest.mark.parametrize(('name', 'mode'), [('model1', 'otbtf-patch'), ('model3', 'otbtf-fullyconv')])
def test_on_sentinel_2_patches(suite, train, serve, name, mode):
    model, losses, scores = train(name, sentinel(suite, 'A', 'y'), sentinel(suite, 'B', 'prediction'), 3)
    assert losses[-1] < 0.2 * losses[0] and scores[-1] > scores[0]
    values = serve(model, 'prediction', {'x': ('pxs_subset.tif', 16)}, mode=mode)
    assert values.shape == (113, 113) and np.isin(values, range(8)).all()


@pytest.mark.baseline
def test_on_pairs_of_two_resolutions(suite, train, serve, write_images, tmp_path):
    """Patches of 8 x 8 and 32 x 32 pixels of the same ground; the classes are thirds of the vegetation index."""
    xs, pan = (read_as_np_arr(gdal_open(suite / f'data/{n}_subset.tif'), False)[0] for n in ('xs', 'pan'))
    red, infrared = xs[..., 2], xs[..., 3]
    index = (infrared - red) / np.maximum(infrared + red, 1)
    classes = np.digitize(index, np.quantile(index, (1 / 3, 2 / 3)))
    coarse, fine, labels = [], [], []
    for row in range(6, 27):
        for col in range(6, 27):
            # The corner of the coarse image lies 1 fine pixel to the left of that of the other, and 2 above it.
            top, left = 4 * row + 2 - 2 - 16, 4 * col + 2 - 1 - 16
            coarse.append(xs[row - 4 : row + 4, col - 4 : col + 4])
            fine.append(pan[top : top + 32, left : left + 32])
            labels.append(classes[row : row + 1, col : col + 1, None])
    order = np.random.default_rng(0).permutation(len(labels))
    paths = {}
    for key, patches in (('x1', coarse), ('x2', fine), ('y', labels)):
        stacked = np.stack(patches)[order].astype('float32')
        for part, chosen in (('a', stacked[:300]), ('b', stacked[300:])):
            paths[part, key] = write_images(tmp_path / f'{key}_{part}.tif', chosen)
    others = {'x1': paths['b', 'x1'], 'x2': paths['b', 'x2'], 'prediction': paths['b', 'y']}
    own = {key: paths['a', key] for key in ('x1', 'x2', 'y')}
    model, losses, scores = train('model2', own, others, 8, 32)
    assert losses[-1] < 0.5 * losses[0] and scores[-1] > max(scores[0], 0.5)
    images = {'x1': ('xs_subset.tif', 8), 'x2': ('pan_subset.tif', 32)}
    values = serve(model, 'prediction', images, mode='otbtf-patch')
    assert values.shape == (24, 24) and np.isin(values, range(8)).all() and len(np.unique(values)) > 1


@pytest.mark.baseline
def test_on_patches_with_a_label_each_pixel(suite, train, serve):
    def amsterdam(letter, label):
        return {
            'x': suite / f'data/amsterdam_patches_{letter}.tif',
            label: suite / f'data/amsterdam_labels_{letter}.tif',
        }

    model, losses, scores = train('model4', amsterdam('A', 'y'), amsterdam('B', 'prediction'), 3, 8)
    assert losses[-1] < losses[0] and scores[-1] > 0.5
    fields = {'mode': 'otbtf-fullyconv', 'expression_field': (32, 32)}
    values = serve(model, 'prediction_fcn', {'x': ('pxs_subset2.tif', 64)}, **fields)
    assert values.shape == (96, 96) and np.isin(values, (0, 1)).all()
