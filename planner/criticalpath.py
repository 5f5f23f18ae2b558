"""What sets each date of energisation, and how many months everything else could slip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from planner.periods import energisation_series
from planner.problem import Offer, Period, Problem
from planner.results import Critical, Step
from planner.units import month_text

#: Steps of a delivery, in order, and the field of an offer that holds their months.
DELIVERY_STEPS = {
    "qualification": "qualification_months", "factory": "lead_time_months", "shipping": "shipping_months",
    "commissioning": "commissioning_months",
}  # fmt: skip


def ready_month(series: Mapping[int, float], mw: float) -> int | None:
    """First month from which a cause lets ``mw`` be energised for good; None if it never does."""
    short = [month for month, most in series.items() if most < mw - 1e-6 * max(1.0, mw)]
    return min((month for month in series if month > max(short, default=-1)), default=None)


def site_steps(problem: Problem, period: Period, served_mw: float) -> list[Step]:
    """Grid, transformers, permits and fire approval: when each lets the load on, and its slack."""
    steps = []
    for cause, series in energisation_series(problem.case).items():
        ready = ready_month(series, served_mw) if served_mw > 0 else None
        if ready is not None:
            steps.append(Step(step=cause, ready=month_text(ready), slack_months=period.start - ready))
    return steps


def delivery_steps(problem: Problem, period: Period, ordered: Iterable[Offer]) -> list[Step]:
    """The chain of the delivery that leaves the least time, step by step; all its steps share one slack."""
    chain = min(ordered, key=lambda o: (-o.order_lead_months, o.offer), default=None)
    if chain is None:
        return []
    month = problem.case.timeline.decision
    slack = period.start - chain.order_lead_months - month
    steps = []
    for name, field in DELIVERY_STEPS.items():
        month += getattr(chain, field)
        steps.append(Step(step=name, ready=month_text(month), slack_months=slack, offer=chain.offer))
    return steps


def critical_path(
    problem: Problem, served_mw: Mapping[str, float], ordered: Mapping[str, tuple[Offer, ...]]
) -> tuple[Critical, ...]:
    """What holds back the load of every period, and the slack of everything else.

    Parameters
    ----------
    problem
        The planning question.
    served_mw
        Load energised by period label.
    ordered
        Offers delivered by period label.

    Returns
    -------
    tuple of Critical
        ``binding`` is the cause whose megawatts are used up, ``storage`` if none is, ``none`` at the target.
        ``steps`` give months: a slack of 0 sets the date, the others may slip by theirs.
    """
    rows = []
    for period in problem.periods:
        served = served_mw[period.label]
        caps = {}
        for cause, series in energisation_series(problem.case).items():
            past = [m for m in series if m <= period.start]
            caps[cause] = series[max(past)] if past else 0.0
        tight = 1e-6 * max(1.0, period.target_mw)
        binding = "none"
        if served < period.target_mw - tight:
            binding = next((cause for cause, mw in caps.items() if served >= mw - tight), "storage")
        steps = site_steps(problem, period, served)
        steps += delivery_steps(problem, period, ordered.get(period.label, ()))
        rows.append(
            Critical(
                period=period.label,
                served_mw=served,
                target_mw=period.target_mw,
                binding=binding,
                slack_mw={cause: mw - served for cause, mw in caps.items()},
                steps=tuple(steps),
            )
        )
    return tuple(rows)
