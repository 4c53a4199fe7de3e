"""The geometry of a model, measured once and kept."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from fractions import Fraction

from ..errors import ModelError
from ..events import Reporter
from .cache import Cache, key_of
from .field import measure
from .geometry import Geometry
from .spec import ModelSpec
from .strips import COUNT

LIMIT = 2 << 30  # bytes that computing a batch of strips may take
_VERSION = 1  # of what is kept
_FILE = 'geometry.json'


def survey(
    spec: ModelSpec, ratios: Mapping[str, Fraction] | None = None, reporter: Reporter | None = None
) -> dict[str, Geometry]:
    """How each output of a model lies on its inputs. TensorFlow computes it; what was measured before is only read.

    Args:
        spec: which part of which model.
        ratios: pixels of each input for one of the first, along an axis, as the sources have them; None: what the model
            takes is found out.
        reporter: hears what is done.

    Raises:
        InputMissing, ModelError, InvalidJob: the model cannot be loaded, or takes none of the sizes that were tried.
    """
    reporter = reporter or Reporter()
    relation = [[name, str(ratio)] for name, ratio in (ratios or {}).items()]
    cache, key = Cache('geometry'), key_of(spec, _VERSION, sorted(spec.constants.items()), relation)
    place = cache.find(key)
    if place:
        try:
            with open(os.path.join(place, _FILE), encoding='utf-8') as file:
                return {name: Geometry.from_dict(item) for name, item in json.load(file).items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reporter.log(f'{place}: a damaged measurement is made anew ({error}).', detail=True)
    from .tensorflow import TensorFlowRuntime

    reporter.progress(0.0, 'measuring the receptive field')
    runtime = TensorFlowRuntime(spec, device='cpu', reporter=reporter)
    network, inputs = runtime.visible()

    @functools.cache
    def fits(*sizes: tuple[str, tuple[int, int]]) -> bool:
        try:
            return COUNT * runtime.window_bytes(dict(sizes)) <= LIMIT
        except ModelError:  # which running it says as well
            return True

    found = measure(network, inputs, runtime.outputs, ratios=ratios, affordable=lambda sizes: fits(*sizes.items()))
    text = json.dumps({name: item.to_dict() for name, item in found.items()}, indent=1)

    def write(folder: str) -> None:
        with open(os.path.join(folder, _FILE), 'w', encoding='utf-8') as file:
            file.write(text)

    try:
        cache.keep(key, write)
    except OSError as error:
        reporter.log(f'What was measured of the model cannot be kept for the next time ({error}).', detail=True)
    return found
