"""How fast a U-Net is served over a large image, side by side with the network alone.

    python benchmarks/serving.py [--size 4096] [--large 8192] [--probabilities]

The image is the SPOT-6 scene of QUADRAT_SHARED, mirrored to the size wanted, or noise where that is not set. The
network has 16 filters and depth 4; what it learnt does not change its speed, so its weights are random. Each figure
comes from a process of its own, so that peak memory is that of the work alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BANDS, CLASSES = 4, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', type=int, default=4096, help='side of the image in pixels')
    parser.add_argument('--large', type=int, default=8192, help='side of a larger one, for the memory; 0 skips it')
    parser.add_argument('--repeats', type=int, default=3, help='how often loop and network are timed in turn')
    parser.add_argument('--memory', type=int, default=1024, help='memory setting in MiB')
    parser.add_argument('--probabilities', action='store_true', help='write the probabilities as well')
    parser.add_argument('--step', nargs=2, help=argparse.SUPPRESS)  # what this script starts itself with
    options = parser.parse_args()
    register()
    if options.step:
        step, arguments = options.step
        json.dump(STEPS[step](**json.loads(arguments)), sys.stdout)
        return
    with tempfile.TemporaryDirectory(prefix='quadrat-benchmark-') as folder:
        compare(Path(folder), options)


def compare(folder: Path, options: argparse.Namespace) -> None:
    """Run the steps and print the figures."""
    package = str(folder / 'package')
    call('package', path=package)
    job = {'model': package, 'folder': str(folder), 'memory': options.memory, 'both': options.probabilities}
    image = call('image', path=str(folder / 'image.tif'), side=options.size)['path']
    whole = call('serve', image=image, **job)
    pairs = call('pairs', image=image, repeats=options.repeats, **job)
    print(f'image            {options.size} x {options.size} x {BANDS}, {whole["plan"]}')
    print(f'whole process    {whole["seconds"]:.1f} s')
    show('serving loop  ', *zip(*pairs['loop']))
    show('network alone ', *zip(*pairs['alone']))
    show('loop / network', *zip(*([a / b for a, b in zip(*pair)] for pair in zip(pairs['loop'], pairs['alone']))))
    print(f'useful share     {whole["useful"]:.3f} of the computed pixels end up in the map')
    print(f'peak memory      {whole["peak"]:.0f} MiB at {options.size}', end='')
    if options.large:
        image = call('image', path=str(folder / 'large.tif'), side=options.large)['path']
        large = call('serve', image=image, **job)
        print(f', {large["peak"]:.0f} MiB at {options.large} (whole process {large["seconds"]:.1f} s)', end='')
    print(f'; {whole["idle"]:.0f} MiB of it before the first tile')


def show(what: str, wall: list[float], processor: list[float]) -> None:
    """A line with medians, and what they are medians of. Processor time suffers less from others at work."""
    each = ', '.join(f'{a:.2f} ({b:.2f})' for a, b in zip(wall, processor))
    print(
        f'{what}   {statistics.median(wall):.3f}, in processor time {statistics.median(processor):.3f}  (each: {each})'
    )


def call(step: str, **arguments) -> dict:
    """Run a step in a new process; adds how many seconds the process took."""
    start = time.perf_counter()
    command = [sys.executable, __file__, '--step', step, json.dumps(arguments)]
    environment = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return {'seconds': time.perf_counter() - start, **json.loads(done.stdout)}


def register() -> None:
    """Make ``import quadrat`` find the tree this file belongs to."""
    sys.path.insert(0, str(ROOT / 'engine'))
    import bootstrap

    bootstrap.register()


def clocks():
    """Seconds on the wall, and seconds that processors spent on this process."""
    import numpy as np

    return np.array([time.perf_counter(), time.process_time()])


def peak() -> float:
    """The most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# -- steps, each in a process of its own ------------------------------------------------------------------------------


