"""From columns of the solver to orders, placements and states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyomo.environ as pyo

from planner import policy, supply, yard
from planner.finance import retirement_month
from planner.model.coefficients import Coefficients, IntArray
from planner.operations.operated import Operated
from planner.problem import FloatArray
from planner.results import CreditState, Order, Placement, PoolShare, Retirement, ZoneChoice
from planner.solve import Compiled
from planner.units import month_text, year_of


@dataclass(frozen=True)
class Decision:
    """What was decided, in whole numbers.

    Attributes
    ----------
    containers
        Shape (O, P).
    tier
        Index of the price tier per offer, for offers that are used.
    states
        Credit state per phase index.
    placed
        Containers by (offer, period, zone), shape (O, P, Z).
    options
        Chosen option per zone.
    served_mw
        Shape (P,).
    pools
        Containers by credit state of each delivery, where ``credits.unit`` is pools; else None.
    operated
        Hourly operation of every period, with ``operations``; else None.
    sourced_mwh
        Size of every choice of the sourcing network, in the order of ``Network.choices``; empty where all is as quoted.
    """

    containers: IntArray
    tier: dict[int, int]
    states: dict[int, CreditState]
    placed: IntArray
    options: tuple[yard.ZoneOption, ...]
    served_mw: FloatArray
    pools: dict[tuple[int, int], dict[str, float]] | None = None
    operated: Operated | None = None
    sourced_mwh: FloatArray = field(default_factory=lambda: np.zeros(0))


def decode(c: Coefficients, m: pyo.ConcreteModel, compiled: Compiled, x: FloatArray) -> Decision:
    """Read a polished solution (whole numbers are exact in it)."""
    problem = c.problem
    offers, periods, zones = problem.offers, problem.periods, problem.case.site.zones
    pooled = problem.case.credits.unit == "pools"

    def value(variable: object) -> float:
        j = compiled.index(variable)
        return float(x[j]) if j >= 0 else 0.0

    containers = np.zeros((len(offers), len(periods)), dtype=np.int64)
    for o, p in c.pairs:
        containers[o, p] = round(value(m.containers[offers[o].offer, periods[p].label]))
    tier = {}
    for o in c.offers_used:
        chosen = [t for t in c.reachable_tiers(o) if value(m.tier[offers[o].offer, offers[o].tiers[t].tier]) > 0.5]
        if chosen and containers[o].sum() > 0:
            tier[o] = chosen[0]
    sourced = np.array([max(0.0, value(m.sourced_mwh[x.key])) for x in c.network.choices])
    states: dict[int, CreditState] = {}
    for h, phase in enumerate(c.problem.case.policy.phases):
        states[h] = "none"
        for q in policy.STATES:
            if (phase.phase, q) in m.phase_states and value(m.state[phase.phase, q]) > 0.5:
                states[h] = q  # type: ignore[assignment]
    if problem.case.objective == "resource" and not pooled:
        states = {h: _best_state(c, containers, sourced, h) for h in states}
    pools = _pools(c, m, containers, tier, value) if pooled else None
    if pools is not None:
        states = dict.fromkeys(states, "pools")
    options = []
    for zone, choices in zip(zones, c.zone_options, strict=True):
        taken = [j for j in choices if value(m.zone_option[zone.zone, j.label]) > 0.5]
        options.append(taken[0] if taken else choices[0])
    placed = spread(c, m, containers, value)
    served = np.array([value(m.served_mw[p.label]) for p in periods])
    return Decision(containers, tier, states, placed, tuple(options), served, pools, sourced_mwh=sourced)


def _best_state(c: Coefficients, containers: IntArray, sourced: FloatArray, h: int) -> CreditState:
    """Highest credit state that the ratios of a phase allow: the resource view does not care, the buyer does."""
    problem = c.problem
    phase = problem.case.policy.phases[h]
    weight = np.array([o.energy_nameplate_dc_mwh * o.is_storage for o in problem.offers])
    inside = [p for p in range(len(problem.periods)) if c.phase[p] == h]
    mwh = containers[:, inside].sum(axis=1) * weight
    controlled = any(mwh[o] > 0 and policy.effective_control(problem, x) for o, x in enumerate(problem.offers))
    if mwh.sum() <= 0 or controlled or problem.case.policy.monetisation == "none":
        return "none"
    slack = 1e-9
    macr = policy.macr_threshold(problem, phase) or 0.0
    domestic = c.domestic @ mwh / mwh.sum() >= policy.domestic_threshold(problem, phase) - slack
    inside_h = np.array([c.phase[one.period] == h for one in c.network.choices], dtype=float)
    traced = float((c.network.assistance_mwh * inside_h) @ sourced)
    if (c.macr @ mwh + traced) / mwh.sum() < macr - slack:
        return "none"
    needed = problem.case.policy.monetisation == "elective_pay" and policy.elective_kept(problem, phase) == 0
    return "bonus" if domestic else ("none" if needed else "base")


def _pools(
    c: Coefficients, m: pyo.ConcreteModel, containers: IntArray, tier: dict[int, int], value: Callable[[object], float]
) -> dict[tuple[int, int], dict[str, float]]:
    """Containers by credit state of every delivery in a phase; what the solver leaves over is without credit."""
    found = {}
    for o, p in zip(*np.nonzero(containers), strict=True):
        offer, label = c.problem.offers[o], c.problem.periods[p].label
        if c.phase[p] is None or not offer.is_storage:
            continue
        name = offer.tiers[tier[int(o)]].tier
        parts = {q: max(0.0, value(m.in_state[offer.offer, label, name, q])) for q in c.states(o, p)}
        earning = {q: n for q, n in parts.items() if q != "none" and n > 1e-9}
        most = float(containers[o, p])
        scale = min(1.0, most / sum(earning.values())) if earning else 1.0
        earning = {q: n * scale for q, n in earning.items()}
        found[int(o), int(p)] = {"none": most - sum(earning.values()), **earning}
    return found


def credit_pools(c: Coefficients, d: Decision) -> tuple[PoolShare, ...]:
    """Every pool's part of every delivery; empty where a phase has one state."""
    problem = c.problem
    return tuple(
        PoolShare(
            phase=problem.case.policy.phases[c.phase[p] or 0].phase,
            offer=problem.offers[o].offer,
            period=problem.periods[p].label,
            state=state,
            containers=count,
        )
        for (o, p), parts in (d.pools or {}).items()
        for state, count in parts.items()
        if count > 0
    )


