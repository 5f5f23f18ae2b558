"""Load, PV and price series: synthesised from shipped traces, or read from the buyer's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from planner.case import Case, LoadShape
from planner.faults import Fault, known_name, one_of, shown
from planner.problem import FloatArray
from planner.reading import number_column, read_csv

HOURS = 8760
WEEK = 168
YEAR_SHIFT_H = 84
MAX_STEPS = 2_000_000
_UTILISATION = {
    "google_2019": "google_2019_cpu_utilisation",
    "azure_v2": "azure_v2_cpu_usage_over_peak",
    "alibaba_2018": "alibaba_2018_cpu_utilisation",
}
_TRACE_NAMES = {"google_2019": "Google 2019", "azure_v2": "Azure v2", "alibaba_2018": "Alibaba 2018"}
_CLIMATE_NAMES = {
    "el_paso_tx": "El Paso", "greensboro_nc": "Greensboro", "atlanta_ga": "Atlanta", "tucson_az": "Tucson",
}  # fmt: skip
_TMY = "tmy3_pv_capacity_factor_and_temperature.csv"
#: Columns of shipped files by path, time of change and name.
_COLUMNS: dict[tuple[Path, int, str], FloatArray] = {}


@dataclass(frozen=True)
class Series:
    """The three series of a problem, read-only, and what to say about them."""

    load_pu: FloatArray
    pv_cf: FloatArray
    price_usd_per_mwh: FloatArray
    renewable_cf: Mapping[str, FloatArray]
    notes: tuple[str, ...]


@dataclass
class Profiles:
    """Reads the series of one case.

    Attributes
    ----------
    folder
        Folder of the shipped profiles.
    own
        The buyer's files by key path of the case, with their name in faults.
    case_file
        Case file, named in faults of its keys.
    faults
        Takes every fault.
    """

    folder: Path
    own: Mapping[tuple[str, ...], tuple[Path, str]]
    case_file: str
    faults: list[Fault]

    def _fault(self, key: str, found: str, allowed: str) -> None:
        self.faults.append(Fault(self.case_file, key, found, allowed))

    def _shipped_column(self, name: str, column: str) -> FloatArray | None:
        """Read a column of a shipped file, once per process: many cases share it."""
        path = self.folder / name
        try:
            key = (path, path.stat().st_mtime_ns, column)
        except OSError:  # told below
            key = (path, 0, column)
        if key not in _COLUMNS:
            text = read_csv(path, f"data/profiles/{name}", self.faults)
            if text is None:
                return None
            if column not in text.header:
                self.faults.append(Fault(f"data/profiles/{name}", column, "no such column", f"a column {column}", 1))
                return None
            values = number_column(text, column, f"data/profiles/{name}", self.faults)
            if values is None:
                return None
            values.setflags(write=False)
            _COLUMNS[key] = values
        return _COLUMNS[key]

    def _own_column(self, path: tuple[str, ...], column: str | None) -> FloatArray | None:
        """Read a column of the buyer's own file; without a name, the only or the second column."""
        file, shown_as = self.own[path]
        text = read_csv(file, shown_as, self.faults)
        if text is None:
            return None
        if column is None:
            if len(text.header) > 2:
                self._fault(".".join((*path[:-1], "column")), "null", f"the name of a column: {one_of(text.header)}")
                return None
            column = text.header[-1]
        if column not in text.header:
            allowed = known_name(column, text.header)
            self._fault(".".join((*path[:-1], "column")), shown(column), f"a column of {shown_as}: {allowed}")
            return None
        if len(text.rows) > MAX_STEPS:
            self.faults.append(Fault(shown_as, column, f"{len(text.rows)} rows", f"at most {MAX_STEPS} rows"))
            return None
        return number_column(text, column, shown_as, self.faults)

    def read(self, case: Case) -> Series | None:
        """All three series, or None and faults."""
        notes: list[str] = []
        own_load = ("load", "shape", "file") in self.own
        load = self._own_load(case, notes) if own_load else self._synthetic_load(case.load.shape, notes)
        price = self._prices(case, notes)
        pv_year = self._shipped_column(_TMY, f"{case.pv.climate}_pv_cf")
        if load is None or price is None or pv_year is None:
            return None
        renewables = self._renewables(case, pv_year)
        if case.operating is not None and price.size < HOURS:
            found = f"{price.size} hourly prices"
            self._fault("operations.enabled", f"true with {found}", "false, or hourly prices of a whole year or more")
        if case.pv.mw > 0:
            notes.append(f"PV output is the typical year of {_CLIMATE_NAMES[case.pv.climate]}, repeated")
        steps_per_hour = 60 // case.load.shape.step_minutes
        pv = np.resize(np.repeat(np.clip(pv_year, 0.0, None), steps_per_hour), load.size)
        for array in (load, pv, price, *renewables.values()):
            array.setflags(write=False)
        return Series(load, pv, price, renewables, tuple(notes))

    def _renewables(self, case: Case, pv_year: FloatArray) -> dict[str, FloatArray]:
        """Hourly output of every entry of ``operations.renewables``; PV without a file follows the typical year."""
        found: dict[str, FloatArray] = {}
        operating = case.operating
        if operating is None:
            return found
        for name, renewable in operating.renewables.items():
            path = ("operations", "renewables", name, "file")
            if renewable.file is not None:
                values = self._own_column(path, renewable.column)
                if values is not None and (values.size < HOURS or values.min() < 0 or values.max() > 1):
                    found_text = f"{values.size} hours between {values.min():g} and {values.max():g}"
                    self.faults.append(Fault(self.own[path][1], "", found_text, "8760 hours or more between 0 and 1"))
                elif values is not None:
                    found[name] = values
            elif renewable.kind == "pv":
                found[name] = np.clip(pv_year, 0.0, None)
            else:
                self._fault(
                    ".".join(path), "null", "a file with hourly output per unit of capacity: none is shipped for wind"
                )
        return found

    def _own_load(self, case: Case, notes: list[str]) -> FloatArray | None:
        path = ("load", "shape", "file")
        values = self._own_column(path, case.load.shape.column)
        if values is None:
            return None
        shown_as = self.own[path][1]
        step_h = case.load.shape.step_minutes / 60
        hours = max(24.0, *(s.until_h for s in case.reliability.service))
        if values.size * step_h < hours - 1e-9:
            found = f"{values.size} steps of {case.load.shape.step_minutes} minutes"
            self.faults.append(Fault(shown_as, "", found, f"at least {hours:g} hours (a day and the longest service)"))
            return None
        if values.min() < 0 or values.max() <= 0:
            found = f"a load between {values.min():g} and {values.max():g}"
            self.faults.append(Fault(shown_as, "", found, "no negative load and a largest load above 0"))
            return None
        notes.append(f"load is read from {Path(shown_as).name} and divided by its largest value")
        return np.asarray(values / values.max())

    def _synthetic_load(self, shape: LoadShape, notes: list[str]) -> FloatArray | None:
        if shape.utilisation is None or shape.climate is None:
            key = "load.shape.utilisation" if shape.utilisation is None else "load.shape.climate"
            self._fault(key, "null", "a name, since load.shape.file gives no load")
            return None
        name = "datacentre_utilisation_hourly.csv"
        trace = self._shipped_column(name, _UTILISATION[shape.utilisation])
        temperature = self._shipped_column(_TMY, f"{shape.climate}_temp_air_c")
        if trace is None or temperature is None:
            return None
        if not trace.size or trace.max() <= 0 or temperature.size != HOURS:
            self.faults.append(Fault(f"data/profiles/{name}", "", "an unusable trace", "a positive trace and 8760 h"))
            return None
        load = np.repeat(synthesise(shape, trace, temperature), 60 // shape.step_minutes)
        trace_name, place = _TRACE_NAMES[shape.utilisation], _CLIMATE_NAMES[shape.climate]
        years = f"; the {shape.years} load years are the trace shifted by half a week each"
        years += f" and {shape.hotter_c_per_year:g} \u00b0C warmer each" if shape.hotter_c_per_year else ""
        start = f"load is synthesised from the {trace_name} utilisation trace and TMY3 temperature of {place}"
        notes.append(start + (years if shape.years > 1 else ""))
        if shape.step_minutes < 60:
            notes.append(f"the hourly load is held constant within the hour at steps of {shape.step_minutes} minutes")
        return load

    def _prices(self, case: Case, notes: list[str]) -> FloatArray | None:
        path = ("prices", "file")
        if path in self.own:
            values = self._own_column(path, case.prices.column)
            if values is not None and not values.size:
                self.faults.append(Fault(self.own[path][1], "", "no prices", "at least one price in USD/MWh"))
                return None
            notes.append(f"energy prices are read from {Path(self.own[path][1]).name}")
            return values
        if case.prices.hub is None:
            self._fault("prices.hub", "null", "a hub, since prices.file gives no prices")
            return None
        parts = []
        for year in case.prices.years:
            name = f"ercot_day_ahead_prices_{year}.csv"
            part = self._shipped_column(name, f"hb_{case.prices.hub}_usd_per_mwh")
            if part is None:
                return None
            parts.append(part)
        span = " and ".join(str(year) for year in case.prices.years)
        notes.append(f"energy prices are ERCOT day-ahead prices, hub {case.prices.hub.title()}, {span}")
        return np.concatenate(parts)


def synthesise(shape: LoadShape, trace: FloatArray, temperature_c: FloatArray) -> FloatArray:
    """Hourly facility load per unit of its peak.

    Utilisation is the trace cut to whole weeks (a trace below one week stays as it is) and repeated;
    hour h of year k (from 0) reads trace hour ``h + 84 k``, half a week further each year. With u the
    utilisation over its largest value, ``it = idle + (1 - idle) u``; cooling multiplies it by
    ``1 + slope * max(0, T - from)``, T being the typical year plus ``k * hotter_c_per_year``.

    Parameters
    ----------
    shape
        Idle share, cooling slope and threshold, years, warming.
    trace
        Hourly utilisation, any positive unit, shape (n,).
    temperature_c
        Typical year, shape (8760,).

    Returns
    -------
    ndarray
        Shape (8760 * years,), largest value 1.
    """
    whole = trace.size // WEEK * WEEK or trace.size
    used = trace[:whole]
    year = np.repeat(np.arange(shape.years), HOURS)
    hour = np.tile(np.arange(HOURS), shape.years)
    utilisation = used[(hour + YEAR_SHIFT_H * year) % whole] / used.max()
    warmth = np.tile(temperature_c, shape.years) + shape.hotter_c_per_year * year
    cooling = 1.0 + shape.cooling_frac_per_c * np.maximum(0.0, warmth - shape.cooling_from_c)
    load = (shape.idle_frac + (1.0 - shape.idle_frac) * utilisation) * cooling
    return np.asarray(load / load.max())
