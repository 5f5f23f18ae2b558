"""The Sankey picture: as thick as the MWh, nothing lost between its columns, words that do not overlap."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from planner.report.sankey import sankey
from planner.results import LayerSource

ROWS = tuple(
    LayerSource(period=p, layer=layer, source=s, country=c, owner_country=o, energy_mwh=mwh)
    for p, layer, s, c, o, mwh in (
        ("2028-H2", "cathode", "as quoted", "China", "China", 31.7),
        ("2028-H2", "cathode", "a", "Korea", "Korea", 17.9),
        ("2028-H2", "anode", "b", "Indonesia", "China", 49.6),
        ("2030", "cathode", "as quoted", "elsewhere", "elsewhere", 7.3),
        ("2030", "anode", "as quoted", "elsewhere", "China", 7.3),
    )
)  # fmt: skip


def thickness(path: str) -> float:
    """Height of a ribbon at its left end."""
    numbers = [float(x) for x in re.findall(r"-?\d+\.\d+", path)]
    return numbers[-1] - numbers[1]


def test_nothing_is_drawn_without_sources() -> None:
    assert sankey(()) is None


def test_bars_and_ribbons_carry_the_energy() -> None:
    picture = sankey(ROWS)
    assert picture is not None
    total = sum(r.energy_mwh for r in ROWS)
    columns = sorted({b.x for b in picture.bars})
    assert len(columns) == 3
    scale = {x: sum(b.height for b in picture.bars if b.x == x) / total for x in columns}
    assert max(scale.values()) == pytest.approx(min(scale.values()))
    for x in columns:
        assert sum(b.energy_mwh for b in picture.bars if b.x == x) == pytest.approx(total)
    drawn = sum(thickness(r.path) for r in picture.ribbons)
    assert drawn == pytest.approx(2 * total * scale[columns[0]], abs=0.1)
    names = {b.label for b in picture.bars}
    assert {"China", "Indonesia, Chinese-owned", "elsewhere, Chinese-owned", "Korea", "cathode", "2028-H2"} <= names


def test_words_stand_apart_inside_the_picture() -> None:
    thin = tuple(ROWS[0].model_copy(update={"country": f"Land {i}", "energy_mwh": 0.01}) for i in range(19))
    picture = sankey((*ROWS, *thin))
    assert picture is not None
    for x in {b.x for b in picture.bars}:
        lines = sorted(b.text_y for b in picture.bars if b.x == x)
        assert all(b - a >= 13.9 for a, b in pairwise(lines))
    assert all(0 <= b.text_y <= picture.height and 0 <= b.y <= picture.height - b.height for b in picture.bars)
