"""Tax credits, content ratios, entity flags and bans: pure functions of the tables."""

from __future__ import annotations

from collections.abc import Iterable

from planner.case import Phase
from planner.catalogue import BanRow, FlagName
from planner.problem import Offer, Period, Problem
from planner.units import parse_month

MATERIAL_ASSISTANCE_FROM = parse_month("2026-01")
CONTINUITY_MONTHS = 48
CONTROL_YEARS = 2.0
STATES = ("none", "base", "bonus")
#: Flags of a layer that stops coming from China: an offer may do without it.
CUT_LAYERS = ("cut_off_layer_ordered", "cut_off_layer_delivered")
#: The listed component whose materials can be traced, and the layers that it is made of.
CELLS = "cells"
CELL_LAYERS = ("mining", "refining", "cathode", "anode", "electrolyte", "separator", "cell")


def credit_value(problem: Problem, parameter: str, construction_start: int) -> float:
    """Value of a credit parameter for a start of construction (the last row at or before it)."""
    rows = [r for r in problem.tables.credits if r.parameter == parameter and r.since <= construction_start]
    return max(rows, key=lambda r: r.since).value if rows else 0.0


def continuity_until(phase: Phase) -> int:
    """Last month of service that still counts as one construction: the case's date, else four years on."""
    return phase.construction_start + CONTINUITY_MONTHS if phase.continuity_until is None else phase.continuity_until


def construction_phase(problem: Problem, period: Period) -> int | None:
    """Index of the construction phase that a delivery in ``period`` belongs to, while continuity holds."""
    for index, phase in enumerate(problem.case.policy.phases):
        if period.start < phase.deliveries_until:
            return index if period.start <= continuity_until(phase) else None
    return None


def credit_phase(problem: Problem, period: Period) -> int | None:
    """Index of the construction phase whose credit a delivery in ``period`` can earn; None without credits."""
    return None if problem.case.policy.monetisation == "none" else construction_phase(problem, period)


def credit_rate(problem: Problem, phase: Phase, state: str) -> float:
    """Credit per dollar of capex that the buyer keeps, after monetisation."""
    policy = problem.case.policy
    kept = 1.0 - policy.transfer_discount_frac if policy.monetisation == "transfer" else 1.0
    return gross_credit_rate(problem, phase, state) * kept


def gross_credit_rate(problem: Problem, phase: Phase, state: str) -> float:
    """Credit per dollar of capex that the law grants: what may be recaptured, and half of what leaves the basis."""
    policy = problem.case.policy
    wage = "pwa" if policy.prevailing_wage else "no_pwa"
    start = phase.construction_start
    if state == "none" or policy.monetisation == "none":
        return 0.0
    rate = credit_value(problem, f"base_{wage}_frac", start)
    if state == "bonus":
        rate += credit_value(problem, f"bonus_{wage}_frac", start)
    if policy.energy_community:
        rate += credit_value(problem, f"energy_community_{wage}_frac", start)
    if state == "base" and policy.monetisation == "elective_pay":
        rate *= elective_kept(problem, phase) or 1.0
    return rate * credit_value(problem, "available_frac", start)


def elective_kept(problem: Problem, phase: Phase) -> float:
    """Share of an elective payment kept without domestic content; 0 makes domestic content a condition."""
    return credit_value(problem, "elective_kept_frac", phase.construction_start)


def macr_threshold(problem: Problem, phase: Phase) -> float | None:
    """Material-assistance threshold of a phase; None when it starts before the test applies."""
    if phase.construction_start < MATERIAL_ASSISTANCE_FROM:
        return None
    return credit_value(problem, "macr_threshold_frac", phase.construction_start)


def domestic_threshold(problem: Problem, phase: Phase) -> float:
    """Domestic-content threshold of a phase."""
    return credit_value(problem, "domestic_threshold_frac", phase.construction_start)


def counts_as_yes(problem: Problem, status: str, flag: FlagName = "pfe_tax") -> bool:
    """Whether a three-state flag binds under the case's reading of what is disputed about it."""
    policy = problem.case.policy
    return status == "yes" or (status == "disputed" and policy.disputed_flags.get(flag, policy.disputed) == "refuse")


def _weights(problem: Problem) -> dict[str, float]:
    version = problem.case.policy.component_table
    return {r.component: r.weight_frac for r in problem.tables.component_weights if r.version == version}


def domestic_content(problem: Problem, offer: Offer) -> float:
    """Sum of the table's percentages of the US-made components (IRS Notice 2025-08)."""
    weights = _weights(problem)
    return sum(weights[name] for name, c in offer.components.items() if c.present and c.us_made)


def material_assistance(problem: Problem, offer: Offer) -> float:
    """Share of the listed components present that no prohibited entity made (26 USC 7701(a)(52)).

    Where the materials of the cells are traced, before any choice of their sources.
    """
    weights = _weights(problem)
    present = {name: c for name, c in offer.components.items() if c.present}
    total = sum(weights[name] for name in present)
    bad = sum(weights[n] for n, c in present.items() if counts_as_yes(problem, c.prohibited))
    ratio = 1.0 - bad / total if total > 0 else 1.0
    if problem.case.sourcing.traced:
        ratio -= sum(traced_weight(problem, offer, n) * s.ownership_frac for n, s in offer.layers.items())
    return ratio


