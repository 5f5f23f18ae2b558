"""Outage rows without dispatch variables: each row in one place, for Pyomo and for separation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyomo.environ as pyo

from planner.model.coefficients import Coefficients
from planner.model.contingencies import Contingency
from planner.model.duties import duty_parts, standing_parts
from planner.model.row import family, linear
from planner.problem import FloatArray
from planner.units import SECONDS_PER_HOUR


@dataclass(frozen=True)
class RowKey:
    """A reliability row: contingency index, period index, count vector (or bridge delay) index.

    With operations also the season in which the outage starts.
    """

    contingency: int
    period: int
    count: int
    bridge: bool = False
    season: int = 0


@dataclass(frozen=True)
class DutyTerms:
    """What daily use does to an outage row of a period and season.

    Most offers need sums over their deliveries only: power, energy left for outages, and what runs, shape (O,) and
    (O, J). Where some containers of an offer are limited by power and others by energy, each delivery has its own
    coefficients, shape (pairs, J).
    """

    standing_mw: FloatArray
    held_mwh: FloatArray
    run_mw: FloatArray
    run_mwh: FloatArray
    cycled: FloatArray
    running: FloatArray


@dataclass(frozen=True)
class NumericRow:
    """A row per unit of its requirement.

    ``pair @ containers - served * served_mw - used * used[offer] - level @ lost_level
    + idle * (1 - energised) >= 0``; ``lost_level`` is ``group_level`` where load is always on. With operations
    ``duty`` says what is added for containers in daily use.
    """

    pair: FloatArray
    served: float
    used: float
    offer: int | None
    level: FloatArray | None
    idle: float
    duty: DutyTerms | None = None


def may_idle(c: Coefficients) -> frozenset[int]:
    """Periods whose load may stay off altogether, so that no fire group needs to be survived in them."""
    if c.problem.case.reliability.contingencies.fire_group is None:
        return frozenset()
    return frozenset(p for p, period in enumerate(c.problem.periods) if period.floor_mw <= 0 < period.target_mw)


def declare(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Whether a fire group of a level or a larger one is in use, and whether any load is on."""
    m.may_idle = pyo.Set(initialize=[c.problem.periods[p].label for p in sorted(may_idle(c))])
    m.energised = pyo.Var(m.may_idle, domain=pyo.Binary)
    m.group_levels = pyo.RangeSet(0, len(c.group_levels) - 1)
    m.group_level = pyo.Var(m.group_levels, domain=pyo.Binary)
    m.lost_level = pyo.Var(m.may_idle, m.group_levels, bounds=(0, 1))


