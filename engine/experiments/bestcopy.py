"""The best result of a sweep, under a name that does not change."""

from __future__ import annotations

import os
import shutil

from ..errors import write_error
from ..folder import OutputFolder


def publish(source: str, target: str) -> None:
    """Copy a package, or another result, whole or not at all, in place of the one that was there.

    A copy and no link: the folder can be moved, zipped and served by itself, whatever becomes of the runs.

    Args:
        source: a folder, whose contents `target` gets; or a file, which it gets under the same name.
        target: the folder.

    Raises:
        OutputRefused, DiskFull: it cannot be written.
    """
    folder = OutputFolder(target, 'best result of a sweep', lambda name: True)
    with folder:
        try:
            if os.path.isdir(source):
                shutil.copytree(source, folder.part, dirs_exist_ok=True)
            else:
                shutil.copy2(source, folder.part)
        except (OSError, shutil.Error) as error:
            raise write_error(target, error) from error
        folder.finish()
