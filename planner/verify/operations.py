"""The operating years of a plan, hour by hour: every flow, every store, every dollar, and an outage from every hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.operatingterms import Operations
from planner.problem import Offer, Problem
from planner.results import LotUse, OperatedYears, OperatingYear, Plan, YearSchedule
from planner.seasons import YEAR_H, month_of_hours, season_of_steps
from planner.simulate import replay
from planner.verify.fleet import Fleet, duties, setting_of
from planner.verify.flow import Flow
from planner.verify.lookup import latest
from planner.verify.outage import Part, Units, Windows, fleet_parts, fleet_units
from planner.verify.tally import Tally, number

FloatArray = NDArray[np.float64]
#: Hours between two outages for which the finding on back-to-back outages is made.
RECHARGE_H = 24
#: Every how many hours such a pair of outages is tried.
PAIR_EVERY = 7
BATCH = 2000
#: Fewer containers than this are rounding.
_FEW = 1e-6


class Year:
    """What every operating year shares, read from the question again."""

    def __init__(self, problem: Problem, operating: Operations) -> None:
        self.problem, self.operating, self.dt = problem, operating, problem.dt_h
        self.per_hour = round(1.0 / problem.dt_h)
        hourly = np.asarray(problem.price_usd_per_mwh, dtype=float)
        if operating.price_years is not None and problem.case.prices.file is None:
            chosen = [i for i, y in enumerate(problem.case.prices.years) if y in operating.price_years]
            hourly = np.concatenate([hourly[i * YEAR_H : (i + 1) * YEAR_H] for i in chosen]) if chosen else hourly
        hourly = hourly[: len(hourly) // YEAR_H * YEAR_H]
        self.hours = len(hourly)
        self.years = self.hours / YEAR_H
        grid, carbon = operating.grid, operating.carbon
        self.market = np.repeat(hourly, self.per_hour)
        self.price = self.market + grid.import_adder_usd_per_mwh + carbon.usd_per_t * carbon.grid_t_per_mwh
        self.earned = self.market - grid.export_fee_usd_per_mwh
        self.load = np.resize(np.asarray(problem.load_pu, dtype=float), self.hours * self.per_hour)
        self.month = np.repeat(month_of_hours(self.hours), self.per_hour)
        self.season = season_of_steps(operating.seasons, self.hours, self.per_hour)
        off = np.zeros(self.hours)
        for begin in range(0, self.hours, YEAR_H):
            rank = np.argsort(-hourly[begin : begin + YEAR_H], kind="stable")
            off[begin + rank[: round(grid.flexible_off_h)]] = 1.0
        self.flexible = 1.0 - np.repeat(off, self.per_hour)

    def gate(self, month: int) -> tuple[FloatArray, float]:
        """Most import of every step, and most export, at the start of a period."""
        grid = self.operating.grid
        firm = self.problem.case.site.energisation.grid if grid.import_mw is None else grid.import_mw
        at = [latest(list(series.items()), month) or 0.0 for series in (firm, grid.flexible_mw, grid.export_mw)]
        return at[0] + at[1] * self.flexible, at[2]

    def sun(self, month: int, added: Mapping[str, float]) -> FloatArray:
        """Most output of every renewable: the case's PV, then those of operations; shape (1 + R, T)."""
        case = self.problem.case
        rows = [case.pv.mw * case.pv.derate_frac * self._long(np.asarray(self.problem.pv_cf)[:: self.per_hour])]
        for name, r in self.operating.renewables.items():
            mw = (r.mw + number(added.get(name, 0.0))) if r.since <= month else 0.0
            rows.append(mw * self._long(np.asarray(self.problem.renewable_cf[name])))
        return np.array(rows)

    def _long(self, hourly: FloatArray) -> FloatArray:
        return np.repeat(np.resize(hourly, self.hours), self.per_hour)

    def cost_usd(self, s: YearSchedule, running_usd_per_mwh: list[float]) -> float:
        """Cost of a schedule a year, without the energy of the load that it serves at the hourly price."""
        peaks = [float(s.imported[self.month == m].max()) for m in range(int(self.month.max()) + 1)]
        energy = s.imported @ self.price - s.exported @ self.earned - (s.load - s.unserved) @ self.price
        energy += s.curtailed.sum() * self.operating.curtailable.usd_per_mwh
        energy += sum(float(mw.sum()) * usd for mw, usd in zip(s.generated, running_usd_per_mwh, strict=True))
        return (float(energy) * self.dt + self.operating.grid.demand_usd_per_mw_month * sum(peaks)) / self.years


