"""Bridges as a picture (SVG): one bar per quote, stacked from the quoted price to the comparable one."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from planner.bridge import STEPS, Bridge

#: Distinguishable without red against green.
COLOURS = ("#4c78a8", "#9ecae9", "#bab0ac", "#b279a2", "#f2cf5b", "#f58518", "#83bcb6", "#54a24b", "#79706e")
_LEFT, _WIDTH, _RIGHT, _BAR, _GAP = 250.0, 560.0, 90.0, 18.0, 8.0


def svg(bridges: Sequence[Bridge], title: str) -> str:
    """SVG text; steps that lower the price are drawn hatched, from the end of the bar backwards."""
    names = ("quoted", *STEPS)
    highest = max((sum(max(0.0, v) for v in b.steps_usd_per_kwh.values()) for b in bridges), default=1.0) or 1.0
    scale = _WIDTH / highest
    top = 70.0
    height = top + len(bridges) * (_BAR + _GAP) + 40
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + _RIGHT:.0f} {height:.0f}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<defs><pattern id="less" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="3" height="6" fill="#333"/></pattern></defs>',
        f'<text x="10" y="20" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    x = 10.0
    for name, colour in zip(names, COLOURS, strict=True):
        label = name.replace("_", " ")
        out.append(f'<rect x="{x:.0f}" y="34" width="12" height="12" fill="{colour}"/>')
        out.append(f'<text x="{x + 16:.0f}" y="45">{label}</text>')
        x += 30 + 6.6 * len(label)
    for i, one in enumerate(bridges):
        y = top + i * (_BAR + _GAP)
        out.append(f'<text x="{_LEFT - 8:.0f}" y="{y + 13:.1f}" text-anchor="end">{escape(one.offer[:36])}</text>')
        at = _LEFT
        for name, colour in zip(names, COLOURS, strict=True):
            value = one.steps_usd_per_kwh[name]
            wide = abs(value) * scale
            fill = colour if value >= 0 else "url(#less)"
            start = at if value >= 0 else at - wide
            tip = f"<title>{name.replace('_', ' ')}: {value:,.2f} USD/kWh</title>"
            out.append(
                f'<rect x="{start:.2f}" y="{y:.1f}" width="{wide:.2f}" height="{_BAR}" fill="{fill}">{tip}</rect>'
            )
            at += value * scale
        out.append(
            f'<text x="{at + 6:.1f}" y="{y + 13:.1f}" font-weight="bold">{one.comparable_usd_per_kwh:,.1f}</text>'
        )
    foot = "USD per usable AC kWh, duty-paid, at site, installed; hatched: a step that lowers the price"
    out.append(f'<text x="{_LEFT:.0f}" y="{height - 14:.0f}">{foot}</text></svg>')
    return "\n".join(out) + "\n"
