"""What the self-test tries: each does a piece of real work, and raises where it goes wrong."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import os
import sys
from typing import Any

from ..errors import EngineError
from ..events import Reporter
from ..jobs import (
    CheckEngineJob,
    DemoSceneJob,
    ExtractPatchesJob,
    Job,
    LabelRaster,
    RunExperimentJob,
    SelectPatchesJob,
    ServeJob,
    SourceSpec,
    TrainJob,
    TrainOptions,
    VectorSpec,
)
from ..model_package.package import TRAINING
from ..registry import function_for

TOY, SCENE, POINTS, PACKAGE, MAPS = 'toy', 'scene', 'patches.gpkg', 'package', 'maps'
FILES = (TOY, SCENE, POINTS, PACKAGE, MAPS)
_SIZE, _PATCH = 64, 16  # pixels of the scene and of its patches
_TOLERANCE = 1e-5  # what two runtimes may differ in a probability
_LEARNT = 0.5  # of the toy's score, which is 1 where all ten numbers are known


class Trials:
    """One after another; the later ones use what the earlier ones made. Each returns what it found, in words.

    Args:
        folder: where everything is made, in files of `FILES`.
        reporter: hears the jobs.

    Attributes:
        devices: that TensorFlow computes with.
        score: of the toy.
    """

    def __init__(self, folder: str, reporter: Reporter) -> None:
        self.devices: list[str] = []
        self.score = math.nan
        self._folder, self._reporter = folder, reporter

    def libraries(self) -> str:
        """Everything that is needed can be imported and computes what it should."""
        self.devices = self._do(CheckEngineJob())['DEVICES']
        return f'{sys.executable}; {", ".join(self.devices)}'

    def coordinates(self) -> str:
        """A known point, from degrees to metres: GDAL finds PROJ and its data."""
        from ..gdalio import osr

        try:
            systems = [osr.SpatialReference(), osr.SpatialReference()]
            for system, code in zip(systems, (4326, 32631)):
                system.ImportFromEPSG(code)
                system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
            east, north, _ = osr.CoordinateTransformation(*systems).TransformPoint(3.0, 0.0)
        except RuntimeError as error:
            raise EngineError(f'GDAL cannot transform coordinates ({error}).') from error
        if not math.hypot(east - 500000.0, north) < 0.01:  # the origin of UTM zone 31
            raise EngineError(f'GDAL takes 3° E on the equator to {east:.2f}, {north:.2f} of UTM zone 31.')
        return 'GDAL and PROJ transform coordinates.'

    def toy(self) -> str:
        """The run of a file."""
        from .toy import make_toy  # with numpy, whose absence another trial finds out

        values = self._do(RunExperimentJob(make_toy(self._at(TOY)), ''))
        self.score = float(values['BEST_SCORE'])
        if not self.score > _LEARNT:
            raise EngineError(f'The network does not learn: its score is {self.score:.2f}, where 1 is possible.')
        return f'A network has learnt ten numbers by heart; score {self.score:.2f}.'

    def training(self) -> str:
        """From an image and labels to a model package."""
        image, truth = (self._at(SCENE, name) for name in ('ms.tif', 'truth.tif'))
        self._do(DemoSceneJob(self._at(SCENE), size=_SIZE))
        select = SelectPatchesJob(image, self._at(POINTS), patch_size=_PATCH, strategy='random')
        self._do(dataclasses.replace(select, train=75.0, validation=25.0, test=0.0))
        windows = ExtractPatchesJob(
            (SourceSpec((image,), patch_size=(_PATCH, _PATCH)),),
            VectorSpec(self._at(POINTS)),
            '',
            labels=LabelRaster(truth),
            split_field='split',
        )
        small = TrainOptions(filters=4, depth=1)
        self._do(TrainJob('', self._at(PACKAGE), epochs=3, batch_size=4, windows=windows, options=small))
        with open(self._at(PACKAGE, TRAINING), encoding='utf-8') as file:
            losses = [epoch['training']['loss'] for epoch in json.load(file)['history']]
        if not losses[-1] < losses[0]:
            raise EngineError(f'The network does not learn: its loss went from {losses[0]:.3f} to {losses[-1]:.3f}.')
        return f'A model package was made; loss from {losses[0]:.3f} to {losses[-1]:.3f}.'

    def map(self) -> str:
        """From the package and the image to a raster."""
        return f'{_SIZE} x {_SIZE} pixels: {self._serve("tensorflow")}'

    def comparison(self) -> str:
        """The same raster from the other runtime, where there is one."""
        if importlib.util.find_spec('openvino') is None:
            return 'OpenVINO is not installed; TensorFlow runs the networks.'
        import numpy as np

        from ..raster import RasterStack

        stacks = [RasterStack(SourceSpec((path,))) for path in (self._map_of('tensorflow'), self._serve('openvino'))]
        first, second = (stack.read(stack.grid.window) for stack in stacks)
        difference = float(np.max(np.abs(first - second)))
        if not difference <= _TOLERANCE:
            raise EngineError(f'The probabilities of OpenVINO differ from those of TensorFlow by {difference:g}.')
        return f'The probabilities are those of TensorFlow, to {difference:.1g}.'

    def _serve(self, runtime: str) -> str:
        """Make a raster of probabilities; returns its path."""
        path = self._map_of(runtime)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        image = SourceSpec((self._at(SCENE, 'ms.tif'),))
        self._do(ServeJob(self._at(PACKAGE), (image,), probabilities=path, runtime=runtime))
        return path

    def _map_of(self, runtime: str) -> str:
        return self._at(MAPS, f'{runtime}.tif')

    def _do(self, job: Job) -> dict[str, Any]:
        return function_for(job)(job, self._reporter)

    def _at(self, *names: str) -> str:
        return os.path.join(self._folder, *names)
