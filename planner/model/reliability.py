"""Outage rows without dispatch variables: each row in one place, for Pyomo and for separation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyomo.environ as pyo

from planner.model.coefficients import Coefficients
from planner.model.contingencies import Contingency
from planner.model.row import family, linear
from planner.problem import FloatArray
from planner.units import SECONDS_PER_HOUR


@dataclass(frozen=True)
class RowKey:
    """A reliability row: contingency index, period index, count vector (or bridge delay) index.

    With operations also the season in which the outage starts, and the offers whose held-back energy is less than
    their power would bring out, in order.
    """

    contingency: int
    period: int
    count: int
    bridge: bool = False
    season: int = 0
    held: tuple[int, ...] = ()


@dataclass(frozen=True)
class NumericRow:
    """A row per unit of its requirement.

    ``pair @ containers - served * served_mw - used * used[offer] - level @ lost_level
    + idle * (1 - energised) + cycled @ cycled containers + held @ held_mwh of the season >= 0``; ``lost_level`` is
    ``group_level`` where load is always on; ``cycled`` and ``held`` (per offer) are None without operations. At an
    ``edge`` of the service profile ``held`` goes with ``brought_mwh`` instead.
    """

    pair: FloatArray
    served: float
    used: float
    offer: int | None
    level: FloatArray | None
    idle: float
    cycled: FloatArray | None = None
    held: FloatArray | None = None
    edge: int | None = None


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
        need = c.requirement.peak_mw[key.period] * c.bridge_delays_h[key.count]
    else:
        delivered = c.delivered_mwh(key.period, key.count)
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
    cycled, held, edge = None, None, None
    pair = scale * delivered * survivors(c, contingency)
    if c.problem.case.operating is not None:
        edge = None if key.bridge or key.count not in c.edges else c.edges.index(key.count)
        stored = (o for o in c.offers_used if c.problem.offers[o].is_storage)
        limited = frozenset(key.held if edge is None else stored)
        by_power = ~np.isin(c.pair_offer, list(limited))
        worn = delivered if key.bridge else c.delivered_mwh(key.period, key.count, worn=True)
        cycled = scale * (worn - delivered) * survivors(c, contingency) * by_power
        held = np.zeros(len(c.problem.offers))
        for o in limited - contingency.offers:
            held[o] = scale * c.availability[o]
        pair = pair * by_power
    return NumericRow(
        pair,
        1.0 / period.target_mw,
        scale * used,
        contingency.fire_offer,
        level,
        scale * idle if key.period in may_idle(c) else 0.0,
        cycled,
        held,
        edge,
    )


def all_rows(c: Coefficients) -> list[RowKey]:
    """Every outage and bridge row of the problem."""
    periods, counts = c.requirement.mwh.shape
    if c.problem.case.operating is not None:
        raise NotImplementedError("with operations outage rows are as many as choices of offers: use planner.plan")
    rows = [
        RowKey(q, p, k)
        for q in range(len(c.contingencies))
        for p in range(periods)
        for k in range(counts)
        if c.requirement.mwh[p, k] > 0 and c.holds[q, p]
    ]
    bridges = [
        RowKey(q, p, d, bridge=True)
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
    """Terms of worn containers and of held-back energy."""
    if row.cycled is None or row.held is None:
        return []
    offers, periods = c.problem.offers, c.problem.periods
    label = periods[key.period].label
    worn = [
        (float(a), m.cycled[offers[o].offer, periods[p].label])
        for a, (o, p) in zip(row.cycled, c.pairs, strict=True)
        if offers[o].is_storage and a != 0.0
    ]
    for o in np.flatnonzero(row.held):
        part = (offers[o].offer, label, key.season)
        if part in m.held_parts:
            limit = m.held_mwh[part] if row.edge is None else m.brought_mwh[(*part, row.edge)]
            worn.append((float(row.held[o]), limit))
    return worn


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
    return (*name, f"season {key.season}", "+".join(c.problem.offers[o].offer for o in key.held))


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
                (
                    _ROW_SCALE * (c.worn_mwh[i, p] - c.faded_mwh[i, p]) / reserve,
                    m.cycled[offers[o].offer, periods[q].label],
                )
                for i, (o, q) in enumerate(c.pairs)
                if offers[o].is_storage
            ]
        m.storage_mandate[period.label] = linear([*terms, (-_ROW_SCALE * hours, m.served_mw[period.label])]) >= 0
