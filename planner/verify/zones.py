"""Fire and site rules of every zone and period."""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.case import Zone
from planner.problem import Offer, Problem
from planner.results import Plan, ZoneChoice
from planner.units import month_text
from planner.verify.fleet import Fleet
from planner.verify.lookup import Book
from planner.verify.tally import Tally, number


@dataclass(frozen=True)
class Standing:
    """What a zone holds in a period."""

    area_m2: float
    energy_mwh: float
    hazard_mwh: float
    water_lpm: float
    cap_mwh: float


def hall_setback_m(book: Book, zone: Zone, offer: Offer, barrier: bool) -> float:
    """Distance an offer must keep from the hall in a zone."""
    return book.fire("setback_hall_m", offer.chemistry, zone.zone_type, offer.evidence, barrier)


def setback_levels(book: Book, zone: Zone, barrier: bool) -> list[float]:
    """The distinct hall setbacks over the storage offers of the case at a barrier state."""
    return sorted({hall_setback_m(book, zone, o, barrier) for o in book.problem.offers if o.is_storage})


def usable_m2(book: Book, zone: Zone, barrier: bool, level_m: float) -> float:
    """Area that a zone keeps under an option."""
    need = max(0.0, level_m - zone.distance_to_hall_m)
    line_rule = book.fire("setback_line_m", zone_type=zone.zone_type, barrier=barrier)
    line = max(0.0, line_rule - zone.distance_to_line_m)
    return max(0.0, zone.length_m - 2.0 * line) * max(0.0, zone.width_m - need - line)


def standing(fleet: Fleet, zone: Zone, q: int) -> tuple[Standing, list[int]]:
    """Sum up a zone in a period; also the indices of the offers present."""
    book, offers = fleet.book, fleet.problem.offers
    counts: dict[int, int] = {}
    for (o, p, name), count in fleet.placed.items():
        if name == zone.zone and count > 0 and fleet.alive[o, p, q]:
            counts[o] = counts.get(o, 0) + count
    storage = {o: n for o, n in counts.items() if offers[o].is_storage}
    mwh = {o: n * offers[o].energy_usable_ac_mwh for o, n in storage.items()}
    caps = [book.fire("fire_area_cap_mwh", offers[o].chemistry, zone.zone_type, offers[o].evidence) for o in storage]
    total = Standing(
        area_m2=sum(n * book.area_m2(offers[o]) for o, n in counts.items()),
        energy_mwh=sum(mwh.values()),
        hazard_mwh=sum(book.hazard(offers[o]) * v for o, v in mwh.items()),
        water_lpm=max((_water(book, zone, offers[o]) for o in storage), default=0.0),
        cap_mwh=zone.fire_areas * min(caps, default=math.inf),
    )
    return total, sorted(storage)


def _water(book: Book, zone: Zone, offer: Offer) -> float:
    return book.fire("fire_water_lpm", offer.chemistry, zone.zone_type, offer.evidence)


def check_zones(fleet: Fleet, plan: Plan, tally: Tally) -> None:
    """Options, area, caps, hazard, water, chemistries and dates of every zone."""
    tally.hold(
        "zone_option",
        "zone_area",
        "zone_energy",
        "zone_hazard",
        "zone_water",
        "zone_chemistry",
        "zone_date",
        "zone_report",
    )
    chosen: dict[str, list[ZoneChoice]] = {}
    for choice in plan.zone_options:
        chosen.setdefault(choice.zone, []).append(choice)
    for name in sorted(set(chosen) - {z.zone for z in fleet.problem.case.site.zones}):
        tally.fail("zone_option", f"option for an unknown zone {name!r}")
    for zone in fleet.problem.case.site.zones:
        options = chosen.get(zone.zone, [])
        if len(options) != 1:
            tally.fail("zone_option", f"zone {zone.zone} has {len(options)} options; exactly one is needed")
            continue
        _check_zone(fleet, zone, options[0], plan, tally)


