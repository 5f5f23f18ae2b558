"""The site: fire rules, footprints, and the options of each zone, computed before the model."""

from __future__ import annotations

from dataclasses import dataclass

from planner.case import Zone
from planner.catalogue import FireRuleRow
from planner.problem import Offer, Problem


def fire_rule(
    problem: Problem,
    rule: str,
    chemistry: str,
    evidence: str = "*",
    zone_type: str = "*",
    barrier: str = "*",
) -> FireRuleRow:
    """The most specific row of the case's profile, else of ``common``.

    Raises
    ------
    LookupError
        If neither profile has a matching row.
    """
    wanted = {"chemistry": chemistry, "evidence": evidence, "zone_type": zone_type, "barrier": barrier}
    for profile in (problem.case.fire.profile, "common"):
        rows = problem.tables.fire_rules_by_rule.get((profile, rule), ())
        fits = [row for row in rows if all(getattr(row, k) in ("*", v) for k, v in wanted.items())]
        if fits:
            return max(fits, key=lambda row: sum(getattr(row, k) != "*" for k in wanted))
    raise LookupError(f"no fire rule {rule} for {wanted} in {problem.case.fire.profile} or common")


def rests_on_memory(problem: Problem, *rows: FireRuleRow) -> bool:
    """Whether the case is strict about fire rules and one of the rows was never read in a source."""
    return problem.case.fire.strict and any(row.tag == "M" for row in rows)


def strict_refusal(problem: Problem, offer: Offer) -> str | None:
    """The fire rule that keeps an offer out of a strict case wherever it would stand."""
    rules = ["footprint_multiplier", "bop_multiplier"]
    if offer.is_storage:
        rules.append("hazard_class")
        if problem.case.reliability.contingencies.fire_group is not None:
            rules.append("group_containers")
    for rule in rules:
        if rests_on_memory(problem, fire_rule(problem, rule, offer.chemistry, offer.evidence)):
            return rule
    return None


def hazard_class(problem: Problem, offer: Offer) -> float:
    """Hazard points of a chemistry (1 low to 5 high)."""
    return fire_rule(problem, "hazard_class", offer.chemistry, offer.evidence).value


def occupied_m2(problem: Problem, offer: Offer) -> float:
    """Yard area of one container with its gaps, aisles and balance of plant, in m2."""
    spread = fire_rule(problem, "footprint_multiplier", offer.chemistry, offer.evidence).value
    plant = fire_rule(problem, "bop_multiplier", offer.chemistry, offer.evidence).value
    return offer.length_m * offer.width_m * spread * plant


def fire_group(problem: Problem, offer: Offer) -> int:
    """Containers that may burn together."""
    return round(fire_rule(problem, "group_containers", offer.chemistry, offer.evidence).value)


def fire_area_cap_mwh(problem: Problem, offer: Offer, zone: Zone) -> float:
    """Energy that one fire area of the zone may hold while this offer is present, in MWh."""
    return fire_rule(problem, "fire_area_cap_mwh", offer.chemistry, offer.evidence, zone.zone_type).value


@dataclass(frozen=True)
class ZoneOption:
    """A barrier and setback choice of a zone: usable area, cost, and who may stand there."""

    barrier: bool
    setback_m: float
    usable_m2: float
    cost_usd: float
    chemistries: frozenset[str]

    @property
    def label(self) -> str:
        """Short name for tables and variables."""
        return f"{'barrier' if self.barrier else 'open'}_{self.setback_m:g}m"


def zone_options(problem: Problem, zone: Zone) -> tuple[ZoneOption, ...]:
    """Every option of a zone that no other one beats.

    Levels are the setbacks to the data hall that the chemistries on offer ask for; an
    option admits the chemistries whose own setback it keeps (conventions, section 7).
    """
    chemistries = sorted({o.chemistry for o in problem.offers})
    barrier_usd_per_m = cost_row(problem, "barrier_usd_per_m", "*", "*")
    options = []
    for barrier in (False, True):
        mark = "yes" if barrier else "no"
        halls = {c: fire_rule(problem, "setback_hall_m", c, barrier=mark) for c in chemistries}
        setback = {c: row.value for c, row in halls.items()}
        line = fire_rule(problem, "setback_line_m", "*", barrier=mark)
        sound = {c for c in chemistries if not rests_on_memory(problem, line, halls[c])}
        inset = max(0.0, line.value - zone.distance_to_line_m)
        for level in sorted(set(setback.values())):
            need = max(0.0, level - zone.distance_to_hall_m)
            usable = max(0.0, zone.length_m - 2 * inset) * max(0.0, zone.width_m - need - inset)
            cost = barrier_usd_per_m * 2 * (zone.length_m + zone.width_m) if barrier else 0.0
            admitted = frozenset(c for c in sound if setback[c] <= level)
            options.append(ZoneOption(barrier, level, usable, cost, admitted))
    return tuple(o for i, o in enumerate(options) if not any(_beats(b, o, j, i) for j, b in enumerate(options)))


def _beats(a: ZoneOption, b: ZoneOption, index_a: int, index_b: int) -> bool:
    """Whether option a is at least as good as b in all respects (ties: the first stays)."""
    if index_a == index_b:
        return False
    as_good = a.usable_m2 >= b.usable_m2 and a.cost_usd <= b.cost_usd and a.chemistries >= b.chemistries
    same = a.usable_m2 == b.usable_m2 and a.cost_usd == b.cost_usd and a.chemistries == b.chemistries
    return as_good and (not same or index_a < index_b)


def may_stand(problem: Problem, offer: Offer, zone: Zone) -> bool:
    """Whether an offer may stand in a zone at all (list of chemistries, fire water, strict reading)."""
    if not offer.is_storage:
        return True
    if zone.allowed_chemistries is not None and offer.chemistry not in zone.allowed_chemistries:
        return False
    water = fire_rule(problem, "fire_water_lpm", offer.chemistry, offer.evidence)
    cap = fire_rule(problem, "fire_area_cap_mwh", offer.chemistry, offer.evidence, zone.zone_type)
    return water.value <= zone.fire_water_lpm and not rests_on_memory(problem, water, cap)


def cost_row(problem: Problem, cost: str, chemistry: str, origin: str, otherwise: float | None = None) -> float:
    """The most specific cost row: chemistry and origin, then chemistry, then origin, then any; else ``otherwise``."""
    for c, o in ((chemistry, origin), (chemistry, "*"), ("*", origin), ("*", "*")):
        value = problem.tables.cost_values.get((cost, c, o))
        if value is not None:
            return value
    if otherwise is not None:
        return otherwise
    raise LookupError(f"no cost row {cost} for {chemistry}, {origin}")
