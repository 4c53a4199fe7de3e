"""Run one job in a process of the engine: its events go to a `QgsProcessingFeedback`, whose cancel stops it."""

from __future__ import annotations

import contextlib
import ctypes
import re
import signal
import threading
import time
from typing import Any, Callable, Dict, Iterator

import qgis.utils
from qgis.core import QgsProcessingException, QgsProcessingFeedback
from qgis.PyQt.QtCore import QCoreApplication, QThread

from ..engine.errors import ConfigurationError, EngineError, EngineMissing
from ..engine.events import Event, Log, Progress, Warn
from ..engine.jobs import Job
from . import environment
from .process import do_job

COUNT_INTERVAL = 10.0  # seconds between progress texts that differ in nothing but their numbers


def run(job: Job, feedback: QgsProcessingFeedback) -> Dict[str, Any]:
    """Do a job in the engine's environment and wait for it.

    Args:
        job: the job.
        feedback: hears what the job says; its `cancel` stops the job within seconds.

    Returns:
        The job's outputs by name.

    Raises:
        QgsProcessingException: with one line for people, or one for each fault of a run configuration; also when the
            job was cancelled.
    """
    try:
        interpreter = environment.find(job.tensorflow)
        feedback.pushDebugInfo(f'Engine: {interpreter.path} ({interpreter.origin})')
        if interpreter.note:
            feedback.pushWarning(interpreter.note)
        try:
            with interruptible(feedback):
                return do_job(
                    interpreter.path, environment.child_environment(), job, listener(feedback), asker(feedback)
                )
        except EngineMissing as error:
            raise EngineMissing(f'{error} {interpreter.remedy}') from error
    except ConfigurationError as error:
        raise QgsProcessingException(str(error).replace(ConfigurationError.BETWEEN, '\n')) from error
    except EngineError as error:
        raise QgsProcessingException(str(error)) from error


def listener(feedback: QgsProcessingFeedback) -> Callable[[Event], None]:
    """A function that passes events on to `feedback`."""
    stage, told = '', 0.0

    def hear(event: Event) -> None:
        nonlocal stage, told
        if isinstance(event, Progress):
            feedback.setProgress(100 * event.fraction)
            # Dialogs show each text as a line of the log: "tile 17 of 4000" must not fill it.
            kind, now = re.sub(r'\d+', '', event.text), time.monotonic()
            if event.text and (kind != stage or now - told > COUNT_INTERVAL):
                feedback.setProgressText(event.text)
                stage, told = kind, now
        elif isinstance(event, Log):
            (feedback.pushDebugInfo if event.detail else feedback.pushInfo)(event.text)
        elif isinstance(event, Warn):
            feedback.pushWarning(event.text)

    return hear


def asker(feedback: QgsProcessingFeedback) -> Callable[[], bool]:
    """A function that tells whether the user wants to stop, and keeps the window alive where it waits in its thread."""
    application = QCoreApplication.instance()
    in_gui = (
        qgis.utils.iface is not None and application is not None and QThread.currentThread() == application.thread()
    )

    def cancelled() -> bool:
        if in_gui:  # the batch dialog of QGIS 3.22 runs algorithms there
            QCoreApplication.processEvents()
        return feedback.isCanceled()

    return cancelled


@contextlib.contextmanager
def interruptible(feedback: QgsProcessingFeedback) -> Iterator[None]:
    """Within the block, Ctrl-C cancels: qgis_process does not pass it on with ``--json``."""
    if qgis.utils.iface is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    # Python does not know of a handler that QGIS has set since, and would not restore it.
    get, put = ctypes.pythonapi.PyOS_getsig, ctypes.pythonapi.PyOS_setsig
    get.argtypes, get.restype = [ctypes.c_int], ctypes.c_void_p
    put.argtypes, put.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
    native = get(signal.SIGINT)
    known = signal.signal(signal.SIGINT, lambda *_: feedback.cancel())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if known is None else known)
        put(signal.SIGINT, native)