def spread(c: Coefficients, m: pyo.ConcreteModel, containers: IntArray, value: object) -> IntArray:
    """Hand the places of a cohort to its deliveries, first come first served: they are alike."""
    zones = c.problem.case.site.zones
    placed = np.zeros((*containers.shape, len(zones)), dtype=np.int64)
    periods: dict[tuple[int, int], list[int]] = {}
    for (_, p), key in zip(c.pairs, c.cohort, strict=True):
        periods.setdefault(key, []).append(p)
    for o, g in sorted(periods):
        name = c.problem.offers[o].offer
        room = [
            round(value(m.placed[name, g, zone.zone])) if (name, g, zone.zone) in m.places else 0  # type: ignore[operator]
            for zone in zones
        ]
        for p in periods[o, g]:
            left = int(containers[o, p])
            for z in range(len(zones)):
                here = min(left, room[z])
                placed[o, p, z] += here
                room[z] -= here
                left -= here
    return placed


def orders(c: Coefficients, d: Decision) -> tuple[Order, ...]:
    """One order per offer and delivery period."""
    found = []
    for o, p in zip(*np.nonzero(d.containers), strict=True):
        offer, period, n = c.problem.offers[o], c.problem.periods[p], int(d.containers[o, p])
        found.append(
            Order(
                offer=offer.offer,
                supplier=offer.supplier,
                chemistry=offer.chemistry,
                origin=offer.origin,
                year=year_of(period.start),
                period=period.label,
                order_by=month_text(supply.order_month(offer, period)),
                tier=offer.tiers[d.tier[int(o)]].tier,
                containers=n,
                energy_mwh=n * offer.energy_usable_ac_mwh,
                power_mw=n * offer.power_mw,
            )
        )
    return tuple(sorted(found, key=lambda r: (r.order_by, r.offer, r.period)))


def placements(c: Coefficients, d: Decision) -> tuple[Placement, ...]:
    """Where every delivery stands."""
    problem = c.problem
    return tuple(
        Placement(
            offer=problem.offers[o].offer,
            year=year_of(problem.periods[p].start),
            period=problem.periods[p].label,
            zone=problem.case.site.zones[z].zone,
            containers=int(d.placed[o, p, z]),
        )
        for o, p, z in zip(*np.nonzero(d.placed), strict=True)
    )


def zone_choices(c: Coefficients, d: Decision) -> tuple[ZoneChoice, ...]:
    """The option of every zone."""
    return tuple(
        ZoneChoice(zone=z.zone, barrier=j.barrier, setback_m=j.setback_m, usable_m2=j.usable_m2)
        for z, j in zip(c.problem.case.site.zones, d.options, strict=True)
    )


def retirements(c: Coefficients, d: Decision) -> tuple[Retirement, ...]:
    """Deliveries that leave before the horizon ends."""
    gone = []
    for o, p in zip(*np.nonzero(d.containers), strict=True):
        offer, period = c.problem.offers[o], c.problem.periods[p]
        month = retirement_month(offer, period.start)
        if month < c.problem.horizon:
            gone.append(
                Retirement(
                    offer=offer.offer,
                    delivered=period.label,
                    year=year_of(month),
                    containers=int(d.containers[o, p]),
                )
            )
    return tuple(gone)
