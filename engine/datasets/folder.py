"""The folder of a dataset while it is made."""

from __future__ import annotations

import os
import re

from ..errors import EngineError
from ..folder import OutputFolder
from ..jobs import SPLITS
from .files import LISTING, SHAPES, TYPES, style_of
from .manifest import FILE, Manifest, Shard, read_manifest
from .table import SAMPLES

# What nobody but us calls so.
_OURS = re.compile(r'(?:[A-Za-z][A-Za-z0-9_-]*-\d{5}\.npy|\d+\.records)$')
# What others may call so, too.
_IMAGES = re.compile(r'[A-Za-z][A-Za-z0-9_]*\.(?:tif|tif\.aux\.xml|qml)$')


class DatasetFolder(OutputFolder):
    """A dataset's `OutputFolder`; its manifest is written last."""

    def __init__(self, output: str) -> None:
        super().__init__(output, 'dataset', self._is_ours, read_manifest)

    def finish_with(self, manifest: Manifest) -> None:
        """Write the manifest and give the folder its name."""
        with open(os.path.join(self.part, FILE), 'w', encoding='utf-8') as file:
            file.write(manifest.to_file())
            file.flush()
            os.fsync(file.fileno())
        self.finish()

    def _is_ours(self, name: str) -> bool:
        """Whether something at the top of the folder, of its `.part` or of its `.old` may be removed."""
        if name in (FILE, SAMPLES, TYPES, SHAPES, LISTING) or _OURS.match(name):
            return True
        if name not in SPLITS and not _IMAGES.match(name):
            return False
        whole = [self.output, self.output + '.old']
        return all(_all_known(folder, name) for folder in whole if os.path.lexists(os.path.join(folder, name)))


def _all_known(folder: str, name: str) -> bool:
    """Whether the manifest of a folder tells of a file in it, or of all files in a folder of it."""
    try:
        known = known_files(read_manifest(folder))
    except EngineError:
        return False
    place = os.path.join(folder, name)
    return {f'{name}/{inner}' for inner in os.listdir(place)} <= known if os.path.isdir(place) else name in known


def known_files(manifest: Manifest) -> set[str]:
    """The paths of all that belongs to a dataset, relative to its folder, be it there or not."""
    known = {FILE, SAMPLES}
    for shard in manifest.shards:
        known |= {shard.path, *_companions(manifest, shard)}
    return known


def _companions(manifest: Manifest, shard: Shard) -> tuple[str, ...]:
    """What may lie beside a file of samples."""
    if manifest.layout == 'tfrecords':
        place = shard.path.rpartition('/')[0]
        return tuple(f'{place}/{name}'.lstrip('/') for name in (TYPES, SHAPES, LISTING))
    if manifest.layout == 'patchesimages':
        # QGIS leaves statistics beside the rasters that people look at.
        return style_of(shard.path), f'{shard.path}.aux.xml'
    return ()
