"""Classical classifiers, on what a network gives or on attributes: training, storing, and maps made with them."""

import os

# Threads of OpenMP that wait in a loop would keep the cores from all others, such as TensorFlow's. It is looked at when
# scikit-learn is loaded, which nobody else does.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
