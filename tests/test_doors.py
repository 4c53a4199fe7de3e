"""The one-way doors between the rooms: who may import whom, read from the sources."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# What QGIS' side may know of the engine: modules of the standard library alone.
CONTRACT = ('engine.jobs', 'engine.events', 'engine.errors', 'engine.classes', 'engine.model_package.card')
# Rooms of the engine, in layers: a room may import its own layer and those before it.
GROUND = (('grid',), ('raster', 'vector'), ('sampling', 'datasets', 'maps'))
TOWER = (('runtimes', 'networks'), ('model_package',), ('training', 'serving'), ('classifiers', 'experiments', 'cli'))
COMMON = ('accuracy', 'reports')  # anyone may import them; they import none of the layers
# Where the heavy libraries are at home.
TENSORFLOW = ('networks', 'runtimes', 'training', 'model_package', 'serving', 'check', 'device')
TENSORFLOW += ('datasets.pipelines', 'datasets.records')
GDAL = ('gdalio',)


def imports(path: Path) -> set[str]:
    """Everything a module imports, anywhere in it; modules of Quadrat relative to its root."""
    package = path.relative_to(ROOT).with_suffix('').parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else ['']
            module = '.'.join([*filter(None, base), *([node.module] if node.module else [])])
            # `from .engine import jobs` imports a module, `from .engine.jobs import Job` does not: keep both.
            names = [module, *(f'{module}.{alias.name}'.lstrip('.') for alias in node.names)]
        else:
            continue
        found.update(name.removeprefix('quadrat.') for name in names)
    return found


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob('*.py'))


def within(name: str, places) -> bool:
    return any(name == place or name.startswith(place + '.') for place in places)


def is_module(name: str) -> bool:
    """Whether a name below the root is a module or package, rather than something in one."""
    place = ROOT / Path(*name.split('.'))
    return place.with_suffix('.py').exists() or (place / '__init__.py').exists()


def test_the_engine_knows_nothing_of_qgis():
    for path in modules('engine'):
        bad = [
            name
            for name in imports(path)
            if within(name, ('qgis', 'PyQt5', 'PyQt6', 'processing', 'plugin', 'algorithms'))
        ]
        assert not bad, f'{path} imports {bad}'


def test_qgis_knows_only_the_contract():
    for path in modules('plugin', 'algorithms'):
        for name in imports(path):
            if within(name, ('engine',)) and is_module(name) and name not in ('engine', 'engine.model_package'):
                assert within(name, CONTRACT), f'{path} imports {name}'
            assert not within(name, ('tensorflow', 'keras', 'PyQt5', 'PyQt6')), f'{path} imports {name}'


def test_the_contract_needs_nothing_but_the_standard_library():
    for name in CONTRACT:
        place = ROOT / Path(*name.split('.'))
        for path in sorted(place.glob('*.py')) if place.is_dir() else [place.with_suffix('.py')]:
            for used in imports(path):
                own = within(used, CONTRACT) or not is_module(used.split('.')[0])
                assert own, f'{path} imports {used}'
                if not used.startswith('engine'):
                    assert used.split('.')[0] in sys.stdlib_module_names, f'{path} imports {used}'


def room(path: Path) -> str:
    return path.relative_to(ROOT / 'engine').with_suffix('').parts[0]


def test_rooms_of_the_engine_look_one_way():
    layers = {
        name: (tower, level)
        for tower, all_ in enumerate((GROUND, TOWER))
        for level, names in enumerate(all_)
        for name in names
    }
    for path in modules('engine'):
        here = room(path)
        for name in imports(path):
            if not name.startswith('engine.') or within(name, CONTRACT):
                continue
            there = name.split('.')[1]
            if here in COMMON:
                assert there not in layers, f'{path} imports {name}'
            if here in layers and there in layers:
                assert layers[there] <= layers[here], f'{path} imports {name}'


@pytest.mark.parametrize(
    ('libraries', 'homes'),
    [
        (('tensorflow', 'keras'), TENSORFLOW),
        (('osgeo',), GDAL),
        (('openvino',), ('runtimes',)),
        (('sklearn', 'skops'), ('classifiers',)),
    ],
)
def test_libraries_are_imported_where_they_are_at_home(libraries, homes):
    for path in modules('engine'):
        bad = [name for name in imports(path) if within(name, libraries)]
        here = '.'.join(path.relative_to(ROOT / 'engine').with_suffix('').parts)
        assert not bad or within(here, homes), f'{path} imports {bad}'


def test_light_modules_load_nothing_heavy(tmp_path):
    (tmp_path / 'quadrat').symlink_to(ROOT)
    code = (
        'import sys, quadrat, quadrat.engine, quadrat.engine.jobs, quadrat.engine.events, quadrat.engine.worker\n'
        'import quadrat.engine.model_package.card, quadrat.engine.classes, quadrat.engine.cli\n'
        'print([name for name in ("numpy", "osgeo", "tensorflow", "keras", "qgis", "PIL") if name in sys.modules])'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == '[]'


def test_qgis_side_can_be_parsed_by_the_oldest_python():
    """Python 3.9 is what QGIS 3.22 brings on Windows and macOS."""
    light = [ROOT / '__init__.py', *modules('plugin', 'algorithms')]
    for name in CONTRACT:
        place = ROOT / Path(*name.split('.'))
        light += sorted(place.glob('*.py')) if place.is_dir() else [place.with_suffix('.py')]
    for path in [*light, ROOT / 'engine' / 'bootstrap.py']:
        tree = ast.parse(path.read_text('utf-8'), feature_version=(3, 9))
        assert not any(isinstance(node, ast.Match) for node in ast.walk(tree)), path


def test_tests_mirror_the_tree():
    assert not list((ROOT / 'tests').rglob('__init__.py'))
