"""What QGIS starts: makes the package ``quadrat`` importable from its own place, then runs the worker.

Nothing is added to the module search path: the plugin's folder lies among those of other plugins, and theirs must not
be importable here.
"""

import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
OLDEST = (3, 9)


def register() -> None:
    """Make ``import quadrat`` find the tree that this file belongs to."""
    # Python puts a script's own folder first: its modules would be found under their bare names.
    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != HERE]
    root = os.path.dirname(HERE)
    spec = importlib.util.spec_from_file_location(
        'quadrat', os.path.join(root, '__init__.py'), submodule_search_locations=[root]
    )
    if spec is None or spec.loader is None:
        sys.exit(f'{root}: the files of Quadrat are not complete.')
    package = importlib.util.module_from_spec(spec)
    sys.modules['quadrat'] = package
    spec.loader.exec_module(package)


if __name__ == '__main__':
    if sys.version_info < OLDEST:
        sys.exit('Quadrat needs Python {}.{} or newer, this is {}.'.format(*OLDEST, sys.version.split()[0]))
    register()
    from quadrat.engine.worker import main

    sys.exit(main())
