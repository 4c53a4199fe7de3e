"""A small untrained model and the card that fits it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quadrat.engine.jobs import ClassDef
from quadrat.engine.model_package.card import InputCard, ModelCard, OutputCard, ReceptiveField


@pytest.fixture(scope='session')
def card() -> ModelCard:
    source = InputCard(
        'image',
        ('blue', 'near infrared'),
        field=ReceptiveField(8, 8, 8, 8),
        stride=2,
        patch_size=(16, 16),
        nodata=('', '-1'),
        nodata_policy='all',
        fill=(100.5, 7.0),
        pixel_size=(1.5, 1.5),
        mean=(100.5, 7.0),
        stddev=(10.0, 0.0),
        minimum=(0.0, 7.0),
        maximum=(255.0, 7.0),
    )
    classes = (ClassDef(-3, 'Büro & Läden', '#AA00ff'), ClassDef(11, '', '#00ff00'), ClassDef(70000, 'c'))
    return ModelCard(
        'Wald 2',
        'segmentation',
        'unet',
        (source,),
        (OutputCard('probabilities', 3, classes),),
        batch_size=4,
        created='2026-01-02T03:04:05Z',
        geometry={'type': 'Polygon', 'coordinates': [[[1.0, 43.0], [2.0, 43.0], [2.0, 44.5], [1.0, 43.0]]]},
        hyperparameters={'epochs': 3, 'rate': 1e-3, 'augment': True, 'why not': 'x'},
        description='A test.',
    )


@pytest.fixture(scope='session')
def model():
    import keras

    from quadrat.engine.networks.unet import build_unet

    keras.utils.set_random_seed(3)
    return build_unet(2, 3, input_name='image', mean=[100.5, 7.0], stddev=[10.0, 0.0], filters=4, depth=1)


@pytest.fixture(scope='session')
def stac_errors(shared):
    """A function: what the published schemas of STAC 1.1.0, MLM 1.5.2 and the file extension object to, offline."""
    import jsonschema
    import pystac
    import referencing.jsonschema

    stac = Path(pystac.__file__).parent / 'validation/jsonschemas'
    files = (*(shared / 'spec/schemas').glob('*.json'), *stac.rglob('*.json'))
    schemas = [json.loads(path.read_text()) for path in files]
    # One of STAC's schemas has a slip in its own address.
    by_id = {schema['$id'].rstrip('#').replace('/commonjson', '/common.json'): schema for schema in schemas}
    draft = referencing.jsonschema.DRAFT7
    registry = referencing.Registry().with_resources(
        (uri, referencing.Resource.from_contents(schema, default_specification=draft)) for uri, schema in by_id.items()
    )
    wanted = [uri for uri in by_id if uri.endswith('/v1.1.0/item-spec/json-schema/item.json')]
    wanted += [uri for uri in by_id if '/mlm/' in uri or '/file/' in uri]
    assert len(wanted) == 3
    validators = [jsonschema.validators.validator_for(by_id[uri])(by_id[uri], registry=registry) for uri in wanted]
    return lambda item: [error.message for validator in validators for error in validator.iter_errors(item)]
