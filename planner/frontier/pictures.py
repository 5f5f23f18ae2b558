"""Pictures of a front: Plotly figures for a page, and the same as SVG without a browser.

Everything is computed once as plain series (``front_series``, ``stack_series``, ``policy_series``);
both drawers only draw.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from planner.frontier.results import Frontier

if TYPE_CHECKING:
    from planner.frontier.portfolio import Traced

#: Readable in print and for colour-blind readers (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#000000")
_X = "China exposure, per unit of required MWh"
_Y = "net present cost, million USD"


class Series(NamedTuple):
    """One thing to draw: ``kind`` is band, step, dots or area; ``low`` only for bands."""

    name: str
    kind: str
    x: list[float]
    y: list[float]
    low: list[float]
    labels: list[str]


def front_series(traced: Traced) -> list[Series]:
    """Certified band, whole-container plans, weights, knee and jumps of one front."""
    f = traced.frontier
    name = f.scenario or f.case
    e = [b.exposure_frac for b in f.band]
    series = [
        Series(f"{name}: certified band", "band", e, *_edges(f), []),
        Series(
            f"{name}: whole containers", "dots", [p.exposure_frac for p in f.points], [p.cost_musd for p in f.points],
            [],
            [p.role for p in f.points],
        ),
    ]  # fmt: skip
    chosen = [(w.theta, f.points[w.point]) for w in f.weights]
    series.append(
        Series(
            f"{name}: theta", "theta", [p.exposure_frac for _, p in chosen], [p.cost_musd for _, p in chosen], [],
            [f"{t:g}" for t, _ in chosen],
        )
    )  # fmt: skip
    if f.knee is not None:
        knee = f.points[f.knee]
        series.append(Series(f"{name}: knee", "knee", [knee.exposure_frac], [knee.cost_musd], [], ["knee"]))
    different = {
        j.words: j for j in sorted(f.jumps, key=lambda j: j.cost_below_musd - j.cost_at_musd)
    }  # tallest of each
    tall = sorted(different.values(), key=lambda j: j.cost_at_musd - j.cost_below_musd)[:4]
    tall.sort(key=lambda j: j.exposure_frac)
    series.append(
        Series(
            f"{name}: jumps", "jump", [j.exposure_frac for j in tall],
            [(j.cost_below_musd + j.cost_at_musd) / 2 for j in tall], [], [j.words for j in tall],
        )
    )  # fmt: skip
    return series


def _edges(front: Frontier) -> tuple[list[float], list[float]]:
    """Upper and lower edge of the certified band."""
    return [b.attained_musd for b in front.band], [b.bound_musd for b in front.band]


def stack_series(traced: Traced, by: str) -> list[Series]:
    """MWh of storage bought along the front, stacked by ``origin``, ``chemistry`` or ``supplier``.

    Fuel and firm contracts are left out: their MWh in one outage would dwarf what is stored.
    """
    x = [p.exposure_frac for p in traced.frontier.points]
    storage = {o.offer for o in traced.problem.offers if o.is_storage}
    kinds: dict[str, list[float]] = {}
    for i, plan in enumerate(traced.plans):
        for order in plan.orders:
            if order.offer not in storage:
                continue
            kinds.setdefault(str(getattr(order, by)), [0.0] * len(x))[i] += order.energy_mwh
    ranked = sorted(kinds.items(), key=lambda item: -sum(item[1]))
    return [Series(name, "area", x, y, [], []) for name, y in ranked if max(y) > 0]


def policy_series(traced: Traced) -> list[Series]:
    """Domestic content, credits (million USD) and delayed load (MW-years) along the front."""
    x = [p.exposure_frac for p in traced.frontier.points]
    years = {p.label: p.years for p in traced.problem.periods}
    target = {p.label: p.target_mw for p in traced.problem.periods}
    content = [plan.domestic_content_frac.get("all") or 0.0 for plan in traced.plans]
    credits = [plan.public_musd["tax_credits"] for plan in traced.plans]
    delay = [sum((target[p] - mw) * years[p] for p, mw in plan.served_mw.items()) for plan in traced.plans]
    return [
        Series("domestic content, share", "line", x, content, [], []),
        Series("tax credits, million USD", "line", x, credits, [], []),
        Series("load delayed, MW-years", "line", x, delay, [], []),
    ]


def front_figure(traced: Sequence[Traced]) -> Any:
    """Plotly figure of one or several fronts."""
    from plotly import graph_objects as go  # noqa: PLC0415 - only where pictures are drawn

    figure = go.Figure()
    for number, one in enumerate(traced):
        colour = COLOURS[number % len(COLOURS)]
        for s in front_series(one):
            if s.kind == "band":
                figure.add_scatter(x=s.x, y=s.low, line={"width": 0}, showlegend=False, hoverinfo="skip")
                figure.add_scatter(x=s.x, y=s.y, name=s.name, fill="tonexty", line={"color": colour, "width": 1})
                continue
            symbol = {"dots": "circle", "theta": "diamond-open", "knee": "star", "jump": "line-ns-open"}[s.kind]
            size = {"dots": 5, "theta": 11, "knee": 16, "jump": 14}[s.kind]
            text = [f"{s.kind} {label}".strip() for label in s.labels]
            figure.add_scatter(
                x=s.x, y=s.y, name=s.name, text=text, mode="markers",
                marker={"symbol": symbol, "size": size, "color": colour},
            )  # fmt: skip
    return figure.update_layout(xaxis_title=_X, yaxis_title=_Y, template="plotly_white")


def stack_figure(traced: Traced, by: str) -> Any:
    """Plotly figure of the portfolio along the front, stacked by origin, chemistry or supplier."""
    from plotly import graph_objects as go  # noqa: PLC0415

    figure = go.Figure()
    for number, s in enumerate(stack_series(traced, by)):
        colour = COLOURS[number % len(COLOURS)]
        figure.add_scatter(x=s.x, y=s.y, name=s.name, stackgroup="one", line={"color": colour})
    return figure.update_layout(xaxis_title=_X, yaxis_title="storage bought, MWh usable AC", template="plotly_white")


def policy_figure(traced: Traced) -> Any:
    """Plotly figure of domestic content, credits and delay along the front, one above the other."""
    from plotly.subplots import make_subplots  # noqa: PLC0415

    series = policy_series(traced)
    figure = make_subplots(rows=len(series), cols=1, shared_xaxes=True, subplot_titles=[s.name for s in series])
    for row, s in enumerate(series, start=1):
        figure.add_scatter(x=s.x, y=s.y, name=s.name, row=row, col=1, line={"color": COLOURS[row - 1]})
    return figure.update_layout(template="plotly_white", showlegend=False).update_xaxes(
        title=_X, row=len(series), col=1
    )


def static_pictures(traced: Sequence[Traced]) -> dict[str, str]:
    """SVG texts by name: ``front``, and for a single front ``by_origin``, ``by_chemistry`` and ``policy``."""
    pictures = {"front": _svg_front(traced)}
    if len(traced) == 1 and len(traced[0].plans) > 1:
        for by in ("origin", "chemistry"):
            pictures[f"by_{by}"] = _svg_stack(traced[0], by)
        pictures["policy"] = _svg_policy(traced[0])
    return pictures


def _canvas(rows: int = 1) -> tuple[Any, Any]:
    """A matplotlib figure that needs no display."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9, 5.2 if rows == 1 else 2.4 * rows), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True)
    for axis in [axes] if rows == 1 else axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    return figure, axes


