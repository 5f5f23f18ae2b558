"""At what yearly probability of an export cut-off the premium of a less exposed plan pays."""

from __future__ import annotations

from planner import finance
from planner.exposure import exposure_share, layer_shares, layers, relieved_mwh
from planner.problem import Problem
from planner.results import Plan
from planner.units import KWH_PER_MWH, MONTHS_PER_YEAR, USD_PER_MUSD

#: The root is found to this yearly probability.
_WITHIN = 1e-6


def exposed_mwh(problem: Problem, measure: str, plan: Plan) -> dict[str, float]:
    """Exposed MWh by delivery period; for the chokepoint measures those of the most exposed layer."""
    offers = {o.offer: o for o in problem.offers}
    kinds: list[tuple[str, dict[str, float]]] = []
    if measure.startswith("chokepoint"):
        ownership = measure.endswith("_ownership")
        for layer in layers(problem):
            kinds.append((layer, {n: layer_shares(o, ownership).get(layer, 0.0) for n, o in offers.items()}))
    else:
        kinds.append(("", {n: exposure_share(problem, o, measure) for n, o in offers.items()}))
    best: dict[str, float] = {}
    for layer, share in kinds:
        found: dict[str, float] = {}
        for order in plan.orders:
            if offers[order.offer].is_storage:
                found[order.period] = found.get(order.period, 0.0) + share[order.offer] * order.energy_mwh
        for period, mwh in relieved_mwh(problem, measure, plan, layer).items():
            found[period] -= mwh
        if not best or sum(found.values()) > sum(best.values()):
            best = found
    return best


def loss_musd(problem: Problem, measure: str, plan: Plan, yearly_frac: float) -> float:
    """Expected loss through a cut-off, present value in million USD.

    sum_p P(cut off before p) discount(p) exposed_mwh(p) (replacement + waiting load) with
    P = 1 - (1 - q)^years; the waiting load is the final load times exposed over required MWh.
    """
    return _expected(_losses(problem, measure, plan), yearly_frac)


def _losses(problem: Problem, measure: str, plan: Plan) -> list[tuple[float, float]]:
    """Years until each delivery period of a plan, and what a cut-off before it loses, present value in million USD."""
    security = problem.case.security
    wait_usd = problem.case.load.delay_usd_per_mw_yr * security.wait_months / MONTHS_PER_YEAR
    mw_per_mwh = problem.final_target_mw / plan.required_mwh
    per_mwh = security.replacement_usd_per_kwh * KWH_PER_MWH + wait_usd * mw_per_mwh
    starts = {p.label: p.start for p in problem.periods}
    return [
        (
            max(0, starts[period] - problem.case.timeline.decision) / MONTHS_PER_YEAR,
            finance.discount(problem, starts[period]) * mwh * per_mwh / USD_PER_MUSD,
        )
        for period, mwh in exposed_mwh(problem, measure, plan).items()
    ]


def _expected(losses: list[tuple[float, float]], yearly_frac: float) -> float:
    return float(sum((1 - (1 - yearly_frac) ** years) * musd for years, musd in losses))


def break_even_frac_per_yr(problem: Problem, measure: str, cheap: Plan, plan: Plan) -> float | None:
    """Yearly probability from which a plan's premium over the cheap end pays.

    Returns
    -------
    float or None
        0 where there is no premium; None where it pays at no probability.
    """
    premium = plan.cost_musd - cheap.cost_musd
    if premium <= 0:
        return 0.0

    before, after = (_losses(problem, measure, one) for one in (cheap, plan))

    def saved(q: float) -> float:
        return _expected(before, q) - _expected(after, q)

    # What is saved need not grow with q throughout, so look for the first probability that is enough.
    steps = [k / 200 for k in range(201)]
    enough = next((k for k, q in enumerate(steps) if saved(q) >= premium), None)
    if enough is None:
        return None
    low, high = steps[max(0, enough - 1)], steps[enough]
    while high - low > _WITHIN:
        middle = (low + high) / 2
        low, high = (low, middle) if saved(middle) >= premium else (middle, high)
    return high
