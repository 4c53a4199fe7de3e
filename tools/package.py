"""Build the plugin zip: dist/quadrat.zip with one top folder `quadrat/`, holding what git tracks and users need."""

from __future__ import annotations

import pathlib
import subprocess
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHIPPED = ('metadata.txt', '__init__.py', '__main__.py', 'README.md', 'CHANGELOG.md', 'LICENSE')
FOLDERS = ('plugin/', 'algorithms/', 'engine/', 'resources/')
LIMIT = 25_000_000  # bytes; what the plugin site takes


def main() -> None:
    tracked = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split('\0')  # fmt: skip
    names = sorted(n for n in tracked if n and (n in SHIPPED or n.startswith(FOLDERS)) and (ROOT / n).is_file())
    absent = [name for name in SHIPPED if name not in names]
    if absent:
        raise SystemExit(f'Missing from the tree: {", ".join(absent)}')
    target = ROOT / 'dist/quadrat.zip'
    target.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(target, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            # A fixed time, so that the same tree gives the same zip.
            entry = zipfile.ZipInfo(f'quadrat/{name}', (2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, (ROOT / name).read_bytes())
    size = target.stat().st_size
    if size >= LIMIT:
        raise SystemExit(f'{target} has {size / 1e6:.1f} MB; the plugin site takes less than {LIMIT / 1e6:.0f}.')
    print(f'{target.relative_to(ROOT)}: {len(names)} files, {size / 1e6:.2f} MB')


if __name__ == '__main__':
    main()
