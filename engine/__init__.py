"""The engine of Quadrat: a plain Python library that knows nothing of QGIS.

>>> from quadrat import engine
>>> from quadrat.engine import jobs
>>> engine.run(jobs.DemoSceneJob(output='scene'), on_event=print)  # doctest: +SKIP

Samples for `tf.data` come from classes with the names and arguments of OTBTF's Python interface:

>>> dataset = engine.DatasetFromPatchesImages({'image': ['image.tif'], 'labels': ['labels.tif']})  # doctest: +SKIP
>>> batches = dataset.get_tf_dataset(batch_size=8, targets_keys=['labels'])  # doctest: +SKIP

So do networks, see `ModelBase`, with their `layers` and `ops`.

Importing it loads nothing heavy: GDAL, numpy and TensorFlow come with the modules that need them.
"""

from __future__ import annotations

import importlib

_PIPELINES = 'datasets.pipelines'
_MODELBASE = 'networks.modelbase'
_LAZY = {
    'Batch': 'bundles.batch',
    'Bundle': 'bundles.bundle',
    'BaseModel': _MODELBASE,
    'Buffer': f'{_PIPELINES}.buffer',
    'Dataset': f'{_PIPELINES}.dataset',
    'DatasetFeeder': 'datasets.feeders.dataset',
    'DatasetFromPatchesImages': f'{_PIPELINES}.dataset',
    'IteratorBase': f'{_PIPELINES}.iterators',
    'MemorySamplesFeeder': 'datasets.feeders.memory',
    'ModelBase': _MODELBASE,
    'PatchesDatasetReader': f'{_PIPELINES}.folders',
    'PatchesImagesReader': f'{_PIPELINES}.images',
    'PatchesReaderBase': f'{_PIPELINES}.readers',
    'RandomIterator': f'{_PIPELINES}.iterators',
    'TFRecordExamplesFeeder': 'datasets.feeders.tfrecords',
    'TFRecords': f'{_PIPELINES}.tfrecords',
    'cropped_tensor_name': _MODELBASE,
    'gdal_open': f'{_PIPELINES}.arrays',
    'is_chief': _MODELBASE,
    'read_as_np_arr': f'{_PIPELINES}.arrays',
    'run': 'registry',
}
_MODULES = {'layers': 'networks.layers', 'ops': 'networks.ops'}

__all__ = [*_LAZY, *_MODULES]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(f'.{_LAZY[name]}', __name__), name)
    if name in _MODULES:
        return importlib.import_module(f'.{_MODULES[name]}', __name__)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
