"""What a decision costs, exposes and satisfies: the figures of the plan."""

from __future__ import annotations

from typing import cast

import numpy as np

from planner import criticalpath, finance, policy, taxes, yard
from planner.case import MEASURES
from planner.catalogue import FlagName
from planner.decode import Decision
from planner.model.coefficients import Coefficients
from planner.model.exposure import relief_vectors, share_vectors
from planner.problem import FloatArray
from planner.results import Critical, EntityFlag, Margin, ZoneUse
from planner.units import USD_PER_MUSD, month_text


def all_items_musd(c: Coefficients, d: Decision) -> dict[str, float]:
    """Present value of every item of ``finance.ITEMS`` in million USD, those that the objective leaves out too."""
    problem = c.problem
    total = dict.fromkeys(finance.items_of(problem), 0.0)
    for o, p in zip(*np.nonzero(d.containers), strict=True):
        offer, period, n = problem.offers[o], problem.periods[p], int(d.containers[o, p])
        cost = finance.container_cost(problem, offer, period, offer.tiers[d.tier[int(o)]].discount_frac)
        h = c.phase[p]
        phase = None if h is None else problem.case.policy.phases[h]
        for state, count in _by_state(d, int(o), int(p), n, h).items():
            for item, usd in finance.with_credit(problem, offer, period, cost, phase, state).items():
                total[item] += count * usd
    suppliers = {problem.offers[o].supplier for o in d.tier}
    total["qualification"] = sum(s.qualification_usd for s in problem.tables.suppliers if s.supplier in suppliers)
    total["fire_barriers"] = sum(j.cost_usd for j in d.options) * finance.discount(problem, problem.periods[0].start)
    late = 0.0
    for period, served in zip(problem.periods, d.served_mw, strict=True):
        years = finance.stream(problem, period.start, period.end)
        late += problem.case.load.delay_usd_per_mw_yr * (period.target_mw - served) * years
    total["delay"] += late
    total["sourcing"] = float(c.network.cost_musd_per_mwh @ d.sourced_mwh) * USD_PER_MUSD if d.sourced_mwh.size else 0.0
    total["income_tax"] += finance.with_tax(problem, {"delay": late})["income_tax"]
    if d.operated is not None:
        total |= d.operated.items_usd(c)
        total["income_tax"] += finance.with_tax(problem, {"energy": total["energy"]})["income_tax"]
    return {item: usd / USD_PER_MUSD for item, usd in total.items()}


def _by_state(d: Decision, o: int, p: int, containers: int, h: int | None) -> dict[str, float]:
    """Containers of a delivery by credit state."""
    if d.pools is not None:
        return d.pools.get((o, p), {"none": float(containers)})
    return {"none" if h is None else d.states[h]: float(containers)}


def views_musd(items: dict[str, float]) -> dict[str, float]:
    """Cost of the same plan to the buyer and in resources, in million USD."""
    return {view: sum(taxes.in_view(items, view).values()) for view in ("buyer", "resource")}


def entities(c: Coefficients, d: Decision) -> tuple[EntityFlag, ...]:
    """Every flag of the offers bought that is not a plain no."""
    problem = c.problem
    return tuple(
        EntityFlag(
            offer=problem.offers[o].offer,
            flag=name,
            status=flag.status,
            since="" if flag.since is None else month_text(flag.since),
            reason=flag.reason,
            binds=policy.counts_as_yes(problem, flag.status, cast("FlagName", name)),
        )
        for o in sorted(d.tier)
        for name, flag in sorted(problem.offers[o].flags.items())
        if flag.status != "no"
    )


def exposure_frac(c: Coefficients, d: Decision) -> dict[str, float]:
    """Exposure by every measure."""
    bought = d.containers.sum(axis=1)
    found = {}
    for m in MEASURES:
        less = relief_vectors(c, m)
        sums = {
            name: float(share @ bought)
            - (float(less[name] @ d.sourced_mwh) if name in less and d.sourced_mwh.size else 0.0)
            for name, share in share_vectors(c, m).items()
        }
        found[m] = max(sums.values())
    return found


