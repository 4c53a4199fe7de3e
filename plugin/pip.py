"""How pip is called to fill the engine's environment, and what its failures mean to people."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from typing import Dict, List

from ..engine.errors import DiskFull, EngineError, InputMissing
from . import environment

# Settings of pip that say where packages come from; others could lead the installation elsewhere.
_KEPT = (
    'PIP_CACHE_DIR',
    'PIP_CERT',
    'PIP_CLIENT_CERT',
    'PIP_CONFIG_FILE',
    'PIP_DEFAULT_TIMEOUT',
    'PIP_EXTRA_INDEX_URL',
    'PIP_FIND_LINKS',
    'PIP_INDEX_URL',
    'PIP_KEYRING_PROVIDER',
    'PIP_PROXY',
    'PIP_RETRIES',
    'PIP_TIMEOUT',
    'PIP_TRUSTED_HOST',
)
_OR_WHEELS = 'or install from a folder of wheels (parameter WHEELS).'
# The first that fits counts: without a connection, pip also says that there is no such package.
_CAUSES = (
    (
        r'No space left on device|Errno 28\b|not enough space on the disk',
        DiskFull,
        'The disk is full. The engine takes about 2 GB in the QGIS profile, with GPU support 9 GB.',
    ),
    (
        r'ProxyError|407 Proxy|Tunnel connection failed|Cannot connect to proxy',
        EngineError,
        'The packages cannot be downloaded because of the proxy. Set the environment variable HTTPS_PROXY to its '
        f'address, with user name and password if it asks for them, {_OR_WHEELS}',
    ),
    (
        r'CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError|TLS CA certificate',
        EngineError,
        'The packages cannot be downloaded because the certificate of the server is not trusted. Where an organisation '
        f'inspects the traffic, set the environment variable PIP_CERT to its certificate, {_OR_WHEELS}',
    ),
    (
        r'NewConnectionError|NameResolution|ConnectTimeout|Read ?timed ?out|Connection (refused|reset|broken)|'
        r'unreachable|name resolution|Max retries',
        EngineError,
        f'The packages cannot be downloaded: no connection to the package index. Check the network, {_OR_WHEELS}',
    ),
)


@dataclasses.dataclass(frozen=True)
class Options:
    """How to install.

    Attributes:
        cache: folder where pip keeps what it downloads; empty: its own.
        wheels: folder with wheels to install from, without any network; empty: from the package index.
        gpu: TensorFlow for NVIDIA GPUs.
    """

    cache: str = ''
    wheels: str = ''
    gpu: bool = False


def requirements(gpu: bool, numpy_version: str) -> List[str]:
    """What to install.

    Args:
        gpu: with TensorFlow for NVIDIA GPUs.
        numpy_version: of QGIS' Python, whose GDAL was built with it; its major version is kept. Empty: not known.
    """
    lines = [line.partition('#')[0].strip() for line in environment.REQUIREMENTS.read_text('utf-8').splitlines()]
    wanted = [line for line in lines if line and not (numpy_version and line.startswith('numpy'))]
    if numpy_version:
        major = int(numpy_version.partition('.')[0])
        wanted.append(f'numpy>={major},<{major + 1}')
    if gpu:
        wanted = [re.sub(r'^tensorflow(-cpu)?\b', 'tensorflow[and-cuda]', line) for line in wanted]
    return wanted


def command(python: str, wanted: List[str], options: Options) -> List[str]:
    """The command that installs the requirements into the environment of an interpreter."""
    start = [python, '-m', 'pip', 'install', '--no-input', '--progress-bar', 'off']
    cache = ['--cache-dir', options.cache] if options.cache else []
    wheels = ['--no-index', '--find-links', options.wheels] if options.wheels else []
    return start + cache + wheels + wanted


def variables(options: Options) -> Dict[str, str]:
    """Environment variables for pip: the user's proxy, index and certificates, but nothing that leads elsewhere."""
    common = {**environment.child_environment(), 'PIP_USER': '0', 'PIP_DISABLE_PIP_VERSION_CHECK': '1'}
    if options.wheels:  # configuration files could name further places
        return {**common, 'PIP_CONFIG_FILE': os.devnull}
    return {**common, **{key: os.environ[key] for key in _KEPT if key in os.environ}}


def explain(output: List[str], options: Options) -> EngineError:
    """What to say when pip failed.

    Args:
        output: the lines it printed.
        options: what it was asked for.
    """
    text = '\n'.join(output)
    for pattern, error, message in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return error(message)
    missing = re.search(r'No matching distribution found for ([^\s;]+)', text)
    if missing:
        fits = f'for Python {sys.version_info[0]}.{sys.version_info[1]} on this system'
        if options.wheels and missing[1].startswith('setuptools'):  # which builds what is there as source
            return InputMissing(
                f'{options.wheels}: holds packages as source, which cannot be installed without a network. Make the '
                f'folder with "pip wheel -r {environment.REQUIREMENTS.name} -w FOLDER", not with "pip download".'
            )
        if options.wheels:
            return InputMissing(f'{options.wheels}: no wheel of {missing[1]} {fits}. Put one there.')
        return EngineError(
            f'There is no package {missing[1]} {fits}. Name another Python that has TensorFlow and GDAL under '
            f'{environment.OPTION}.'
        )
    last = [line for line in output if line.startswith('ERROR')] or output or ['no message']
    return EngineError(f'The engine could not be installed. pip says: {last[-1]}')
