"""The parameters of serving, but for its outputs, as they are declared; `servejob` reads them."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterLayer,
)

from ..engine.jobs import (
    AUGMENTATIONS,
    BLENDS,
    CONNECTIVITIES,
    MODES,
    OUTPUT_TYPES,
    PADDINGS,
    PRECISIONS,
    PROBABILITY_TYPES,
    RUNTIMES,
)
from . import parameters as shared
from . import sources
from .base import tr


def add_inputs(algorithm) -> None:
    """What everybody looks at: the model, the image and the part of it to map."""
    shared.add_model(algorithm)
    sources.add_first(
        algorithm,
        'The image to map: one raster, or several on the same grid, whose bands are stacked in the order given here. '
        'Give the bands that the model was trained with, in that order, with about the same pixel size; of images with '
        'more bands, those named as in the model package are taken. Of several sources it is the first, whose grid is '
        'that of the map.',
    )
    algorithm.add(
        QgsProcessingParameterExtent('EXTENT', tr('Extent to map'), optional=True),
        'Empty: the whole raster. Pixels that the extent touches are mapped, just as they are in a map of all.',
    )
    algorithm.add(
        QgsProcessingParameterFeatureSource(
            'MASK_LAYER', tr('Polygons to map'), [QgsProcessing.SourceType.TypeVectorPolygon], optional=True
        ),
        'Only pixels whose centre lies in one of these polygons are mapped; all else becomes no-data, and tiles '
        'without any are not computed. Any CRS.',
    )


def add_options(algorithm) -> None:
    """All else, advanced, what is needed more often first."""
    _add_area(algorithm)
    _add_map(algorithm)
    _add_nodata(algorithm)
    _add_computing(algorithm)
    _add_files(algorithm)
    _add_model_details(algorithm)
    _add_geometry(algorithm)
    sources.add_more(algorithm, sources.Maps())


def _add_area(algorithm) -> None:
    algorithm.add(
        QgsProcessingParameterRasterLayer('MASK', tr('Mask raster'), optional=True),
        'Only pixels where this raster is above 0 are mapped. Its pixels may be larger or smaller than those of the '
        'image by a whole factor.',
        advanced=True,
    )
    algorithm.add(
        shared.text('WINDOW', 'Window to map (column,row,width,height)'),
        'The part to map in pixels of the map, in place of an extent: the first column and row, counted from 0, then '
        'width and height, such as 0,0,512,512. Empty: all of it.',
        advanced=True,
    )


def _add_map(algorithm) -> None:
    """What the map shows."""
    algorithm.add(
        shared.text('OUTPUT_NAMES', 'Outputs of the model to map'),
        'Names of the outputs to map, separated by commas; "Describe a model" lists them. Empty: the classes where the '
        'model has any, else all outputs (in the otbtf modes the first by alphabet). With names, and without a table '
        'of classes, the map has the values of these outputs, one after the other by band.',
        advanced=True,
    )
    shared.add_classes(
        algorithm,
        'A CSV table with the columns value, name and colour (#rrggbb). Empty: the classes of the model. Needed for a '
        'class map with a model that does not know its classes: a line for each band of the (first named) output, in '
        'their order, or for each value where the output is one band of whole numbers. A single band of probabilities '
        'is that of the second of two classes.',
        advanced=True,
    )
    algorithm.add(
        shared.real('THRESHOLD', 'Threshold', None, optional=True),
        'The probability that a class needs to be mapped; pixels where no class reaches it become no-data. With values '
        'instead of classes, the map is 1 from the threshold on and 0 below. Empty: no threshold.',
        advanced=True,
    )
    algorithm.add(
        shared.integer('SIEVE', 'Minimum mapping unit (pixels)', 0, 0),
        'Areas of one class with fewer pixels take the class of their largest neighbour, in the class map and in the '
        'polygons. 0 or 1: all stay.',
        advanced=True,
    )
    values = [str(value) for value in CONNECTIVITIES]
    algorithm.add(
        shared.choice('CONNECTIVITY', 'Connectivity of areas', values, values[0]),
        'Whether pixels of a class that touch at a corner are one area (8) or not (4), for the minimum mapping unit '
        'and the polygons.',
        advanced=True,
    )
    algorithm.add(
        shared.choice('TTA', 'Test-time augmentation', AUGMENTATIONS, 'none'),
        'd4: each tile is computed in its eight flips and quarter turns, and the mean of the probabilities counts: '
        'often a little better, and eight times the work.',
        advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterMultipleLayers(
            'ENSEMBLE', tr('Further models (ensemble)'), QgsProcessing.SourceType.TypeFile, optional=True
        ),
        'Models whose values are averaged with those of the first, such as those of a cross-validation; they must have '
        'the same inputs and outputs. Given as the model is; of a folder, the file dialog can choose its item.json or '
        'saved_model.pb.',
        advanced=True,
    )


def _add_nodata(algorithm) -> None:
    shared.add_nodata(algorithm)
    sources.Maps().add_policy(algorithm, 1, '')
    algorithm.add(
        shared.real('FILL_VALUE', 'Value of pixels without data', None, optional=True),
        'What the map has where the image has no data and outside the mask; it becomes the no-data value of the map, '
        'so it cannot be a class. Empty: chosen, such as 255 for classes and NaN for values; values in the otbtf modes '
        'are 0 there, and 0 is not marked as no-data.',
        advanced=True,
    )
    algorithm.add(
        shared.choice('PADDING', 'Padding at the edges of the image', PADDINGS, PADDINGS[0]),
        'What the model is fed where it looks beyond an image. reflect: the image mirrored at its edge. constant: the '
        'padding value. nodata: the same as for pixels without data.',
        advanced=True,
    )
    algorithm.add(
        shared.real('PADDING_VALUE', 'Padding value', 0.0),
        'For the padding constant: what all bands are beyond the edges.',
        advanced=True,
    )


def _add_computing(algorithm) -> None:
    algorithm.add(
        shared.integer('TILE_SIZE', 'Tile size (pixels)', 0, 0),
        'Side of the tiles that are computed one after the other, in pixels of the map. 0: as large as the memory '
        'below permits. Smaller tiles need less memory and more time, since what lies around each is computed as well; '
        'the map is the same.',
        advanced=True,
    )
    algorithm.add(
        shared.integer('MEMORY', 'Memory for tiles (MiB)', 1024, 1),
        'How much memory the tiles may take together, where the tile size is 0. The model and the programs take some '
        'more.',
        advanced=True,
    )
    algorithm.add(
        shared.integer('BATCH_SIZE', 'Batch size (tiles or patches)', 0, 0),
        'How many tiles, or patches where the model makes one pixel of each, are computed at the same time. 0 chooses. '
        'More than one tile pays only for small tiles on a GPU.',
        advanced=True,
    )
    algorithm.add(
        shared.choice('RUNTIME', 'Runtime', RUNTIMES, 'auto'),
        'What runs the network. auto takes OpenVINO on a CPU where it is installed and takes the model, else '
        'TensorFlow; both give the same map.',
        advanced=True,
    )
    algorithm.add(
        shared.choice('PRECISION', 'Precision', PRECISIONS, PRECISIONS[0]),
        'bfloat16 is faster on some processors and less exact; the log says by how much. float32 is exact.',
        advanced=True,
    )
    algorithm.add(
        shared.text('DEVICE', 'Device', 'auto'),
        'auto takes the first GPU that TensorFlow can use, else the CPU. Or cpu, gpu, or gpu:N for one of several, '
        'counted from 0.',
        advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterBoolean('RESUME', tr('Resume an interrupted run'), True),
        'Tiles that a run which was cancelled, or ended by a fault, has made are kept in the folder <output>.part and '
        'not computed again, if the image, the model and the settings are still the same. Without it such tiles are '
        'thrown away.',
        advanced=True,
    )


def _add_files(algorithm) -> None:
    algorithm.add(
        shared.choice('OUTPUT_TYPE', 'Data type of the map', OUTPUT_TYPES, OUTPUT_TYPES[0]),
        "auto: for classes the smallest that holds them and a value for no-data; for values the model's own (int64 as "
        'int32). Values in a type of whole numbers are rounded, or cut off in the otbtf modes, and end at its limits.',
        advanced=True,
    )
    algorithm.add(
        shared.choice('PROBABILITY_TYPE', 'Data type of probabilities', PROBABILITY_TYPES, PROBABILITY_TYPES[0]),
        'The data type of probabilities, confidence and margin. uint8 and uint16 make small files; the scale that '
        'turns them back into 0 to 1 is in the file, and QGIS applies it.',
        advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterBoolean('COG', tr('Cloud-optimised GeoTIFF (COG)'), False),
        'Writes rasters so that programs can read parts of them over the web, with overviews. Takes a little longer, '
        'and, for a while, twice the space.',
        advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterBoolean('OVERVIEWS', tr('Overviews'), False),
        'Adds smaller versions of the rasters (pyramids), by which large maps are drawn faster. A COG has them always.',
        advanced=True,
    )
    algorithm.add(
        shared.text('CREATION_OPTIONS', 'Creation options of the GeoTIFF files'),
        'GDAL creation options KEY=VALUE, separated by | or blanks, such as COMPRESS=ZSTD|ZSTD_LEVEL=9. They win over '
        "Quadrat's own: tiled, DEFLATE, sparse, BigTIFF if needed.",
        advanced=True,
    )


def _add_model_details(algorithm) -> None:
    """How a model is used that does not say it of itself."""
    algorithm.add(
        shared.text('USER_PLACEHOLDERS', 'Constants for the model'),
        'Values of inputs of the model that are no images: name=value, separated by semicolons, such as '
        'dropout=0; weights=(1, 2.5). The model says of what type they are. Needed where the model has such inputs '
        'without values of their own.',
        advanced=True,
    )
    shared.add_graph(algorithm)


def _add_geometry(algorithm) -> None:
    """How the map lies on the images."""
    algorithm.add(
        shared.choice('MODE', 'Mode', MODES, MODES[0]),
        'native: all of the image, padded at the edges; a model that makes one value of a patch is given a patch for '
        'each pixel. otbtf-fullyconv, otbtf-patch: size, place and values as of OTBTF, with model.fullyconv on or '
        'off: a map that is smaller than the image by the receptive field, and nothing padded.',
        advanced=True,
    )
    sources.Maps().add(algorithm, 1, '')
    algorithm.add(
        shared.integer('EXPRESSION_FIELD', 'Expression field (pixels)', 1, 1),
        'Of the mode otbtf-fullyconv: side of the square of pixels of the map that the model makes of a receptive '
        'field.',
        advanced=True,
    )
    algorithm.add(
        shared.real('SPACING_SCALE', 'Spacing scale', None, 0.0, optional=True),
        'Pixel size of the map in pixels of the input rasters: 4 makes a map of coarser, 0.25 one of finer pixels '
        '(super-resolution). Empty: as the model does it; 1 where it is given a patch for each pixel, and in the otbtf '
        'modes.',
        advanced=True,
    )
    algorithm.add(
        shared.choice('BLEND', 'Blending', BLENDS, BLENDS[0]),
        'auto: tiles with what lies around them need no blending, unless the receptive field of the model is not '
        'bounded or too large; then as cosine. cosine: overlapping pieces fade into one another by weights that fall '
        'towards their edges. none: of overlapping pieces the middle is taken, and there may be seams.',
        advanced=True,
    )
