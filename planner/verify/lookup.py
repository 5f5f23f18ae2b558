"""Table look-ups of the verifier: prices, fade, duties, fire rules, cost rows, credits, factory output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from scipy.stats import binom

from planner.catalogue import CostRow, FireRuleRow
from planner.problem import Offer, Problem
from planner.units import year_of

#: What a fire number is where no row speaks.
FIRE_DEFAULT: dict[str, float] = {
    "hazard_class": 1.0, "footprint_multiplier": 1.0, "bop_multiplier": 1.0, "setback_hall_m": 0.0,
    "setback_line_m": 0.0, "group_containers": 1.0, "fire_water_lpm": 0.0, "event_rate_per_gw_yr": 0.0,
    "fire_area_cap_mwh": float("inf"),
}  # fmt: skip


def along(points: Mapping[int, float], year: float) -> float:
    """Linear between listed years, held outside.

    Parameters
    ----------
    points
        Year to value; an empty mapping gives 0.
    year
        Where to read.
    """
    if not points:
        return 0.0
    years = sorted(points)
    return float(np.interp(year, years, [points[y] for y in years]))


def latest(steps: list[tuple[int, float]], month: int) -> float | None:
    """Value of the last step at or before ``month``; None before the first."""
    found = [(since, value) for since, value in steps if since <= month]
    return max(found)[1] if found else None


class Book:
    """The tables of one problem, indexed for look-up.

    Parameters
    ----------
    problem
        The planning question.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.case = problem.case
        tables = problem.tables
        self._tariffs: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
        for duty in tables.tariffs:
            self._tariffs[duty.duty_origin, duty.duty_class].append((duty.since, duty.rate_frac))
        self._credits: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for credit in tables.credits:
            self._credits[credit.parameter].append((credit.since, credit.value))
        self._lithium = {r.year: r.usd_per_kg for r in tables.lithium if r.path == self.case.finance.lithium_path}
        self._output: dict[str, dict[str, dict[int, float]]] = {}
        for row in tables.factory_output:
            columns = self._output.setdefault(row.factory, {"capacity": {}, "committed": {}, "obtainable": {}})
            columns["capacity"][row.year] = row.capacity_gwh
            columns["committed"][row.year] = row.committed_frac
            columns["obtainable"][row.year] = row.obtainable_frac
        self._fade: dict[tuple[str, str], dict[float, list[tuple[float, float]]]] = {}
        for point in tables.fade:
            temperatures = self._fade.setdefault((point.curve, point.duty), {})
            temperatures.setdefault(point.temperature_c, []).append((point.age_yr, point.soh_frac))
        version = self.case.policy.component_table
        self.weights = {w.component: w.weight_frac for w in tables.component_weights if w.version == version}
        self.layer_weights = {(w.chemistry, w.layer): w.weight_frac for w in tables.layer_weights}
        self.qualification = {s.supplier: s.qualification_usd for s in tables.suppliers}
        self.factories = {f.factory for f in tables.factories}
        self._costs: dict[tuple[str, str, str], CostRow] = {(r.cost, r.chemistry, r.origin): r for r in tables.costs}
        self._fire: dict[tuple[str, ...], FireRuleRow | None] = {}
        self.fire_rows_used: dict[tuple[str, ...], FireRuleRow] = {}

    # -- prices -----------------------------------------------------------------------------

    def price(self, offer: Offer, year: int) -> float:
        """List price of a year of delivery, in the offer's price unit."""
        return along(offer.price, year)

    def lithium_index(self, year: int) -> float:
        """Lithium carbonate price of the case's path, USD/kg."""
        return along(self._lithium, year)

    def lithium_usd(self, offer: Offer, year: int, basis_kwh: float) -> float:
        """Lithium pass-through per kWh of the price basis; never more than halves the price."""
        moved = self.lithium_index(year) - self.lithium_index(year_of(offer.price_date))
        per_nameplate = offer.lithium_pass_through_frac * offer.lithium_kg_per_kwh * moved
        per_basis = per_nameplate * offer.energy_nameplate_dc_mwh * 1000.0 / basis_kwh
        return max(per_basis, -0.5 * self.price(offer, year))

    def duty_rate(self, offer: Offer, month: int) -> float:
        """Ad valorem duty at an import month; 0 where no row applies yet."""
        return latest(self._tariffs[offer.duty_origin, offer.duty_class], month) or 0.0

    def cost(self, name: str, chemistry: str = "*", origin: str = "*", otherwise: float = 0.0) -> float:
        """Most specific cost row: (chemistry, origin), (chemistry, *), (*, origin), (*, *); else ``otherwise``."""
        for key in ((chemistry, origin), (chemistry, "*"), ("*", origin), ("*", "*")):
            row = self._costs.get((name, *key))
            if row is not None:
                return row.value
        return otherwise

    # -- technology -------------------------------------------------------------------------

    def knows_fade(self, offer: Offer) -> bool:
        """Whether the fade table holds the offer's curve for the case's duty."""
        return (offer.fade_curve, self.case.reliability.duty) in self._fade

    def soh(self, offer: Offer, age_yr: float, duty: str | None = None) -> float:
        """State of health at an age; with a guaranteed warranty the contract's line where that is lower."""
        health = self._expected_soh(offer, age_yr, duty or self.case.reliability.duty)
        if self.case.reliability.warranty == "guaranteed":
            stated = offer.warranty_years > 0
            years = offer.warranty_years if stated else self.case.contract.warranty_years
            end = offer.warranty_soh_frac if stated else self.case.contract.warranty_soh_frac
            health = min(health, max(0.0, 1.0 - age_yr * (1.0 - end) / years))
        return health

    def _expected_soh(self, offer: Offer, age_yr: float, duty: str) -> float:
        """Health by the fade curve, linear in age and then in temperature; 1 without a curve."""
        own = self._fade.get((offer.fade_curve, self.case.reliability.duty))
        curve = self._fade.get((offer.fade_curve, duty)) or own
        if not curve:
            return 1.0
        temperatures = sorted(curve)
        at_age = []
        for temperature in temperatures:
            ages, values = zip(*sorted(curve[temperature]), strict=True)
            at_age.append(float(np.interp(age_yr, ages, values)))
        return float(np.interp(self.case.site.cell_temperature_c, temperatures, at_age))

    def availability(self, offer: Offer) -> float:
        """Counted share of a fleet: the mean, or the safe quantile x/N."""
        rule = self.case.reliability.availability
        if rule.basis == "mean":
            return offer.availability_frac
        at_least = binom.sf(np.arange(rule.fleet + 1) - 1, rule.fleet, offer.availability_frac)
        return float(np.flatnonzero(at_least >= rule.probability_frac)[-1]) / rule.fleet

    def delay_h(self, offer: Offer) -> float:
        """Start delay in hours after the halls' UPS; generators and contracts wait for the shortest outage."""
        own = max(0.0, offer.response_s - self.case.reliability.ride_through.ups_s) / 3600.0
        if offer.kind in ("generator", "firm_contract"):
            held = self.case.firm.min_outage_h
            # A unit held back by min_outage_h gains nothing from the UPS.
            return max(own, held)
        return own

    # -- supply and credits -----------------------------------------------------------------

    def factory_limit_mwh(self, factory: str, year: int, years: float) -> float | None:
        """Nameplate MWh that a factory can deliver to this buyer in a period; None without rows."""
        columns = self._output.get(factory)
        if columns is None:
            return None
        free = (1.0 - along(columns["committed"], year)) * along(columns["obtainable"], year)
        return 1000.0 * along(columns["capacity"], year) * free * min(years, 1.0) * self.case.supply.scale_frac

    def credit(self, parameter: str, month: int) -> float:
        """A rate or threshold of the tax credit by start of construction; 0 before the first row."""
        return latest(self._credits[parameter], month) or 0.0

    # -- fire -------------------------------------------------------------------------------

    def fire(
        self, rule: str, chemistry: str = "*", zone_type: str = "*", evidence: str = "*", barrier: bool | None = None
    ) -> float:
        """Fire number of the most specific row of the profile, else of ``common``.

        A field left out matches only rows that say ``*`` there. Among equally specific rows
        the first of the table rules.
        """
        wall = "*" if barrier is None else ("yes" if barrier else "no")
        key = (rule, chemistry, zone_type, evidence, wall)
        if key not in self._fire:
            self._fire[key] = self._fire_row(rule, key[1:])
        row = self._fire[key]
        if row is None:
            return FIRE_DEFAULT[rule]
        self.fire_rows_used[tuple(str(getattr(row, k)) for k in FireRuleRow.key)] = row
        return row.value

    def _fire_row(self, rule: str, asked: tuple[str, ...]) -> FireRuleRow | None:
        for profile in dict.fromkeys((self.case.fire.profile, "common")):
            best: FireRuleRow | None = None
            best_count = -1
            for row in self.problem.tables.fire_rules:
                if row.rule != rule or row.profile != profile:
                    continue
                fields = (row.chemistry, row.zone_type, row.evidence, row.barrier)
                if all(f in ("*", a) for f, a in zip(fields, asked, strict=True)):
                    count = sum(f != "*" for f in fields)
                    if count > best_count:
                        best, best_count = row, count
            if best is not None:
                return best
        return None

    def hazard(self, offer: Offer) -> float:
        """Hazard class of an offer."""
        return self.fire("hazard_class", offer.chemistry, evidence=offer.evidence)

    def area_m2(self, offer: Offer) -> float:
        """Ground that one container occupies, with gaps and its share of plant around it."""
        gaps = self.fire("footprint_multiplier", offer.chemistry, evidence=offer.evidence)
        return offer.length_m * offer.width_m * gaps * self.fire("bop_multiplier", offer.chemistry)

    def flagged(self, offer: Offer, flag: str, month: int | None = None) -> bool:
        """Whether an entity flag counts, at a month if one is given."""
        state = offer.flags.get(flag)
        if state is None:
            return False
        if month is not None and state.since is not None and state.since > month:
            return False
        return self.reads_as_yes(state.status, flag)

    def reads_as_yes(self, status: str, flag: str) -> bool:
        """Whether a status counts as yes: it is one, or it is disputed and doubt about this flag is refused."""
        policy = self.case.policy
        own = {str(name): reading for name, reading in policy.disputed_flags.items()}
        return status == "yes" or (status == "disputed" and own.get(flag, policy.disputed) == "refuse")

    def controlled(self, offer: Offer) -> bool:
        """Whether a prohibited provider serves the offer for more than two years."""
        return offer.service_years > 2 and self.flagged(offer, "service_provider")