def _svg(figure: Any) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _svg_front(traced: Sequence[Traced]) -> str:
    figure, axis = _canvas()
    for number, one in enumerate(traced):
        colour = COLOURS[number % len(COLOURS)]
        for s in front_series(one):
            if s.kind == "band":
                axis.fill_between(s.x, s.low, s.y, color=colour, alpha=0.35, linewidth=0, label=s.name)
                axis.plot(s.x, s.y, color=colour, linewidth=1)
            elif s.kind == "jump":
                _label_jumps(axis, s, colour)
            elif s.x:
                marker = {"dots": ".", "theta": "D", "knee": "*"}[s.kind]
                size = {"dots": 5, "theta": 7, "knee": 15}[s.kind]
                face = "none" if s.kind == "theta" else colour
                axis.plot(
                    s.x, s.y, marker, color=colour, markersize=size, markerfacecolor=face, label=s.name,
                    linestyle="none",
                )  # fmt: skip
    axis.set_xlabel(_X)
    axis.set_ylabel(_Y)
    axis.legend(frameon=False, fontsize=8)
    return _svg(figure)


def _label_jumps(axis: Any, s: Series, colour: str) -> None:
    """Jumps get a letter in the picture and their words below it."""
    from textwrap import shorten  # noqa: PLC0415

    for letter, x, y, words in zip("ABCD", s.x, s.y, s.labels, strict=False):
        axis.annotate(letter, (x, y), xytext=(8, 4), textcoords="offset points", color=colour, fontweight="bold")
        axis.plot([], [], " ", label=f"{letter}  {shorten(words.replace('$', ''), 90)}")


def _svg_stack(traced: Traced, by: str) -> str:
    figure, axis = _canvas()
    series = stack_series(traced, by)
    axis.stackplot(
        series[0].x, [s.y for s in series], labels=[s.name for s in series],
        colors=[COLOURS[i % len(COLOURS)] for i in range(len(series))], alpha=0.85,
    )  # fmt: skip
    axis.set_xlabel(_X)
    axis.set_ylabel("storage bought, MWh usable AC")
    # In the order of the areas, beside them: wherever it stood inside it would hide some.
    handles, names = axis.get_legend_handles_labels()
    axis.legend(handles[::-1], names[::-1], frameon=False, fontsize=8, title=by, bbox_to_anchor=(1.0, 1.0))
    return _svg(figure)


def _svg_policy(traced: Traced) -> str:
    series = policy_series(traced)
    figure, axes = _canvas(len(series))
    for number, (axis, s) in enumerate(zip(axes, series, strict=True)):
        axis.plot(s.x, s.y, color=COLOURS[number])
        axis.set_title(s.name, fontsize=9, loc="left")
    axes[-1].set_xlabel(_X)
    return _svg(figure)
