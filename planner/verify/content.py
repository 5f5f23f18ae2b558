"""Construction phases, content ratios, credit states and China exposure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from planner.case import MEASURES, Phase
from planner.problem import Offer, Problem
from planner.results import Plan
from planner.units import parse_month
from planner.verify.fleet import Fleet
from planner.verify.lookup import Book
from planner.verify.sourced import Taken, assistance_mwh, relief_mwh, traced_part
from planner.verify.tally import Tally

#: Continuity: in service at most this many months after the start of construction.
CONTINUITY_MONTHS = 48
#: Phases that start before this month have no material-assistance test.
ASSISTANCE_FROM = parse_month("2026-01")
STATES = ("none", "base", "bonus")


def phase_of(problem: Problem, p: int) -> Phase | None:
    """Construction phase of a period; None after the last phase or when continuity is broken."""
    start = problem.periods[p].start
    for phase in problem.case.policy.phases:
        if start < phase.deliveries_until:
            last = phase.continuity_until
            if last is None:
                last = phase.construction_start + CONTINUITY_MONTHS
            return phase if start <= last else None
    return None


def credit_rate(book: Book, phase: Phase, state: str) -> float:
    """Tax credit as a share of capex in a state, after monetisation."""
    policy = book.case.policy
    share = 1.0 - policy.transfer_discount_frac if policy.monetisation == "transfer" else 1.0
    return share * gross_rate(book, phase, state)


def gross_rate(book: Book, phase: Phase, state: str) -> float:
    """Tax credit as a share of capex that the law grants in a state."""
    policy = book.case.policy
    if policy.monetisation == "none" or state not in ("base", "bonus"):
        return 0.0
    wage = "pwa" if policy.prevailing_wage else "no_pwa"

    def read(name: str) -> float:
        return book.credit(name, phase.construction_start)

    rate = read(f"base_{wage}_frac")
    if state == "bonus":
        rate += read(f"bonus_{wage}_frac")
    if policy.energy_community:
        rate += read(f"energy_community_{wage}_frac")
    if policy.monetisation == "elective_pay" and state == "base" and read("elective_kept_frac") > 0:
        rate *= read("elective_kept_frac")
    return rate * read("available_frac")


def domestic_content(book: Book, offer: Offer) -> float:
    """Sum of the weights of the components present and US-made."""
    return sum(book.weights.get(n, 0.0) for n, c in offer.components.items() if c.present and c.us_made)


def material_assistance(book: Book, offer: Offer) -> float:
    """One less the prohibited share of the present components; 1 when none is present."""
    present = {n: c for n, c in offer.components.items() if c.present}
    total = sum(book.weights.get(n, 0.0) for n in present)
    if total <= 0.0:
        return 1.0
    barred = sum(book.weights.get(n, 0.0) for n, c in present.items() if book.reads_as_yes(c.prohibited, "pfe_tax"))
    traced = sum(traced_part(book, offer, n) * layer.ownership_frac for n, layer in offer.layers.items())
    return 1.0 - barred / total - traced


def ratios(fleet: Fleet, periods: Iterable[int], taken: Sequence[Taken] = ()) -> tuple[float, float] | None:
    """Nameplate-weighted domestic content and material assistance of storage delivered in some periods."""
    chosen = list(periods)
    weight = domestic = assistance = 0.0
    for o, offer in enumerate(fleet.problem.offers):
        mwh = offer.energy_nameplate_dc_mwh * int(fleet.counts[o, chosen].sum()) if offer.is_storage else 0.0
        if mwh > 0.0:
            weight += mwh
            domestic += mwh * domestic_content(fleet.book, offer)
            assistance += mwh * material_assistance(fleet.book, offer)
    assistance += assistance_mwh(fleet.book, taken, chosen)
    return (domestic / weight, assistance / weight) if weight > 0.0 else None


def check_credits(fleet: Fleet, plan: Plan, tally: Tally, taken: Sequence[Taken] = ()) -> None:
    """Compare ratios and credit states by phase, and the domestic floor."""
    tally.hold("content", "credit_state", "domestic_floor")
    problem = fleet.problem
    every = range(len(problem.periods))
    phases = {h.phase: [p for p in every if phase_of(problem, p) is h] for h in problem.case.policy.phases}
    for name in (*phases, "all"):
        mine = ratios(fleet, phases.get(name, every) if name != "all" else every, taken)
        _check_claim(tally, "domestic_content_frac", plan.domestic_content_frac, name, mine[0] if mine else None)
        _check_claim(tally, "macr_frac", plan.macr_frac, name, mine[1] if mine else None)
    for name in sorted(set(plan.credit_state) - set(phases)):
        tally.fail("credit_state", f"credit_state names an unknown phase {name!r}")
    if problem.case.credits.unit == "pools":
        check_pools(fleet, plan, tally, taken)
    for phase in problem.case.policy.phases if problem.case.credits.unit == "phase" else ():
        _check_state(fleet, phase, ratios(fleet, phases[phase.phase], taken), plan, tally)
    whole = ratios(fleet, every)
    floor = problem.case.policy.domestic_floor_frac
    if whole is not None:
        tally.at_most(
            "domestic_floor",
            floor - whole[0],
            0.0,
            f"domestic content {whole[0]:.6f} lies below the floor {floor:g}",
            1.0,
        )


def _check_claim(tally: Tally, field: str, claims: dict[str, float | None], name: str, mine: float | None) -> None:
    """A claimed ratio against the recomputed one; None only where nothing is delivered."""
    if name not in claims:
        tally.fail("content", f"{field} lacks {name!r}")
    elif mine is None:
        if claims[name] is not None:
            tally.fail("content", f"{field} of {name}: {claims[name]!r} claimed, but nothing is delivered")
    else:
        tally.same("content", claims[name], mine, f"{field} of {name}", 1.0)


def _check_state(fleet: Fleet, phase: Phase, got: tuple[float, float] | None, plan: Plan, tally: Tally) -> None:
    """The credit state of a phase against its thresholds."""
    book, policy = fleet.book, fleet.problem.case.policy
    state = plan.credit_state.get(phase.phase)
    if state not in STATES:
        tally.fail("credit_state", f"phase {phase.phase}: credit state {state!r} is none of {', '.join(STATES)}")
        return
    if policy.monetisation == "none":
        if state != "none":
            tally.fail("credit_state", f"phase {phase.phase}: state {state} although nothing can be monetised")
        return
    if got is None:
        return
    need_domestic = book.credit("domestic_threshold_frac", phase.construction_start)
    need_macr = book.credit("macr_threshold_frac", phase.construction_start)
    if phase.construction_start < ASSISTANCE_FROM:
        need_macr = 0.0
    if state in ("base", "bonus"):
        text = f"phase {phase.phase} takes {state} with material assistance {got[1]:.6f}, threshold {need_macr:g}"
        tally.at_most("credit_state", need_macr - got[1], 0.0, text, 1.0)
    if state == "bonus" or (state == "base" and _needs_content(book, phase)):
        text = f"phase {phase.phase} takes {state} with domestic content {got[0]:.6f}, threshold {need_domestic:g}"
        tally.at_most("credit_state", need_domestic - got[0], 0.0, text, 1.0)
    if state in ("base", "bonus"):
        for o, p in fleet.bought:
            offer = fleet.problem.offers[o]
            if offer.is_storage and phase_of(fleet.problem, p) is phase and book.controlled(offer):
                text = f"phase {phase.phase} takes {state} although a prohibited provider serves {offer.offer}"
                tally.fail("credit_state", text)
    base_open = got[1] >= need_macr and (not _needs_content(book, phase) or got[0] >= need_domestic)
    best = "bonus" if base_open and got[0] >= need_domestic else ("base" if base_open else "none")
    if STATES.index(state) < STATES.index(best) and credit_rate(book, phase, best) > credit_rate(book, phase, state):
        tally.note("credit", f"phase {phase.phase} takes {state}, its ratios would allow {best}")


def _needs_content(book: Book, phase: Phase) -> bool:
    """Whether even the base credit needs domestic content: elective pay for starts that lose all without it."""
    kept = book.credit("elective_kept_frac", phase.construction_start)
    return book.case.policy.monetisation == "elective_pay" and kept == 0.0


def check_pools(fleet: Fleet, plan: Plan, tally: Tally, taken: Sequence[Taken] = ()) -> None:
    """Every pool (phase and credit state) against the tests, and the pools against the orders."""
    problem, book = fleet.problem, fleet.book
    tally.hold("pools")
    if problem.case.policy.monetisation == "none":
        if plan.credit_pools:
            tally.fail("pools", "pools are claimed although nothing can be monetised")
        return
    sums: dict[tuple[str, str], tuple[float, float, float]] = {}
    orders = {(problem.offers[o].offer, problem.periods[p].label): (o, p) for o, p in fleet.bought}
    total: dict[tuple[int, int], float] = {}
    for row in plan.credit_pools:
        key = orders.get((row.offer, row.period))
        phase = phase_of(problem, key[1]) if key else None
        if key is None or phase is None or row.phase != phase.phase or row.state not in STATES or row.containers < 0:
            tally.fail("pools", f"pool of {row.offer} in {row.period}, {row.state}: no such delivery, phase or state")
            continue
        offer = problem.offers[key[0]]
        total[key] = total.get(key, 0.0) + row.containers
        if row.state != "none" and (book.controlled(offer) or not offer.is_storage):
            tally.fail("pools", f"{row.offer} in {row.period} may earn no credit")
        mwh = row.containers * offer.energy_nameplate_dc_mwh
        old = sums.get((phase.phase, row.state), (0.0, 0.0, 0.0))
        got = (mwh, mwh * domestic_content(book, offer), mwh * material_assistance(book, offer))
        sums[phase.phase, row.state] = (old[0] + got[0], old[1] + got[1], old[2] + got[2])
    for (name, state), (mwh, domestic, macr) in sums.items():
        inside = [p for p in range(len(problem.periods)) if (h := phase_of(problem, p)) is not None and h.phase == name]
        mine = [one for one in taken if one.row.state == state]
        sums[name, state] = (mwh, domestic, macr + assistance_mwh(book, mine, inside))
    for (o, p), count in total.items():
        text = f"pools of {problem.offers[o].offer} in {problem.periods[p].label}"
        tally.same("pools", count, float(fleet.counts[o, p]), text, max(1.0, float(fleet.counts[o, p])))
    for phase in problem.case.policy.phases:
        start = phase.construction_start
        need_macr = 0.0 if start < ASSISTANCE_FROM else book.credit("macr_threshold_frac", start)
        need_domestic = book.credit("domestic_threshold_frac", start)
        for state in ("base", "bonus"):
            mwh, domestic, macr = sums.get((phase.phase, state), (0.0, 0.0, 0.0))
            if mwh <= 1e-9:
                continue
            tally.at_most("pools", need_macr - macr / mwh, 0.0, f"material assistance of {phase.phase} {state}", 1.0)
            if state == "bonus" or _needs_content(book, phase):
                tally.at_most("pools", need_domestic - domestic / mwh, 0.0, f"content of {phase.phase} {state}", 1.0)


def shares(book: Book, offer: Offer, measure: str) -> dict[str, float]:
    """China shares of an offer under a measure: one per layer for the chokepoints, else one."""
    side = "ownership_frac" if measure.endswith("_ownership") else "production_frac"
    layers = {name: float(getattr(layer, side)) for name, layer in offer.layers.items()}
    if measure == "control":
        owned = offer.layers["control_software"].ownership_frac if "control_software" in offer.layers else 0.0
        return {"": max(1.0 if book.flagged(offer, "software_control") else 0.0, owned)}
    kind = measure.removesuffix("_ownership")
    if kind == "cell":
        return {"": layers.get("cell", 0.0)}
    if kind == "value":
        return {"": sum(book.layer_weights.get((offer.chemistry, n), 0.0) * v for n, v in layers.items())}
    return layers


def exposure(
    fleet: Fleet, measure: str, required_mwh: float, period: int | None = None, taken: Sequence[Taken] = ()
) -> float:
    """China exposure of the storage bought, or of the fleet alive in a period, per required MWh."""
    sums: dict[str, float] = {}
    for o in fleet.used:
        offer = fleet.problem.offers[o]
        if not offer.is_storage:
            continue
        counts = fleet.counts[o] if period is None else fleet.counts[o] * fleet.alive[o, :, period]
        mwh = offer.energy_usable_ac_mwh * int(np.sum(counts))
        for layer, share in shares(fleet.book, offer, measure).items():
            sums[layer] = sums.get(layer, 0.0) + share * mwh
    standing = [one for one in taken if period is None or fleet.alive[one.offers[0], one.p, period]]
    for layer, mwh in relief_mwh(fleet.book, standing, measure).items():
        sums[layer] = sums.get(layer, 0.0) - mwh
    return max(sums.values(), default=0.0) / required_mwh if required_mwh > 0.0 else 0.0


def check_exposure(fleet: Fleet, plan: Plan, required_mwh: float, tally: Tally, taken: Sequence[Taken] = ()) -> None:
    """Compare the exposure measures with the claims and the limits."""
    tally.hold("exposure", "exposure_limit")
    for measure in MEASURES:
        mine = exposure(fleet, measure, required_mwh, taken=taken)
        tally.same("exposure", plan.exposure_frac.get(measure), mine, f"exposure_frac {measure}", max(1.0, mine))
    for name, limit in fleet.problem.case.exposure_limits.items():
        if limit.per_period:
            for q, period in enumerate(fleet.problem.periods):
                value = exposure(fleet, name, required_mwh, q, taken)
                tally.at_most("exposure_limit", value, limit.max_frac, f"exposure {name} in {period.label}", 1.0)
        else:
            value = exposure(fleet, name, required_mwh, taken=taken)
            tally.at_most("exposure_limit", value, limit.max_frac, f"exposure {name} of the plan", 1.0)
