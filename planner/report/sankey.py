"""The sourced layers as a Sankey picture: country of the source, layer, delivery period."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from planner.report.wording import origin_colour, period
from planner.results import LayerSource

K = TypeVar("K")
#: From the mine to the screen.
ORDER = (
    "mining", "refining", "cathode", "anode", "electrolyte", "separator", "cell", "pack", "container", "conversion",
    "control_software",
)  # fmt: skip
WIDTH, BAR = 960.0, 14.0
_COLUMNS = (205.0, 490.0, 830.0)
_HEIGHT, _GAP, _TOP = 560.0, 7.0, 24.0
#: Height of a line of words.
_LINE = 14.0
#: Ribbons thinner than this (in units of the picture) are left out.
_THIN = 0.05


@dataclass(frozen=True)
class Bar:
    """A node: place, size, words, and where the words stand."""

    x: float
    y: float
    height: float
    label: str
    energy_mwh: float
    colour: str
    text_x: float
    text_y: float
    anchor: str


@dataclass(frozen=True)
class Ribbon:
    """A flow between two nodes, as the path of its outline."""

    path: str
    colour: str
    title: str


@dataclass(frozen=True)
class Picture:
    """Everything that the page draws."""

    width: float
    height: float
    bars: tuple[Bar, ...]
    ribbons: tuple[Ribbon, ...]


def source_label(row: LayerSource) -> str:
    """Country of a source; what Chinese firms own elsewhere is named so."""
    if row.country == "China":
        return "China"
    owned = row.owner_country == "China"
    return f"{row.country}, Chinese-owned" if owned else row.country


def sankey(rows: Sequence[LayerSource]) -> Picture | None:
    """Lay out the picture; None where a plan has no sources.

    Parameters
    ----------
    rows
        ``sourced_layers`` of a plan.

    Returns
    -------
    Picture or None
        In units of its own width; every layer of a period is as tall as its usable MWh.
    """
    if not rows:
        return None
    periods = list(dict.fromkeys(r.period for r in rows))
    seen = [n for n in ORDER if any(r.layer == n for r in rows)]
    layers = [*seen, *sorted({r.layer for r in rows} - set(ORDER))]
    sums: dict[str, float] = {}
    for r in rows:
        sums[source_label(r)] = sums.get(source_label(r), 0.0) + r.energy_mwh
    countries = sorted(sums, key=lambda k: (k != "China", "Chinese-owned" not in k, -sums[k]))
    most = max(len(countries), len(layers), len(periods))
    scale = (_HEIGHT - _GAP * (most - 1)) / sum(sums.values())
    by_layer = _totals((r.layer, r.energy_mwh) for r in rows)
    by_period = _totals((r.period, r.energy_mwh) for r in rows)
    left = _column(0, countries, sums, scale)
    middle = _column(1, layers, by_layer, scale)
    right = _column(2, [*sorted(periods)], by_period, scale)
    first = _totals(((source_label(r), r.layer), r.energy_mwh) for r in rows)
    second = _totals(((r.layer, r.period, source_label(r)), r.energy_mwh) for r in rows)
    ribbons = [*_first(first, countries, layers, left, middle, scale)]
    ribbons += _second(second, countries, layers, sorted(periods), middle, right, scale)
    bars = [*left.values(), *middle.values(), *right.values()]
    height = max(max(b.y + b.height, b.text_y) for b in bars) + 10.0
    return Picture(WIDTH, height, tuple(bars), tuple(ribbons))


def _totals(pairs: Iterable[tuple[K, float]]) -> dict[K, float]:
    found: dict[K, float] = {}
    for key, value in pairs:
        found[key] = found.get(key, 0.0) + value
    return found


def _colour(country: str) -> str:
    return origin_colour("China" if "Chinese-owned" in country else country)


def _column(number: int, names: Sequence[str], sums: Mapping[str, float], scale: float) -> dict[str, Bar]:
    """Bars of one column from the top down."""
    bars, y, last = {}, _TOP, 0.0
    x = _COLUMNS[number]
    for name in names:
        height = sums[name] * scale
        text_x, anchor = ((x - 8, "end"), (x + BAR + 8, "start"), (x + BAR + 8, "start"))[number]
        label = period(name) if number == 2 else name.replace("_", " ")
        colour = _colour(name) if number == 0 else "#777d86"
        last = max(last + _LINE, y + height / 2 + 4)  # words of thin bars must not lie on each other
        bars[name] = Bar(x, y, height, label, sums[name], colour, text_x, last, anchor)
        y += height + _GAP
    return bars


def _first(
    flows: Mapping[tuple[str, str], float], countries: Sequence[str], layers: Sequence[str],
    left: Mapping[str, Bar], middle: Mapping[str, Bar], scale: float,
) -> Iterable[Ribbon]:  # fmt: skip
    """From countries to layers."""
    out = {k: b.y for k, b in left.items()}
    into = {k: b.y for k, b in middle.items()}
    for country in countries:
        for layer in layers:
            thick = flows.get((country, layer), 0.0) * scale
            if thick > _THIN:
                title = f"{country}, {layer.replace('_', ' ')}: {flows[country, layer]:,.0f} MWh"
                yield _ribbon(0, out[country], into[layer], thick, _colour(country), title)
                out[country] += thick
                into[layer] += thick


def _second(
    flows: Mapping[tuple[str, str, str], float], countries: Sequence[str], layers: Sequence[str],
    periods: Sequence[str], middle: Mapping[str, Bar], right: Mapping[str, Bar], scale: float,
) -> Iterable[Ribbon]:  # fmt: skip
    """From layers to periods, in the colours of the countries."""
    out = {k: b.y for k, b in middle.items()}
    into = {k: b.y for k, b in right.items()}
    for layer in layers:
        for country in countries:
            for when in periods:
                thick = flows.get((layer, when, country), 0.0) * scale
                if thick > _THIN:
                    title = (
                        f"{country}, {layer.replace('_', ' ')}, {period(when)}: {flows[layer, when, country]:,.0f} MWh"
                    )
                    yield _ribbon(1, out[layer], into[when], thick, _colour(country), title)
                    out[layer] += thick
                    into[when] += thick


def _ribbon(number: int, y1: float, y2: float, thick: float, colour: str, title: str) -> Ribbon:
    x1, x2 = _COLUMNS[number] + BAR, _COLUMNS[number + 1]
    half = (x1 + x2) / 2
    path = f"M{x1:.1f} {y1:.2f}C{half:.1f} {y1:.2f} {half:.1f} {y2:.2f} {x2:.1f} {y2:.2f}"
    path += (
        f"L{x2:.1f} {y2 + thick:.2f}C{half:.1f} {y2 + thick:.2f} {half:.1f} {y1 + thick:.2f} {x1:.1f} {y1 + thick:.2f}Z"
    )
    return Ribbon(path, colour, title)
