"""QGIS layers as the engine's inputs: paths, no-data, features as the user sees them, names and colours of classes.

The engine runs in another process and opens files itself. So a raster must be a file; a vector layer is passed as
its file where that says the same as the layer, and is written to a GeoPackage where it does not (selection, filter,
join, virtual field, edits not saved, a reference system set by hand, layers in memory or in a database).
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import qgis.utils
from osgeo import gdal
from qgis.core import (
    NULL,
    QgsCategorizedSymbolRenderer,
    QgsFeatureRequest,
    QgsFeatureSink,
    QgsFields,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingParameterDefinition,
    QgsProcessingUtils,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..engine.jobs import ClassDef, VectorSpec

_SIDECARS = 'GDAL_PAM_ENABLED'
_LAYER_TYPES = ('raster', 'multilayer', 'source', 'vector')
_FILE_TYPES = (*_LAYER_TYPES, 'file')
_FID = 'quadrat_fid'  # the column with the ids of features in the copies of layers


def _tr(text: str) -> str:
    return QCoreApplication.translate('Quadrat', text)


def layer_name(layer: QgsMapLayer) -> str:
    """What messages call a layer."""
    return layer.name() or layer.source()


# -- files ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def no_sidecars() -> Iterator[None]:
    """Within the block, rasters loaded by path get no .aux.xml beside them: QGIS computes statistics to draw them."""
    gdal.SetThreadLocalConfigOption(_SIDECARS, 'NO')
    try:
        yield
    finally:
        gdal.SetThreadLocalConfigOption(_SIDECARS, None)


def begin_without_sidecars() -> None:
    """Like `no_sidecars`, until the end of the next such block, where there are no windows.

    qgis_process loads the rasters of its command line as soon as it has an instance of the algorithm, before it lets
    the algorithm check its parameters.
    """
    if qgis.utils.iface is None:
        gdal.SetThreadLocalConfigOption(_SIDECARS, 'NO')


def missing_file(definitions: Sequence[QgsProcessingParameterDefinition], parameters: dict) -> str:
    """A line about the first input that names a file which does not exist; empty where all do.

    Processing's own message does not say which file it is.
    """
    for name, text in _named_inputs(definitions, parameters, _FILE_TYPES):
        if _is_missing(text):
            return f'{name}: {text}: ' + _tr('no such file.')
    return ''


def unreadable_layer(
    definitions: Sequence[QgsProcessingParameterDefinition], parameters: dict, context: QgsProcessingContext
) -> str:
    """A line about the first input whose text is no layer of the project and no file that QGIS reads as one."""
    for name, text in _named_inputs(definitions, parameters, _LAYER_TYPES):
        if QgsProcessingUtils.mapLayerFromString(text, context) is None:
            exists = os.path.exists(text.split('|')[0])
            what = _tr('not a layer that QGIS can read; the file is damaged or of another kind.')
            return f'{name}: {text}: ' + (what if exists else _tr('no such file, and no such layer.'))
    return ''


def _named_inputs(
    definitions: Sequence[QgsProcessingParameterDefinition], parameters: dict, types: Sequence[str]
) -> Iterator[Tuple[str, str]]:
    """(parameter, text) of the inputs of some types that are given as text."""
    for definition in definitions:
        if definition.isDestination() or definition.type() not in types:
            continue
        value = parameters.get(definition.name())
        for text in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(text, str) and text:
                yield definition.name(), text


def _is_missing(path: str) -> bool:
    """Whether a text is the path of a file that does not exist; it may also be the id or name of a layer."""
    return os.path.isabs(path) and not path.startswith('/vsi') and not os.path.exists(path.split('|')[0])


# -- rasters ----------------------------------------------------------------------------------------------------------


def raster_path(layer: QgsMapLayer) -> str:
    """The path by which GDAL opens a raster layer.

    Raises:
        QgsProcessingException: where the layer is no file that another process can open.
    """
    remedy = _tr('Export it first (right-click the layer, Export, Save As…, a GeoTIFF) and use that file.')
    name = layer_name(layer)
    if not isinstance(layer, QgsRasterLayer):
        raise QgsProcessingException(_tr('Layer "{}" is no raster.').format(name))
    if not layer.isValid():
        raise QgsProcessingException(_tr('Layer "{}" cannot be read: {}').format(name, layer.source()))
    provider = layer.providerType()
    if provider != 'gdal':
        what = _tr('Layer "{}" is no raster file (its provider is "{}"). {}')
        raise QgsProcessingException(what.format(name, provider, remedy))
    source = layer.source()
    if source.startswith('/vsimem/'):
        raise QgsProcessingException(_tr('Layer "{}" exists only in the memory of QGIS. {}').format(name, remedy))
    if '|option:' in source or '|credential:' in source:
        raise QgsProcessingException(_tr('Layer "{}" is opened with options of its own. {}').format(name, remedy))
    return os.path.abspath(source) if os.path.exists(source) else source


def raster_nodata(layers: Sequence[QgsRasterLayer]) -> str:
    """The no-data of a stack of layers as `SourceSpec.nodata` has it: empty where the files' own holds.

    The no-data settings of a layer (the file's value switched off, additional values) belong to what the user sees.

    Raises:
        QgsProcessingException: where a band has several no-data values.
    """
    bands = [(layer, band) for layer in layers for band in range(1, layer.bandCount() + 1)]
    if not any(_has_own_nodata(layer, band) for layer, band in bands):
        return ''
    return ' '.join(_band_nodata(layer, band) for layer, band in bands)


def band_nodata(layer: QgsRasterLayer, band: int) -> str:
    """Like `raster_nodata`, for one band of one layer."""
    return _band_nodata(layer, band) if _has_own_nodata(layer, band) else ''


def _has_own_nodata(layer: QgsRasterLayer, band: int) -> bool:
    """Whether the user changed what counts as no-data in a band."""
    provider = layer.dataProvider()
    ignored = provider.sourceHasNoDataValue(band) and not provider.useSourceNoDataValue(band)
    return ignored or bool(provider.userNoDataValues(band))


def _band_nodata(layer: QgsRasterLayer, band: int) -> str:
    """The one no-data value of a band as text, or ``none``."""
    provider = layer.dataProvider()
    values = set()
    if provider.sourceHasNoDataValue(band) and provider.useSourceNoDataValue(band):
        values.add(float(provider.sourceNoDataValue(band)))
    ranges = [(item.min(), item.max()) for item in provider.userNoDataValues(band)]
    values.update(float(low) for low, _ in ranges)
    if len(values) > 1 or any(low != high for low, high in ranges):
        raise QgsProcessingException(
            _tr(
                'Layer "{}" has several no-data values in band {}. Leave it one (layer properties, Transparency), or '
                'say the value in NODATA.'
            ).format(layer_name(layer), band)
        )
    return repr(values.pop()) if values else 'none'


def raster_legend(layer: QgsRasterLayer, band: int = 1) -> Tuple[ClassDef, ...]:
    """Names and colours of classes from a paletted raster's symbology; none from other renderers."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer) or band not in renderer.usesBands():
        return ()
    out: Dict[int, ClassDef] = {}
    for item in renderer.classes():
        value = float(item.value)
        if value.is_integer():
            out[int(value)] = ClassDef(int(value), _own_label(item.label, item.value), item.color.name())
    return tuple(out.values())


# -- vector layers ----------------------------------------------------------------------------------------------------


def vector_file(algorithm, parameters: dict, name: str, context) -> Optional[VectorSpec]:
    """The file of a vector input if its features are just those that the algorithm should use, else None.

    Call it in `prepare`: it looks at the layer.
    """
    value = parameters.get(name)
    if isinstance(value, QgsProcessingFeatureSourceDefinition):
        if not _takes_all(value):
            return None
    elif not isinstance(value, (str, QgsVectorLayer)):
        return None
    layer = vector_layer(algorithm, parameters, name, context)
    return _plain_file(layer) if layer is not None else None


def vector_layer(algorithm, parameters: dict, name: str, context) -> Optional[QgsVectorLayer]:
    """The layer behind a vector input, whichever of its features are to be used; None where there is none."""
    value = parameters.get(name)
    if isinstance(value, QgsProcessingFeatureSourceDefinition):
        value = value.source.staticValue()
    return algorithm.parameterAsVectorLayer({**parameters, name: value}, name, context)


def vector_export(
    algorithm,
    parameters: dict,
    name: str,
    context,
    feedback,
    output: str,
    fields: Optional[Sequence[str]] = (),
    place: str = '',
) -> VectorSpec:
    """The features of a vector input, written to ``<output>.inputs/<name>.gpkg`` so that the job can be done again.

    Args:
        output: the path of the algorithm's main output.
        fields: the attributes to write; those that the source lacks are left out. None writes all of them, and the
            features keep their ids.
        place: takes the place of `name` in the path, where one parameter names several layers.
    """
    source = algorithm.parameterAsSource(parameters, name, context)
    if source is None:
        raise QgsProcessingException(algorithm.invalidSourceError(parameters, name))
    folder = output + '.inputs'
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise QgsProcessingException(_tr('{}: cannot be written ({}).').format(folder, error)) from error
    place = place or name
    path = os.path.join(folder, place + '.gpkg')
    feedback.pushInfo(_tr('{}: the features of "{}" are written to {}').format(name, source.sourceName(), path))
    _write(source, path, place, fields, context, feedback)
    return VectorSpec(path, place)


def vector_legend(layer: QgsVectorLayer, field: str) -> Tuple[ClassDef, ...]:
    """Names and colours of classes from symbology by categories of `field`.

    Classes of text that is no number have the value 0 and the text as their name.
    """
    renderer = layer.renderer()
    if not isinstance(renderer, QgsCategorizedSymbolRenderer):
        return ()
    if renderer.classAttribute().strip('"') != field:
        return ()
    out: List[ClassDef] = []
    for category in renderer.categories():
        value = category.value()
        if value is None or value == NULL or value == '' or isinstance(value, list):
            continue  # all other values; several values that are drawn alike
        colour = category.symbol().color().name() if category.symbol() else ''
        number = _whole(value)
        if number is None:
            out.append(ClassDef(0, str(value), colour))
        else:
            out.append(ClassDef(number, _own_label(category.label(), value), colour))
    return tuple(out)


def _takes_all(definition: QgsProcessingFeatureSourceDefinition) -> bool:
    """Whether a source definition takes all features of its layer."""
    return (
        not definition.selectedFeaturesOnly
        and definition.featureLimit == -1
        and not getattr(definition, 'filterExpression', '')  # QGIS 3.32 and later
    )


def _plain_file(layer: QgsVectorLayer) -> Optional[VectorSpec]:
    """The file of a layer that shows the file as it is, or None."""
    if layer.providerType() != 'ogr' or layer.subsetString() or layer.isModified() or layer.vectorJoins():
        return None
    fields = layer.fields()
    if any(fields.fieldOrigin(i) != QgsFields.FieldOrigin.OriginProvider for i in range(fields.count())):
        return None
    if layer.crs() != layer.dataProvider().crs():
        return None
    parts = QgsProviderRegistry.instance().decodeUri('ogr', layer.source())
    path = parts.get('path') or ''
    options = [key for key in parts if parts[key] and key not in ('path', 'layerName')]
    if options or not os.path.exists(path):
        return None
    return VectorSpec(os.path.abspath(path), parts.get('layerName') or '')


def _write(
    source: QgsProcessingFeatureSource, path: str, layer: str, names: Optional[Sequence[str]], context, feedback
) -> None:
    """Write features with some of their attributes, or with all and their ids (None), to a GeoPackage."""
    if source.wkbType() == QgsWkbTypes.Type.NoGeometry:
        raise QgsProcessingException(_tr('"{}" has no geometry.').format(source.sourceName()))
    fields, indices = _fields_to_write(source.fields(), names)
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = 'GPKG'
    options.layerName = layer
    options.layerOptions = [f'FID={_FID}']  # a field of the user's may be called fid and hold anything
    writer = QgsVectorFileWriter.create(
        path, fields, source.wkbType(), source.sourceCrs(), context.transformContext(), options
    )
    _require_no_error(writer, path)
    request = QgsFeatureRequest().setSubsetOfAttributes(indices)
    # Invalid geometries are the engine's to report: it does the same for files.
    flags = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
    for feature in source.getFeatures(request, flags):
        if feedback.isCanceled():
            break
        values = feature.attributes()
        own = [feature.id()] if names is None else []
        feature.setFields(fields)
        feature.setAttributes([*own, *(values[index] for index in indices)])
        writer.addFeature(feature, QgsFeatureSink.Flag.FastInsert)
        _require_no_error(writer, path)
    writer.flushBuffer()
    _require_no_error(writer, path)


def _fields_to_write(fields: QgsFields, names: Optional[Sequence[str]]) -> Tuple[QgsFields, List[int]]:
    """The fields of the copy, and the places of its attributes in the source.

    For all fields, the first of the copy is the one that holds the features' ids.
    """
    out = QgsFields()
    if names is None:
        # Layers in memory know the type in all versions of QGIS and Qt, which name it differently.
        out.append(QgsVectorLayer(f'None?field={_FID}:long', '', 'memory').fields().at(0))
        indices = [index for index in range(fields.count()) if fields.at(index).name().lower() != _FID]
    else:
        indices = [index for index in map(fields.lookupField, names) if index >= 0]
    for index in indices:
        out.append(fields.at(index))
    return out, indices


def _require_no_error(writer: QgsVectorFileWriter, path: str) -> None:
    if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
        raise QgsProcessingException(_tr('{}: cannot be written ({}).').format(path, writer.errorMessage()))


# -- symbology --------------------------------------------------------------------------------------------------------


def _own_label(label: str, value: Any) -> str:
    """The label of a class where the user gave it one: by default QGIS repeats the value."""
    number = _whole(value)
    if not label.strip() or label == str(value) or (number is not None and _whole(label) == number):
        return ''
    return label


def _whole(value: Any) -> Optional[int]:
    """The whole number that a value or its text is, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() else None
