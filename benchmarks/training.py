"""How long a step of training takes with samples from files of every layout, and straight from rasters, side by side
with the same batches held in memory.

    python benchmarks/training.py [--scene 1024] [--patch 64] [--batch 16] [--filters 16] [--depth 4] [--repeats 5]
                                  [--devices cpu gpu] [--cache MIB] [--folder DIR]
    python benchmarks/training.py --scene 512 --batch 8 --filters 8 --depth 3 --repeats 3          # a quick look

The samples are patches of the demo scene, 4 bands of int16 and a label for each pixel, which are flipped and turned as
in any training. The network is a U-Net; few filters make its steps short, so that reading weighs more. Each kind of
device is a process of its own, in which all ways of reading take turns, each over all samples; figures are medians
over the turns. "alone" is the reading by itself, with no network. Times are milliseconds a step on the wall, and in
brackets those of all processors; ratios are to the turn in memory of the same round. "others" is the share of the
machine that other programs took meanwhile, where the system tells it: with more than a few hundredths of that the wall
is "disturbed", and only ratios of processor time say much; on a GPU those say little.

All ways give the same batches, which is checked. Files are in the page cache (warm); with --cache GDAL keeps no more
than so much of the rasters in memory, as it does where they are larger than its cache.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
MEMORY, RASTERS, LAYOUTS = 'memory', 'rasters', ('numpy', 'tfrecords', 'patchesimages')
AIM = 1.05  # x the step in memory
QUIET = 0.05  # share of the machine that others may take
EPOCH, SEED = 1, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0].replace('\n', ' '))
    parser.add_argument('--scene', type=int, default=1024, help='side of the scene in pixels')
    parser.add_argument('--patch', type=int, default=64, help='side of the patches in pixels')
    parser.add_argument('--batch', type=int, default=16, help='samples a step')
    parser.add_argument('--filters', type=int, default=16, help='of the U-Net')
    parser.add_argument('--depth', type=int, default=4, help='of the U-Net')
    parser.add_argument('--repeats', type=int, default=5, help='turns that each way takes')
    parser.add_argument('--devices', nargs='+', default=['cpu', 'gpu'], choices=['cpu', 'gpu'])
    parser.add_argument('--cache', type=int, help="MiB of GDAL's cache; GDAL's own default unless given")
    parser.add_argument('--folder', type=Path, help='where scene and datasets are kept for the next time')
    parser.add_argument('--step', choices=STEPS, help=argparse.SUPPRESS)  # what this script starts itself with
    options = parser.parse_args()
    if options.step:
        register()
        json.dump(STEPS[options.step](options), sys.stdout)
        return
    with contextlib.ExitStack() as stack:
        if options.folder is None:
            options.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='quadrat-benchmark-')))
        options.folder /= f'scene{options.scene}-{options.patch}'
        if not (options.folder / 'done').exists():
            call('make', options)
        for device in options.devices:
            found = call(device, options)
            print(table(found, options) if found else f'{device}: there is none.', flush=True)


def call(step: str, options: argparse.Namespace) -> dict[str, Any]:
    """Make the data, or measure on a kind of device, in a new process; nothing where there is none of that kind."""
    command = [sys.executable, __file__, '--step', step, '--folder', str(options.folder)]
    for name in ('scene', 'patch', 'batch', 'filters', 'depth', 'repeats'):
        command += [f'--{name}', str(getattr(options, name))]
    environment = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'}
    if step == 'cpu':
        environment['CUDA_VISIBLE_DEVICES'] = '-1'
    if options.cache is not None:
        environment['GDAL_CACHEMAX'] = str(options.cache)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f'{step}:\n{done.stderr}')
    return json.loads(done.stdout)


def table(found: dict[str, Any], options: argparse.Namespace) -> str:
    """What was found on a device."""
    times = {name: np.array(each) for name, each in found['times'].items()}
    lines = [
        f'U-Net of {options.filters} filters and depth {options.depth} on {found["device"]}: {found["steps"]} steps of '
        f'{options.batch} patches of {options.patch} x {options.patch}, {options.repeats} turns, {found["cores"]} '
        f'cores, others {found["others"]:.2f}',
        f'{"samples from":16}{"step, ms":>20}{"alone, ms":>20}{"x memory":>17}',
    ]
    for name, each in times.items():
        ratios = each / times[MEMORY]
        alone = text(np.array(found['alone'][name]), 1) if name in found['alone'] else ''
        figures = f'{text(each, 1):>20}{alone:>20}{text(ratios, 3):>17}'
        lines.append(f'{name:16}{figures}{judgement(name, ratios, found["others"])}'.rstrip())
    return '\n'.join(lines)


def judgement(name: str, ratios: np.ndarray, others: float) -> str:
    """Whether the aim is met, on the wall and in processor time."""
    if name == MEMORY:
        return ''
    wall, processors = ('met' if ratio <= AIM else 'MISSED' for ratio in np.median(ratios, 0))
    return f'   aim <= {AIM:g} {wall if others <= QUIET else "disturbed"} ({processors})'


def text(clocks: np.ndarray, digits: int) -> str:
    """Medians of (turns, 2)."""
    wall, processors = np.median(clocks, 0)
    return f'{wall:.{digits}f} ({processors:.{digits}f})'


def register() -> None:
    """Make ``import quadrat`` find the tree this file belongs to."""
    sys.path.insert(0, str(ROOT / 'engine'))
    import bootstrap

    bootstrap.register()


# -- data -------------------------------------------------------------------------------------------------------------


def make(options: argparse.Namespace) -> dict[str, Any]:
    """A scene, and its patches in every layout."""
    from quadrat import engine
    from quadrat.engine.jobs import ConvertDatasetJob, DemoSceneJob, LayoutOptions, SelectPatchesJob

    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    engine.run(DemoSceneJob(str(folder / 'scene'), options.scene, SEED))
    image, points = str(folder / 'scene/ms.tif'), str(folder / 'points.gpkg')
    engine.run(SelectPatchesJob(image, points, patch_size=options.patch, strategy='all'))
    first, *others = LAYOUTS
    engine.run(dataclasses.replace(extraction(folder, options.patch), output=str(folder / first)))
    for layout in others:
        engine.run(ConvertDatasetJob(str(folder / first), str(folder / layout), LayoutOptions(layout)))
    (folder / 'done').touch()
    return {}


def extraction(folder: Path, patch: int) -> Any:
    """Where the patches and their labels come from."""
    from quadrat.engine.jobs import ExtractPatchesJob, LabelRaster, SourceSpec, VectorSpec

    return ExtractPatchesJob(
        (SourceSpec((str(folder / 'scene/ms.tif'),), patch_size=(patch, patch)),),
        VectorSpec(str(folder / 'points.gpkg')),
        '',
        labels=LabelRaster(str(folder / 'scene/truth.tif')),
    )


# -- what is timed, in a process of its own ---------------------------------------------------------------------------


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds a step that all ways of reading take, with the training and alone."""
    from quadrat.engine.events import Reporter
    from quadrat.engine.jobs import TrainJob, TrainOptions
    from quadrat.engine.training.opening import open_material
    from quadrat.engine.training.state import TrainingFolder
    from quadrat.engine.training.training import Training

    if options.step == 'gpu' and not gpus():
        return {}
    folder = options.folder
    network = TrainOptions(filters=options.filters, depth=options.depth, strategy='one')
    common = {'output': str(folder / 'package'), 'batch_size': options.batch, 'options': network, 'resume': False}
    jobs = {name: TrainJob(str(folder / name), seed=SEED, **common) for name in LAYOUTS}
    jobs[RASTERS] = TrainJob('', seed=SEED, windows=extraction(folder, options.patch), **common)
    materials = {name: open_material(job, Reporter()) for name, job in jobs.items()}
    ways = {name: reading(jobs[name], material) for name, material in materials.items()}
    held = list(ways[LAYOUTS[0]]())
    for name, batches in ways.items():
        require_same(held, batches(), name)
    training = Training(jobs[LAYOUTS[0]], materials[LAYOUTS[0]], TrainingFolder(common['output']), Reporter())
    before, machine = clocks(), busy()
    times = take_turns(
        {MEMORY: lambda: held, **ways}, lambda batches: training.fitting.train(batches, EPOCH), options.repeats
    )
    alone = take_turns(ways, all_of, options.repeats)
    wall, processors = clocks() - before
    cores = len(os.sched_getaffinity(0))
    return {
        'device': training.devices.words,
        'steps': len(held),
        'cores': cores,
        'others': max(0.0, busy() - machine - processors) / (wall * cores),
        'times': {name: (each / len(held) * 1e3).tolist() for name, each in times.items()},
        'alone': {name: (each / len(held) * 1e3).tolist() for name, each in alone.items()},
    }