def accepted_nodes(problem: Problem, offer: Offer) -> dict[str, tuple[str, ...]]:
    """Source nodes by layer that the maker of an offer's cells accepts; only layers with some China share."""
    if problem.case.sourcing.mode != "free" or not offer.is_storage:
        return {}
    found = {}
    for row in problem.tables.offer_sourcing:
        share = offer.layers.get(row.layer)
        if row.offer != offer.offer or share is None or max(share.production_frac, share.ownership_frac) <= 0:
            continue
        fits = [
            n.node
            for n in problem.tables.source_nodes
            if n.layer == row.layer and offer.chemistry in names_of(n.chemistries)
        ]
        nodes = tuple(n for n in fits if row.nodes.strip() == "*" or n in names_of(row.nodes))
        if nodes:
            found[row.layer] = nodes
    return found


def traced_weight(problem: Problem, offer: Offer, layer: str) -> float:
    """Weight of one layer in an offer's material-assistance ratio where the materials of the cells are traced.

    The percentage of the cells is split over the layers up to the cell by value; 0 where the maker of the cells is
    a prohibited entity, for then all of it counts against the ratio anyway.
    """
    cells = offer.components.get(CELLS)
    if cells is None or not cells.present or counts_as_yes(problem, cells.prohibited) or layer not in CELL_LAYERS:
        return 0.0
    weights = _weights(problem)
    total = sum(weights[name] for name, c in offer.components.items() if c.present)
    split = {
        r.layer: r.weight_frac
        for r in problem.tables.layer_weights
        if r.chemistry == offer.chemistry and r.layer in CELL_LAYERS
    }
    whole = sum(split.values())
    return weights[CELLS] / total * split.get(layer, 0.0) / whole if total > 0 and whole > 0 else 0.0


def flag_binds(problem: Problem, offer: Offer, flag: FlagName, month: int | None = None) -> bool:
    """Whether an entity flag of an offer is in force (at ``month``, if given)."""
    entry = offer.flags.get(flag)
    if entry is None or not counts_as_yes(problem, entry.status, flag):
        return False
    return month is None or entry.since is None or entry.since <= month


def bans_on(problem: Problem, offer: Offer, period: Period) -> Iterable[str]:
    """Names of the bans that keep this buyer from taking ``offer`` in ``period``."""
    for ban in problem.tables.bans:
        if ban.buyer != problem.case.buyer:
            continue
        month = period.start if ban.clock == "delivery" else period.start - offer.order_lead_months
        fits = month >= ban.since and _ban_fits(problem, offer, ban, month)
        if fits and not _open_to_proof(problem, offer, ban):
            yield ban.ban


def bans_proven_by(problem: Problem, offer: Offer, period: Period) -> Iterable[BanRow]:
    """Bans that an offer escapes in ``period`` only if its sourcing is clean enough."""
    for ban in problem.tables.bans:
        if ban.buyer != problem.case.buyer:
            continue
        month = period.start if ban.clock == "delivery" else period.start - offer.order_lead_months
        if month >= ban.since and _ban_fits(problem, offer, ban, month) and _open_to_proof(problem, offer, ban):
            yield ban


def _open_to_proof(problem: Problem, offer: Offer, ban: BanRow) -> bool:
    """Whether where its materials come from can settle a doubt about an offer, or lead it past a cut-off."""
    if not ban.proof_layers or ban.flag is None or problem.case.sourcing.mode != "free":
        return False
    flag = offer.flags.get(ban.flag)
    cell = offer.layers.get("cell")
    if flag is None or cell is None or not accepted_nodes(problem, offer):
        return False
    if ban.flag in CUT_LAYERS:
        return True
    return flag.status == "disputed" and offer.licensor_country != "China" and cell.ownership_frac == 0


def _ban_fits(problem: Problem, offer: Offer, ban: BanRow, month: int) -> bool:
    """Whether everything that a ban names holds for an offer."""
    if ban.flag is not None and not flag_binds(problem, offer, ban.flag, month):
        return False
    if ban.makers and not {offer.cell_maker, offer.supplier} & set(names_of(ban.makers)):
        return False
    if ban.licensor_country and offer.licensor_country not in names_of(ban.licensor_country):
        return False
    return not ban.layers or china_content(problem, offer, names_of(ban.layers)) > ban.china_frac


def names_of(text: str) -> list[str]:
    """Names of a cell, separated by semicolons."""
    return [name.strip() for name in text.split(";") if name.strip()]


def china_content(problem: Problem, offer: Offer, layers: Iterable[str]) -> float:
    """China share of some layers of an offer by value, each weighted as in ``layer_weights``."""
    chosen = set(layers)
    weight = {r.layer: r.weight_frac for r in problem.tables.layer_weights if r.chemistry == offer.chemistry}
    total = sum(w for layer, w in weight.items() if layer in chosen)
    part = sum(w * offer.layers[n].production_frac for n, w in weight.items() if n in chosen and n in offer.layers)
    return part / total if total > 0 else 0.0


def effective_control(problem: Problem, offer: Offer) -> bool:
    """Whether a service contract gives a prohibited provider effective control: longer than two years.

    26 USC 7701(a)(51)(D)(ii)(III): such a contract makes the owner foreign-influenced, so no credit is earned.
    """
    return offer.service_years > CONTROL_YEARS and flag_binds(problem, offer, "service_provider")