def running_costs(problem: Problem, operating: Operations, names: tuple[str, ...]) -> list[float]:
    """Fuel and carbon of generators by name, USD per MWh."""
    fuel = {o.offer: o.fuel_usd_per_mwh for o in problem.offers}
    dear = operating.carbon.usd_per_t * operating.carbon.generator_t_per_mwh
    return [fuel[name] + dear for name in names]


def operating_flows(problem: Problem, plan: Plan) -> list[Flow]:
    """Cash flows of the operating years, from the schedules, and of added renewables."""
    operating = problem.case.operating
    assert operating is not None
    year, flows = Year(problem, operating), []
    for period in problem.periods:
        s = plan.schedules.get(period.label)
        if s is not None:
            usd = year.cost_usd(s, running_costs(problem, operating, s.generators))
            flows.append(Flow("energy", usd, period.start, period.end, period.label))
    added = plan.operations.added_mw if plan.operations is not None else {}
    for name, r in operating.renewables.items():
        kw = 1000.0 * number(added.get(name, 0.0))
        begin = max(r.since, problem.case.timeline.decision)
        flows.append(Flow("renewables", kw * r.capex_usd_per_kw, r.since, None, name))
        flows.append(Flow("renewables", kw * r.om_usd_per_kw_yr, begin, problem.horizon, name))
    return flows


def check_operations(fleet: Fleet, plan: Plan, served: dict[str, float], tally: Tally) -> None:
    """Replay every schedule."""
    problem = fleet.problem
    operating = problem.case.operating
    if operating is None:
        return
    tally.hold("balance", "gate", "stores", "one_way", "budget", "unserved", "outage_any_hour", "value_stack")
    if plan.operations is None:
        tally.fail("balance", "the plan has no operating years")
        return
    year = Year(problem, operating)
    claimed = {y.period: y for y in plan.operations.years}
    for q, period in enumerate(problem.periods):
        s = plan.schedules.get(period.label)
        if s is None or period.label not in claimed:
            tally.fail("balance", f"{period.label} has no schedule")
            continue
        _check_site(year, plan.operations, s, q, served[period.label], tally)
        _check_generators(fleet, year, s, q, tally)
        stored = _check_lots(fleet, year, claimed[period.label], s, q, tally)
        _check_stack(year, claimed[period.label], s, tally)
        if stored is not None and served[period.label] > 0:
            _outage_from_every_hour(fleet, year, stored, q, served[period.label], tally)


def _check_site(year: Year, years: OperatedYears, s: YearSchedule, q: int, served: float, tally: Tally) -> None:
    """Balance of every step, gate, renewables and shed load."""
    period = year.problem.periods[q]
    size, label = max(1.0, served), period.label
    load = year.load * served
    kept = s.imported - s.exported + s.renewable.sum(axis=0) + s.generated.sum(axis=0) + s.curtailed + s.unserved
    kept = kept + (s.discharge - s.charge).sum(axis=0) - load
    tally.fail(
        "balance", f"{label}: a step is out of balance by {np.abs(kept).max():.3g} MW", float(np.abs(kept).max()) / size
    )
    wrong = float(np.abs(s.load - load).max()) / size
    tally.fail("balance", f"{label}: the schedule's load is not the served load", wrong)
    most, export = year.gate(period.start)
    sun = year.sun(period.start, years.added_mw)
    flows = (s.imported, s.exported, s.renewable, s.generated, s.curtailed, s.charge, s.discharge)
    shed = year.operating.curtailable.share_frac * load
    limits = {
        "import": (s.imported - most).max(),
        "export": s.exported.max() - export,
        "renewables": (s.renewable - sun).max(),
        "curtailed": (s.curtailed - shed).max(),
        "less than nothing": -min(float(a.min(initial=0.0)) for a in flows),
    }
    for name, over in limits.items():
        tally.fail("gate", f"{label}: {name} is {over:.3g} MW above its limit", max(0.0, float(over)) / size)
    missing = float(s.unserved.sum()) * year.dt / year.years
    tally.fail("unserved", f"{label}: {missing:.6g} MWh a year stay unserved", missing / (size * YEAR_H))


def _check_generators(fleet: Fleet, year: Year, s: YearSchedule, q: int, tally: Tally) -> None:
    """Generators run within their power and permitted hours."""
    offers = fleet.problem.offers
    index = {o.offer: i for i, o in enumerate(offers)}
    for name, mw in zip(s.generators, s.generated, strict=True):
        o = index[name]
        power = offers[o].availability_frac * offers[o].power_mw * float((fleet.counts[o] * fleet.alive[o, :, q]).sum())
        size = max(power, 1e-6)
        tally.fail("gate", f"{name} runs above its power", max(0.0, float(mw.max()) - power) / size)
        used, allowed = float(mw.sum()) * year.dt / year.years, power * min(offers[o].permitted_h, float(YEAR_H))
        tally.fail(
            "budget",
            f"{name} runs {used:.6g} MWh a year of {allowed:.6g}",
            max(0.0, used - allowed) / max(allowed, 1e-6),
        )


