"""How outputs appear in the project."""

from __future__ import annotations

import gc

import pytest

pytest.importorskip('qgis.core')

from osgeo import gdal
from qgis.core import (
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
)

STYLE = (
    "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'><qgis version='3.22.0'><pipe>"
    '<rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1"><colorPalette>'
    '<paletteEntry value="1" label="one" color="#102030" alpha="255"/></colorPalette></rasterrenderer></pipe></qgis>'
)


@pytest.fixture
def raster(provider, tmp_path):
    path = str(tmp_path / 'map.tif')
    gdal.GetDriverByName('GTiff').Create(path, 4, 4, 1, gdal.GDT_Byte).FlushCache()
    return path


@pytest.fixture
def context(raster):
    context = QgsProcessingContext()
    project = QgsProject.instance()
    context.setProject(project)
    details = QgsProcessingContext.LayerDetails('Class map', project, 'OUTPUT')
    context.addLayerToLoadOnCompletion(raster, details)
    return context


def present(*arguments, **options):
    from quadrat.plugin import layers

    layers.present(*arguments, **options)


def test_the_name_and_the_style_come_with_the_layer(context, raster, tmp_path):
    layer = QgsRasterLayer(raster, 'x')
    (tmp_path / 'map.qml').write_text(STYLE)
    present(context, raster, 'Valley', 'group', styled=True)
    gc.collect()
    details = context.layerToLoadOnCompletionDetails(raster)
    assert details.name == 'Valley'
    assert not isinstance(layer.renderer(), QgsPalettedRasterRenderer)
    details.postProcessor().postProcessLayer(layer, context, QgsProcessingFeedback())
    assert [item.label for item in layer.renderer().classes()] == ['one']


def test_a_name_that_a_model_gave_is_kept(context, raster):
    details = context.layerToLoadOnCompletionDetails(raster)
    details.forceName = True
    present(context, raster, 'Valley')
    details = context.layerToLoadOnCompletionDetails(raster)
    assert details.name == 'Class map' and details.postProcessor() is None


def test_what_is_not_loaded_is_left_alone(context, raster):
    present(context, raster + 'f', 'Valley')
    assert context.layerToLoadOnCompletionDetails(raster).name == 'Class map'
