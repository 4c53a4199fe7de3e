"""The folder of a dataset while it is made."""

from __future__ import annotations

import os
import re

from ..folder import OutputFolder
from .manifest import FILE, Manifest, read_manifest
from .reader import SAMPLES

_SHARDS = re.compile(r'(?:[A-Za-z][A-Za-z0-9_-]*-\d{5}\.npy(?:\.new)?|polygons\.tif)$')


class DatasetFolder(OutputFolder):
    """A dataset's `OutputFolder`; its manifest is written last."""

    def __init__(self, output: str) -> None:
        super().__init__(
            output, 'dataset', lambda name: name in (FILE, SAMPLES) or bool(_SHARDS.match(name)), read_manifest
        )

    def finish_with(self, manifest: Manifest) -> None:
        """Write the manifest and give the folder its name."""
        with open(os.path.join(self.part, FILE), 'w', encoding='utf-8') as file:
            file.write(manifest.to_json())
            file.flush()
            os.fsync(file.fileno())
        self.finish()