def _check_lots(
    fleet: Fleet, year: Year, claimed: OperatingYear, s: YearSchedule, q: int, tally: Tally
) -> dict[tuple[int, int, int], FloatArray] | None:
    """Every lot within what its containers can do; fullness of the swing of what runs, shape (T,).

    By offer, delivery and setting.
    """
    problem, label = fleet.problem, fleet.problem.periods[q].label
    if tuple(lot.lot for lot in claimed.lots) != s.lots:
        tally.fail("stores", f"{label}: lots of plan and schedule differ")
        return None
    left = _standing(fleet, q)
    size = {o: max(mwh, 1e-6) for o, mwh in left.items()}
    fullness: dict[tuple[int, int, int], FloatArray] = {}
    order = sorted(range(len(claimed.lots)), key=lambda j: claimed.lots[j].reserve_frac >= 1.0)
    for j in order:  # what rests is what the lots that run leave
        lot = claimed.lots[j]
        found = _contents(fleet, year, lot, q)
        if found is None or found[0] not in left or any((found[0], p, found[2]) in fullness for p in found[1]):
            tally.fail("stores", f"{label}: {lot.lot} holds what does not stand there or run so, or stands twice")
            return None
        o, deliveries, k = found
        if k is None:
            able = _resting(fleet, o, q, left.pop(o), len(year.operating.seasons))
        else:
            able = _running(fleet, year, o, q, deliveries, k)
            left[o] -= able.top
        full = _check_lot(year, able, s, j, (lot, label), problem.offers[o], tally)
        fullness |= {(o, p, k): full for p in deliveries if k is not None}
    for o, mwh in left.items():
        tally.fail("stores", f"{label}: {problem.offers[o].offer} has storage in no lot", max(0.0, mwh) / size[o])
    for (o, p, at), runs in fleet.running.items():
        if at == q and any((o, p, k) not in fullness for k in np.flatnonzero(runs.max(axis=0) > _FEW).tolist()):
            tally.fail("stores", f"{label}: {problem.offers[o].offer} runs in no lot")
            return None
    return fullness


def _standing(fleet: Fleet, q: int) -> dict[int, float]:
    """Energy of each storage offer that works on average in a period, in MWh."""
    found = {}
    for o in fleet.used:
        offer, stands = fleet.problem.offers[o], fleet.alive[o, :, q]
        if offer.is_storage and fleet.counts[o, stands].any():
            health = float((fleet.counts[o] * fleet.soh[o, :, q])[stands].sum())
            found[o] = offer.availability_frac * _usable(fleet, o) * health
    return found


def _contents(fleet: Fleet, year: Year, lot: LotUse, q: int) -> tuple[int, list[int], int | None] | None:
    """Offer, deliveries and setting of a lot, no setting for rest; None if there is nothing like it."""
    problem = fleet.problem
    index = {p.label: i for i, p in enumerate(problem.periods)}
    o = next((i for i, offer in enumerate(problem.offers) if offer.offer == lot.offer), None)
    deliveries = [index.get(d, -1) for d in lot.deliveries]
    if o is None or any(p < 0 or not fleet.alive[o, p, q] or not fleet.counts[o, p] for p in deliveries):
        return None
    if lot.reserve_frac >= 1.0:
        return o, deliveries, None
    k = setting_of(year.operating.reserve_settings, lot.reserve_frac)
    if k is None or any((o, p, q) not in fleet.running for p in deliveries):
        return None
    return o, deliveries, k


def _usable(fleet: Fleet, o: int) -> float:
    """Energy of a new container at the reserve level."""
    return fleet.problem.offers[o].energy_usable_ac_mwh * fleet.book.case.reliability.reserve_frac


@dataclass(frozen=True)
class _Able:
    """What a lot can do: power and floor by season, energy, yearly discharge."""

    power: FloatArray
    floor: FloatArray
    top: float
    budget: float


