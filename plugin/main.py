"""The plugin's object: brings the Processing provider in and takes it out."""

from __future__ import annotations

from qgis.core import QgsApplication

from .provider import QuadratProvider


class QuadratPlugin:
    """What QGIS holds of the plugin.

    Args:
        iface: the application's interface; None under qgis_process and in scripts.
    """

    def __init__(self, iface):
        self.iface = iface
        self.provider = None

    def initProcessing(self):
        """Called alone under qgis_process: nothing here needs a window."""
        self.provider = QuadratProvider()
        registry = QgsApplication.processingRegistry()
        registry.addProvider(self.provider)
        # Models find the provider's own algorithms only once it is registered.
        self.provider.refreshAlgorithms()

    def initGui(self):
        self.initProcessing()

    def unload(self):
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
