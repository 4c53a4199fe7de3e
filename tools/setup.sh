#!/usr/bin/env bash
# Everything that the demo and the tests need: Debian packages where they are missing, and an engine environment in
# build/venv. May be run again at any time; it does only what is left to do.
set -euo pipefail
cd "$(dirname "$0")/.."

# program -> package
missing=()
command -v qgis_process.bin >/dev/null || command -v qgis_process >/dev/null || missing+=(qgis)
/usr/bin/python3 -c 'import qgis.core' 2>/dev/null || missing+=(python3-qgis)
/usr/bin/python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
command -v Xvfb >/dev/null || missing+=(xvfb)
if [ ${#missing[@]} -gt 0 ]; then
    echo "Installing Debian packages: ${missing[*]}"
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}"
fi

# The environment is made again where what it is made of has changed.
stamp=$(cat resources/requirements-engine.txt pyproject.toml | sha256sum | cut -c1-16)
if [ "$(cat build/venv/stamp 2>/dev/null)" != "$stamp" ]; then
    echo "Making the engine's environment in build/venv (a minute or two)"
    rm -rf build/venv
    mkdir -p build
    /usr/bin/python3 -m venv --system-site-packages build/venv
    build/venv/bin/python -m pip install -q --disable-pip-version-check -r resources/requirements-engine.txt
    build/venv/bin/python -m pip install -q --disable-pip-version-check -e '.[dev]'
    echo "$stamp" >build/venv/stamp
fi
mkdir -p build/run
chmod 700 build/run
