"""The operating years of a decision as figures of the plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.model.coefficients import Coefficients
from planner.operations.campus import Campus, Fleet
from planner.operations.schedule import YearPlan
from planner.present import stream
from planner.results import DailyUse, HeldEnergy, LotUse, OperatedYears, OperatingYear, RunningContainers, YearSchedule
from planner.units import USD_PER_MUSD

#: Energies below this are rounding, in MWh.
_ROUNDING = 1e-9

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Operated:
    """What stands, what is held back, and the schedule of every period."""

    campus: Campus
    fleet: Fleet
    years: tuple[YearPlan, ...]

    def items_usd(self, c: Coefficients) -> dict[str, float]:
        """Present value of the cost items ``energy`` and ``renewables``, before tax."""
        problem = c.problem
        energy = sum(
            stream(problem, problem.periods[y.period].start, problem.periods[y.period].end) * y.total_usd
            for y in self.years
        )
        return {"energy": energy, "renewables": float(self.campus.renewable_usd_per_mw @ self.fleet.renewable_mw)}

    def record(self, c: Coefficients) -> OperatedYears:
        """Everything but the hourly flows."""
        problem, fleet = c.problem, self.fleet
        offers, periods = problem.offers, problem.periods
        kept = tuple(1.0 - float(swing) for swing in c.swing_frac)
        held_mwh = self.held_mwh
        held = tuple(
            HeldEnergy(offer=offers[o].offer, period=periods[p].label, season=s, energy_mwh=float(held_mwh[o, p, s]))
            for o, p, s in zip(*np.nonzero(held_mwh > _ROUNDING), strict=True)
        )
        used = tuple(
            DailyUse(
                offer=offers[c.pairs[i][0]].offer, period=periods[c.pairs[i][1]].label, reserve_frac=kept[j],
                containers=float(fleet.cycled[i, j]),
            )
            for i, j in zip(*np.nonzero(fleet.cycled > _ROUNDING), strict=True)
        )  # fmt: skip
        running = tuple(
            RunningContainers(
                offer=offers[c.pairs[i][0]].offer, delivery=periods[c.pairs[i][1]].label, period=periods[p].label,
                season=s, reserve_frac=kept[j], containers=float(fleet.running[i, p, s, j]),
            )
            for i, p, s, j in zip(*np.nonzero(fleet.running > _ROUNDING), strict=True)
        )  # fmt: skip
        value = dict.fromkeys(self.years[0].stack_usd, 0.0)
        for y in self.years:
            weight = self.campus.weight_musd[y.period]
            value = {name: value[name] + weight * usd for name, usd in y.stack_usd.items()}
        months, delay = self._earlier(c)
        return OperatedYears(
            seasons=self.campus.operations.seasons,
            held=held,
            daily_use=used,
            running=running,
            added_mw={
                name: float(mw) for name, mw in zip(self.campus.operations.renewables, fleet.renewable_mw, strict=True)
            },
            years=tuple(self._year(c, y) for y in self.years),
            value_musd=value,
            earlier_months=months,
            earlier_delay_musd=delay,
        )

    @property
    def held_mwh(self) -> FloatArray:
        """Energy of each offer that daily use leaves for outages, shape (O, P, S)."""
        c, totals = self.campus.c, self.campus.totals(self.fleet)
        up = self.campus.up_frac[:, None, None]
        held = totals.rest_mwh + totals.run_mwh @ (1.0 - c.swing_frac)
        return np.asarray(np.maximum(held, 0.0) / up)

    def _earlier(self, c: Coefficients) -> tuple[float, float]:
        """Megawatt-months served beyond the bare grid, in months of the final load, and the delay cost they save."""
        months = delay = 0.0
        problem = c.problem
        for p, period in enumerate(problem.periods):
            beyond = max(0.0, float(self.fleet.served_mw[p]) - self.campus.grid_only_mw(p))
            months += beyond * (period.end - period.start) / problem.final_target_mw
            delay += beyond * stream(problem, period.start, period.end) * problem.case.load.delay_usd_per_mw_yr
        return months, delay / USD_PER_MUSD

    def _year(self, c: Coefficients, y: YearPlan) -> OperatingYear:
        period = c.problem.periods[y.period]
        d, clock = y.dispatch, self.campus.clock
        through = d.discharge.sum(axis=1) * clock.dt_h / clock.years
        lots = []
        for j, lot in enumerate(y.lots):
            mine = list(lot.deliveries)
            each = c.energy_mwh[lot.offer]
            aged = c.faded_mwh[mine, y.period] if lot.setting is None else c.duty_mwh[mine, y.period, lot.setting]
            lots.append(
                LotUse(
                    lot=lot.store.name,
                    offer=c.problem.offers[lot.offer].offer,
                    deliveries=tuple(c.problem.periods[c.pairs[i][1]].label for i in mine),
                    reserve_frac=1.0 if lot.setting is None else 1.0 - float(c.swing_frac[lot.setting]),
                    power_mw=float(lot.store.power_mw.max()),
                    energy_mwh=lot.store.energy_mwh,
                    floor_mwh=tuple(float(f) for f in lot.store.floor_mwh),
                    discharged_mwh=float(through[j]),
                    cycles=float(through[j] / max(lot.store.energy_mwh, 1e-9)),
                    soh_frac=float(aged.mean() / each),
                )
            )
        return OperatingYear(
            period=period.label,
            import_mw=y.site.firm_import_mw,
            flexible_mw=y.site.flexible_import_mw,
            export_mw=y.site.export_mw,
            served_mw=y.site.served_mw,
            grid_only_mw=self.campus.grid_only_mw(y.period),
            peak_import_mw=float(d.imported.max()),
            cost_musd=y.total_usd / USD_PER_MUSD,
            stack_musd={name: usd / USD_PER_MUSD for name, usd in y.stack_usd.items()},
            lots=tuple(lots),
        )

    def schedules(self, c: Coefficients) -> dict[str, YearSchedule]:
        """Hourly flows by period label."""
        clock, offers = self.campus.clock, c.problem.offers
        return {
            c.problem.periods[y.period].label: YearSchedule(
                lots=tuple(lot.store.name for lot in y.lots),
                generators=tuple(offers[o].offer for o, _ in y.generators),
                renewables=("pv", *self.campus.operations.renewables),
                imported=y.dispatch.imported, exported=y.dispatch.exported, renewable=y.dispatch.renewable,
                generated=y.dispatch.generated, curtailed=y.dispatch.curtailed, unserved=y.dispatch.unserved,
                charge=y.dispatch.charge, discharge=y.dispatch.discharge, stored=y.dispatch.stored,
                load=clock.load_pu * y.site.served_mw, price_usd_per_mwh=clock.import_usd_per_mwh,
            )
            for y in self.years
        }  # fmt: skip