def _running(fleet: Fleet, year: Year, o: int, q: int, deliveries: list[int], k: int) -> _Able:
    """Deliveries that run at a setting, in proportion to their energy: the fullest container sets the power."""
    offer, operating = fleet.problem.offers[o], year.operating
    up, kept = offer.availability_frac, operating.reserve_settings[k]
    runs = np.array([fleet.running[o, p, q][:, k] for p in deliveries])
    each = np.array(
        [next(soh for *_, soh, _, j in duties(fleet, o, p, q) if j == k) * _usable(fleet, o) for p in deliveries]
    )
    energy = up * (each @ runs)
    top = float(energy.max())
    share = np.bincount(year.season, minlength=len(operating.seasons)) / len(year.season)
    return _Able(
        offer.power_mw * energy / float(each.max()), top - (1.0 - kept) * energy, top,
        operating.cycles_per_yr * (1.0 - kept) * float(share @ energy),
    )  # fmt: skip


def _resting(fleet: Fleet, o: int, q: int, energy: float, seasons: int) -> _Able:
    """What is left of an offer only makes up for what it loses."""
    offer = fleet.problem.offers[o]
    power = offer.availability_frac * offer.power_mw * float(fleet.counts[o, fleet.alive[o, :, q]].sum())
    return _Able(np.full(seasons, power), np.full(seasons, energy), energy, 0.0)


def _check_lot(
    year: Year, able: _Able, s: YearSchedule, j: int, what: tuple[LotUse, str], offer: Offer, tally: Tally
) -> FloatArray:
    """One lot step by step; how full its swing is at the start of each step, shape (T,)."""
    lot, label = what
    power, size = float(able.power.max()), max(able.top, 1e-6)
    over = float((s.charge[j] + s.discharge[j] - able.power[year.season]).max())
    tally.fail("stores", f"{label}: {lot.lot} runs {over:.3g} MW above its power", max(0.0, over) / max(power, 1e-6))
    both = float(np.minimum(s.charge[j], s.discharge[j]).max())
    tally.fail("one_way", f"{label}: {lot.lot} charges and discharges at once", both / max(power, 1e-6))
    keep = (1.0 - offer.self_discharge_frac_per_day) ** (year.dt / 24.0)
    ends = year.season != np.roll(year.season, -1)
    ends[-1] = True  # each season and the year end full
    least = np.where(ends, able.top, able.floor[year.season])
    before = np.concatenate([[able.top], s.stored[j][:-1]])
    step = keep * before + year.dt * (offer.round_trip_eff_frac * s.charge[j] - s.discharge[j]) - s.stored[j]
    tally.fail("stores", f"{label}: {lot.lot} gains or loses energy", float(np.abs(step).max()) / size)
    outside = max(float((least - s.stored[j]).max()), float(s.stored[j].max()) - able.top)
    tally.fail("stores", f"{label}: {lot.lot} leaves its range by {outside:.3g} MWh", max(0.0, outside) / size)
    used = float(s.discharge[j].sum()) * year.dt / year.years
    text = f"{label}: {lot.lot} discharges {used:.6g} MWh a year, its setting allows {able.budget:.6g}"
    tally.fail("budget", text, max(0.0, used - able.budget) / size)
    tally.same("stores", lot.energy_mwh, able.top, f"{label}: energy of {lot.lot}", size)
    if lot.reserve_frac < 1.0:
        tally.same("stores", lot.power_mw, power, f"{label}: power of {lot.lot}", max(power, 1e-6))
    floor = able.floor[year.season]
    return np.asarray(np.clip((before - floor) / np.maximum(able.top - floor, 1e-12), 0.0, 1.0))


def _check_stack(year: Year, claimed: OperatingYear, s: YearSchedule, tally: Tally) -> None:
    """The value stack adds up to the recomputed cost."""
    usd = year.cost_usd(s, running_costs(year.problem, year.operating, s.generators))
    size = max(abs(usd) / 1e6, 1e-3)
    tally.same("value_stack", claimed.cost_musd, usd / 1e6, f"cost of {claimed.period} in musd a year", size)
    tally.same("value_stack", sum(claimed.stack_musd.values()), usd / 1e6, f"value stack of {claimed.period}", size)


def _window_units(
    parts: list[Part], units: Units, fullness: dict[tuple[int, int, int], FloatArray], steps: NDArray[np.int64]
) -> FloatArray:
    """Energy of every unit at the start of outages, shape (W, U)."""
    energy = np.tile(units.energy, (len(steps), 1))
    for u, part in enumerate(parts):
        if part.setting is not None:
            full = fullness[part.offer, part.delivery, part.setting][steps]
            each = part.energy * (part.kept + (1.0 - part.kept) * full)
            energy[:, u] = units.containers[u] * units.availability[u] * each
    return energy


