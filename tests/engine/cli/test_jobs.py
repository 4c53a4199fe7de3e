"""Commands as the jobs that they stand for."""

from __future__ import annotations

import pytest

from quadrat.engine import jobs
from quadrat.engine.cli import work
from quadrat.engine.cli.parser import parse
from quadrat.engine.errors import InputMissing, InvalidJob


@pytest.fixture
def job(monkeypatch):
    """A function: arguments -> (job, device) that the command would do."""
    monkeypatch.setattr(work, 'do_job', lambda job, console, device=None: {'job': job, 'device': device})

    def made(*arguments):
        options = parse(arguments)
        values = options.do(options, None).values
        return values['job'], values['device']

    return made


def test_serve_with_nothing_else(job):
    expected = jobs.ServeJob('package', (jobs.SourceSpec(('image.tif',)),), 'map.tif')
    assert job('serve', 'package', 'image.tif', 'map.tif') == (expected, None)


def test_serve_with_much(job, tmp_path):
    classes = tmp_path / 'classes.csv'
    classes.write_text('value,name\n1,water\n')
    found, device = job(
        'serve', 'package', 'ms.tif', '', '--source', 'pan=pan.tif', '--source', 'source1=nir.tif',
        '--bands', '3,2,1', '--bands', 'pan=pan', '--nodata', '-1', '--nodata', 'pan=nan', '--classes', str(classes),
        '--probabilities', 'p.tif', '--ensemble', 'b', '--ensemble', 'c', '--extent', '-10', '-2.5', '3', '4',
        '--window', '0', '1', '2', '3', '--mask-layer', 'zones.gpkg|layername=east', '--threshold', '0.5',
        '--fill-value', '-1', '--tile-size', '64', '--connectivity', '8', '--no-resume', '--cog', '--device', 'gpu:1',
        '--creation-options', 'COMPRESS=ZSTD', '--creation-options', 'PREDICTOR=2', '--tta', 'd4',
    )  # fmt: skip
    assert device == 'gpu:1'
    assert found == jobs.ServeJob(
        'package',
        (
            jobs.SourceSpec(('ms.tif', 'nir.tif'), bands=(3, 2, 1), nodata='-1'),
            jobs.SourceSpec(('pan.tif',), 'pan', band_names=('pan',), nodata='nan'),
        ),
        probabilities='p.tif',
        ensemble=('b', 'c'),
        classes=(jobs.ClassDef(1, 'water'),),
        extent=(-10.0, -2.5, 3.0, 4.0),
        window=(0, 1, 2, 3),
        mask_layer=jobs.VectorSpec('zones.gpkg', 'east'),
        threshold=0.5,
        fill_value=-1.0,
        tile_size=64,
        connectivity=8,
        resume=False,
        cog=True,
        device='auto',
        runtime='tensorflow',
        creation_options=('COMPRESS=ZSTD', 'PREDICTOR=2'),
        tta='d4',
    )
    # As the worker would read it.
    assert jobs.job_from_dict(found.to_dict()) == found


def test_evaluate(job):
    found, _ = job(
        'evaluate', 'package', '--dataset', 'data', '--split', 'all', '--report', 'r.html', '--table', 't.csv'
    )
    assert found == jobs.EvaluateJob('package', 'data', 'all', report='r.html', table='t.csv')
    found, _ = job('evaluate', 'm', '--input', 'a.tif', '--reference', 'b.tif', '--reference-nodata', 'none')
    source = (jobs.SourceSpec(('a.tif',)),)
    assert found == jobs.EvaluateJob('m', sources=source, reference=jobs.LabelRaster('b.tif', nodata='none'))
    found, _ = job(
        'evaluate', 'm', '--input', 'a.tif', '--polygons', 'b.gpkg', '--class-field', 'kind', '--outside', '0'
    )
    polygons = jobs.LabelPolygons(jobs.VectorSpec('b.gpkg'), 'kind', 0)
    assert found == jobs.EvaluateJob('m', sources=source, polygons=polygons)
    found, _ = job('evaluate', 'm', '--input', 'a.tif', '--points', 'c.gpkg', '--label-field', 'kind')
    assert found == jobs.EvaluateJob('m', sources=source, points=jobs.VectorSpec('c.gpkg'), label_field='kind')


@pytest.mark.parametrize(
    ('options', 'error', 'words'),
    [
        (['--source', 'pan.tif'], InvalidJob, 'NAME=RASTER'),
        (['--nodata', 'pan=0'], InvalidJob, "no source 'pan'; there are source1"),
        (['--bands', 'pan=1'], InvalidJob, "no source 'pan'"),
        (['--classes', 'none.csv'], InputMissing, 'none.csv'),
        (['--device', 'gpu:0,1'], InvalidJob, 'one device'),
        (['--device', 'gpu:0', '--runtime', 'openvino'], InvalidJob, 'OpenVINO'),
    ],
)
def test_what_is_wrong_with_rasters_is_said(job, options, error, words):
    with pytest.raises(error, match=words):
        job('serve', 'm', 'i', 'o', *options)
