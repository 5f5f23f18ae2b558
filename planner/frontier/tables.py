"""A front on one screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from planner.frontier.results import Frontier, FrontierPoint
from planner.terminal import plain

_SHOWN_POINTS = 24
_SHOWN_JUMPS = 8


def print_frontier(front: Frontier, console: Console) -> None:
    """Print a front: certificate, points, jumps, weights, and how to read them."""
    name = f"{front.case}, scenario {front.scenario}" if front.scenario else front.case
    console.print(Text(plain(f"{name}: cost against China exposure by {front.measure}, firm resources {front.firm}")))
    certificate = (
        f"Certified: {front.uncovered_frac:.2%} of the area between the two ends is uncovered with containers in"
        f" fractions, {front.uncovered_whole_frac:.2%} with whole ones ({front.solves} solves,"
        f" {front.timing_s.get('total', 0.0):.0f} s). Status: {front.status}."
    )
    console.print(Text(certificate))
    _table(console, "Plans on the front", _HEADINGS, [_cells(i, p) for i, p in _some(front)])
    if len(front.points) > _SHOWN_POINTS:
        console.print(Text(f"{len(front.points)} plans in all: frontier.csv has every one."))
    tall = sorted(front.jumps, key=lambda j: j.cost_at_musd - j.cost_below_musd)[:_SHOWN_JUMPS]
    rows = [
        (f"{j.exposure_frac:.4f}", f"{j.cost_below_musd - j.cost_at_musd:,.2f}", j.words)
        for j in sorted(tall, key=lambda j: j.exposure_frac)
    ]
    _table(console, "Jumps", (">exposure", ">million USD", "what changes below it"), rows)
    picked = [(f"{w.theta:g}", str(w.point), f"{front.points[w.point].exposure_frac:.4f}") for w in front.weights]
    _table(console, "Weights: what each theta picks", (">theta", ">point", ">exposure"), picked)
    reach = (
        f"No theta reaches {len(front.unreached)} stretches; they hold {front.unreached_saving_frac:.0%} of the saving."
    )
    for text in (reach, front.knee_words, front.least_exposure_words, front.break_even_words, *front.findings[:8]):
        console.print(Text(plain(text, 1000)))


_HEADINGS = (
    ">point", ">exposure", ">million USD", ">gap", "role", ">price left", ">price right", ">cut-off pays from",
    ">public USD/MWh",
)  # fmt: skip


def _some(front: Frontier) -> list[tuple[int, FrontierPoint]]:
    """All points, or the ends, the knee, what the weights pick, and evenly spread others."""
    count = len(front.points)
    if count <= _SHOWN_POINTS:
        return list(enumerate(front.points))
    kept = {0, count - 1, *(w.point for w in front.weights)} | ({front.knee} if front.knee is not None else set())
    even = [round(k * (count - 1) / (_SHOWN_POINTS - 1)) for k in range(_SHOWN_POINTS)]
    kept |= set(even[: max(2, _SHOWN_POINTS - len(kept))])
    return [(i, front.points[i]) for i in sorted(kept)]


def _cells(i: int, p: FrontierPoint) -> tuple[str, ...]:
    def shown(value: float | None, pattern: str) -> str:
        return "-" if value is None else format(value, pattern)

    pays = "never" if p.cutoff_break_even_frac_per_yr is None else f"{p.cutoff_break_even_frac_per_yr:.2%}/yr"
    return (
        str(i), f"{p.exposure_frac:.4f}", f"{p.cost_musd:,.2f}", f"{p.gap_frac:.2%}", p.role,
        shown(p.price_left_musd, ",.2f"), shown(p.price_right_musd, ",.2f"), pays, shown(p.public_usd_per_mwh, ",.0f"),
    )  # fmt: skip


def print_comparison(rows: Sequence[dict[str, object]], console: Console) -> None:
    """Print the table of several fronts."""
    columns = list(rows[0])
    cells = [
        [f"{v:,.4g}" if isinstance(v, float) else "-" if v is None else str(v) for v in row.values()] for row in rows
    ]
    shown = [(k, column) for k, column in enumerate(columns) if column != "front"]
    lines = [(column.replace("_", " "), *(line[k] for line in cells)) for k, column in shown]
    _table(console, "Fronts compared", ("figure", *(f">{row['front']}" for row in rows)), lines)


def _table(console: Console, title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for heading in headings:
        right = heading.startswith(">")
        table.add_column(Text(plain(heading.removeprefix(">"))), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell, 300)) for cell in row))
    if table.row_count:
        console.print()
        console.print(Text(title, style="bold"))
        console.print(table)