def make_package(path: str) -> dict:
    """A package with an untrained U-Net."""
    import keras

    from quadrat.engine.jobs import ClassDef
    from quadrat.engine.model_package.card import InputCard, ModelCard, OutputCard, ReceptiveField
    from quadrat.engine.model_package.package import write_package
    from quadrat.engine.networks.field import receptive_field
    from quadrat.engine.networks.unet import build_unet

    keras.utils.set_random_seed(0)
    mean, stddev = [500.0] * BANDS, [300.0] * BANDS
    network = build_unet(BANDS, CLASSES, input_name='source1', mean=mean, stddev=stddev, filters=16, depth=4)
    reach = receptive_field(network)
    names = tuple(f'B{number}' for number in range(1, BANDS + 1))
    source = InputCard('source1', names, field=ReceptiveField(*reach.sides), stride=reach.stride)
    classes = tuple(ClassDef(value, f'class {value}') for value in range(1, CLASSES + 1))
    output = OutputCard('probabilities', CLASSES, classes)
    write_package(path, network, ModelCard('benchmark', 'segmentation', 'unet', (source,), (output,)))
    return {}


def make_image(path: str, side: int) -> dict:
    """A tiled, compressed image of int16."""
    import numpy as np

    from quadrat.engine.gdalio import gdal

    shared = os.environ.get('QUADRAT_SHARED')
    if shared:
        dataset = gdal.Open(os.path.join(shared, 'data', 'otbtf-suite', 'data', 'fake_spot6.jp2'))
        part = np.empty((BANDS, dataset.RasterYSize, dataset.RasterXSize), np.int16)
        dataset.ReadRaster(buf_obj=part)
    else:
        coarse = np.random.default_rng(0).normal(500, 150, (BANDS, 128, 128))
        part = np.kron(coarse, np.ones((8, 8))) + np.random.default_rng(1).normal(0, 30, (BANDS, 1024, 1024))
        part = part.astype(np.int16)
    length = part.shape[1]
    options = ['TILED=YES', 'COMPRESS=DEFLATE', 'BIGTIFF=IF_SAFER']
    target = gdal.GetDriverByName('GTiff').Create(path, side, side, BANDS, gdal.GDT_Int16, options)
    target.SetGeoTransform((600000, 1.5, 0, 5800000, 0, -1.5))
    for row in range(0, side, length):
        for col in range(0, side, length):
            tile = part[:, :: -1 if row // length % 2 else 1, :: -1 if col // length % 2 else 1]
            rows, cols = min(length, side - row), min(length, side - col)
            target.WriteRaster(col, row, cols, rows, np.ascontiguousarray(tile[:, :rows, :cols]).tobytes())
    target.FlushCache()
    return {'path': path}


def _job(image: str, model: str, folder: str, memory: int, both: bool):
    from quadrat.engine.jobs import ServeJob, SourceSpec

    probabilities = os.path.join(folder, 'probabilities.tif') if both else ''
    output = os.path.join(folder, 'map.tif')
    return ServeJob(model, (SourceSpec((image,)),), output=output, probabilities=probabilities, memory=memory)


def serve_once(**arguments) -> dict:
    """One job as the worker does it."""
    from quadrat import engine
    from quadrat.engine.serving import serve

    plans, idle = [], []
    stream = serve.stream

    def watched(plan, *positional, **named):
        plans.append(plan)
        idle.append(peak())
        stream(plan, *positional, **named)

    serve.stream = watched
    engine.run(_job(**arguments))
    return {'plan': plans[0].describe(), 'useful': plans[0].useful, 'peak': peak(), 'idle': idle[0]}


def time_pairs(repeats: int, **arguments) -> dict:
    """The loop of a job, and the network on the same tiles in memory, in turn."""
    from quadrat import engine
    from quadrat.engine.serving import serve

    loops, alone, networks = [], [], []
    stream, load = serve.stream, serve.load_network

    def kept(*positional):
        networks.append(load(*positional))
        return networks[-1]

    def timed(plan, read, *positional, **named):
        tiles = [read(tile).pixels for tile in plan]
        for _ in range(repeats):
            start = clocks()
            stream(plan, read, *positional, **named)
            loops.append(clocks() - start)
            start = clocks()
            for tile in tiles:
                networks[-1].run([tile])
            alone.append(clocks() - start)

    serve.stream, serve.load_network = timed, kept
    engine.run(_job(**arguments))
    return {'loop': [pair.tolist() for pair in loops], 'alone': [pair.tolist() for pair in alone]}


STEPS = {'package': make_package, 'image': make_image, 'serve': serve_once, 'pairs': time_pairs}

if __name__ == '__main__':
    main()
