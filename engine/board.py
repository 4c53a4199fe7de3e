"""TensorBoard as a server of its own: prints its address, and ends with whoever started it.

Run as a script, ``board.py FOLDER SECONDS``, in the engine's environment: it ends after so many seconds, or with 0 when
its standard input does.
"""

from __future__ import annotations

import logging
import os
import sys
import time


def serve(folder: str, seconds: float) -> None:
    """Start TensorBoard on a free port of this computer; returns when it should end."""
    from tensorboard import program

    logging.getLogger('werkzeug').setLevel(logging.ERROR)
    board = program.TensorBoard()
    board.configure(argv=[None, '--logdir', folder, '--host', '127.0.0.1', '--port', '0', '--load_fast', 'false'])
    print(board.launch(), flush=True)
    # Nobody reads what else it says.
    nothing = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nothing, descriptor)
    if seconds:
        time.sleep(seconds)
    while not seconds and os.read(0, 1 << 10):  # its end comes when QGIS ends, however it does
        pass


if __name__ == '__main__':
    # Python puts a script's own folder first: its modules would be found under their bare names.
    own = os.path.dirname(os.path.realpath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != own]
    try:
        serve(sys.argv[1], float(sys.argv[2]))
    except ImportError as error:
        print(f'missing: {error}', flush=True)
    # Not `sys.exit`: the server's threads would hold the process.
    os._exit(0)