def _outage_from_every_hour(
    fleet: Fleet, year: Year, fullness: dict[tuple[int, int, int], FloatArray], q: int, served: float, tally: Tally
) -> None:
    """An outage from the state of charge of every step, nothing lost; then pairs of outages with a short recharge."""
    period = fleet.problem.periods[q]
    windows = Windows(fleet.problem, period.target_mw)
    scale = served / period.target_mw
    worst, at = 0.0, 0
    starts = np.arange(0, len(year.load), year.per_hour)
    for season in range(len(year.operating.seasons)):
        units, parts = fleet_units(fleet, q, season), fleet_parts(fleet, q, season)
        live = units.first < windows.steps
        mine = starts[year.season[starts] == season]
        for part in np.array_split(mine, max(1, len(mine) // BATCH)):
            load = sum_of_profiles(windows, part) * scale
            energy = _window_units(parts, units, fullness, part)
            lost = replay(load, units.power[live], energy[:, live], windows.dt_h, units.first[live], units.delta[live])
            short = lost.sum(axis=1) / np.maximum(load.sum(axis=1), 1e-9)
            if short.max(initial=0.0) > worst:
                worst, at = float(short.max()), int(part[int(np.argmax(short))])
    tally.fail("outage_any_hour", f"{period.label}: an outage in step {at} of the year is not ridden through", worst)
    if q == len(fleet.problem.periods) - 1:
        _note_pairs(fleet, year, fullness, windows, scale, q, tally)


def sum_of_profiles(windows: Windows, steps: NDArray[np.int64]) -> FloatArray:
    """Load of the longest service profile from steps of the chronology, shape (W, J)."""
    starts = steps % len(windows.net_mw)
    return np.asarray(np.max([windows.load_mwh(starts, k) for k in range(len(windows.profiles))], axis=0))


def _note_pairs(
    fleet: Fleet, year: Year, fullness: dict[tuple[int, int, int], FloatArray], windows: Windows, scale: float, q: int,
    tally: Tally,
) -> None:  # fmt: skip
    """How many outages could be followed by a second one after a day of recharging within the gate."""
    starts = np.arange(0, len(year.load), PAIR_EVERY * year.per_hour)
    survived = []
    for season in range(len(year.operating.seasons)):
        mine = starts[year.season[starts] == season]
        survived.append(_survives_twice(fleet, year, fullness, windows, scale, (q, season), mine))
    share = float(np.concatenate(survived).mean())
    tally.note(
        "back_to_back",
        f"{fleet.problem.periods[q].label}: after {RECHARGE_H} h of recharging within the gate, a second outage of full"
        f" length is ridden through from {share:.1%} of the hours tried",
    )


def _survives_twice(
    fleet: Fleet, year: Year, fullness: dict[tuple[int, int, int], FloatArray], windows: Windows, scale: float,
    when: tuple[int, int], starts: NDArray[np.int64],
) -> NDArray[np.bool_]:  # fmt: skip
    """Which outages from some steps of a period and season could be followed by a second one, shape (W,)."""
    q, season = when
    units = fleet_units(fleet, q, season)
    first = sum_of_profiles(windows, starts) * scale
    energy = _window_units(fleet_parts(fleet, q, season), units, fullness, starts)
    stored = np.array([fleet.problem.offers[o].is_storage for o in units.offer])
    share = energy * stored
    used = first.sum(axis=1)
    left = share * np.maximum(0.0, 1.0 - used / np.maximum(share.sum(axis=1), 1e-9))[:, None]
    gap = RECHARGE_H * year.per_hour
    most, _ = year.gate(fleet.problem.periods[q].start)
    after = (starts[:, None] + windows.steps + np.arange(gap)[None, :]) % len(year.load)
    spare = np.maximum(0.0, most[after] - year.load[after] * windows.net_mw.max() * scale)
    efficiency = np.array([fleet.problem.offers[o].round_trip_eff_frac for o in units.offer])
    power = float((units.power * stored).sum())
    mean = float((units.power * stored) @ efficiency / max(power, 1e-9))
    gained = np.minimum(spare, power).sum(axis=1) * year.dt * mean
    room = np.maximum(share - left, 0.0)
    part = np.minimum(1.0, gained / np.maximum(room.sum(axis=1), 1e-9))
    again = np.where(stored[None, :], left + part[:, None] * room, energy)
    second = sum_of_profiles(windows, (starts + windows.steps + gap) % len(year.load)) * scale
    live = units.first < windows.steps
    lost = replay(second, units.power[live], again[:, live], windows.dt_h, units.first[live], units.delta[live])
    return np.asarray(lost.sum(axis=1) <= 1e-6 * second.sum(axis=1))
