"""Tables of classes, QGIS styles, colours."""

from __future__ import annotations

import pytest

from quadrat.engine.classes import PALETTE, complete, merge, parse_colour, read_csv, read_qml, sidecar
from quadrat.engine.errors import InputMissing, InputUnreadable
from quadrat.engine.jobs import ClassDef


@pytest.mark.parametrize(
    'text, expected',
    [
        (
            'value,name,colour\n0,background,#FFFFFF\n-3,"wood, dense",\n',
            [(0, 'background', '#ffffff'), (-3, 'wood, dense', '')],
        ),
        ('\ufeffvalue;label;color\n1;Wald;00ff00\n', [(1, 'Wald', '#00ff00')]),
        ('name\tvalue\nwater\t41\n\n', [(41, 'water', '')]),
        ('11,field\n12\n', [(11, 'field', ''), (12, '', '')]),
        ('colour,value\n"1,2,255",7\n', [(7, '', '#0102ff')]),
    ],
)
def test_tables_of_many_habits(tmp_path, text, expected):
    (tmp_path / 'c.csv').write_text(text, encoding='utf-8')
    assert [(c.value, c.name, c.colour) for c in read_csv(str(tmp_path / 'c.csv'))] == expected


@pytest.mark.parametrize(
    'text, words',
    [
        ('value,name\nx,1\n', "line 2: 'x' is no whole number"),
        ('value,name,colour\n1,a,red-ish\n', "line 2: colour 'red-ish'"),
        ('1,a\n1,b\n', 'line 2: value 1 stands there twice'),
        ('value,name\n', 'no classes in it'),
        ('', 'no classes in it'),
    ],
)
def test_mistakes_are_named_by_line(tmp_path, text, words):
    (tmp_path / 'c.csv').write_text(text)
    with pytest.raises(InputUnreadable, match=words):
        read_csv(str(tmp_path / 'c.csv'))


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(InputMissing):
        read_csv(str(tmp_path / 'gone.csv'))
    (tmp_path / 'c.csv').write_bytes(b'\xff\xfe\x00\x81')
    with pytest.raises(InputUnreadable, match='cannot be read'):
        read_csv(str(tmp_path / 'c.csv'))


def test_styles_that_are_not_paletted_name_nothing(tmp_path):
    style = tmp_path / 'a.qml'
    style.write_text(
        '<qgis><rasterrenderer type="singlebandgray"/><paletteEntry value="1" label="x" color="#000000"/></qgis>'
    )
    assert read_qml(str(style)) == ()
    assert sidecar(str(tmp_path / 'a.tif')) == str(style) and sidecar(str(tmp_path / 'b.tif')) is None


def test_completion_and_merging():
    named = merge([ClassDef(3, 'water')], [ClassDef(3, 'lake', '#0000ff'), ClassDef(5, '', PALETTE[0])])
    assert named == (ClassDef(3, 'water', '#0000ff'), ClassDef(5, '', PALETTE[0]))
    found = complete([9, 3, 5], named)
    assert [(c.value, c.name, c.colour) for c in found] == [
        (9, '9', PALETTE[1]),
        (3, 'water', '#0000ff'),
        (5, '5', PALETTE[0]),
    ]
    many = complete(range(50), ())
    assert len({c.colour for c in many}) == len(PALETTE) and all(parse_colour(c.colour) == c.colour for c in many)