def _check_zone(fleet: Fleet, zone: Zone, choice: ZoneChoice, plan: Plan, tally: Tally) -> None:
    """All rules of one zone under its option."""
    book, problem = fleet.book, fleet.problem
    level, name = number(choice.setback_m), f"zone {zone.zone}"
    if not math.isfinite(level) or level < 0:
        tally.fail("zone_option", f"{name}: setback {choice.setback_m!r} is no distance")
        return
    area = usable_m2(book, zone, bool(choice.barrier), level)
    tally.same("zone_option", choice.usable_m2, area, f"{name}: usable_m2", max(1.0, area))
    levels = setback_levels(book, zone, bool(choice.barrier))
    if levels and min(abs(level - v) for v in levels) > 1e-6:
        tally.note("setback", f"{name}: setback {level:g} m is none of {', '.join(f'{v:g}' for v in levels)}")
    fullest: list[Standing] = []
    for q, period in enumerate(problem.periods):
        now, present = standing(fleet, zone, q)
        fullest.append(now)
        at = f"{name} in {period.label}"
        tally.at_most("zone_area", now.area_m2, area, f"{at}: occupied m2")
        if math.isfinite(now.cap_mwh):
            tally.at_most("zone_energy", now.energy_mwh, now.cap_mwh, f"{at}: storage MWh over its fire areas")
        if zone.hazard_budget_mwh is not None:
            tally.at_most("zone_hazard", now.hazard_mwh, zone.hazard_budget_mwh, f"{at}: hazard-weighted MWh")
        tally.at_most("zone_water", now.water_lpm, zone.fire_water_lpm, f"{at}: fire water in l/min")
        for o in present:
            _check_presence(book, zone, choice, problem.offers[o], level, tally)
    for (o, p, where), count in fleet.placed.items():
        start = problem.periods[p].start
        if where == zone.zone and count > 0 and zone.available_from is not None and start < zone.available_from:
            text = (
                f"{problem.offers[o].offer} arrives {month_text(start)}, {name} opens {month_text(zone.available_from)}"
            )
            tally.fail("zone_date", text)
    _check_report(zone, area, fullest, plan, tally)


def _check_presence(book: Book, zone: Zone, choice: ZoneChoice, offer: Offer, level: float, tally: Tally) -> None:
    """Whether an offer may stand in a zone under its option at all."""
    if zone.allowed_chemistries is not None and offer.chemistry not in zone.allowed_chemistries:
        tally.fail("zone_chemistry", f"zone {zone.zone} forbids {offer.chemistry} ({offer.offer})")
    own = hall_setback_m(book, zone, offer, bool(choice.barrier))
    text = f"{offer.offer} needs a setback of {own:g} m, zone {zone.zone} keeps {level:g}"
    tally.at_most("zone_chemistry", own - level, 0.0, text, max(1.0, own))


def _check_report(zone: Zone, area: float, periods: list[Standing], plan: Plan, tally: Tally) -> None:
    """The figures of the zone table: each used figure is its largest over the periods."""
    rows = [r for r in plan.fire if r.zone == zone.zone]
    if len(rows) != 1:
        tally.fail("zone_report", f"the fire table has {len(rows)} rows for zone {zone.zone}")
        return
    mine = {
        "area_used_m2": max(s.area_m2 for s in periods),
        "area_allowed_m2": area,
        "energy_used_mwh": max(s.energy_mwh for s in periods),
        "hazard_used_mwh": max(s.hazard_mwh for s in periods),
        "fire_water_used_lpm": max(s.water_lpm for s in periods),
        "fire_water_allowed_lpm": zone.fire_water_lpm,
    }
    for key, value in mine.items():
        tally.same("zone_report", getattr(rows[0], key), value, f"fire table, zone {zone.zone}, {key}", max(1.0, value))


def check_strict(problem: Problem, fleet: Fleet, plan: Plan, tally: Tally) -> None:
    """Under ``fire.strict`` no row from memory may be needed by what is bought and where it stands."""
    tally.hold("fire_strict")
    if not problem.case.fire.strict:
        return
    book = Book(problem)
    zones = {z.zone: z for z in problem.case.site.zones}
    barriers = {c.zone: bool(c.barrier) for c in plan.zone_options}
    for o in fleet.used:
        offer = problem.offers[o]
        book.area_m2(offer)
        if offer.is_storage:
            book.hazard(offer)
            if problem.case.reliability.contingencies.fire_group is not None:
                book.fire("group_containers", offer.chemistry, evidence=offer.evidence)
    for (o, _, name), count in fleet.placed.items():
        offer = problem.offers[o]
        if count > 0 and offer.is_storage and name in zones:
            zone, barrier = zones[name], barriers.get(name, False)
            hall_setback_m(book, zone, offer, barrier)
            usable_m2(book, zone, barrier, 0.0)
            book.fire("fire_area_cap_mwh", offer.chemistry, zone.zone_type, offer.evidence)
            _water(book, zone, offer)
    for key, row in sorted(book.fire_rows_used.items()):
        if row.tag == "M":
            tally.fail("fire_strict", f"the plan needs the fire rule {' / '.join(key)}, which rests on memory")
