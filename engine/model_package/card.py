"""What a model package says of its model, as standard-library dataclasses (QGIS reads them too).

On disk it is ``item.json``: a STAC 1.1.0 item with the Machine Learning Model extension 1.5.2 and the file extension
2.1.0. What these have no word for stands under keys that begin with ``quadrat:``; those are the ones read back.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import zipfile
from typing import Any, Dict, List, Optional, Tuple

from ..errors import InputMissing, InvalidJob, ModelError
from ..jobs import ClassDef, from_dict

VERSION = 1
ITEM = 'item.json'
_EXTENSIONS = (
    'https://stac-extensions.github.io/mlm/v1.5.2/schema.json',
    'https://stac-extensions.github.io/file/v2.1.0/schema.json',
)
_MLM_TASKS = {'segmentation': 'semantic-segmentation'}
_MLM_ARCHITECTURES = {'unet': 'U-Net'}
_UNKNOWN_TIME = '1970-01-01T00:00:00Z'  # STAC wants a time; a card without one still makes a valid item


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """Input pixels beyond a window, aligned to the input's stride, that the output in this window depends on.

    With stride 1 that is what a pixel depends on to each side of it. With a larger one a window must be aligned
    (outwards) first; this many pixels around it, aligned again, then give the untiled result.
    """

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Full width in pixels of the larger axis: left + 1 + right."""
        return max(self.left + 1 + self.right, self.top + 1 + self.bottom)