def gpus() -> list[Any]:
    """Those that TensorFlow finds."""
    import tensorflow as tf

    return tf.config.list_physical_devices('GPU')


Batches = Callable[[], Iterable[Any]]


def reading(job: Any, material: Any) -> Batches:
    """The batches of an epoch, read and changed as a training does."""
    from quadrat.engine.training.checks import augmentation_of
    from quadrat.engine.training.opening import TRAIN
    from quadrat.engine.training.pipeline import augmentation, batches, shuffled

    piece = material.splits[TRAIN].pieces[0]
    spec = augmentation_of(job)
    order = shuffled(piece.indices, job.seed, EPOCH)
    return lambda: batches(piece.reader, order, job.batch_size, augmentation(spec, material.sources, job.seed, EPOCH))


def require_same(held: list[Any], batches: Iterable[Any], name: str) -> None:
    """End where a way of reading gives other batches."""
    for one, two in zip(held, batches, strict=True):
        for first, second in zip((*one.images, *one[1:]), (*two.images, *two[1:]), strict=True):
            if not np.array_equal(first, second):
                sys.exit(f'{name}: other samples than from {LAYOUTS[0]}')


def take_turns(ways: dict[str, Batches], work: Callable[[Iterable[Any]], Any], repeats: int) -> dict[str, np.ndarray]:
    """Seconds on the wall and of processors that each way took, `repeats` times: (repeats, 2)."""
    seconds: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, batches in ways.items():
            start = clocks()
            work(batches())
            if turn:  # the first one also traces functions
                seconds[name].append(clocks() - start)
    return {name: np.array(each) for name, each in seconds.items()}


def all_of(batches: Iterable[Any]) -> None:
    """Read them, and do nothing with them."""
    for _ in batches:
        pass


def clocks() -> np.ndarray:
    """Seconds on the wall, and seconds that processors spent on this process."""
    return np.array([time.perf_counter(), time.process_time()])


def busy() -> float:
    """Seconds that the machine's processors have worked; 0 where the system does not tell."""
    try:
        ticks = list(map(int, Path('/proc/stat').read_text().split('\n')[0].split()[1:8]))
    except OSError:
        return 0.0
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf('SC_CLK_TCK')


STEPS = {'make': make, 'cpu': measure, 'gpu': measure}

if __name__ == '__main__':
    with contextlib.suppress(KeyboardInterrupt):
        main()
