"""Which of this computer's devices TensorFlow computes with (no TensorFlow until it is asked for)."""

from __future__ import annotations

import os
import re
import sys
from typing import Optional

from .errors import DeviceMissing, InvalidJob


def parse_device(text: str) -> Optional[tuple[int, ...]]:
    """The numbers of the GPUs that ``gpu:0,1`` names; none for ``cpu``; None for ``auto``.

    Raises:
        InvalidJob: it is nothing of these.
    """
    if text == 'auto':
        return None
    if text == 'cpu':
        return ()
    found = re.fullmatch(r'gpu:(\d+(?:,\d+)*)', text)
    if not found:
        raise InvalidJob(f'device {text!r}: unknown; write auto, cpu, or GPUs by number, as in gpu:0 and gpu:0,1.')
    return tuple(dict.fromkeys(int(number) for number in found[1].split(',')))


def select_device(text: str) -> None:
    """Let TensorFlow see these devices only; to be called before it computes anything in this process.

    Args:
        text: ``auto`` (all there are), ``cpu``, or GPUs by number, as in ``gpu:0,1``.

    Raises:
        InvalidJob: unknown text.
        DeviceMissing: there is no such GPU, or TensorFlow has been started with others.
    """
    chosen = parse_device(text)
    if chosen is None:
        return
    if not chosen and 'tensorflow' not in sys.modules:
        # Enough where it has not been loaded, and nothing is loaded for it.
        os.environ['CUDA_VISIBLE_DEVICES'] = '-1'
        return
    import tensorflow as tf

    there = tf.config.list_physical_devices('GPU')
    for number in chosen:
        if number >= len(there):
            known = f'has {len(there)} that TensorFlow can use' if there else 'has none that TensorFlow can use'
            raise DeviceMissing(
                f'device {text}: there is no GPU {number}; this computer {known}. Choose another one, or cpu.'
            )
    wanted = [there[number] for number in chosen]
    if tf.config.get_visible_devices('GPU') == wanted:
        return
    try:
        tf.config.set_visible_devices(wanted, 'GPU')
    except RuntimeError as error:
        raise DeviceMissing(
            f'device {text}: TensorFlow computes with other devices already in this process; start another one.'
        ) from error
