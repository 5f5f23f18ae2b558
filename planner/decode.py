"""From columns of the solver to orders, placements and states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo

from planner import policy, supply, yard
from planner.finance import retirement_month
from planner.model.coefficients import Coefficients, IntArray
from planner.problem import FloatArray
from planner.results import CreditState, Order, Placement, Retirement, ZoneChoice
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
    """

    containers: IntArray
    tier: dict[int, int]
    states: dict[int, CreditState]
    placed: IntArray
    options: tuple[yard.ZoneOption, ...]
    served_mw: FloatArray


def decode(c: Coefficients, m: pyo.ConcreteModel, compiled: Compiled, x: FloatArray) -> Decision:
    """Read a polished solution (whole numbers are exact in it)."""
    offers, periods, zones = c.problem.offers, c.problem.periods, c.problem.case.site.zones

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
    states: dict[int, CreditState] = {}
    for h, phase in enumerate(c.problem.case.policy.phases):
        states[h] = "none"
        for q in policy.STATES:
            if (phase.phase, q) in m.phase_states and value(m.state[phase.phase, q]) > 0.5:
                states[h] = q  # type: ignore[assignment]
    options = []
    for zone, choices in zip(zones, c.zone_options, strict=True):
        taken = [j for j in choices if value(m.zone_option[zone.zone, j.label]) > 0.5]
        options.append(taken[0] if taken else choices[0])
    placed = spread(c, m, containers, value)
    served = np.array([value(m.served_mw[p.label]) for p in periods])
    return Decision(containers, tier, states, placed, tuple(options), served)


def spread(c: Coefficients, m: pyo.ConcreteModel, containers: IntArray, value: object) -> IntArray:
    """Hand the places of a cohort to its deliveries, first come first served: they are alike."""
    zones = c.problem.case.site.zones
    placed = np.zeros((*containers.shape, len(zones)), dtype=np.int64)
    for o, g in sorted(set(c.cohort)):
        name = c.problem.offers[o].offer
        room = [
            round(value(m.placed[name, g, zone.zone])) if (name, g, zone.zone) in m.places else 0  # type: ignore[operator]
            for zone in zones
        ]
        for (o2, p), key in zip(c.pairs, c.cohort, strict=True):
            left = int(containers[o2, p]) if key == (o, g) else 0
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