@dataclasses.dataclass(frozen=True)
class InputCard:
    """One input of the model.

    Attributes:
        name: the signature's input name.
        bands: names, in the order the model wants them; empty where any number will do.
        dtype: what the model is fed.
        field: its receptive field; None where unknown.
        stride: the total stride: windows start and end at multiples of it.
        patch_size: (columns, rows) it was trained with.
        nodata: text a band, empty where there is none; as in `datasets.manifest.SourceInfo`.
        nodata_policy: ``any``: a pixel is no-data if any band is; ``all``; ``ignore``.
        fill: what the model is fed at no-data pixels, a value a band (the training mean).
        pixel_size: of the training data, in map units; (0, 0) where unknown.
        mean, stddev, minimum, maximum: statistics of the training data; normalisation is inside the graph.
    """

    name: str
    bands: Tuple[str, ...]
    dtype: str = 'float32'
    field: Optional[ReceptiveField] = None
    stride: int = 1
    patch_size: Tuple[int, int] = (0, 0)
    nodata: Tuple[str, ...] = ()
    nodata_policy: str = 'any'
    fill: Tuple[float, ...] = ()
    pixel_size: Tuple[float, float] = (0.0, 0.0)
    mean: Tuple[float, ...] = ()
    stddev: Tuple[float, ...] = ()
    minimum: Tuple[float, ...] = ()
    maximum: Tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class OutputCard:
    """One output: its name in the signature, its bands (0 where unknown), and its classes in the order of the bands."""

    name: str
    bands: int
    classes: Tuple[ClassDef, ...] = ()


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """A model package's item.json, without its STAC dress.

    Attributes:
        name: the model's name.
        task: one of `jobs.TASKS`; empty where unknown.
        geometry: GeoJSON polygon in WGS 84 of where the training data lies; None where unknown.
        created: ISO 8601 time, UTC, ending in Z.
        hyperparameters: plain values.
    """

    name: str
    task: str
    architecture: str
    inputs: Tuple[InputCard, ...]
    outputs: Tuple[OutputCard, ...]
    framework_version: str = ''
    parameters: int = 0
    batch_size: int = 1
    created: str = ''
    geometry: Optional[Dict[str, Any]] = None
    hyperparameters: Dict[str, Any] = dataclasses.field(default_factory=dict)
    description: str = ''

    def to_item(self, assets: Dict[str, Dict[str, Any]]) -> Dict[str, Any]:
        """The STAC item.

        Args:
            assets: the package's files, as STAC assets by key; bands are added to those that are models.
        """
        bands = [{'name': name} for name in dict.fromkeys(band for item in self.inputs for band in item.bands)]
        properties: Dict[str, Any] = {
            'datetime': self.created or _UNKNOWN_TIME,
            'created': self.created or _UNKNOWN_TIME,
            'title': self.name,
            'mlm:name': _mlm_name(self.name),
            'mlm:architecture': _MLM_ARCHITECTURES.get(self.architecture, self.architecture),
            'mlm:tasks': [_MLM_TASKS.get(self.task, self.task)],
            'mlm:framework': 'TensorFlow',
            'mlm:total_parameters': self.parameters,
            'mlm:pretrained': False,
            'mlm:pretrained_source': None,
            'mlm:batch_size_suggestion': self.batch_size,
            'mlm:accelerator': None,
            'mlm:accelerator_constrained': False,
            'mlm:input': [_mlm_input(item) for item in self.inputs],
            'mlm:output': [_mlm_output(item, self.task) for item in self.outputs],
            'bands': bands,
        }
        if self.description:
            properties['description'] = self.description
        if _is_version(self.framework_version):
            properties['mlm:framework_version'] = self.framework_version
        if self.hyperparameters:
            properties['mlm:hyperparameters'] = {_key(key): value for key, value in self.hyperparameters.items()}
        properties.update(self._own())
        item: Dict[str, Any] = {
            'type': 'Feature',
            'stac_version': '1.1.0',
            'stac_extensions': list(_EXTENSIONS),
            'id': _mlm_name(self.name),
            'geometry': self.geometry,
            'properties': properties,
            'assets': {
                key: {**asset, 'bands': bands} if 'mlm:model' in asset.get('roles', ()) else asset
                for key, asset in assets.items()
            },
            'links': [],
        }
        if self.geometry is not None:
            item['bbox'] = _bbox(self.geometry)
        return item

    def _own(self) -> Dict[str, Any]:
        """The properties that only Quadrat reads; together with the geometry they hold the whole card."""
        card = dataclasses.asdict(self)
        card.pop('geometry')
        inputs = [dict(item) for item in card.pop('inputs')]
        statistics = ('mean', 'stddev', 'minimum', 'maximum')
        return {
            'quadrat:version': VERSION,
            'quadrat:normalisation': [
                {'input': item['name'], 'inside_graph': True, **{key: item.pop(key) for key in statistics}}
                for item in inputs
            ],
            'quadrat:inputs': [
                {'receptive_field' if key == 'field' else key: value for key, value in item.items()} for item in inputs
            ],
            'quadrat:outputs': card.pop('outputs'),
            'quadrat:model': card,
        }

    @classmethod
    def from_item(cls, item: Any) -> ModelCard:
        """The card that `to_item` wrote.

        Raises:
            ModelError: the item is not of a Quadrat package, or of a newer version, or damaged.
        """
        properties = item.get('properties') if isinstance(item, dict) else None
        if not isinstance(properties, dict) or 'quadrat:version' not in properties:
            raise ModelError('not the item of a Quadrat model package.')
        if properties['quadrat:version'] != VERSION:
            raise ModelError(
                f'a package of version {properties["quadrat:version"]}; this Quadrat reads version {VERSION}.'
            )
        try:
            inputs: List[Dict[str, Any]] = []
            for own, statistics in zip(properties['quadrat:inputs'], properties['quadrat:normalisation']):
                known = {key: value for key, value in statistics.items() if key not in ('input', 'inside_graph')}
                inputs.append({**own, **known, 'field': own['receptive_field']})
                del inputs[-1]['receptive_field']
            data = {**properties['quadrat:model'], 'inputs': inputs, 'outputs': properties['quadrat:outputs']}
            return from_dict(cls, {**data, 'geometry': item['geometry']})
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelError(f'damaged: {type(error).__name__} {error}.') from error
        except InvalidJob as error:
            raise ModelError(f'damaged: {error}') from error


