"""How fast large images are served, side by side with the parts of the work alone, and with what it should be.

    python benchmarks/serving.py [--sizes 4096 12288] [--models fcn unet] [--runtimes openvino tensorflow]
                                 [--outputs classes probabilities] [--folder DIR] [--repeats 3] [--memory 1024]
    python benchmarks/serving.py --sizes 1024 --repeats 1          # a quick look

The images are made up: 4 bands of int16, DEFLATE. So are the networks' weights, which do not change their speed: a
small fully convolutional network, and a U-Net of 16 filters and depth 4. With --folder images, models and converted
models are kept for the next time.

Each line is a process of its own. It serves the image as the worker does; its seconds and its peak of memory are those
of this first time. Then, in turn as often as --repeats says (once for all sizes but the first): the loop of serving,
the network alone on the same tiles, GDAL alone reading the same windows, GDAL alone writing the same map. Times are
seconds on the wall, and in brackets those of all processors; ratios are medians over the turns. "others" is the share
of the machine that other programs took meanwhile, where the system tells it: with more than a few hundredths of that
only ratios of processor seconds say much, which tell what is wasted, but not what is waited for.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
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
SMALL = 256  # side of the image that a model is converted with

Clock = tuple[float, float]  # seconds on the wall, seconds of all processors
UNET, FCN, USEFUL, MEMORY, GROWTH, START = 1.10, 1.15, 0.7, 2048, 1.05, 2.0  # the aims


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sizes', type=int, nargs='+', default=[4096, 12288], help='sides of the images in pixels')
    parser.add_argument('--models', nargs='+', default=list(MODELS), choices=MODELS)
    parser.add_argument('--runtimes', nargs='+', default=['openvino', 'tensorflow'], help='as of servemodel')
    parser.add_argument('--outputs', nargs='+', default=list(OUTPUTS), choices=OUTPUTS)
    parser.add_argument('--folder', type=Path, help='where images and models are kept for the next time')
    parser.add_argument('--repeats', type=int, default=3, help='how often the parts are timed in turn')
    parser.add_argument('--memory', type=int, default=1024, help='memory setting in MiB')
    parser.add_argument('--step', nargs=2, help=argparse.SUPPRESS)  # what this script starts itself with
    options = parser.parse_args()
    register()
    if options.step:
        step, arguments = options.step
        json.dump(STEPS[step](**json.loads(arguments)), sys.stdout)
        return
    with contextlib.ExitStack() as stack:
        folder = options.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='quadrat-benchmark-')))
        folder.mkdir(exist_ok=True)
        os.environ['QUADRAT_CACHE'] = str(folder / 'cache')
        compare(folder, options)


def compare(folder: Path, options: argparse.Namespace) -> None:
    """Run the steps and print a table."""
    images = {side: str(folder / f'image{side}.tif') for side in (SMALL, *options.sizes)}
    models = {name: str(folder / name) for name in options.models}
    for side, path in images.items():
        if not os.path.exists(path):
            call('image', path=path, side=side)
    for name, path in models.items():
        if not os.path.exists(path):
            call('package', path=path, kind=name)
    lines, last = [], ''
    for name, runtime in itertools.product(options.models, options.runtimes):
        job = {'model': models[name], 'folder': str(folder), 'memory': options.memory, 'runtime': runtime}
        call('serve', image=images[SMALL], output='classes', repeats=0, **job)
        for output, side in itertools.product(options.outputs, options.sizes):
            repeats = options.repeats if side == options.sizes[0] else 1
            found = call('serve', image=images[side], output=output, repeats=repeats, **job)
            line = {'model': name, 'runtime': runtime, 'output': output, 'size': side, **found}
            if not lines:
                print(TITLE)
            if found['plan'] != last:
                print(f'{name}, {found["plan"]}')
            last = found['plan']
            lines.append(line)
            print(row(line), flush=True)
    for line in aims(lines):
        print(line)


TITLE = (
    f'{"model":5} {"runtime":10} {"output":13} {"size":>5} {"start":>6} {"process":>7} {"loop":>16} {"network":>16} '
    f'{"read":>15} {"write":>15} {"Mpx/s":>6} {"useful":>6} {"MiB":>5} {"others":>6} {"loop/network":>15} '
    f'{"loop/share":>15}'
)


def row(line: dict) -> str:
    """A line of the table."""
    loop, network, read, write = (text(line[part]) for part in PARTS)
    speed = line['size'] ** 2 / 1e6 / statistics.median(wall for wall, _ in line['loop'])
    return (
        f'{line["model"]:5} {line["runtime"]:10} {line["output"]:13} {line["size"]:5} {line["start"]:6.2f} '
        f'{line["seconds"]:7.1f} {loop:>16} {network:>16} {read:>15} {write:>15} {speed:6.2f} {line["useful"]:6.3f} '
        f'{line["peak"]:5.0f} {line["others"]:6.2f} {text(to_network(line)):>15} {text(to_share(line)):>15}'
    )


def text(clocks: list[Clock]) -> str:
    """Medians."""
    wall, processors = (statistics.median(times) for times in zip(*clocks))
    return f'{wall:.2f} ({processors:.2f})'


def to_network(line: dict) -> list[Clock]:
    """How much more the loop takes than the network alone, each turn."""
    return [(loop[0] / network[0], loop[1] / network[1]) for loop, network in zip(line['loop'], line['network'])]


def to_share(line: dict) -> list[Clock]:
    """How much more the loop takes than if all processors shared the work of the parts alone evenly, each turn."""
    found = []
    for loop, *alone in zip(*(line[part] for part in PARTS)):
        least = sum(part[1] for part in alone)
        found.append((loop[0] * line['cores'] / least, loop[1] / least))
    return found


def aims(lines: list[dict]) -> list[str]:
    """What the figures should be, and whether they are."""
    found = []

    def add(what: str, worst: float, limit: float, least: bool = False) -> None:
        met = worst >= limit if least else worst <= limit
        found.append(f'{what:82} {worst:8.3f}   aim {">=" if least else "<="} {limit:<6g} {"met" if met else "MISSED"}')

    for model, ratio, limit, what in (
        ('unet', to_network, UNET, 'loop / network alone'),
        ('fcn', to_share, FCN, 'loop / (network + read + write shared by all cores)'),
    ):
        for runtime in dict.fromkeys(line['runtime'] for line in lines):
            some = [ratio(line) for line in lines if (line['model'], line['runtime']) == (model, runtime)]
            for kind, unit in enumerate(('s', 'processor s')) if some else ():
                worst = max(statistics.median(clocks[kind] for clocks in item) for item in some)
                add(f'{model}, {runtime}: {what}, {unit}', worst, limit)
    add('useful share of the computed pixels', min(line['useful'] for line in lines), USEFUL, least=True)
    add('peak memory, MiB', max(line['peak'] for line in lines), MEMORY)
    groups: dict[tuple, list[float]] = {}
    for line in lines:
        groups.setdefault((line['model'], line['runtime'], line['output']), []).append(line['peak'])
    if min(map(len, groups.values())) > 1:
        add('peak memory of one size / of another', max(max(item) / min(item) for item in groups.values()), GROWTH)
    starts = [line['start'] for line in lines if line['runtime'] == 'openvino']
    if starts:
        add('openvino: second start to the first tile, s', max(starts), START)
    return found


def call(step: str, **arguments) -> dict:
    """Run a step in a new process."""
    command = [sys.executable, __file__, '--step', step, json.dumps({**arguments})]
    environment = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', 'QUADRAT_STARTED': str(time.time())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f'{step} {arguments}:\n{done.stderr}')
    return json.loads(done.stdout)


def register() -> None:
    """Make ``import quadrat`` find the tree this file belongs to."""
    sys.path.insert(0, str(ROOT / 'engine'))
    import bootstrap

    bootstrap.register()


def clocks() -> Clock:
    """Seconds on the wall, and seconds that processors spent on this process."""
    return time.perf_counter(), time.process_time()


@contextlib.contextmanager
def timed(times: list[float]):
    """Add the seconds that a block takes."""
    start = clocks()
    yield
    times[:] = [before + now - then for before, now, then in zip(times, clocks(), start)]


def busy() -> float:
    """Seconds that the machine's processors have worked; 0 where the system does not tell."""
    try:
        ticks = list(map(int, Path('/proc/stat').read_text().split('\n')[0].split()[1:8]))
    except OSError:
        return 0.0
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf('SC_CLK_TCK')


