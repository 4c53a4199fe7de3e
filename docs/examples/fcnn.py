"""A small fully convolutional network for land cover: trained on patches, evaluated, saved for mapping.

From patches-images, as OTBTF and `extractpatches` with FORMAT=patchesimages write them:

    python fcnn.py --train-images a.tif --train-labels a_labels.tif \
        --valid-images b.tif --valid-labels b_labels.tif --model fcnn

With --tfrecords FOLDER the patches are written there as TFRecords first, and training reads those; without images it
reads what the folder holds. All outputs of the saved model, also cropped ones without border effects, are listed by
`describemodel`; `servemodel` maps an image with any of them.
"""

from __future__ import annotations

import argparse
import os

import tensorflow as tf

from quadrat.engine import DatasetFromPatchesImages, ModelBase, TFRecords, ops

INPUT, TARGET = 'image', 'classes'


class FCNN(ModelBase):
    """Four strided convolutions, and four transposed ones with what was before the first ones added."""

    def __init__(self, *args, classes: int, **kwargs) -> None:
        self.classes = classes  # the network is made by the line below
        super().__init__(*args, **kwargs)

    def normalize_inputs(self, inputs):
        """Reflectances times 10 000, as many products hold them, to about 0 to 1."""
        return {INPUT: tf.cast(inputs[INPUT], tf.float32) * 0.0001}

    def get_outputs(self, normalized_inputs):
        def down(x, filters, name):
            return tf.keras.layers.Conv2D(filters, 3, 2, activation='relu', padding='same', name=name)(x)

        def up(x, filters, name, activation='relu'):
            layer = tf.keras.layers.Conv2DTranspose(filters, 3, 2, activation=activation, padding='same', name=name)
            return layer(x)

        down1 = down(normalized_inputs[INPUT], 16, 'down1')
        down2 = down(down1, 32, 'down2')
        down3 = down(down2, 64, 'down3')
        down4 = down(down3, 64, 'down4')
        up1 = up(down4, 64, 'up1') + down3
        up2 = up(up1, 32, 'up2') + down2
        up3 = up(up2, 16, 'up3') + down1
        scores = up(up3, self.classes, 'up4', activation=None)
        return {TARGET: tf.keras.layers.Softmax(name='softmax')(scores)}


def read(images: list[str], labels: list[str], records: str, training: bool, args: argparse.Namespace):
    """Batches of (inputs, targets), from patches-images or from TFRecords.

    Args:
        images, labels: patches-images.
        records: folder of TFRecords; empty: none are made or read.
        training: whether the last batch is left out where it is not full, and the order differs each time.
    """

    def preprocess(sample):
        return {INPUT: sample['image'], TARGET: ops.one_hot(sample['labels'], args.classes)}

    if images:
        dataset = DatasetFromPatchesImages({'image': images, 'labels': labels}, use_streaming=True)
        if not records:
            return dataset.get_tf_dataset(args.batch_size, training, preprocess, targets_keys=[TARGET])
        dataset.to_tfrecords(records, drop_remainder=False)
    return TFRecords(records).read(
        args.batch_size,
        target_keys=[TARGET],
        drop_remainder=training,
        shuffle_buffer_size=1000 if training else None,
        preprocessing_fn=preprocess,
    )


def train(args: argparse.Namespace) -> dict[str, float]:
    """Train, evaluate, save; the figures for the validation samples."""
    folders = [os.path.join(args.tfrecords, name) if args.tfrecords else '' for name in ('train', 'valid')]
    training = read(args.train_images, args.train_labels, folders[0], True, args)
    validation = read(args.valid_images, args.valid_labels, folders[1], False, args)
    with tf.distribute.MirroredStrategy().scope():  # all GPUs of this machine, or its processor
        model = FCNN(training.element_spec, classes=args.classes)
        model.compile(
            loss=tf.keras.losses.CategoricalCrossentropy(),
            optimizer=tf.keras.optimizers.Adam(args.learning_rate),
            metrics=[
                tf.keras.metrics.Precision(class_id=1, name='precision'),
                tf.keras.metrics.Recall(class_id=1, name='recall'),
            ],
        )
        model.summary()
        model.fit(training, epochs=args.epochs, validation_data=validation, verbose=2)
        figures = model.evaluate(validation, verbose=0, return_dict=True)
        model.save(args.model)
    return figures


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('train', 'valid'):
        parser.add_argument(f'--{name}-images', nargs='+', default=[], metavar='TIF', help='patches-images')
        parser.add_argument(f'--{name}-labels', nargs='+', default=[], metavar='TIF', help='as many, of class numbers')
    parser.add_argument('--tfrecords', default='', metavar='FOLDER', help='train from TFRecords in this folder')
    parser.add_argument('--classes', type=int, default=2, help='number of classes; labels are 0, 1, …')
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--learning-rate', type=float, default=1e-4)
    parser.add_argument('--epochs', type=int, default=100)
    parser.add_argument('--seed', type=int, help='of the first weights; other each time without it')
    parser.add_argument('--model', required=True, metavar='FOLDER', help='SavedModel to write')
    args = parser.parse_args(argv)
    for name in ('train', 'valid'):
        images, labels = getattr(args, f'{name}_images'), getattr(args, f'{name}_labels')
        if len(images) != len(labels):
            parser.error(f'{len(images)} files of --{name}-images, but {len(labels)} of --{name}-labels')
        if not images and not args.tfrecords:
            parser.error(f'give --{name}-images, or --tfrecords')
    return args


if __name__ == '__main__':
    arguments = parse()
    if arguments.seed is not None:
        tf.keras.utils.set_random_seed(arguments.seed)
    for key, value in train(arguments).items():
        print(f'{key}: {value:.4f}')
