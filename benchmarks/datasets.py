"""How fast samples come from datasets of every layout, side by side with the best plain `tf.data` pipeline.

    python benchmarks/datasets.py [--samples 4096] [--repeats 5]

A sample is 64 x 64 pixels of 4 bands of uint16 with labels of uint8: 37 kB. All pipelines take turns, each over all
samples in random order, so that what else the computer does weighs on all alike; figures are medians over the turns.
The files are in the page cache (warm). What the peer (OTBTF 4.3.1 on TensorFlow 2.15) gave on two cores is quoted;
its way of reading, one call of Python a sample, is measured as well.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SIDE, BANDS, CLASSES = 64, 4, 6
SHUFFLE = 2048  # records in the buffer of those pipelines that have one
BATCHES = (16, 64)
PLAIN, ONE_BY_ONE = 'plain tf.data', 'one call of Python a sample'
MEMORY, STREAMING = 'patches-images in memory, API', 'patches-images streamed, API'
PEER = {MEMORY: (3800, 4300), STREAMING: (2800, 3700)}  # samples a second at each batch size
AIMS = {('numpy shards, API', 64): 2.0, ('TFRecords.read', 64): 0.95}  # x the plain pipeline, at a batch size

Batches = Iterable[object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--samples', type=int, default=4096)
    parser.add_argument('--repeats', type=int, default=5, help='turns that each pipeline takes')
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / 'engine'))
    import bootstrap

    bootstrap.register()
    with tempfile.TemporaryDirectory(prefix='quadrat-benchmark-') as folder:
        make(Path(folder), options.samples)
        pipelines = {**plain_pipelines(Path(folder), options.samples), **our_pipelines(Path(folder))}
        for number, batch in enumerate(BATCHES):
            show(take_turns(pipelines, batch, options.repeats), options.samples, number)


def take_turns(pipelines: dict[str, Callable[[int], Batches]], batch: int, repeats: int) -> dict[str, np.ndarray]:
    """Seconds on the wall and of processors that each pipeline took, `repeats` times: (repeats, 2)."""
    ready = {name: make_batches(batch) for name, make_batches in pipelines.items()}
    seconds: dict[str, list[np.ndarray]] = {name: [] for name in pipelines}
    for turn in range(repeats + 1):
        for name, batches in ready.items():
            start = clocks()
            for _ in batches:
                pass
            if turn:  # the first one also traces functions
                seconds[name].append(clocks() - start)
    return {name: np.array(each) for name, each in seconds.items()}


def clocks() -> np.ndarray:
    """Seconds on the wall, and seconds that processors spent on this process."""
    return np.array([time.perf_counter(), time.process_time()])


def show(seconds: dict[str, np.ndarray], samples: int, number: int) -> None:
    """Medians over the turns. Processor time suffers less from others at work."""
    batch = BATCHES[number]
    print(f'\n{f"batch {batch}":36}samples/s   x plain   processor us   x plain')
    for name, each in seconds.items():
        rates = samples / each[:, 0]
        ratio, saved = np.median(seconds[PLAIN] / each, 0)
        notes = []
        if (name, batch) in AIMS:
            notes.append(f'aim {AIMS[name, batch]} x plain')
        if name in PEER:
            times = np.median(rates) / PEER[name][number]
            here = np.median(seconds[ONE_BY_ONE][:, 0] / each[:, 0])
            notes.append(f'{times:.1f} x the {PEER[name][number]} of the peer, aim 10 x; {here:.1f} x its way here')
        cost = np.median(each[:, 1]) / samples * 1e6
        print(f'  {name:34}{np.median(rates):9.0f}{ratio:10.2f}{cost:15.1f}{saved:10.2f}   {"; ".join(notes)}'.rstrip())


# -- data -------------------------------------------------------------------------------------------------------------


def make(folder: Path, samples: int) -> None:
    """The same samples in every layout."""
    from quadrat import engine
    from quadrat.engine.jobs import ConvertDatasetJob, LayoutOptions

    rng = np.random.default_rng(0)
    image = rng.integers(0, 60000, (samples, SIDE, SIDE, BANDS), dtype=np.uint16)
    labels = rng.integers(1, CLASSES, (samples, SIDE, SIDE, 1), dtype=np.uint8)
    write_numpy(folder / 'numpy', image, labels)
    for name, options in (
        ('tfrecords', LayoutOptions('tfrecords')),
        ('patchesimages', LayoutOptions('patchesimages')),
        ('deflated', LayoutOptions('patchesimages', compression='gzip')),
    ):
        engine.run(ConvertDatasetJob(str(folder / 'numpy'), str(folder / name), options))
    dataset = engine.Dataset(engine.PatchesDatasetReader(str(folder / 'numpy')), seed=0)
    dataset.to_tfrecords(str(folder / 'records'), n_samples_per_shard=128, drop_remainder=False)


def write_numpy(folder: Path, image, labels) -> None:
    """A dataset of numpy shards, as extraction writes it."""
    import hashlib

    from quadrat.engine.datasets.manifest import LabelInfo, Manifest, Shard, SourceInfo, SplitInfo, Statistics
    from quadrat.engine.datasets.table import SampleTable, write_table
    from quadrat.engine.jobs import ClassDef

    folder.mkdir()
    count, per_shard = len(image), 1024
    shards = []
    for key, array in (('source1', image), ('labels', labels)):
        for number, first in enumerate(range(0, count, per_shard)):
            path = folder / f'{key}-{number:05d}.npy'
            np.save(path, array[first : first + per_shard])
            data = path.read_bytes()
            length = min(per_shard, count - first)
            shards.append(Shard(key, path.name, length, len(data), hashlib.sha256(data).hexdigest()))
    bands = tuple(f'B{band + 1}' for band in range(BANDS))
    numbers = Statistics((count,) * BANDS, (0.0,) * BANDS, (1.0,) * BANDS, (0.0,) * BANDS, (1.0,) * BANDS)
    source = SourceInfo(
        'source1', 'uint16', image.shape[1:], bands, ('',) * BANDS, 'any', (1.0, 1.0), ('a.tif',), numbers
    )
    classes = tuple(ClassDef(value, f'class {value}') for value in range(1, CLASSES))
    pixels = {value.value: (labels == value.value).sum((1, 2, 3)) for value in classes}
    info = SplitInfo(count, {str(value): int(column.sum()) for value, column in pixels.items()})
    manifest = Manifest(
        count,
        (source,),
        LabelInfo('labels', 'uint8', labels.shape[1:], 255),
        classes,
        {'train': info},
        tuple(shards),
        '',
        (0.0, 0.0, 1.0, 1.0),
        unsplit=True,
    )
    place = np.arange(count, dtype=float)
    write_table(
        str(folder),
        SampleTable(tuple(map(str, range(count))), place, place, ('a.tif',) * count, ('train',) * count, pixels),
    )
    (folder / 'manifest.json').write_text(manifest.to_json(), 'utf-8')


# -- pipelines --------------------------------------------------------------------------------------------------------


def plain_pipelines(folder: Path, samples: int) -> dict[str, Callable[[int], Batches]]:
    """What ours are compared with."""
    import tensorflow as tf

    shapes = {'source1': ((SIDE, SIDE, BANDS), tf.uint16), 'labels': ((SIDE, SIDE, 1), tf.uint8)}
    files = sorted(map(str, (folder / 'records').glob('*.records')))
    features = {key: tf.io.FixedLenFeature([], tf.string) for key in shapes}
    example = tf.io.parse_single_example(next(iter(tf.data.TFRecordDataset(files))), features)
    sizes = {key: int(np.prod(shape)) * dtype.size for key, (shape, dtype) in shapes.items()}
    headers = {key: len(example[key].numpy()) - size for key, size in sizes.items()}

    def parse(records):
        tensors = tf.io.parse_example(records, features)
        return {
            key: tf.reshape(
                tf.io.decode_raw(tf.strings.substr(tensors[key], headers[key], sizes[key]), dtype), (-1, *shape)
            )
            for key, (shape, dtype) in shapes.items()
        }

    def plain(batch: int) -> Batches:
        options = tf.data.Options()
        options.autotune.enabled = False
        stream = tf.data.TFRecordDataset(files).shuffle(SHUFFLE).batch(batch)
        return stream.map(parse, num_parallel_calls=2).prefetch(2).with_options(options)

    def one_by_one(batch: int) -> Batches:
        arrays = {
            key: np.concatenate([np.load(path) for path in sorted((folder / 'numpy').glob(f'{key}-*'))])
            for key in shapes
        }

        def generate():
            for index in np.random.default_rng().permutation(samples):
                yield {key: array[index] for key, array in arrays.items()}

        signature = {key: tf.TensorSpec(shape, dtype) for key, (shape, dtype) in shapes.items()}
        return tf.data.Dataset.from_generator(generate, output_signature=signature).batch(batch)

    return {PLAIN: plain, 'reading the bytes': lambda batch: Bytes(folder / 'numpy'), ONE_BY_ONE: one_by_one}


@dataclasses.dataclass
class Bytes:
    """Reads the files of a folder from beginning to end."""

    folder: Path

    def __iter__(self):
        buffer = bytearray(1 << 20)
        for path in sorted(self.folder.glob('*.npy')):
            with open(path, 'rb', buffering=0) as file:
                while file.readinto(buffer):
                    yield buffer


@dataclasses.dataclass
class Shuffled:
    """Batches of a dataset of Quadrat as numpy arrays, in random order."""

    folder: str
    batch: int

    def __iter__(self):
        from quadrat.engine.datasets.reader import Dataset

        dataset = Dataset.open(self.folder)
        order = np.random.default_rng().permutation(dataset.count)
        for first in range(0, dataset.count, self.batch):
            yield [dataset.read(key, order[first : first + self.batch]) for key in dataset.keys]


def our_pipelines(folder: Path) -> dict[str, Callable[[int], Batches]]:
    """The layouts, read as arrays and by the Python interface."""
    from quadrat.engine import Dataset, DatasetFromPatchesImages, PatchesDatasetReader, TFRecords

    def arrays(name: str) -> Callable[[int], Batches]:
        return lambda batch: Shuffled(str(folder / name), batch)

    def dataset(name: str) -> Callable[[int], Batches]:
        return lambda batch: Dataset(PatchesDatasetReader(str(folder / name))).get_tf_dataset(batch, False)

    def images(name: str, streaming: bool) -> Callable[[int], Batches]:
        files = {key: [str(folder / name / f'{key}.tif')] for key in ('source1', 'labels')}
        return lambda batch: DatasetFromPatchesImages(files, streaming).get_tf_dataset(batch, False)

    def records(batch: int) -> Batches:
        return TFRecords(str(folder / 'records')).read(batch, ['labels'], 1, False, SHUFFLE)

    return {
        'numpy shards, arrays': arrays('numpy'),
        'numpy shards, API': dataset('numpy'),
        'TFRecords, arrays': arrays('tfrecords'),
        'TFRecords, API': dataset('tfrecords'),
        'TFRecords.read': records,
        'patches-images, arrays': arrays('patchesimages'),
        'patches-images, API': dataset('patchesimages'),
        MEMORY: images('patchesimages', False),
        STREAMING: images('patchesimages', True),
        'patches-images deflated, API': images('deflated', True),
    }


if __name__ == '__main__':
    with contextlib.suppress(KeyboardInterrupt):
        main()