def since_start() -> float:
    """Seconds since the process was started."""
    return time.time() - float(os.environ['QUADRAT_STARTED'])


def peak() -> float:
    """The most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# -- steps, each in a process of its own ------------------------------------------------------------------------------


def make_package(path: str, kind: str) -> dict:
    """A package with an untrained network."""
    import keras

    from quadrat.engine.jobs import ClassDef
    from quadrat.engine.model_package.card import InputCard, ModelCard, OutputCard, ReceptiveField
    from quadrat.engine.model_package.package import write_package
    from quadrat.engine.networks.field import receptive_field

    keras.utils.set_random_seed(0)
    network = MODELS[kind]()
    kernel, bias = network.get_layer('logits').get_weights()
    network.get_layer('logits').set_weights([kernel * 3, bias])  # sharper classes
    reach = receptive_field(network)
    names = tuple(f'B{number}' for number in range(1, BANDS + 1))
    source = InputCard('source1', names, field=ReceptiveField(*reach.sides), stride=reach.stride)
    classes = tuple(ClassDef(value, f'class {value}') for value in range(1, CLASSES + 1))
    output = OutputCard('probabilities', CLASSES, classes)
    write_package(path, network, ModelCard('benchmark', 'segmentation', kind, (source,), (output,)))
    return {}


def make_unet():
    from quadrat.engine.networks.unet import build_unet

    mean, stddev = [500.0] * BANDS, [300.0] * BANDS
    return build_unet(BANDS, CLASSES, input_name='source1', mean=mean, stddev=stddev, filters=16, depth=4)


def make_fcn():
    from keras import Input, Model, layers

    inputs = Input((None, None, BANDS), name='source1', dtype='float32')
    x = layers.Normalization(axis=-1, mean=[500.0] * BANDS, variance=[9e4] * BANDS)(inputs)
    for filters in (16, 16):
        x = layers.Conv2D(filters, 3, padding='same', activation='relu')(x)
    x = layers.Conv2D(CLASSES, 1, name='logits')(x)
    return Model(inputs, {'probabilities': layers.Softmax(name='probabilities')(x)}, name='fcn')


def make_image(path: str, side: int) -> dict:
    """A tiled, compressed image of int16: fields of a few pixels and noise, a square of it mirrored again and again."""
    import numpy as np

    from quadrat.engine.gdalio import gdal

    rng = np.random.default_rng(0)
    part = np.kron(rng.normal(500, 150, (BANDS, 128, 128)), np.ones((8, 8))) + rng.normal(0, 30, (BANDS, 1024, 1024))
    part = part.astype(np.int16)
    length = part.shape[1]
    options = ['TILED=YES', 'COMPRESS=DEFLATE', 'BIGTIFF=IF_SAFER', 'NUM_THREADS=ALL_CPUS']
    target = gdal.GetDriverByName('GTiff').Create(path + '.new', side, side, BANDS, gdal.GDT_Int16, options)
    target.SetGeoTransform((600000, 1.5, 0, 5800000, 0, -1.5))
    for row in range(0, side, length):
        for col in range(0, side, length):
            tile = part[:, :: -1 if row // length % 2 else 1, :: -1 if col // length % 2 else 1]
            rows, cols = min(length, side - row), min(length, side - col)
            target.WriteRaster(col, row, cols, rows, np.ascontiguousarray(tile[:, :rows, :cols]).tobytes())
    target.FlushCache()
    del target
    os.replace(path + '.new', path)
    return {}


def serve(image: str, model: str, folder: str, memory: int, runtime: str, output: str, repeats: int) -> dict:
    """Serve an image as the worker does it, then time the parts of that in turn."""
    from quadrat import engine
    from quadrat.engine.gdalio import open_raster
    from quadrat.engine.jobs import ServeJob, SourceSpec
    from quadrat.engine.serving import serve as module

    path = os.path.join(folder, f'{output}.tif')
    job = ServeJob(model, (SourceSpec((image,)),), memory=memory, runtime=runtime, **{OUTPUTS[output]: path})
    stream, load, found, loops = module.stream, module.load_network, {}, []

    def loaded(*positional, **named):
        found['network'] = load(*positional, **named)
        return found['network']

    def watched(plan, read, compute, *positional, **named):
        def first(tiles):
            found.setdefault('start', since_start())
            return compute(tiles)

        found.update(tiles=list(plan), read=read)
        loops.append([0.0, 0.0])
        with timed(loops[-1]):
            stream(plan, read, first, *positional, **named)

    plan_tiles = module.plan_tiles

    def planned(*positional, **named):
        found['plan'], batch = plan_tiles(*positional, **named)
        return found['plan'], batch

    module.stream, module.load_network, module.plan_tiles = watched, loaded, planned
    before, machine = clocks(), busy()
    engine.run(job)
    report = {
        'start': found['start'],
        'seconds': since_start(),
        'peak': peak(),
        'plan': found['plan'].describe(),
        'useful': found['plan'].useful,
        'cores': len(os.sched_getaffinity(0)),
        'network': [],
        'read': [],
        'write': [],
        'loop': loops,
    }
    for turn in range(repeats):
        if turn:
            engine.run(job)
        source, made = open_raster(image), open_raster(path)
        report['network'].append(network_alone(found))
        report['read'].append(read_alone(source, found['tiles']))
        report['write'].append(write_alone(made, path + '.again.tif', found['plan']))
    wall, processors = (now - then for now, then in zip(clocks(), before))
    report['others'] = max(0.0, busy() - machine - processors) / (wall * report['cores'])
    return report


def network_alone(found: dict) -> list[float]:
    """Seconds of the network on the tiles that were served."""
    times, network = [0.0, 0.0], found['network']
    for tile in found['tiles']:
        feeds = {card.name: pixels[None] for card, pixels in zip(network.cards, found['read'](tile).pixels)}
        with timed(times):
            network.runtime.run(feeds)
    return times


def read_alone(source, tiles) -> list[float]:
    """Seconds that GDAL takes to read what is fed for the tiles."""
    import numpy as np

    from quadrat.engine.gdalio import gdal
    from quadrat.engine.grid import Window

    times = [0.0, 0.0]
    whole = Window(0, 0, source.RasterXSize, source.RasterYSize)
    pixels = np.empty((tiles[0].window.height, tiles[0].window.width, BANDS), np.int16)
    for tile in tiles:
        window = tile.window.intersect(whole)
        size = window.width * window.height * BANDS
        with timed(times):
            source.ReadRaster(
                window.col,
                window.row,
                window.width,
                window.height,
                buf_type=gdal.GDT_Int16,
                buf_pixel_space=2 * BANDS,
                buf_line_space=2 * BANDS * window.width,
                buf_band_space=2,
                buf_obj=pixels.reshape(-1)[:size],
            )
    return times


def write_alone(made, path: str, plan) -> list[float]:
    """Seconds that GDAL takes, with one thread, to write a map like one that was made."""
    from quadrat.engine.gdalio import dtype_of, gdal_type
    from quadrat.engine.maps.writer import RasterSpec, create_raster
    from quadrat.engine.raster import grid_of

    dtype, bands = dtype_of(made.GetRasterBand(1), path), made.RasterCount
    kind, size = gdal_type(dtype), dtype.itemsize
    spec = RasterSpec(grid_of(made), dtype, None, ('',) * bands, plan.block, ('NUM_THREADS=1',))
    target = create_raster(path, spec)
    times = [0.0, 0.0]
    for tile in plan:
        area = tile.area
        window = (area.col, area.row, area.width, area.height)
        spaces = {
            'buf_pixel_space': size * bands,
            'buf_line_space': size * bands * area.width,
            'buf_band_space': size,
        }
        pixels = made.ReadRaster(*window, buf_type=kind, **spaces)
        with timed(times):
            target.WriteRaster(*window, pixels, buf_type=kind, **spaces)
            target.FlushCache()
    with timed(times):
        target.FlushCache()
        del target
    os.remove(path)
    return times


PARTS = ('loop', 'network', 'read', 'write')
MODELS = {'fcn': make_fcn, 'unet': make_unet}
OUTPUTS = {'classes': 'output', 'probabilities': 'probabilities'}
STEPS = {'package': make_package, 'image': make_image, 'serve': serve}

if __name__ == '__main__':
    main()