def read_card(path: str) -> ModelCard:
    """The card of a model package.

    Args:
        path: the package's folder, its ``item.json``, or the package as a .zip.

    Raises:
        InputMissing: there is nothing at `path`.
        ModelError: it is no model package of Quadrat, or a damaged one.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise InputMissing(f'{path}: no such file or folder. Give the folder of a model package, or its .zip.')
    try:
        if os.path.isdir(path) or os.path.basename(path) == ITEM:
            file = os.path.join(path, ITEM) if os.path.isdir(path) else path
            if not os.path.isfile(file):
                raise ModelError(f'no {ITEM} in it, so it is no model package. Give the folder "Train a model" wrote.')
            with open(file, encoding='utf-8') as stream:
                text = stream.read()
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                text = archive.read(zip_root(archive) + ITEM).decode('utf-8')
        else:
            raise ModelError('neither a folder nor a .zip. Give the folder of a model package, or its .zip.')
        return ModelCard.from_item(json.loads(text))
    except ModelError as error:
        raise ModelError(f'{path}: {error}') from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f'{path}: cannot be read as a model package ({error}).') from error


def zip_root(archive: zipfile.ZipFile) -> str:
    """Where in an archive the package lies: empty for its top, or the name of its one folder with a ``/``."""
    items = [name for name in archive.namelist() if re.fullmatch(rf'([^/]+/)?{re.escape(ITEM)}', name)]
    if len(items) != 1:
        raise ModelError(f'holds no model package: {len(items)} {ITEM} at its top or in a folder there.')
    return items[0][: -len(ITEM)]


def _mlm_input(item: InputCard) -> Dict[str, Any]:
    return {
        'name': item.name,
        'bands': list(item.bands),
        'input': {
            'shape': [-1, -1, -1, len(item.bands)],
            'dim_order': ['batch', 'height', 'width', 'bands'],
            'data_type': item.dtype,
        },
        'value_scaling': None,
        'resize_type': None,
    }


def _mlm_output(item: OutputCard, task: str) -> Dict[str, Any]:
    return {
        'name': item.name,
        'tasks': [_MLM_TASKS.get(task, task)],
        'result': {
            'shape': [-1, -1, -1, item.bands],
            'dim_order': ['batch', 'height', 'width', 'class'],
            'data_type': 'float32',
        },
        'classification:classes': [_mlm_class(definition) for definition in item.classes],
    }


def _mlm_class(definition: ClassDef) -> Dict[str, Any]:
    """A class as the classification extension writes it: a name for machines, a title for people."""
    title = definition.name or str(definition.value)
    out = {
        'value': definition.value,
        'name': re.sub(r'[^0-9A-Za-z_-]+', '-', title).strip('-') or str(definition.value),
        'title': title,
        'description': title,
    }
    if re.fullmatch(r'#[0-9A-Fa-f]{6}', definition.colour):
        out['color_hint'] = definition.colour[1:].upper()
    return out


def _mlm_name(name: str) -> str:
    """`name` as the schema of MLM wants it: it begins with a letter and has at least three plain characters."""
    plain = re.sub(r'[^A-Za-z0-9_.-]+', '-', name).strip('-._')
    return plain if re.fullmatch(r'[A-Za-z].+', plain) and len(plain) > 2 else f'model-{plain}'.rstrip('-')


def _key(key: str) -> str:
    return re.sub(r'[^0-9a-zA-Z_.-]', '_', key)


def _is_version(text: str) -> bool:
    """Whether a version is of the form that MLM takes: three numbers."""
    return re.fullmatch(r'(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)', text) is not None


def _bbox(geometry: Dict[str, Any]) -> List[float]:
    """West, south, east, north of a polygon."""
    x, y = zip(*geometry['coordinates'][0])
    return [min(x), min(y), max(x), max(y)]
