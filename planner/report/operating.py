"""Pictures of an operating year (SVG): a typical week, and how long each flow lasts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Schedule = Mapping[str, FloatArray]

WEEK_H = 168
#: Flow, words and colour; distinguishable without red against green. All but the first two are left out where they are
#: zero all year.
FLOWS = (
    ("load_mw", "load", "#222222"),
    ("import_mw", "import", "#4c78a8"),
    ("discharge_mw", "discharge", "#f58518"),
    ("charge_mw", "charge", "#b279a2"),
    ("renewable_mw", "PV and wind", "#f2cf5b"),
    ("generated_mw", "generators", "#9d755d"),
    ("curtailed_mw", "load shed", "#ff9da6"),
    ("export_mw", "export", "#72b7b2"),
)
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 860.0, 256.0, 56.0, 44.0, 36.0
_POINTS = 400


def typical_week(schedule: Schedule, step_h: float) -> slice:
    """The week whose discharge is the median of all weeks."""
    steps = round(WEEK_H / step_h)
    weeks = max(1, len(schedule["load_mw"]) // steps)
    given = [float(schedule["discharge_mw"][w * steps : (w + 1) * steps].sum()) for w in range(weeks)]
    chosen = int(np.argsort(given, kind="stable")[weeks // 2])
    return slice(chosen * steps, (chosen + 1) * steps)


def _flows(schedule: Schedule) -> list[str]:
    """Flows that a picture shows."""
    return [name for k, (name, _, _) in enumerate(FLOWS) if k < 2 or float(np.abs(schedule[name]).max(initial=0.0)) > 0]


def week_svg(schedule: Schedule, step_h: float) -> str:
    """Power over a typical week, and below it the energy in store."""
    part = typical_week(schedule, step_h)
    first = round(part.start * step_h / 24) % 365
    lines = {name: np.asarray(schedule[name][part]) for name in _flows(schedule)}
    power = _chart(lines, "MW", f"days from day {first + 1} of the year", WEEK_H / 24)
    stored = {"stored_mwh": np.asarray(schedule["stored_mwh"][part])}
    return power + _chart(stored, "MWh", "energy in store", WEEK_H / 24)


def duration_svg(schedule: Schedule) -> str:
    """Each flow from its largest hour to its smallest."""
    lines = {name: -np.sort(-np.asarray(schedule[name])) for name in _flows(schedule)}
    return _chart(lines, "MW", "percent of the year", 100.0)


def _chart(lines: Mapping[str, FloatArray], unit: str, below: str, last: float) -> str:
    most = max((float(v.max(initial=0.0)) for v in lines.values()), default=1.0) or 1.0
    wide, high = _WIDTH - _LEFT - 12, _HEIGHT - _TOP - _BOTTOM
    known = {name: (words, colour) for name, words, colour in FLOWS}
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img"'
        f' font-family="sans-serif" font-size="12"><title>{escape(below)}</title>'
    ]
    digits = 1 if most < 20 else 0
    for tick in np.linspace(0.0, most, 5):
        y = _TOP + high * (1.0 - tick / most)
        out.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + wide}" y2="{y:.1f}" stroke="#dddddd"/>')
        out.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:,.{digits}f}</text>')
    for part in np.linspace(0.0, 1.0, 8 if last == 7 else 6):
        x = _LEFT + wide * part
        out.append(f'<text x="{x:.1f}" y="{_HEIGHT - 20}" text-anchor="middle">{part * last:.0f}</text>')
    out.append(f'<text x="6" y="{_TOP - 8}">{unit}</text>')
    out.append(f'<text x="{_LEFT + wide}" y="{_HEIGHT - 3}" text-anchor="end">{escape(below)}</text>')
    x = _LEFT
    for name, values in lines.items():
        words, colour = known.get(name, ("stored", "#54a24b"))
        if len(lines) > 1:
            out.append(f'<rect x="{x:.0f}" y="10" width="12" height="12" fill="{colour}"/>')
            out.append(f'<text x="{x + 16:.0f}" y="21">{words}</text>')
            x += 34 + 7.0 * len(words)
        at = np.linspace(0, len(values) - 1, min(len(values), _POINTS)).round().astype(int)
        across = _LEFT + wide * at / max(1, len(values) - 1)
        down = _TOP + high * (1.0 - values[at] / most)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, down, strict=True))
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    out.append("</svg>")
    return "".join(out)
