"""The Processing provider: Quadrat's algorithms and the models made of them."""

from __future__ import annotations

from pathlib import Path

from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import Qgis, QgsApplication, QgsMessageLog, QgsProcessingModelAlgorithm, QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .. import __version__
from ..algorithms.accuracy.evaluatemodel import EvaluateModel
from ..algorithms.base import tr
from ..algorithms.mapping.mapdeepfeatures import MapDeepFeatures
from ..algorithms.mapping.servemodel import ServeModel
from ..algorithms.packages.describemodel import DescribeModel
from ..algorithms.sampling.convertdataset import ConvertDataset
from ..algorithms.sampling.demoscene import DemoScene
from ..algorithms.sampling.extractpatches import ExtractPatches
from ..algorithms.sampling.inspectdataset import InspectDataset
from ..algorithms.sampling.mergedatasets import MergeDatasets
from ..algorithms.sampling.polygonclassstatistics import PolygonClassStatistics
from ..algorithms.sampling.samplelabelimage import SampleLabelImage
from ..algorithms.sampling.samplevalues import SampleValues
from ..algorithms.sampling.selectpatches import SelectPatches
from ..algorithms.sampling.selectsamples import SelectSamples
from ..algorithms.sampling.splitsamples import SplitSamples
from ..algorithms.setup.checkengine import CheckEngine
from ..algorithms.setup.installengine import InstallEngine
from ..algorithms.setup.opentensorboard import OpenTensorBoard
from ..algorithms.setup.selftest import SelfTest
from ..algorithms.training.runexperiment import RunExperiment
from ..algorithms.training.traindeepfeatures import TrainDeepFeatures
from ..algorithms.training.trainmodel import TrainModel
from ..algorithms.training.trainsavedmodel import TrainSavedModel
from ..algorithms.training.trainvectorclassifier import TrainVectorClassifier
from .environment import SETTING

RESOURCES = Path(__file__).resolve().parent.parent / 'resources'
ICON = RESOURCES / 'icons' / 'quadrat.svg'
WORKFLOWS = RESOURCES / 'workflows'
ALGORITHMS = (
    DemoScene,
    PolygonClassStatistics,
    SelectSamples,
    SampleLabelImage,
    SampleValues,
    SelectPatches,
    SplitSamples,
    ExtractPatches,
    InspectDataset,
    MergeDatasets,
    ConvertDataset,
    TrainModel,
    TrainSavedModel,
    TrainVectorClassifier,
    TrainDeepFeatures,
    RunExperiment,
    ServeModel,
    MapDeepFeatures,
    DescribeModel,
    EvaluateModel,
    InstallEngine,
    CheckEngine,
    SelfTest,
    OpenTensorBoard,
)


class QuadratProvider(QgsProcessingProvider):
    """All that Quadrat adds to the toolbox."""

    def id(self):
        return 'quadrat'

    def name(self):
        return 'Quadrat'

    def longName(self):
        return tr('Quadrat {}: deep networks on map patches').format(__version__)

    def versionInfo(self):
        return __version__

    def icon(self):
        return QIcon(str(ICON))

    def svgIconPath(self):
        return str(ICON)

    def defaultVectorFileExtension(self, hasGeometry=True):
        return 'gpkg'

    def defaultRasterFileExtension(self):
        return 'tif'

    def supportedOutputRasterLayerExtensions(self):
        return ['tif', 'tiff']

    def supportsNonFileBasedOutput(self):
        """The engine is another process: what it writes are files."""
        return False

    def load(self):
        ProcessingConfig.settingIcons[self.name()] = self.icon()
        text = tr('Python of the engine (empty: the one that "Install the engine" sets up)')
        ProcessingConfig.addSetting(Setting(self.name(), SETTING, text, '', valuetype=Setting.FILE))
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self):
        ProcessingConfig.removeSetting(SETTING)

    def loadAlgorithms(self):
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())
        if QgsApplication.processingRegistry().providerById(self.id()) is not None:
            self._load_models()

    def _load_models(self):
        """The models that come with Quadrat: chains of its algorithms."""
        for path in sorted(WORKFLOWS.glob('*.model3')):
            model = QgsProcessingModelAlgorithm()
            if model.fromFile(str(path)):
                model.setSourceFilePath(str(path))
                self.addAlgorithm(model)
            else:
                text = tr('The model {} cannot be loaded.').format(path)
                QgsMessageLog.logMessage(text, self.name(), Qgis.MessageLevel.Warning)
