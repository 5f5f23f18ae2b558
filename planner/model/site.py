"""Where containers stand: zones, options, fire areas."""

from __future__ import annotations

from collections.abc import Iterator

import pyomo.environ as pyo

from planner.model.coefficients import Coefficients
from planner.model.row import family, linear


def declare(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Placements by cohort, zone options, and which fire classes are present."""
    zones = c.problem.case.site.zones
    fits = {(o, z): c.fit(o, z) for o in c.offers_used for z in range(len(zones))}
    keys, most = [], {}
    for o, g in sorted(set(c.cohort)):
        for z in range(len(zones)):
            if fits[o, z] and _open(c, o, g, z):
                key = (c.problem.offers[o].offer, g, zones[z].zone)
                keys.append(key)
                most[key] = fits[o, z]
    m.places = pyo.Set(initialize=keys, dimen=3)
    m.placed = pyo.Var(m.places, domain=pyo.NonNegativeReals, bounds=lambda _, *key: (0, most[key]))
    options = [(zone.zone, j.label) for zone, js in zip(zones, c.zone_options, strict=True) for j in js]
    m.options = pyo.Set(initialize=options, dimen=2)
    m.zone_option = pyo.Var(m.options, domain=pyo.Binary)
    m.fire_classes = pyo.Set(initialize=_gated_classes(c), dimen=2)
    m.present = pyo.Var(m.fire_classes, domain=pyo.Binary)


def _open(c: Coefficients, o: int, g: int, z: int) -> bool:
    """Whether zone z is open when the deliveries of a cohort arrive."""
    opens = c.problem.case.site.zones[z].available_from
    starts = [c.problem.periods[p].start for (o2, p), key in zip(c.pairs, c.cohort, strict=True) if key == (o, g)]
    return opens is None or all(start >= opens for start in starts)


def fire_class(c: Coefficients, o: int) -> str:
    """Offers that the fire rules cannot tell apart."""
    offer = c.problem.offers[o]
    return f"{offer.chemistry}/{offer.evidence}"


def _classes(c: Coefficients, z: int) -> dict[str, list[int]]:
    """Fire classes of the storage offers that may stand in a zone."""
    classes: dict[str, list[int]] = {}
    for o in c.offers_used:
        if c.problem.offers[o].is_storage and c.fit(o, z):
            classes.setdefault(fire_class(c, o), []).append(o)
    return classes


def _gated_classes(c: Coefficients) -> list[tuple[str, str]]:
    """(zone, class) pairs whose presence changes what the zone allows."""
    gated = []
    for z, zone in enumerate(c.problem.case.site.zones):
        classes = _classes(c, z)
        largest = max((c.zone_cap_mwh[os[0], z] for os in classes.values()), default=0.0)
        for name, members in classes.items():
            chemistry = c.problem.offers[members[0]].chemistry
            always = all(chemistry in j.chemistries for j in c.zone_options[z])
            if not always or c.zone_cap_mwh[members[0], z] < largest:
                gated.append((zone.zone, name))
    return gated


def _standing(m: pyo.ConcreteModel, c: Coefficients, z: int, p: int) -> Iterator[tuple[int, object]]:
    """(offer index, variable) of what stands in a zone in a fullest period."""
    zone = c.problem.case.site.zones[z].zone
    seen = set()
    for i, (o, g) in enumerate(c.cohort):
        key = (c.problem.offers[o].offer, g, zone)
        if c.alive[i, p] and key in m.places and key not in seen:
            seen.add(key)
            yield o, m.placed[key]


@family("")
def placed_whole(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Every container stands somewhere.

    sum_z placed[o,g,z] = sum_{p in cohort g} containers[o,p]
    """
    offers, periods = c.problem.offers, c.problem.periods
    zones = [z.zone for z in c.problem.case.site.zones]
    m.placed_whole = pyo.Constraint(pyo.Any)
    for o, g in sorted(set(c.cohort)):
        name = offers[o].offer
        stand = [(1.0, m.placed[name, g, z]) for z in zones if (name, g, z) in m.places]
        bought = [
            (-1.0, m.containers[name, periods[p].label])
            for (_, p), key in zip(c.pairs, c.cohort, strict=True)
            if key == (o, g)
        ]
        m.placed_whole[name, g] = linear([*stand, *bought]) == 0


@family("")
def one_option(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Every zone has one barrier and setback option.

    sum_j zone_option[z,j] = 1
    """
    zones = {z.zone: [j.label for j in js] for z, js in zip(c.problem.case.site.zones, c.zone_options, strict=True)}
    m.one_option = pyo.Constraint(list(zones), rule=lambda m, z: sum(m.zone_option[z, j] for j in zones[z]) == 1)


@family("site_area")
def yard_area(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """What stands in a zone fits the usable area of its option.

    sum_{o,g standing in p} area_m2[o] placed[o,g,z] <= sum_j usable_m2[z,j] zone_option[z,j]
    """
    m.yard_area = pyo.Constraint(pyo.Any)
    for z, zone in enumerate(c.problem.case.site.zones):
        room = [(-j.usable_m2 / 1e3, m.zone_option[zone.zone, j.label]) for j in c.zone_options[z]]
        for p in c.fullest_periods:
            used = [(c.area_m2[o] / 1e3, v) for o, v in _standing(m, c, z, p)]
            if used:
                m.yard_area[zone.zone, c.problem.periods[p].label] = linear([*used, *room]) <= 0


@family("fire")
def fire_area_energy(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """The smallest cap of the classes present holds for all energy in the zone.

    sum_{o,g standing in p} usable_mwh[o] placed[o,g,z] <= cap[z,a] + (largest_cap[z] - cap[z,a]) (1 - present[z,a])
    """
    m.fire_area_energy = pyo.Constraint(pyo.Any)
    for z, zone in enumerate(c.problem.case.site.zones):
        caps = {name: float(c.zone_cap_mwh[os[0], z]) for name, os in _classes(c, z).items()}
        if not caps:
            continue
        largest = max(caps.values())
        for p in c.fullest_periods:
            energy = [
                (c.problem.offers[o].energy_usable_ac_mwh / 1e3, v)
                for o, v in _standing(m, c, z, p)
                if c.problem.offers[o].is_storage
            ]
            label = c.problem.periods[p].label
            if not energy:
                continue
            m.fire_area_energy[zone.zone, label, "largest"] = linear(energy) <= largest / 1e3
            for name, cap in caps.items():
                if cap < largest:
                    gate = [((largest - cap) / 1e3, m.present[zone.zone, name])]
                    m.fire_area_energy[zone.zone, label, name] = linear([*energy, *gate]) <= largest / 1e3


@family("fire")
def hazard_budget(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Hazard-weighted energy stays within the zone's budget.

    sum_{o,g standing in p} hazard[o] usable_mwh[o] placed[o,g,z] <= hazard_budget_mwh[z]
    """
    m.hazard_budget = pyo.Constraint(pyo.Any)
    for z, zone in enumerate(c.problem.case.site.zones):
        if zone.hazard_budget_mwh is None:
            continue
        for p in c.fullest_periods:
            terms = [
                (c.hazard[o] * c.problem.offers[o].energy_usable_ac_mwh / 1e3, v)
                for o, v in _standing(m, c, z, p)
                if c.problem.offers[o].is_storage
            ]
            if terms:
                m.hazard_budget[zone.zone, c.problem.periods[p].label] = linear(terms) <= zone.hazard_budget_mwh / 1e3


@family("")
def present_where_placed(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """A fire class is present where one of its containers stands.

    sum_{o in a, g standing in p} placed[o,g,z] / fit[o,z] <= present[z,a]
    """
    m.present_where_placed = pyo.Constraint(pyo.Any)
    zones = {zone.zone: z for z, zone in enumerate(c.problem.case.site.zones)}
    for zone, name in m.fire_classes:
        z = zones[zone]
        for p in c.fullest_periods:
            terms = [(1.0 / c.fit(o, z), v) for o, v in _standing(m, c, z, p) if fire_class(c, o) == name]
            if terms:
                gate = (-_joint_fit(c, z, name), m.present[zone, name])
                m.present_where_placed[zone, name, c.problem.periods[p].label] = linear([*terms, gate]) <= 0


def _joint_fit(c: Coefficients, z: int, name: str) -> float:
    """How far the sum of placed/fit can go when several offers of a class share a zone.

    ``fit`` is rounded down, so a mix can fill a little more than any offer alone.
    """
    members = _classes(c, z)[name]
    return 1.0 + max(1.0 / c.fit(o, z) for o in members)


@family("")
def present_under_option(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """A fire class stands only under options that keep its distance to the hall.

    present[z,a] <= sum_{j admits a} zone_option[z,j]
    """
    m.present_under_option = pyo.Constraint(pyo.Any)
    zones = {zone.zone: z for z, zone in enumerate(c.problem.case.site.zones)}
    for zone, name in m.fire_classes:
        chemistry = name.split("/")[0]
        admitting = [j.label for j in c.zone_options[zones[zone]] if chemistry in j.chemistries]
        if len(admitting) < len(c.zone_options[zones[zone]]):
            terms = [(-1.0, m.zone_option[zone, j]) for j in admitting]
            m.present_under_option[zone, name] = linear([(1.0, m.present[zone, name]), *terms]) <= 0


#: Every constraint family of the site, in the order of the formulation page.
FAMILIES = (
    placed_whole, one_option, yard_area, fire_area_energy, hazard_budget, present_where_placed, present_under_option,
)  # fmt: skip
