"""Shares of one name, number of suppliers, and the months of the critical path."""

from __future__ import annotations

from planner.results import Plan
from planner.units import month_text
from planner.verify.fleet import Fleet
from planner.verify.rules import dated_causes
from planner.verify.tally import Tally, number


def check_shares(fleet: Fleet, tally: Tally) -> None:
    """Largest share of every group of storage, and the suppliers that count."""
    tally.hold("max_share", "min_suppliers")
    rule = fleet.problem.case.governance
    mwh = {
        o: offer.energy_usable_ac_mwh * float(fleet.counts[o].sum())
        for o, offer in enumerate(fleet.problem.offers)
        if offer.is_storage
    }
    whole = sum(mwh.values())
    limits = {
        "supplier": rule.max_share.supplier, "cell_country": rule.max_share.country,
        "chemistry": rule.max_share.chemistry, "cell_factory": rule.max_share.cell_factory,
    }  # fmt: skip
    for field, most in limits.items():
        held: dict[str, float] = {}
        for o, amount in mwh.items():
            name = getattr(fleet.problem.offers[o], field)
            held[name] = held.get(name, 0.0) + amount
        for name, amount in sorted(held.items()):
            if most is not None:
                tally.at_most("max_share", amount, most * whole, f"storage MWh of {field} {name}", max(1.0, whole))
    for maturity, most in rule.max_share.maturity.items():
        amount = sum(v for o, v in mwh.items() if fleet.problem.offers[o].maturity == maturity)
        tally.at_most("max_share", amount, most * whole, f"storage MWh of {maturity} products", max(1.0, whole))
    by_supplier: dict[str, float] = {}
    for o, amount in mwh.items():
        name = fleet.problem.offers[o].supplier
        by_supplier[name] = by_supplier.get(name, 0.0) + amount
    counted = sum(v > 0 and v >= rule.min_supplier_mwh * (1 - 1e-9) for v in by_supplier.values())
    tally.at_most("min_suppliers", rule.min_suppliers - counted, 0, f"{counted} suppliers count")


def check_critical_path(fleet: Fleet, plan: Plan, tally: Tally) -> None:
    """Months and slacks of every period against the dates of the case and the orders of the plan."""
    tally.hold("critical_path")
    said = {row.period: row for row in plan.critical_path}
    if not said:
        tally.note("critical_path", "the plan names no critical path")
        return
    for p, period in enumerate(fleet.problem.periods):
        row = said.get(period.label)
        if row is None:
            tally.fail("critical_path", f"{period.label} is missing")
            continue
        mine = _site(fleet, p, number(plan.served_mw.get(period.label))) | _delivery(fleet, p)
        claimed = {step.step: (step.ready, step.slack_months) for step in row.steps}
        for name in sorted(set(mine) | set(claimed)):
            if mine.get(name) != claimed.get(name):
                text = f"{name} in {period.label}: the plan says {claimed.get(name)}, recomputed {mine.get(name)}"
                tally.fail("critical_path", text)
        if row.binding != _binding(fleet, p, number(plan.served_mw.get(period.label))):
            tally.fail("critical_path", f"{period.label} is not held back by {row.binding}")


def _site(fleet: Fleet, p: int, served: float) -> dict[str, tuple[str, int]]:
    """First month from which each cause allows the load for good, and the months to spare."""
    found: dict[str, tuple[str, int]] = {}
    if not served > 0:
        return found
    start = fleet.problem.periods[p].start
    for name, series in dated_causes(fleet.problem).items():
        short = [m for m, mw in series.items() if mw < served - 1e-6 * max(1.0, served)]
        enough = [m for m in series if m > max(short, default=-1)]
        if enough:
            found[name] = (month_text(min(enough)), start - min(enough))
    return found


def _delivery(fleet: Fleet, p: int) -> dict[str, tuple[str, int]]:
    """Steps of the slowest delivery of a period."""
    offers = [fleet.problem.offers[o] for o, q in fleet.bought if q == p]
    if not offers:
        return {}
    slow = sorted(offers, key=lambda x: (-x.order_lead_months, x.offer))[0]
    month = fleet.problem.case.timeline.decision
    spare = fleet.problem.periods[p].start - month - slow.order_lead_months
    found = {}
    for name, months in (
        ("qualification", slow.qualification_months), ("factory", slow.lead_time_months),
        ("shipping", slow.shipping_months), ("commissioning", slow.commissioning_months),
    ):  # fmt: skip
        month += months
        found[name] = (month_text(month), spare)
    return found


def _binding(fleet: Fleet, p: int, served: float) -> str:
    period = fleet.problem.periods[p]
    near = 1e-6 * max(1.0, period.target_mw)
    if served >= period.target_mw - near:
        return "none"
    for name, series in dated_causes(fleet.problem).items():
        past = [m for m in series if m <= period.start]
        if served >= (series[max(past)] if past else 0.0) - near:
            return name
    return "storage"
