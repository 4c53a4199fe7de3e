"""What a dataset holds, as plain values for its report and the log."""

from __future__ import annotations

import math
import os
from typing import Any

from ..raster import crs_name
from .folder import known_files
from .manifest import Manifest, SourceInfo
from .reader import Dataset


def contents(dataset: Dataset) -> dict[str, Any]:
    """What a dataset holds.

    Returns:
        Plain values: ``folder``, ``foreign``, ``layout``, ``compression``, ``files`` (of samples), ``bytes``,
        ``count``, ``crs``, ``extent`` (None where nobody knows), ``fingerprint``, ``images``, ``sources``, ``labels``
        (None where there are none), ``classes`` and ``splits``.
    """
    manifest = dataset.manifest
    places = [os.path.join(dataset.folder, *path.split('/')) for path in sorted(known_files(manifest))]
    return {
        'folder': dataset.folder,
        'foreign': dataset.foreign,
        'layout': manifest.layout,
        'compression': manifest.compression,
        'files': len(manifest.shards),
        'bytes': sum(os.path.getsize(place) for place in places if os.path.isfile(place)),
        'count': manifest.count,
        'crs': crs_name(manifest.crs) if manifest.crs else 'unknown',
        'extent': manifest.extent,
        'fingerprint': manifest.fingerprint(),
        'images': list(dict.fromkeys(dataset.samples.images)),
        'sources': [_source(source) for source in manifest.sources],
        'labels': _labels(manifest),
        'classes': [{'value': item.value, 'name': item.name, 'colour': item.colour} for item in manifest.classes],
        'splits': {split: _split(manifest, split) for split in manifest.splits},
    }


def _source(source: SourceInfo) -> dict[str, Any]:
    statistics = source.statistics
    columns = (source.bands, source.nodata, statistics.mean, statistics.stddev, statistics.minimum, statistics.maximum)
    names = ('name', 'nodata', 'mean', 'stddev', 'minimum', 'maximum')
    return {
        'name': source.name,
        'dtype': source.dtype,
        'shape': source.shape,
        'pixel_size': source.pixel_size,
        'nodata_policy': source.nodata_policy,
        'rasters': source.rasters,
        'bands': [dict(zip(names, values)) for values in zip(*columns)],
    }


def _labels(manifest: Manifest) -> dict[str, Any] | None:
    labels = manifest.labels
    if labels is None:
        return None
    return {
        'name': labels.name,
        'dtype': labels.dtype,
        'shape': labels.shape,
        'unlabelled': labels.unlabelled,
        'nodata': labels.nodata,
    }


def _split(manifest: Manifest, split: str) -> dict[str, Any]:
    """Samples, and pixels of each class in the order of the classes; ``gap`` are pixels without label."""
    info, labels = manifest.splits[split], manifest.labels
    pixels = [info.pixels.get(str(item.value), 0) for item in manifest.classes]
    total = info.count * math.prod(labels.shape) if labels else 0
    return {'count': info.count, 'pixels': pixels, 'gap': total - sum(pixels), 'total': total}