def macr_frac(c: Coefficients, d: Decision) -> dict[str, float | None]:
    """Material assistance by construction phase and for all storage bought, with what chosen sources add."""
    found = content_frac(c, d, c.macr)
    if not c.problem.case.sourcing.traced or not d.sourced_mwh.size:
        return found
    phases = c.problem.case.policy.phases
    weight = d.containers * (c.nameplate_mwh * np.array([o.is_storage for o in c.problem.offers]))[:, None]
    phase_of = [policy.construction_phase(c.problem, period) for period in c.problem.periods]
    for h, name in [*((h, phase.phase) for h, phase in enumerate(phases)), (None, "all")]:
        inside = [p for p, index in enumerate(phase_of) if name == "all" or index == h]
        mwh = float(weight[:, inside].sum())
        added = sum(
            a * x
            for a, x, one in zip(c.network.assistance_mwh, d.sourced_mwh, c.network.choices, strict=True)
            if one.period in inside
        )
        old = found[name]
        if old is not None and mwh > 0:
            found[name] = old + added / mwh
    return found


def content_frac(c: Coefficients, d: Decision, ratio: FloatArray) -> dict[str, float | None]:
    """A nameplate-weighted ratio by construction phase and for all storage bought."""
    storage = np.array([o.is_storage for o in c.problem.offers])
    weight = d.containers * (c.nameplate_mwh * storage)[:, None]
    found: dict[str, float | None] = {}
    phase_of = [policy.construction_phase(c.problem, period) for period in c.problem.periods]
    for h, phase in enumerate(c.problem.case.policy.phases):
        part = weight[:, [p for p, index in enumerate(phase_of) if index == h]].sum(axis=1)
        found[phase.phase] = float(ratio @ part / part.sum()) if part.sum() > 0 else None
    whole = weight.sum(axis=1)
    found["all"] = float(ratio @ whole / whole.sum()) if whole.sum() > 0 else None
    return found


def margins(c: Coefficients, d: Decision) -> tuple[Margin, ...]:
    """The tightest outage row of every contingency kind, in MWh."""
    pairs = np.array([d.containers[o, p] for o, p in c.pairs], dtype=float)
    used = d.containers.sum(axis=1) > 0
    load = d.served_mw / np.array([max(p.target_mw, 1e-9) for p in c.problem.periods])
    best: dict[str, Margin] = {}
    counts = c.requirement.counts
    fires = [q for q in c.contingencies if q.fire_offer is not None and used[q.fire_offer]]
    for contingency in (c.contingencies[0], *c.losses, *fires):
        fire, holds = contingency.fire_offer, c.holds_in(contingency)
        for p, period in enumerate(c.problem.periods):
            if not holds[p] or load[p] <= 0:
                continue
            for season in range(1 if d.operated is None else d.operated.fleet.running.shape[2]):
                required = c.requirement_in(season).mwh[p]
                need = contingency.surviving_frac * required * load[p]
                delivered = held_delivered_mwh(c, d, pairs, p, contingency.offers, season)
                if fire is not None:
                    delivered = delivered - c.fire_loss_mwh[fire]
                slack = np.where(required > 0, delivered - need, np.inf)
                k = int(np.argmin(slack))
                known = best.get(contingency.kind)
                if np.isfinite(slack[k]) and (known is None or slack[k] < known.margin_mwh):
                    best[contingency.kind] = Margin(
                        contingency=contingency.kind,
                        lost=contingency.lost,
                        period=period.label,
                        hours=float(counts[k].sum() * c.problem.dt_h),
                        margin_mwh=float(slack[k]),
                        required_mwh=float(need[k]),
                        delivered_mwh=float(delivered[k]),
                    )
    return tuple(best.values())


