"""Tile plans: every pixel once, enough around it, one size of window, within memory."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.engine.grid import Window
from quadrat.engine.serving.plan import LARGEST_BLOCK, make_plan

UNET = (16, 16), (96, 96, 96, 96)  # unit and halo


def random_plans():
    rng = np.random.default_rng(0)
    for _ in range(150):
        size = rng.integers(1, 1500, 2).tolist()
        first = rng.integers(0, 300, 2).tolist() if rng.random() < 0.5 else (0, 0)
        unit = int(rng.choice([1, 2, 3, 5, 8, 16, 32, 48, 100]))
        halo = tuple(int(n) * unit for n in rng.integers(0, 120 // unit + 1, 4))
        tile = int(rng.choice([0, 1, 64, 128, 250, 256, 384, 600, 2000]))
        block = (0, 0) if rng.random() < 0.8 else (256, 128)
        part = Window(*first, *size)
        yield part, make_plan(part, (unit, unit), halo, tile_size=tile, memory=200, block=block)


def test_tiles_cover_the_image_once_and_windows_hold_what_they_need():
    for part, plan in random_plans():
        covered = np.zeros((part.height, part.width), np.uint8)
        tiles = list(plan)
        assert len(tiles) == len(plan) and [tile.number for tile in tiles] == list(range(len(plan)))
        for tile in tiles:
            area, ground, window = tile.area, tile.ground, tile.window
            covered[area.row : area.bottom, area.col : area.right] += 1
            assert ground == area.shift(part.col, part.row)
            unit = plan.unit[0]
            needed = ground.align(unit, unit).expand(*plan.halo)
            assert window.contains(needed)
            assert (window.width, window.height) == plan.window
            assert not any(edge % unit for edge in (window.col, window.row, window.right, window.bottom))
            rows, cols = tile.inner
            assert (window.row + rows.start, window.col + cols.start) == (ground.row, ground.col)
        assert (covered == 1).all()


def test_tiles_are_whole_blocks():
    for _, plan in random_plans():
        for tile, block in zip(plan.tile, plan.block):
            assert tile % block == 0 and block % 16 == 0 and block <= LARGEST_BLOCK


def test_tiles_are_evened_out():
    for length in np.random.default_rng(1).integers(600, 9000, 50).tolist():
        plan = make_plan(Window(0, 0, length, length), *UNET, tile_size=512)
        assert plan.tile[0] <= 512
        assert length - (plan.counts[0] - 1) * plan.tile[0] >= plan.tile[0] / 3


def test_a_chosen_tile_keeps_to_the_memory_and_wastes_little():
    for size in (4096, 8192, 50000):
        plan = make_plan(Window(0, 0, size, size), *UNET, memory=1024, pixel_bytes=600)
        assert plan.window[0] * plan.window[1] * 600 <= 1024 * 2**20
        assert plan.useful >= 0.7
    smaller = make_plan(Window(0, 0, 4096, 4096), *UNET, memory=256, pixel_bytes=600)
    assert smaller.window[0] * smaller.window[1] * 600 <= 256 * 2**20
    assert make_plan(Window(0, 0, 4096, 4096), *UNET, memory=1, pixel_bytes=600).tile == (16, 16)


def test_a_long_narrow_image_gets_long_tiles():
    plan = make_plan(Window(0, 0, 100, 60000), *UNET, memory=1024, pixel_bytes=600)
    assert plan.counts[0] == 1 and plan.tile[1] > 2000


@pytest.mark.parametrize('size', [(1, 1), (333, 517), (1024, 1024)])
def test_one_tile_is_clipped_to_the_image(size):
    plan = make_plan(Window(0, 0, *size), *UNET, tile_size=4096)
    (tile,) = plan
    assert tile.area == Window(0, 0, *size)
    assert plan.window == tuple(-(-n // 16) * 16 + 2 * 96 for n in size)
