"""Which devices are asked for, and what is said where there are none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from quadrat.engine.device import parse_device, select_device
from quadrat.engine.errors import DeviceMissing, InvalidJob


def test_names_of_devices():
    assert parse_device('auto') is None and parse_device('cpu') == ()
    assert parse_device('gpu:0') == (0,) and parse_device('gpu:1,0,1') == (1, 0)
    for wrong in ('', 'GPU', 'gpu', 'gpu:', 'gpu:-1', 'gpu:0,', 'gpu:0;1', 'cuda:0', '0'):
        with pytest.raises(InvalidJob, match='auto, cpu, or GPUs by number'):
            parse_device(wrong)


def test_a_gpu_that_is_not_there_is_no_processor():
    with pytest.raises(DeviceMissing, match='there is no GPU 97; this computer has') as caught:
        select_device('gpu:97')
    assert '\n' not in str(caught.value)


def test_the_processor_needs_no_tensorflow_to_be_chosen():
    code = (
        'import sys; from quadrat.engine.device import select_device; select_device("cpu"); '
        'assert "tensorflow" not in sys.modules; import tensorflow as tf; '
        'assert not tf.config.list_physical_devices("GPU"); select_device("cpu")'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
