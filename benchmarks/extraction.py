"""How fast patches are cut out of a large raster, side by side with reading it once and writing the same bytes.

    python benchmarks/extraction.py [--patches 50000] [--size 20000] [--folder KEPT] [--repeats 3] [--labels]

The raster has 4 bands of int16: smooth ground with noise, so that DEFLATE has as much to do as with a satellite image.
It is tiled (256 x 256), then striped (16 rows). Patches of 64 x 64 lie at random points. Reading is a plain sweep of
`ReadRaster` from top to bottom, writing is files of 64 MiB one after the other, made to last as those of a dataset are.
A cold cache means that the system was told to forget the raster. Each figure comes from a process of its own, so that
peak memory is that of the work alone; they are taken in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BANDS, PATCH = 4, 64
LAYOUTS = {'tiled': ['TILED=YES'], 'striped': ['BLOCKYSIZE=16']}
ORIGIN, PIXEL = (600000.0, 5800000.0), 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--patches', type=int, default=50000)
    parser.add_argument('--size', type=int, default=20000, help='side of the raster in pixels')
    parser.add_argument('--folder', help='where the raster is kept for another run; else it is removed')
    parser.add_argument('--repeats', type=int, default=3, help='how often each figure is taken')
    parser.add_argument('--layouts', default=','.join(LAYOUTS), help='which of them')
    parser.add_argument('--labels', action='store_true', help='labels from a raster as well')
    parser.add_argument('--step', nargs=2, help=argparse.SUPPRESS)  # what this script starts itself with
    options = parser.parse_args()
    register()
    if options.step:
        step, arguments = options.step
        json.dump(STEPS[step](**json.loads(arguments)), sys.stdout)
        return
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix='quadrat-benchmark-'))
        folder = Path(options.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        compare(folder, Path(temporary), options)


def compare(folder: Path, scratch: Path, options: argparse.Namespace) -> None:
    """Run the steps and print the figures."""
    raw = options.size**2 * BANDS * 2
    samples = options.patches * PATCH**2 * BANDS * 2
    needed = 2 * raw + 3 * samples
    if shutil.disk_usage(folder).free < needed:
        raise SystemExit(f'{folder}: {needed / 1e9:.0f} GB of free disk are needed; give another --folder.')
    points = str(scratch / 'points.gpkg')
    call('points', path=points, count=options.patches, size=options.size)
    print(
        f'{options.patches} patches of {PATCH} x {PATCH} x {BANDS} int16 ({samples / 1e9:.2f} GB) from {options.size} '
        f'x {options.size} ({raw / 1e9:.2f} GB raw), {os.cpu_count()} processors, load before {os.getloadavg()[0]:.1f}'
    )
    for layout in options.layouts.split(','):
        raster = str(folder / f'{layout}-{options.size}.tif')
        labels = str(folder / f'labels-{options.size}.tif') if options.labels else ''
        call('raster', path=raster, size=options.size, layout=layout, labels=labels)
        for cache in ('cold', 'warm'):
            figures: dict[str, list[dict]] = {'read': [], 'read alone': [], 'write': [], 'extract': []}
            for _ in range(options.repeats):
                forget = cache == 'cold'
                figures['read'].append(call('read', path=raster, threads='ALL_CPUS', forget=forget))
                figures['read alone'].append(call('read', path=raster, threads='1', forget=forget))
                # Memory that was in use just now is faster to fill, and both should get such.
                call('write', folder=str(scratch), size=samples)
                figures['extract'].append(
                    call('extract', raster=raster, points=points, labels=labels, folder=str(scratch), forget=forget)
                )
                figures['write'].append(call('write', folder=str(scratch), size=samples))
            report(f'{layout}, {os.path.getsize(raster) / 1e9:.2f} GB, {cache} cache', figures, options.patches)


def report(what: str, figures: dict[str, list[dict]], patches: int) -> None:
    """The figures of one layout and state of the cache: medians, and what they are medians of."""
    print(f'\n{what}')
    for name, text in (
        ('read', f'reading, GDAL with {os.cpu_count()} threads'),
        ('read alone', 'reading, GDAL with one thread'),
        ('write', 'writing the same bytes'),
        ('extract', 'extraction'),
    ):
        wall, processor = ([figure[key] for figure in figures[name]] for key in ('wall', 'processor'))
        each = ', '.join(f'{value:.2f}' for value in wall)
        print(
            f'  {text:<34}{statistics.median(wall):7.2f} s, processor {statistics.median(processor):6.2f} s  ({each})'
        )
    extraction = statistics.median(figure['wall'] for figure in figures['extract'])
    last = figures['extract'][-1]
    for name in ('read', 'read alone'):
        ratios = [
            extract['wall'] / (read['wall'] + write['wall'])
            for read, write, extract in zip(figures[name], figures['write'], figures['extract'])
        ]
        threads = os.cpu_count() if name == 'read' else 1
        each = ', '.join(f'{ratio:.2f}' for ratio in ratios)
        print(f'  extraction / (read + write), {threads} threads to read: {statistics.median(ratios):.2f}  ({each})')
    peak = max(figure['peak'] for figure in figures['extract'])
    print(
        f'  {last["count"] / extraction:.0f} patches a second of {patches}, {last["bytes"] / 1e9:.2f} GB written, peak '
        f'memory {peak:.0f} MiB'
    )


def call(step: str, **arguments) -> dict:
    """Run a step in a new process."""
    command = [sys.executable, __file__, '--step', step, json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def register() -> None:
    """Make ``import quadrat`` find the tree this file belongs to."""
    sys.path.insert(0, str(ROOT / 'engine'))
    import bootstrap

    bootstrap.register()


class Clock:
    """Seconds on the wall and of processors within a block."""

    def __enter__(self) -> Clock:
        self._start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        self.wall, self.processor = time.perf_counter() - self._start[0], time.process_time() - self._start[1]

    def figures(self, **more) -> dict:
        return {'wall': self.wall, 'processor': self.processor, **more}


def forget_file(path: str) -> None:
    """Take a file out of the system's cache."""
    with open(path, 'rb') as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# -- steps, each in a process of its own ------------------------------------------------------------------------------


