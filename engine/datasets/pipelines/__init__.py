"""Samples for `tf.data`: readers, iterators, datasets and TFRecords with the names of OTBTF's Python interface."""
