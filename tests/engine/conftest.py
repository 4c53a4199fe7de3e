"""What tests of the engine share: models as TensorFlow 1 wrote them."""

from __future__ import annotations

import pytest


@pytest.fixture(scope='session')
def tensorflow1():
    """A function that writes a SavedModel of TensorFlow 1: ``(path, build, …)``.

    `build` makes the graph and gives its inputs and outputs by the signature's keys; without a signature only the graph
    is written.
    """
    import tensorflow as tf

    v1 = tf.compat.v1

    def write(path, build, tags=('serve',), signature=True) -> str:
        with v1.Graph().as_default():
            inputs, outputs = build(tf)
            with v1.Session() as session:
                session.run([v1.global_variables_initializer(), v1.tables_initializer()])
                builder = v1.saved_model.Builder(str(path))
                signatures = {'serving_default': v1.saved_model.predict_signature_def(inputs, outputs)}
                builder.add_meta_graph_and_variables(
                    session, list(tags), signatures if signature else None, main_op=v1.tables_initializer()
                )
                builder.save()
        return str(path)

    return write