def held_delivered_mwh(
    c: Coefficients, d: Decision, pairs: FloatArray, p: int, lost: frozenset[int], season: int
) -> FloatArray:
    """What survives a loss in a period of an outage that starts in a season, for every count vector."""
    total = delivered_mwh(c, pairs, p, lost)
    if d.operated is None:
        return total
    fleet, o = d.operated.fleet, c.pair_offer
    reach = c.power_mw[o][:, None] * c.open_hours[o]
    kept = np.array([offer not in lost for offer in o], dtype=float)[:, None]
    worn, left = c.duty_delivered_mwh(p, reach)
    total += np.einsum("ij,imj->m", kept * fleet.cycled, worn)
    return np.asarray(total + np.einsum("ij,imj->m", kept * fleet.running[:, p, season], left))


def delivered_mwh(c: Coefficients, pairs: FloatArray, p: int, lost: frozenset[int]) -> FloatArray:
    """What survives a loss in a period, for every count vector."""
    active = [i for i in np.flatnonzero(pairs) if c.pair_offer[i] not in lost and c.alive[i, p]]
    o = c.pair_offer[active]
    reach = c.power_mw[o][:, None] * c.open_hours[o]
    one = c.availability[o][:, None] * np.minimum(reach, c.faded_mwh[active, p][:, None])
    return np.asarray(pairs[active] @ one)


def zone_use(c: Coefficients, d: Decision) -> tuple[ZoneUse, ...]:
    """The most that each zone holds in any period, and what its rules allow."""
    problem = c.problem
    storage = np.array([o.is_storage for o in problem.offers])
    usable = np.array([o.energy_usable_ac_mwh for o in problem.offers]) * storage
    rows = []
    for z, (zone, option) in enumerate(zip(problem.case.site.zones, d.options, strict=True)):
        fleets = [_standing(c, d, z, p) for p in c.fullest_periods]
        present = sorted({int(o) for fleet in fleets for o in np.flatnonzero(fleet) if storage[o]})
        caps = [float(c.zone_cap_mwh[o, z]) for o in present]
        water = [
            yard.fire_rule(problem, "fire_water_lpm", problem.offers[o].chemistry, problem.offers[o].evidence).value
            for o in present
        ]
        used = {
            "area": (max(float(c.area_m2 @ fleet) for fleet in fleets), option.usable_m2),
            "energy": (max(float(usable @ fleet) for fleet in fleets), min(caps) if caps else None),
            "hazard": (max(float((c.hazard * usable) @ fleet) for fleet in fleets), zone.hazard_budget_mwh),
        }
        fill = {k: a / b for k, (a, b) in used.items() if b}
        rows.append(
            ZoneUse(
                zone=zone.zone,
                area_used_m2=used["area"][0],
                area_allowed_m2=option.usable_m2,
                energy_used_mwh=used["energy"][0],
                energy_allowed_mwh=used["energy"][1],
                hazard_used_mwh=used["hazard"][0],
                hazard_allowed_mwh=zone.hazard_budget_mwh,
                fire_water_used_lpm=max(water, default=0.0),
                fire_water_allowed_lpm=zone.fire_water_lpm,
                binding=max(fill, key=lambda k: fill[k]) if fill and max(fill.values()) > 0.98 else "none",
            )
        )
    return tuple(rows)


def _standing(c: Coefficients, d: Decision, z: int, p: int) -> FloatArray:
    """Containers of each offer that stand in zone ``z`` in period ``p``, shape (O,)."""
    stands = np.zeros(len(c.problem.offers))
    for i, (o, q) in enumerate(c.pairs):
        if c.alive[i, p]:
            stands[o] += d.placed[o, q, z]
    return stands


def critical_path(c: Coefficients, d: Decision) -> tuple[Critical, ...]:
    """What sets the energised load of every period, with the slack of the rest."""
    problem = c.problem
    served = {p.label: float(mw) for p, mw in zip(problem.periods, d.served_mw, strict=True)}
    ordered = {
        period.label: tuple(problem.offers[o] for o in np.flatnonzero(d.containers[:, p]))
        for p, period in enumerate(problem.periods)
    }
    return criticalpath.critical_path(problem, served, ordered)
