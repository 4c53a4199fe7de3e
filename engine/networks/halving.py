"""How often patches can be halved (no TensorFlow here)."""

from __future__ import annotations

from ..errors import InvalidJob

_FEW = 8  # pixels, from which on a dense layer takes over


def patch_levels(size: tuple[int, int], depth: int) -> list[tuple[int, int]]:
    """Sizes of a patch as a patch CNN halves it: two convolutions 3 x 3 without padding and a pooling each time.

    Args:
        size: (columns, rows), or any other pair.
        depth: how often; -1: until fewer than 8 pixels are left.

    Returns:
        The size before each halving and after the last; shorter than `depth` asks where no pixel would be left.
    """
    sizes = [size]
    while len(sizes) != depth + 1:
        if depth < 0 and max(sizes[-1]) < _FEW:
            break
        following = (_halved(sizes[-1][0]), _halved(sizes[-1][1]))
        if min(following) < 1:
            break
        sizes.append(following)
    return sizes


def last_kernel(length: int) -> int:
    """The size of the second convolution's kernel: such that pooling leaves no pixel out."""
    return 3 if length % 2 == 0 else 2


def _halved(length: int) -> int:
    return (length - 1 - last_kernel(length)) // 2


def require_halves(cols: int, rows: int, depth: int) -> None:
    """Raise `InvalidJob` where a side of patches is no multiple of ``2**depth``."""
    if cols % 2**depth or rows % 2**depth:
        most = max(d for d in range(depth) if cols % 2**d == 0 and rows % 2**d == 0)
        raise InvalidJob(
            f'Patches of {cols} x {rows} pixels cannot be halved {depth} times. Give OPTIONS {{"depth": {most}}}, the '
            f'largest that works, or extract patches of a multiple of {2**depth} pixels.'
        )


def require_room(cols: int, rows: int, depth: int) -> None:
    """Raise `InvalidJob` where halving patches `depth` times leaves no pixel."""
    if min(cols, rows) < 2**depth:
        raise InvalidJob(
            f'Patches of {cols} x {rows} pixels cannot be halved {depth} times. Give OPTIONS {{"depth": '
            f'{min(cols, rows).bit_length() - 1}}}, the largest that works, or extract larger patches.'
        )


def require_patch_levels(size: tuple[int, int], depth: int) -> None:
    """Raise `InvalidJob` where a patch CNN cannot halve patches so often."""
    most = len(patch_levels(size, depth)) - 1
    if most < depth:
        raise InvalidJob(
            f'Patches of {size[0]} x {size[1]} pixels cannot be halved {depth} times by convolutions without padding. '
            f'Give OPTIONS {{"depth": {most}}}, the largest that works, or extract larger patches.'
        )
