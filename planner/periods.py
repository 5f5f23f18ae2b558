"""Delivery periods of a case: the blocks of its timeline, then later rounds up to the horizon."""

from __future__ import annotations

from collections.abc import Mapping

from planner.case import ENERGISATION_CAUSES, MAX_PERIODS, Case
from planner.problem import Period
from planner.units import MONTHS_PER_YEAR, month_text, parse_month, year_of

LAST_MONTH = parse_month("2150-12")
_ALIGNED = {MONTHS_PER_YEAR: "", 6: "-H", 3: "-Q"}


class TimelineError(ValueError):
    """The timeline cannot be laid out; ``key`` is the dotted key to change.

    Parameters
    ----------
    key, found, allowed
        As in a fault.
    """

    def __init__(self, key: str, found: str, allowed: str) -> None:
        self.key, self.found, self.allowed = key, found, allowed
        super().__init__(f"{key}: found {found}; allowed is {allowed}")


def label(start: int, end: int) -> str:
    """``2027``, ``2027-H1``, ``2027-Q3`` for aligned periods, else first and last month."""
    months = end - start
    within = start % MONTHS_PER_YEAR
    if months in _ALIGNED and within % months == 0:
        mark = _ALIGNED[months]
        return f"{year_of(start)}{mark}{within // months + 1 if mark else ''}"
    return f"{month_text(start)}..{month_text(end - 1)}"


def step_value(series: Mapping[int, float], month: int) -> float:
    """Value of the last entry at or before a month; 0 before the first entry."""
    passed = [m for m in series if m <= month]
    return series[max(passed)] if passed else 0.0


def energisable_mw(case: Case, month: int) -> float:
    """Load that grid, transformers, permits and fire approval all allow at a month, in MW."""
    return min(step_value(s, month) for s in energisation_series(case).values())


def energisation_series(case: Case) -> dict[str, Mapping[int, float]]:
    """Megawatts from each date on, by cause; a cause that the case does not date is left out."""
    causes = case.site.energisation
    named = {name: getattr(causes, name) for name in ENERGISATION_CAUSES}
    if case.operating is not None:  # then the grid limits every hour by itself, and storage may help it
        del named["grid"]
    return {name: series for name, series in named.items() if series is not None}


def period_bounds(case: Case) -> tuple[list[tuple[int, int]], int]:
    """Start and end of every period, and how many of them come from the blocks.

    Raises
    ------
    TimelineError
        If full load lies outside the blocks, the blocks outlast the horizon, or there are too many periods.
    """
    line = case.timeline
    bounds: list[tuple[int, int]] = []
    at = line.first
    for block in line.periods:
        for _ in range(block.count):
            bounds.append((at, at + block.months))
            at += block.months
    largest = max(case.load.target_mw.values())
    full = next((start for start, _ in bounds if step_value(case.load.target_mw, start) >= largest), None)
    if full is None:
        reached = min(month for month, value in case.load.target_mw.items() if value >= largest)
        last = month_text(bounds[-1][0])
        raise TimelineError(
            "timeline.periods",
            f"a last period that starts {last}, before the full load of {largest:g} MW in {month_text(reached)}",
            "periods that reach the date of the last target",
        )
    horizon = full + line.horizon_years * MONTHS_PER_YEAR
    blocks = len(bounds)
    if at > horizon:
        found = f"blocks that end {month_text(at)}, after the horizon {month_text(horizon)}"
        raise TimelineError("timeline.periods", found, "blocks that end at or before horizon_years after full load")
    if horizon > LAST_MONTH:
        raise TimelineError("timeline.horizon_years", f"a plan beyond {month_text(LAST_MONTH)}", "an earlier end")
    while at < horizon:
        bounds.append((at, min(at + line.later_months, horizon)))
        at += line.later_months
        if len(bounds) > MAX_PERIODS:
            break
    if len(bounds) > MAX_PERIODS:
        allowed = f"at most {MAX_PERIODS} periods, later rounds included"
        raise TimelineError("timeline.later_months", f"more than {MAX_PERIODS} periods", allowed)
    return bounds, blocks


def lay_periods(case: Case) -> tuple[Period, ...]:
    """Delivery periods with target, floor and energisable load at their start.

    Raises
    ------
    TimelineError
        See ``period_bounds``.
    """
    bounds, blocks = period_bounds(case)
    periods = []
    for index, (start, end) in enumerate(bounds):
        target = step_value(case.load.target_mw, start)
        floor = step_value(case.load.floor_mw, start)
        if index >= blocks - 1:
            floor = max(floor, case.load.final_floor_frac * target)
        period = Period(
            index=index,
            label=label(start, end),
            start=start,
            end=end,
            target_mw=target,
            floor_mw=floor,
            energisable_mw=energisable_mw(case, start),
        )
        periods.append(period)
    return tuple(periods)
