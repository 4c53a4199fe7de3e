"""The main job on a made-up landscape, with the steps a user runs, through qgis_process: patches, training, map.

Leaves everything in build/demo: scene, patches, dataset, model package, map, and a picture of image, truth and map
side by side. The accuracy that it prints is the map's own, on the patches of the test split, which training never
saw; beside it stands what a classifier gets there that sees single pixels.
"""

from __future__ import annotations

import csv
import os
import pathlib
import re
import shutil
import subprocess
import time

import numpy as np
from osgeo import gdal, ogr
from PIL import Image, ImageDraw, ImageFont

ROOT = pathlib.Path(__file__).resolve().parents[1]
HOME = ROOT / 'build/demo'
SIZE, SEED, PATCH, EPOCHS = 1024, 7, 64, 12

gdal.UseExceptions()
ogr.UseExceptions()


def qgis_process() -> str:
    """Debian's wrapper `qgis_process` passes a flag that the program rejects; other systems have no `.bin`."""
    return shutil.which('qgis_process.bin') or 'qgis_process'


def profile() -> dict[str, str]:
    """A QGIS profile of the demo's own, with this checkout as the plugin."""
    config = HOME / 'qgis'
    plugins = config / 'profiles/default/python/plugins'
    plugins.mkdir(parents=True, exist_ok=True)
    link = plugins / 'quadrat'
    if not link.exists():
        link.symlink_to(ROOT)
    environment = dict(os.environ, QGIS_CUSTOM_CONFIG_PATH=str(config))
    subprocess.run(
        [qgis_process(), 'plugins', 'enable', 'quadrat'], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return environment


def run(environment: dict[str, str], algorithm: str, **parameters: object) -> None:
    """One call of qgis_process, shown as one would type it."""
    arguments = [f'{key}={value}' for key, value in parameters.items()]
    print(f'\n$ qgis_process run quadrat:{algorithm} -- ' + ' '.join(arguments).replace(f'{ROOT}/', ''), flush=True)
    started = time.monotonic()
    command = [qgis_process(), 'run', f'quadrat:{algorithm}', '--', *arguments]
    process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        epoch = re.search(r'Epoch \d+/\d+:.*', line)  # qgis_process prints dots of progress before it
        if epoch:
            print('  ' + epoch.group(), flush=True)
    if process.wait():
        raise SystemExit(''.join(lines) + f'\n{algorithm} failed')
    print(f'  {time.monotonic() - started:.0f} s')


def read(path: pathlib.Path) -> np.ndarray:
    dataset = gdal.Open(str(path))
    out = np.frombuffer(dataset.ReadRaster(buf_type=gdal.GDT_Float32), np.float32)
    return out.reshape(dataset.RasterCount, dataset.RasterYSize, dataset.RasterXSize)


def split_mask(points: pathlib.Path, split: str, shape: tuple[int, int]) -> np.ndarray:
    """Pixels in the patches of a split."""
    mask = np.zeros(shape, bool)
    source = ogr.Open(str(points))
    for feature in source.GetLayer(0):
        if feature['split'] == split:
            row, col = feature['row'] - PATCH // 2, feature['col'] - PATCH // 2
            mask[row : row + PATCH, col : col + PATCH] = True
    return mask


def scores(found: np.ndarray, truth: np.ndarray, values: list[int]) -> tuple[float, list[float]]:
    """Overall accuracy and the intersection over union of each class."""
    iou = [((found == v) & (truth == v)).sum() / max(1, ((found == v) | (truth == v)).sum()) for v in values]
    return float((found == truth).mean()), [float(i) for i in iou]


def maximum_likelihood(image: np.ndarray, truth: np.ndarray, train: np.ndarray, values: list[int]) -> np.ndarray:
    """The classic pixel-wise classifier: one Gaussian a class, learnt from the training patches."""
    best, found = np.full(truth.shape, -np.inf), np.zeros(truth.shape)
    for value in values:
        own = image[:, train & (truth == value)].astype(float)
        centred = image - own.mean(1)[:, None, None]
        cov = np.cov(own)
        score = -0.5 * np.einsum('irc,ij,jrc->rc', centred, np.linalg.inv(cov), centred)
        score += np.log(own.shape[1]) - 0.5 * np.linalg.slogdet(cov)[1]
        found[score > best] = value
        best = np.maximum(best, score)
    return found


def picture(image: np.ndarray, truth: np.ndarray, found: np.ndarray, classes: list[dict[str, str]]) -> pathlib.Path:
    """Image, truth and map side by side, with a legend."""
    low, high = np.percentile(image[[2, 1, 0]], [1, 99], axis=(1, 2))
    rgb = (image[[2, 1, 0]] - low[:, None, None]) / (high - low)[:, None, None]
    panels = [np.moveaxis(np.clip(rgb * 255, 0, 255), 0, -1).astype(np.uint8)]
    palette = np.zeros((256, 3), np.uint8)
    for item in classes:
        palette[int(item['value'])] = [int(item['colour'][i : i + 2], 16) for i in (1, 3, 5)]
    panels += [palette[truth.astype(int)], palette[found.astype(int)]]
    side, gap, top, bottom = 640, 12, 34, 46
    canvas = Image.new('RGB', (3 * side + 4 * gap, side + top + bottom), 'white')
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(18)
    for i, (title, panel) in enumerate(zip(('image (red, green, blue)', 'truth', 'map'), panels)):
        x = gap + i * (side + gap)
        draw.text((x, 8), title, 'black', font)
        canvas.paste(Image.fromarray(panel).resize((side, side), Image.Resampling.NEAREST if i else None), (x, top))
    x = gap
    for item in classes:
        draw.rectangle((x, top + side + 14, x + 22, top + side + 34), item['colour'], 'black')
        draw.text((x + 30, top + side + 12), item['name'], 'black', font)
        x += 60 + int(draw.textlength(item['name'], font))
    path = HOME / 'demo.png'
    canvas.save(path, optimize=True)
    return path


def main() -> None:
    started = time.monotonic()
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    environment = profile()
    ms, truth_path, points = HOME / 'scene/ms.tif', HOME / 'scene/truth.tif', HOME / 'patches.gpkg'
    package, map_path = HOME / 'package', HOME / 'map.tif'
    run(environment, 'demoscene', SIZE=SIZE, SEED=SEED, OUTPUT=HOME / 'scene')
    run(environment, 'selectpatches', INPUT=ms, PATCH_SIZE=PATCH, STEP=PATCH // 2, STRATEGY='blocks', OUTPUT=points)
    run(
        environment,
        'extractpatches',
        INPUT=ms,
        POINTS=points,
        LABEL_RASTER=truth_path,
        CLASSES=HOME / 'scene/classes.csv',
        OUTPUT=HOME / 'dataset',
    )
    run(environment, 'trainmodel', DATASET=HOME / 'dataset', EPOCHS=EPOCHS, OUTPUT=package)
    run(environment, 'servemodel', MODEL=package, INPUT=ms, OUTPUT=map_path)

    with open(HOME / 'scene/classes.csv', encoding='utf-8') as file:
        classes = list(csv.DictReader(file))
    values = [int(item['value']) for item in classes]
    image, truth, found = read(ms), read(truth_path)[0], read(map_path)[0]
    held_out, train = (split_mask(points, split, truth.shape) for split in ('test', 'train'))
    accuracy, iou = scores(found[held_out], truth[held_out], values)
    plain = maximum_likelihood(image, truth, train, values)
    plain_accuracy, plain_iou = scores(plain[held_out], truth[held_out], values)

    print(f'\nHeld-out part ({held_out.sum()} pixels)        network   single pixels (maximum likelihood)')
    print(f'  overall accuracy                  {accuracy:8.3f}   {plain_accuracy:8.3f}')
    print(f'  mean intersection over union      {np.mean(iou):8.3f}   {np.mean(plain_iou):8.3f}')
    for item, a, b in zip(classes, iou, plain_iou):
        print(f'    {item["name"]:<30}  {a:8.3f}   {b:8.3f}')
    print('\nWhere everything lies:')
    for what, path in (
        ('scene', HOME / 'scene'),
        ('patches', points),
        ('dataset', HOME / 'dataset'),
        ('model package', package),
        ('report', package / 'report.html'),
        ('map', map_path),
        ('picture', picture(image, truth, found, classes)),
    ):
        print(f'  {what:<14} {path}')
    print(
        f'\nDone in {time.monotonic() - started:.0f} s: overall accuracy {accuracy:.3f}, mean IoU {np.mean(iou):.3f} '
        f'on held-out blocks (single pixels: {plain_accuracy:.3f}, {np.mean(plain_iou):.3f}); picture: {HOME}/demo.png'
    )


if __name__ == '__main__':
    main()
