"""What a dataset holds, as a page and as lines for the log.

Both are made of the values that `datasets.contents.contents` gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from . import html

_STATISTICS = ('mean', 'stddev', 'minimum', 'maximum')
_BAND_HEADER = ('Band', 'No-data', 'Mean', 'Std. dev.', 'Minimum', 'Maximum')


def dataset_report(found: dict[str, Any], checked: str, problems: Sequence[tuple[str, str]], sheet: bytes = b'') -> str:
    """The report as HTML.

    Args:
        found: what the dataset holds.
        checked: how it was checked, as in ``quick check``.
        problems: (file, what is wrong with it).
        sheet: a contact sheet as PNG.
    """
    splits = ', '.join(f'{info["count"]} {split}' for split, info in found['splits'].items())
    subtitle = f'{found["count"]} samples as {found["layout"]} · {splits}'
    parts = [_headline(found, checked, problems)]
    if problems:
        rows = [[html.text(path), html.text(words)] for path, words in problems]
        parts.append(html.section('What is wrong', html.text_table(['File', 'Problem'], rows)))
    if found['labels']:
        parts.append(_classes(found))
    parts += [_source(source) for source in found['sources']]
    if sheet:
        parts.append(html.section('Contact sheet', html.picture('samples beside their labels', sheet)))
    parts.append(_about(found))
    name = found['folder'].replace('\\', '/').rstrip('/').rpartition('/')[2]
    return html.page(f'Dataset {name}', subtitle, parts)


def _headline(found: dict[str, Any], checked: str, problems: Sequence[tuple[str, str]]) -> str:
    rows, cols, bands = found['sources'][0]['shape']
    return html.tiles(
        [
            ('samples', html.count(found['count'])),
            ('pixels a patch', f'{cols} × {rows}'),
            ('bands', str(bands)),
            ('classes', str(len(found['classes']))),
            ('on disk', _size(found['bytes'])),
            (f'problems, {checked}', str(len(problems))),
        ]
    )


def _classes(found: dict[str, Any]) -> str:
    """A bar and a column of numbers for each split."""
    classes, splits = found['classes'], found['splits']
    rows = []
    for i, item in enumerate(classes):
        name = html.class_name(_class_label(item), item['colour'])
        rows.append([name, *(_share(info['pixels'][i], info['total']) for info in splits.values())])
    rows.append(['No label', *(_share(info['gap'], info['total']) for info in splits.values())])
    rows.append(['All pixels', *(html.count(info['total']) for info in splits.values())])
    rows.append(['Samples', *(html.count(info['count']) for info in splits.values())])
    bars = ''
    for split, info in splits.items():
        named = [(_class_label(item), item['colour'], number) for item, number in zip(classes, info['pixels'])]
        bars += html.heading(split) + html.share_bar([*named, ('no label', '', info['gap'])])
    legend = html.legend([(_class_label(item), item['colour']) for item in classes])
    return html.section('Classes', bars, legend, html.heading('Pixels'), html.table(['Class', *splits], rows))


def _source(source: dict[str, Any]) -> str:
    facts = [
        ('Patches', _form(source)),
        ('Pixel size', _pair(source['pixel_size'])),
        ('No-data policy', source['nodata_policy']),
        ('Rasters', ', '.join(source['rasters']) or 'unknown'),
    ]
    rows = [[html.text(cell) for cell in cells] for cells in _bands(source)]
    table = html.table(_BAND_HEADER, rows)
    note = html.note('Over pixels with data of the training samples; over all samples where none is for training.')
    return html.section(f'Source {source["name"]}', html.facts(facts), html.heading('Bands'), table, note)


def _about(found: dict[str, Any]) -> str:
    packed = '' if found['compression'] == 'none' else f', {found["compression"]}'
    facts: list[tuple[str, object]] = [
        ('Folder', found['folder']),
        ('Layout', found['layout'] + packed),
        ('Files of samples', html.count(found['files'])),
        ('CRS', found['crs']),
        ('Extent', _place(found['extent'])),
        ('Images', ', '.join(found['images'])),
        ('Fingerprint', found['fingerprint']),
    ]
    labels = found['labels']
    if labels:
        facts.insert(2, ('Labels', f'{labels["name"]}: {_form(labels)}; without label: {labels["unlabelled"]}'))
    if found['foreign']:
        facts.append(('Manifest', 'none; what stands here was found in the files'))
    return html.section('About', html.facts(facts))


def dataset_lines(found: dict[str, Any]) -> Iterator[str]:
    """The essentials, for the log."""
    packed = '' if found['compression'] == 'none' else f', {found["compression"]}'
    files = f'{found["files"]} file{"s" if found["files"] > 1 else ""}'
    yield f'{found["count"]} samples as {found["layout"]}{packed}: {files}, {_size(found["bytes"])}'
    yield f'CRS {found["crs"]}, extent {_place(found["extent"])}'
    yield f'Fingerprint {found["fingerprint"]}'
    for source in found['sources']:
        yield (
            f'Source {source["name"]}: {_form(source)}, pixels of {_pair(source["pixel_size"])}, no-data '
            f'policy {source["nodata_policy"]}'
        )
        yield from _text_table([_BAND_HEADER, *_bands(source)])
    labels = found['labels']
    if labels:
        yield f'Labels {labels["name"]}: {_form(labels)}, pixels without label have the value {labels["unlabelled"]}'
    header = ['Split', 'Samples']
    rows = [[split, str(info['count'])] for split, info in found['splits'].items()]
    if labels:
        header += [*map(_class_label, found['classes']), 'No label']
        for row, info in zip(rows, found['splits'].values()):
            row += [f'{pixels} ({pixels / max(info["total"], 1):.1%})' for pixels in (*info['pixels'], info['gap'])]
    yield from _text_table([header, *rows])


def _text_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of text whose columns stand below one another: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for first, *rest in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:]))]
        yield ('  ' + '  '.join(cells)).rstrip()


def _bands(source: dict[str, Any]) -> list[list[str]]:
    """A row for each band, as in `_BAND_HEADER`."""
    return [
        [band['name'], band['nodata'] or '–', *(f'{band[key]:.6g}' for key in _STATISTICS)] for band in source['bands']
    ]


def _class_label(item: dict[str, Any]) -> str:
    """What tables call a class: its name, if it has one, and its value."""
    value = str(item['value'])
    return value if item['name'] in ('', value) else f'{item["name"]} ({value})'


def _form(info: dict[str, Any]) -> str:
    """Size and type of patches."""
    rows, cols, bands = info['shape']
    return f'{cols} × {rows} pixels, {bands} band{"s" if bands > 1 else ""}, {info["dtype"]}'


def _pair(sizes: Sequence[float]) -> str:
    """The size of pixels."""
    return ' × '.join(f'{size:g}' for size in sizes) + ' map units' if all(sizes) else 'unknown size'


def _place(extent: Sequence[float] | None) -> str:
    """West, south, east and north."""
    return ', '.join(f'{edge:.10g}' for edge in extent) if extent else 'unknown'


def _size(length: int) -> str:
    """Bytes in the unit that suits them."""
    for power, unit in ((3, 'GB'), (2, 'MB'), (1, 'kB')):
        if length >= 1000**power:
            return f'{length / 1000**power:.1f} {unit}'
    return f'{length} bytes'


def _share(pixels: int, total: int) -> str:
    return f'{html.count(pixels)} <small>({pixels / max(total, 1):.1%})</small>'
