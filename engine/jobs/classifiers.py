"""Jobs of classical classifiers, on attributes of vector layers or on what a network gives, and their choices."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Dict, Mapping, Optional, Tuple

from ..errors import InvalidJob
from .base import TensorFlowJob, from_dict
from .data import ClassDef, VectorSpec
from .serving import ServeJob


@dataclasses.dataclass(frozen=True)
class ForestOptions:
    """Random forests and extremely randomised trees.

    Attributes:
        n_estimators: trees.
        max_depth: of a tree; None: until its leaves are pure.
        min_samples_split: samples that a node needs to be split.
        min_samples_leaf: samples that a leaf has at least.
        max_features: tried at a split: ``sqrt`` or ``log2`` of all, a number, or a share of them.
        class_weight: ``balanced`` weighs classes by the inverse of how often they occur.
    """

    n_estimators: int = 100
    max_depth: Optional[int] = None
    min_samples_split: int = 2
    min_samples_leaf: int = 1
    max_features: Any = 'sqrt'
    class_weight: str = 'none'


@dataclasses.dataclass(frozen=True)
class BoostingOptions:
    """Gradient boosting on histograms.

    Attributes:
        max_iter: trees of each class.
        learning_rate: how much a tree adds.
        max_leaf_nodes, max_depth, min_samples_leaf: of a tree; None: no limit.
        l2_regularization: pull towards small values.
        early_stopping: end when a tenth of the samples, set aside, is classified no better.
        class_weight: as of forests.
    """

    max_iter: int = 100
    learning_rate: float = 0.1
    max_leaf_nodes: Optional[int] = 31
    max_depth: Optional[int] = None
    min_samples_leaf: int = 20
    l2_regularization: float = 0.0
    early_stopping: bool = False
    class_weight: str = 'none'


@dataclasses.dataclass(frozen=True)
class TreeOptions:
    """One decision tree; see `ForestOptions`."""

    max_depth: Optional[int] = 10
    min_samples_split: int = 10
    min_samples_leaf: int = 1
    class_weight: str = 'none'


@dataclasses.dataclass(frozen=True)
class SvmOptions:
    """Support vector machine.

    Attributes:
        kernel: ``rbf``, ``linear``, ``poly`` or ``sigmoid``.
        C: cost of samples on the wrong side.
        gamma: of all kernels but the linear one: ``scale``, ``auto`` or a number.
        degree: of ``poly``. coef0: of ``poly`` and ``sigmoid``.
        probability: fit probabilities to the distances by cross-validation (Platt 1999), in five times the time;
            without them there is no confidence.
        class_weight: as of forests.
    """

    kernel: str = 'rbf'
    C: float = 1.0
    gamma: Any = 'scale'
    degree: int = 3
    coef0: float = 0.0
    probability: bool = True
    class_weight: str = 'none'


@dataclasses.dataclass(frozen=True)
class NeighbourOptions:
    """Nearest neighbours: how many, and whether near ones count more (``distance``) or all the same (``uniform``)."""

    n_neighbors: int = 5
    weights: str = 'uniform'


@dataclasses.dataclass(frozen=True)
class LogisticOptions:
    """Logistic regression. C: the smaller, the stronger the pull towards small coefficients; class_weight: as of
    forests."""

    C: float = 1.0
    max_iter: int = 1000
    class_weight: str = 'none'


@dataclasses.dataclass(frozen=True)
class PerceptronOptions:
    """Multi-layer perceptron.

    Attributes:
        hidden_layer_sizes: neurons of each hidden layer.
        activation: ``relu``, ``tanh``, ``logistic`` or ``identity``.
        alpha: pull towards small weights.
        learning_rate_init: of Adam.
        max_iter: epochs at most.
        early_stopping: end when a tenth of the samples, set aside, is classified no better.
    """

    hidden_layer_sizes: Tuple[int, ...] = (100,)
    activation: str = 'relu'
    alpha: float = 1e-4
    learning_rate_init: float = 1e-3
    max_iter: int = 500
    early_stopping: bool = False


@dataclasses.dataclass(frozen=True)
class BayesOptions:
    """Naive Bayes with normal distributions. var_smoothing: share of the largest variance that is added to all."""

    var_smoothing: float = 1e-9


@dataclasses.dataclass(frozen=True)
class KMeansOptions:
    """K-means: how many clusters, iterations at most, and how many starts of which the best counts."""

    n_clusters: int = 8
    max_iter: int = 300
    n_init: int = 10


CLASSIFIER_OPTIONS: Dict[str, Any] = {
    'rf': ForestOptions,
    'extratrees': ForestOptions,
    'gbt': BoostingOptions,
    'dt': TreeOptions,
    'svm': SvmOptions,
    'knn': NeighbourOptions,
    'logistic': LogisticOptions,
    'ann': PerceptronOptions,
    'bayes': BayesOptions,
    'kmeans': KMeansOptions,
}
CLASSIFIERS = tuple(CLASSIFIER_OPTIONS)
UNSUPERVISED = ('kmeans',)  # which find classes of their own


def classifier_options(classifier: str, given: Mapping[str, Any]) -> Any:
    """The options of a kind of classifier, those that are not given with their defaults.

    Raises:
        InvalidJob: there is no such classifier, or it has no such option.
    """
    if classifier not in CLASSIFIER_OPTIONS:
        raise InvalidJob(f'CLASSIFIER {classifier!r}: unknown; known are {", ".join(CLASSIFIERS)}.')
    return from_dict(CLASSIFIER_OPTIONS[classifier], dict(given), 'OPTIONS.')


@dataclasses.dataclass(frozen=True)
class TrainVectorClassifierJob(TensorFlowJob):
    """Train a classifier on attributes of a vector layer.

    Attributes:
        vector: features of any geometry, or none.
        output: the classifier.
        field: attribute with the class, whole numbers or text; not needed for the unsupervised ones.
        features: attributes that the classifier looks at, in this order; empty: ``value_0``, ``value_1`` and so on.
        validation: a layer of the same attributes to judge the classifier with; None: the training layer.
        classifier: one of `CLASSIFIERS`. options: see `classifier_options`.
        classes: names and colours of classes; of text fields also their values.
        legend: names and colours known from elsewhere, such as a layer's symbology; of text fields the names are the
            texts, and the values do not count.
        statistics: XML of means and standard deviations, as OTB's ComputeImagesStatistics writes them, that the values
            are normalised with; empty: those of the samples.
        confusion, report: confusion matrix as CSV and report as HTML; empty: not made.
        configuration: file that these parameters are written to, as in `TrainJob`.
    """

    kind: ClassVar[str] = 'trainvectorclassifier'
    vector: VectorSpec
    output: str
    field: str = ''
    features: Tuple[str, ...] = ()
    validation: Optional[VectorSpec] = None
    classifier: str = 'rf'
    options: Dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    seed: int = 0
    classes: Tuple[ClassDef, ...] = ()
    legend: Tuple[ClassDef, ...] = ()
    statistics: str = ''
    confusion: str = ''
    report: str = ''
    configuration: str = ''

    def inputs(self) -> Tuple[str, ...]:
        validation = self.validation.path if self.validation else ''
        return tuple(filter(None, (self.vector.path, validation, self.statistics)))

    def outputs(self) -> Dict[str, str]:
        return {
            'OUTPUT': self.output,
            'CONFUSION': self.confusion,
            'REPORT': self.report,
            'CONFIGURATION': self.configuration,
        }


@dataclasses.dataclass(frozen=True)
class TrainDeepFeaturesJob(TensorFlowJob):
    """Train a classifier on what a network gives for pixels of polygons.

    Attributes:
        serving: how the network is applied; its outputs, and what concerns only maps, do not count.
        vector: polygons, lines or points with the classes.
        field: attribute with the class, whole numbers or text.
        output: the classifier.
        validation: layer to sample pixels from that judge the classifier; None: a part of the samples is kept for it.
        mt, mv: pixels of each class for training and for validation; -1: all. Without `validation`, so many are sampled
            together that neither is exceeded.
        bm: not 0: as many of each class as the smallest has, whatever `mt` and `mv` are.
        vtr: without `validation`, the share of each class' samples that is kept for validation; 0: the classifier is
            judged by the training samples.

    The others are as in `TrainVectorClassifierJob`.
    """

    kind: ClassVar[str] = 'traindeepfeatures'
    serving: ServeJob
    vector: VectorSpec
    field: str
    output: str
    validation: Optional[VectorSpec] = None
    classifier: str = 'rf'
    options: Dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    mt: int = 1000
    mv: int = 1000
    bm: int = 1
    vtr: float = 0.5
    seed: int = 0
    classes: Tuple[ClassDef, ...] = ()
    legend: Tuple[ClassDef, ...] = ()
    statistics: str = ''
    confusion: str = ''
    report: str = ''
    configuration: str = ''

    def inputs(self) -> Tuple[str, ...]:
        validation = self.validation.path if self.validation else ''
        own = filter(None, (self.vector.path, validation, self.statistics))
        return (*self.serving.inputs(), *own)

    def outputs(self) -> Dict[str, str]:
        return {
            'OUTPUT': self.output,
            'CONFUSION': self.confusion,
            'REPORT': self.report,
            'CONFIGURATION': self.configuration,
        }


@dataclasses.dataclass(frozen=True)
class MapDeepFeaturesJob(ServeJob):
    """Map the classes that a classifier tells from what a network gives.

    Attributes:
        classifier: file of the classifier.

    The others are as in `ServeJob`; `output_names` are those that the classifier was trained on where they are empty,
    and `classes` gives the classifier's classes other names and colours.
    """

    kind: ClassVar[str] = 'mapdeepfeatures'
    classifier: str = ''

    def inputs(self) -> Tuple[str, ...]:
        return (*super().inputs(), *filter(None, (self.classifier,)))
