"""Where things come from: China's part by layer, countries by role, content by vintage and phase."""

from __future__ import annotations

import numpy as np

from planner import finance, policy
from planner.decode import Decision
from planner.dossier import CountryShare, LayerExposure, PhaseContent, Vintage
from planner.exposure import layers
from planner.model.coefficients import Coefficients
from planner.problem import FloatArray
from planner.sourced import relief_by_offer
from planner.units import USD_PER_MUSD, month_text


def layer_exposure(c: Coefficients, d: Decision) -> tuple[LayerExposure, ...]:
    """Share of the required energy that hangs on China, by layer and by the origin of the goods."""
    problem = c.problem
    bought = [
        (o, float(d.containers[o].sum()) * problem.offers[o].energy_usable_ac_mwh / c.required_mwh)
        for o in sorted(d.tier)
        if problem.offers[o].is_storage
    ]
    rows = []
    for layer in layers(problem):
        made_less = relief_by_offer(c, d, layer, c.network.made_less) / c.required_mwh
        owned_less = relief_by_offer(c, d, layer, c.network.owned_less) / c.required_mwh
        for origin in sorted({problem.offers[o].origin for o, _ in bought}):
            made = owned = 0.0
            for o, weight in bought:
                share = problem.offers[o].layers.get(layer)
                if problem.offers[o].origin == origin and share is not None:
                    made += weight * share.production_frac
                    owned += weight * share.ownership_frac
                    made -= float(made_less[o])
                    owned -= float(owned_less[o])
            rows.append(LayerExposure(layer=layer, origin=origin, production_frac=made, ownership_frac=owned))
    return tuple(rows)


def country_shares(c: Coefficients, d: Decision) -> tuple[CountryShare, ...]:
    """Which countries hold each role, by usable MWh of the storage bought."""
    problem = c.problem
    owners = {s.supplier: s.owner_country for s in problem.tables.suppliers}
    stored = [problem.offers[o] for o in sorted(d.tier) if problem.offers[o].is_storage]
    energy = {q.offer: float(d.containers[problem.offers.index(q)].sum()) * q.energy_usable_ac_mwh for q in stored}
    total = sum(energy.values())
    roles = {
        "cells made in": {q.offer: q.cell_country for q in stored},
        "goods come from": {q.offer: q.origin for q in stored},
        "control software from": {q.offer: q.software_country for q in stored},
        "supplier owned in": {q.offer: owners.get(q.supplier, "unknown") for q in stored},
    }
    rows = []
    for role, country_of in roles.items():
        sums: dict[str, float] = {}
        for offer, country in country_of.items():
            sums[country] = sums.get(country, 0.0) + energy[offer]
        ranked = sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))
        rows += [CountryShare(role=role, country=k, energy_mwh=v, share_frac=v / total) for k, v in ranked]
    return tuple(rows)


def _ratio(c: Coefficients, d: Decision, periods: list[int], ratio: FloatArray) -> tuple[float, float | None]:
    """Nameplate MWh of storage delivered in some periods, and its weighted ratio."""
    stored = np.array([q.is_storage for q in c.problem.offers])
    weight = d.containers[:, periods].sum(axis=1) * c.nameplate_mwh * stored
    total = float(weight.sum())
    return total, float(ratio @ weight) / total if total > 0 else None


def vintages(c: Coefficients, d: Decision) -> tuple[Vintage, ...]:
    """Content of each period with deliveries; thresholds of its construction phase, None after the last phase."""
    rows = []
    for p, period in enumerate(c.problem.periods):
        weight, domestic = _ratio(c, d, [p], c.domestic)
        if weight == 0:
            continue
        h = policy.construction_phase(c.problem, period)
        phase = None if h is None else c.problem.case.policy.phases[h]
        rows.append(
            Vintage(
                period=period.label,
                phase=None if phase is None else phase.phase,
                nameplate_mwh=weight,
                domestic_frac=domestic,
                domestic_threshold_frac=None if phase is None else policy.domestic_threshold(c.problem, phase),
                macr_frac=_ratio(c, d, [p], c.macr)[1],
                macr_threshold_frac=None if phase is None else policy.macr_threshold(c.problem, phase),
            )
        )
    return tuple(rows)


def phase_contents(c: Coefficients, d: Decision) -> tuple[PhaseContent, ...]:
    """Ratios, thresholds and credit of each construction phase."""
    problem = c.problem
    rows = []
    for h, phase in enumerate(problem.case.policy.phases):
        inside = [p for p, q in enumerate(problem.periods) if policy.construction_phase(problem, q) == h]
        weight, domestic = _ratio(c, d, inside, c.domestic)
        rate = policy.credit_rate(problem, phase, d.states[h])
        credit = 0.0
        for o in d.tier:
            offer = problem.offers[o]
            for p in inside:
                n = int(d.containers[o, p])
                if n and offer.is_storage and c.phase[p] == h:
                    discount = offer.tiers[d.tier[o]].discount_frac
                    capex = finance.container_cost(problem, offer, problem.periods[p], discount).capex_usd
                    month = problem.periods[p].start + finance.CREDIT_LAG_MONTHS
                    credit += n * rate * capex * finance.discount(problem, month)
        rows.append(
            PhaseContent(
                phase=phase.phase,
                construction_start_month=month_text(phase.construction_start),
                deliveries_until_month=month_text(phase.deliveries_until),
                nameplate_mwh=weight,
                domestic_frac=domestic,
                domestic_threshold_frac=policy.domestic_threshold(problem, phase),
                macr_frac=_ratio(c, d, inside, c.macr)[1],
                macr_threshold_frac=policy.macr_threshold(problem, phase),
                state=d.states[h],
                rate_frac=rate,
                credit_musd=credit / USD_PER_MUSD,
            )
        )
    return tuple(rows)