def make_raster(path: str, size: int, layout: str, labels: str) -> dict:
    """The raster, and one of labels, unless they are there from an earlier run."""
    import numpy as np

    rng = np.random.default_rng(0)
    side = min(2048, size)

    def smooth(cells: int) -> np.ndarray:
        """Values that change slowly: interpolated between random ones."""
        known, wanted = np.arange(cells), np.linspace(0, cells - 1, side)
        rows = np.stack([np.interp(wanted, known, row) for row in rng.normal(0, 1, (cells, cells))])
        return np.stack([np.interp(wanted, known, column) for column in rows.T], 1)

    if not os.path.exists(path):
        bands = [500 + 200 * smooth(16) + 80 * smooth(200) + rng.normal(0, 12, (side, side)) for _ in range(BANDS)]
        _write_tiled(path, np.stack(bands).clip(1).astype(np.int16), size, LAYOUTS[layout])
    if labels and not os.path.exists(labels):
        _write_tiled(labels, np.digitize(smooth(64), [-1, 0, 1])[None].astype(np.uint8), size, LAYOUTS['tiled'])
    return {}


def _write_tiled(path: str, part, size: int, options: list[str]) -> None:
    """A compressed GeoTIFF of a part, mirrored again and again."""
    import numpy as np

    from quadrat.engine.gdalio import gdal, gdal_type

    side = part.shape[1]
    options = [*options, 'COMPRESS=DEFLATE', 'PREDICTOR=2', 'BIGTIFF=IF_SAFER', 'NUM_THREADS=ALL_CPUS']
    kind = gdal_type(part.dtype)
    target = gdal.GetDriverByName('GTiff').Create(path + '.part', size, size, len(part), kind, options)
    target.SetGeoTransform((ORIGIN[0], PIXEL, 0, ORIGIN[1], 0, -PIXEL))
    for row in range(0, size, side):
        rows = min(side, size - row)
        line = part[:, :: -1 if row // side % 2 else 1][:, :rows]
        line = np.concatenate([line[..., :: -1 if col // side % 2 else 1] for col in range(0, size, side)], 2)
        target.WriteRaster(0, row, size, rows, np.ascontiguousarray(line[..., :size]).tobytes())
    target.FlushCache()
    del target
    with open(path + '.part', 'rb+') as file:
        os.fsync(file.fileno())  # what is not on the disk cannot be forgotten
    os.replace(path + '.part', path)


def make_points(path: str, count: int, size: int) -> dict:
    """Random points whose patches lie inside the raster."""
    import numpy as np

    from quadrat.engine.vector import write_points

    rng = np.random.default_rng(0)
    cols, rows = rng.integers(PATCH // 2, size - PATCH // 2, (2, count)) + 0.5
    write_points(path, '', ORIGIN[0] + PIXEL * cols, ORIGIN[1] - PIXEL * rows, {'id': np.arange(count)})
    return {}


def read_once(path: str, threads: str, forget: bool) -> dict:
    """Read all pixels, a row of blocks at a time."""
    import numpy as np

    from quadrat.engine.gdalio import gdal

    if forget:
        forget_file(path)
    gdal.SetCacheMax(64 << 20)
    with Clock() as clock:
        dataset = gdal.OpenEx(path, gdal.OF_RASTER, open_options=[f'NUM_THREADS={threads}'])
        width, height = dataset.RasterXSize, dataset.RasterYSize
        buffer = np.empty((256, width, BANDS), np.int16)
        for row in range(0, height, 256):
            rows = min(256, height - row)
            space = {'buf_pixel_space': 2 * BANDS, 'buf_line_space': 2 * BANDS * width, 'buf_band_space': 2}
            dataset.ReadRaster(0, row, width, rows, buf_type=gdal.GDT_Int16, buf_obj=buffer[:rows], **space)
    return clock.figures()


def write_once(folder: str, size: int) -> dict:
    """Write as many bytes, and make them last."""
    part = os.urandom(1 << 20) * 8
    paths = []
    with Clock() as clock:
        for start in range(0, size, 64 << 20):
            paths.append(os.path.join(folder, f'plain-{start}.bin'))
            with open(paths[-1], 'wb', buffering=0) as file:
                rest = min(64 << 20, size - start)
                while rest:
                    rest -= file.write(part[:rest])
                os.fsync(file.fileno())
    for path in paths:
        os.remove(path)
    return clock.figures()


def extract(raster: str, points: str, labels: str, folder: str, forget: bool) -> dict:
    """One job as the worker does it."""
    from quadrat import engine
    from quadrat.engine.jobs import ExtractPatchesJob, LabelRaster, SourceSpec, VectorSpec

    for path in filter(None, (raster, labels)):
        if forget:
            forget_file(path)
    output = os.path.join(folder, 'dataset')
    source = SourceSpec((raster,), patch_size=(PATCH, PATCH))
    job = ExtractPatchesJob((source,), VectorSpec(points), output, labels=LabelRaster(labels) if labels else None)
    with Clock() as clock:
        count = engine.run(job)['COUNT']
    size = sum(entry.stat().st_size for entry in os.scandir(output))
    shutil.rmtree(output)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return clock.figures(count=count, bytes=size, peak=peak)


STEPS = {'raster': make_raster, 'points': make_points, 'read': read_once, 'write': write_once, 'extract': extract}

if __name__ == '__main__':
    main()