@family("")
def load_on(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """A period without load need not survive a fire.

    served_mw[p] <= target_mw[p] energised[p]
    """
    target = {p.label: p.target_mw for p in c.problem.periods}
    m.load_on = pyo.Constraint(
        m.may_idle, rule=lambda m, label: m.served_mw[label] <= target[label] * m.energised[label]
    )


@family("")
def on_for_good(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Load that is on stays on.

    energised[p] <= energised[p+1]
    """
    labels = [p.label for p in c.problem.periods]
    later = dict(pairwise(labels))
    pairs = [p for p in labels if p in m.may_idle and later.get(p) in m.may_idle]
    m.on_for_good = pyo.Constraint(pairs, rule=lambda m, p: m.energised[p] <= m.energised[later[p]])


@family("")
def lost_while_on(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """A fire group of a level in use can be lost in every period with load.

    lost_level[p,j] >= group_level[j] + energised[p] - 1

    One variable per level keeps a period that is half on from earning, in the relaxation, the loss of
    levels that nobody uses.
    """
    m.lost_while_on = pyo.Constraint(
        m.may_idle, m.group_levels,
        rule=lambda m, p, j: m.lost_level[p, j] >= m.group_level[j] + m.energised[p] - 1,
    )  # fmt: skip


@family("")
def largest_group(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """A fire-group level is in use when one of its offers, or a higher level, is.

    group_level[j] >= used[o] for o whose group is of level j;  group_level[j] >= group_level[j+1]
    """
    m.largest_group = pyo.Constraint(pyo.Any)
    if c.problem.case.reliability.contingencies.fire_group is None:
        return
    for j, members in enumerate(c.group_levels):
        higher = c.group_levels[j + 1] if j + 1 < len(c.group_levels) else ()
        if higher:
            m.largest_group[j, "level above"] = m.group_level[j] - m.group_level[j + 1] >= 0
        for o in set(members) - set(higher):
            name = c.problem.offers[o].offer
            m.largest_group[j, name] = m.group_level[j] - m.used[name] >= 0


def survivors(c: Coefficients, contingency: Contingency) -> FloatArray:
    """1 for pairs whose fleet survives, 0 for those lost, shape (pairs,)."""
    return np.array([0.0 if o in contingency.offers else 1.0 for o in c.pair_offer])


_ROW_SCALE = 1e-3


def numeric_row(c: Coefficients, key: RowKey) -> NumericRow:
    """Coefficients of one outage or bridge row, divided by its requirement at target load."""
    contingency = c.contingencies[key.contingency]
    period = c.problem.periods[key.period]
    share = contingency.surviving_frac
    if key.bridge:
        delivered = c.bridged_mwh(key.period, c.bridge_delays_h[key.count])
        reach = c.bridged_reach_mwh(c.bridge_delays_h[key.count])
        need = c.requirement.peak_mw[key.period] * c.bridge_delays_h[key.count]
    else:
        delivered = c.delivered_mwh(key.period, key.count)
        reach = c.power_mw[c.pair_offer] * c.open_hours[c.pair_offer, key.count]
        need = float(c.requirement_in(key.season).mwh[key.period, key.count])
    scale = 1.0 / (share * need)
    used, level, idle = 0.0, None, 0.0
    if contingency.fire_offer is not None:
        used = idle = (
            c.bridge_loss_mwh(contingency.fire_offer, c.bridge_delays_h[key.count])
            if key.bridge
            else float(c.fire_loss_mwh[contingency.fire_offer, key.count])
        )
    if contingency.by_level:
        level = scale * c.level_loss_mwh[key.count]
    kept = survivors(c, contingency)
    pair, duty = scale * delivered * kept, None
    if c.problem.case.operating is not None:
        pair, duty = _with_duty(c, key, pair, reach, scale * kept)
    return NumericRow(
        pair,
        1.0 / period.target_mw,
        scale * used,
        contingency.fire_offer,
        level,
        scale * idle if key.period in may_idle(c) else 0.0,
        duty,
    )


#: Hours by which containers may differ and still count as limited by the same.
_SAME_HOURS = 1e-9


def _with_duty(
    c: Coefficients, key: RowKey, pair: FloatArray, reach: FloatArray, scale: FloatArray
) -> tuple[FloatArray, DutyTerms]:
    """Coefficients of containers and of daily use; ``reach`` and ``scale`` have shape (pairs,)."""
    offers, settings = len(c.problem.offers), len(c.swing_frac)
    standing, held = np.zeros(offers), np.zeros(offers)
    run_mw, run_mwh = np.zeros((offers, settings)), np.zeros((offers, settings))
    summed = np.zeros(offers, dtype=bool)
    stored = np.array([c.problem.offers[o].is_storage for o in c.pair_offer])
    least, most = (hours[:, key.period] for hours in c.hours_range)
    for o in sorted({int(o) for o in c.pair_offer[stored & c.alive[:, key.period]]}):
        mine = np.flatnonzero(c.pair_offer == o)[0]
        hours, weight = float(reach[mine] / c.power_mw[o]), float(scale[mine] * c.availability[o])
        if hours >= most[o] - _SAME_HOURS:
            held[o], summed[o] = weight, True
        elif hours <= least[o] + _SAME_HOURS:
            kept = 1.0 - c.swing_frac
            short = hours >= kept * most[o] - _SAME_HOURS
            if np.all(short | (hours <= kept * least[o] + _SAME_HOURS)):
                standing[o], summed[o] = weight * hours, True
                run_mw[o], run_mwh[o] = -weight * hours * short, weight * kept * short
    alone = (stored & ~summed[c.pair_offer]).astype(float)
    cycled, running = ((scale * alone)[:, None] * less for less in c.duty_delivered_mwh(key.period, reach))
    return pair * ~(stored & summed[c.pair_offer]), DutyTerms(standing, held, run_mw, run_mwh, cycled, running)


def all_rows(c: Coefficients) -> list[RowKey]:
    """Every outage and bridge row of the problem."""
    periods, counts = c.requirement.mwh.shape
    operating = c.problem.case.operating
    seasons = range(1 if operating is None else len(operating.seasons))
    rows = [
        RowKey(q, p, k, season=s)
        for s in seasons
        for q in range(len(c.contingencies))
        for p in range(periods)
        for k in range(counts)
        if c.requirement_in(s).mwh[p, k] > 0 and c.holds[q, p]
    ]
    bridges = [
        RowKey(q, p, d, bridge=True, season=s)
        for s in seasons
        for q, contingency in enumerate(c.contingencies)
        if not contingency.by_level
        for p in range(periods)
        for d in range(len(c.bridge_delays_h))
        if c.requirement.peak_mw[p] > 0 and c.holds[q, p]
    ]
    return rows + bridges


def seed_rows(c: Coefficients) -> list[RowKey]:
    """A few rows that are nearly always needed: full window and power, with nothing lost."""
    full = int(np.argmax(c.requirement.counts.sum(axis=1)))
    first = int(np.argmin(np.where(c.requirement.counts[:, 0] == 1, c.requirement.counts.sum(axis=1), 10**9)))
    return [
        RowKey(0, p, k)
        for p in range(len(c.problem.periods))
        for k in sorted({full, first})
        if c.requirement_in(0).mwh[p, k] > 0
    ]


@family("reliability")
def outage(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """The surviving fleet delivers the k largest loads of every window, for every k.

    sum_{surviving o, p' alive in p} a[o] min(P[o] h, E[o] soh[o,p'->p]) containers[o,p']
        - b[o] min(P[o] h, E[o]) (used[o] + energised[p] - 1)   (fire group of o; also by levels over all offers)
        >= phi R_p(k) served_mw[p] / target_mw[p]          (each row divided by phi R_p(k))

    Units that start late count only the steps open to them; before a slow unit runs the
    faster ones must carry the peak (rows named ``bridge``).
    """
    offers, periods = c.problem.offers, c.problem.periods
    variables = [m.containers[offers[o].offer, periods[p].label] for o, p in c.pairs]
    m.outage = pyo.Constraint(pyo.Any)
    for key in m.outage_rows:
        row = numeric_row(c, key)
        terms = list(zip(row.pair, variables, strict=True))
        terms.append((-row.served, m.served_mw[periods[key.period].label]))
        if row.offer is not None:
            name = offers[row.offer].offer
            terms += [(-row.used, m.tier[name, offers[row.offer].tiers[t].tier]) for t in c.reachable_tiers(row.offer)]
        if row.level is not None:
            label = periods[key.period].label
            lost = [m.lost_level[label, j] if label in m.may_idle else m.group_level[j] for j in m.group_levels]
            terms += [(-loss, v) for loss, v in zip(row.level, lost, strict=True)]
        if row.idle:
            terms.append((-row.idle, m.energised[periods[key.period].label]))
        terms += _operating_terms(m, c, key, row)
        m.outage[row_name(c, key)] = linear(terms) >= -row.idle


def _operating_terms(m: pyo.ConcreteModel, c: Coefficients, key: RowKey, row: NumericRow) -> list[tuple[float, object]]:
    """Terms of containers in daily use."""
    duty = row.duty
    if duty is None:
        return []
    label, s = c.problem.periods[key.period].label, key.season
    settings = range(len(c.swing_frac))
    terms: list[tuple[float, object]] = []
    for o, p, _, part in standing_parts(c):
        if p == key.period:
            terms += [
                (float(duty.standing_mw[o]), m.standing_mw[part]),
                (float(duty.held_mwh[o]), m.held_mwh[*part, s]),
            ]
            terms += [(float(duty.run_mw[o, j]), m.run_mw[*part, s, j]) for j in settings]
            terms += [(float(duty.run_mwh[o, j]), m.run_mwh[*part, s, j]) for j in settings]
    for i, j, (offer, delivery, _) in duty_parts(c):
        if c.alive[i, key.period]:
            terms.append((float(duty.cycled[i, j]), m.cycled[offer, delivery, j]))
            terms.append((float(duty.running[i, j]), m.running[offer, delivery, label, s, j]))
    return terms


def row_name(c: Coefficients, key: RowKey) -> tuple[str, ...]:
    """(contingency, period, steps) of a row, in words."""
    steps = (
        f"bridge {c.bridge_delays_h[key.count] * SECONDS_PER_HOUR:g} s"
        if key.bridge
        else "+".join(str(k) for k in c.requirement.counts[key.count])
    )
    name = (c.contingencies[key.contingency].name, c.problem.periods[key.period].label, steps)
    if c.problem.case.operating is None:
        return name
    return (*name, f"season {key.season}")


@family("storage_mandate")
def storage_mandate(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Storage alone, when full, holds the mandated hours of the served load.

    sum_{o storage, p' alive in p} usable_mwh[o] soh[o,p'->p] containers[o,p'] >= mandate_h served_mw[p]
    """
    hours = c.problem.case.reliability.storage_mandate_h
    if hours <= 0:
        return
    offers, periods = c.problem.offers, c.problem.periods
    m.storage_mandate = pyo.Constraint(pyo.Any)
    for p, period in enumerate(periods):
        reserve = c.problem.case.reliability.reserve_frac
        terms = [
            (_ROW_SCALE * c.faded_mwh[i, p] / reserve, m.containers[offers[o].offer, periods[q].label])
            for i, (o, q) in enumerate(c.pairs)
            if offers[o].is_storage
        ]
        if c.problem.case.operating is not None:
            terms += [
                (_ROW_SCALE * (c.duty_mwh[i, p, j] - c.faded_mwh[i, p]) / reserve, m.cycled[duty])
                for i, j, duty in duty_parts(c)
            ]
        m.storage_mandate[period.label] = linear([*terms, (-_ROW_SCALE * hours, m.served_mw[period.label])]) >= 0
