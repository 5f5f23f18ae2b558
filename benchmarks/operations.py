# ruff: noqa: PLC0415
"""One operating year against PyPSA with HiGHS: the same bus, stores, PV, gate and prices of both ERCOT years.

Run ``python -m benchmarks.operations [--hours 8760] [--stores 3 5] [--years 2021 2022 2021-2022-2021-2022-2021]`` with
the extra ``benchmark`` installed; years joined by dashes are one problem of all their hours. Both solve the hours with
given sizes; each run is a process of its own, so that memory is that of one solver. The problem is the same: in PyPSA
too every store is full at the turn from the last hour to the first, and charge and discharge share one power. Seconds
are the processor's, so that a busy machine does not decide; building and solving the model count, imports do not.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
#: Power in MW, hours, round trip.
STORES = ((300.0, 4.0, 0.86), (150.0, 8.0, 0.78), (80.0, 2.0, 0.91), (40.0, 24.0, 0.70), (20.0, 100.0, 0.43))
#: Methods of HiGHS: dual simplex and its two interior points. Without ``highspy[extras]`` HiGHS would quietly take the
#: simplex where the last one is asked for.
METHODS = ("simplex", "ipm", *(["hipo"] if find_spec("highspy_extras") else []))
SERVED_MW, GATE_MW, PV_MW = 1000.0, 1150.0, 600.0


def series(years: str, hours: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Price, PV output and load per unit of some years (``2021-2022``), the first ``hours`` of each."""
    profiles = ROOT / "data" / "profiles"

    def column(name: str, at: int) -> np.ndarray:
        return np.genfromtxt(profiles / f"{name}.csv", delimiter=",", skip_header=1, usecols=at)

    each = years.split("-")
    price = np.concatenate([column(f"ercot_day_ahead_prices_{year}", 2)[:hours] for year in each])
    sun = column("tmy3_pv_capacity_factor_and_temperature", 3)[:hours]
    trace = column("datacentre_utilisation_hourly", 1)
    trace = trace[np.isfinite(trace)]
    load = (0.5 + 0.5 * np.resize(trace, 8760) / trace.max())[:hours]
    return price, np.tile(np.clip(sun, 0.0, None), len(each)), np.tile(load, len(each))


def ours(years: str, hours: int, stores: int) -> dict[str, float]:
    from planner.operations.year import Clock, Site, Store, operate, yearly_cost_usd

    price, sun, load = series(years, hours)
    zero = np.zeros(len(price), dtype=np.int64)

    def solved(steps: int) -> tuple[float, float]:
        clock = Clock(
            1.0,
            load[:steps],
            price[:steps],
            price[:steps],
            np.ones(steps),
            zero[:steps],
            zero[:steps],
            sun[None, :steps],
        )
        fleet = [
            Store(f"s{j}", p, p * h, np.zeros(1), 1e4 * p * h, eff, 1.0)
            for j, (p, h, eff) in enumerate(STORES[:stores])
        ]
        began = time.process_time()
        d = operate(clock, Site(SERVED_MW, GATE_MW, 0.0, 0.0, np.array([PV_MW])), fleet, [], tolerance=1e-6)
        took = time.process_time() - began
        cost = yearly_cost_usd(clock, d, [])
        return took, (cost["import"] + cost["unserved_mwh"] * clock.unserved_usd_per_mwh) * clock.years

    solved(48)  # machine code is compiled once and kept
    took, cost = solved(len(price))
    return {"seconds": took, "cost_usd": cost}


def pypsas(years: str, hours: int, stores: int, method: str) -> dict[str, float]:
    import pandas as pd
    import pypsa
    import xarray as xr

    price, sun, load = series(years, hours)
    began = time.process_time()
    n = pypsa.Network()
    n.set_snapshots(pd.RangeIndex(len(price)))
    n.add("Bus", "campus")
    n.add("Load", "load", bus="campus", p_set=pd.Series(load * SERVED_MW))
    n.add("Generator", "grid", bus="campus", p_nom=GATE_MW, marginal_cost=pd.Series(price))
    n.add("Generator", "pv", bus="campus", p_nom=PV_MW, p_max_pu=pd.Series(sun))
    n.add("Generator", "missing", bus="campus", p_nom=2 * SERVED_MW, marginal_cost=20_000.0)
    for j, (p, h, eff) in enumerate(STORES[:stores]):
        full = pd.Series(np.nan, index=n.snapshots)
        full.iloc[-1] = p * h
        n.add(
            "StorageUnit", f"s{j}", bus="campus", p_nom=p, max_hours=h, efficiency_store=eff, efficiency_dispatch=1.0,
            cyclic_state_of_charge=True, state_of_charge_set=full,
        )  # fmt: skip

    def share_power(network: pypsa.Network, snapshots: pd.Index) -> None:
        both = network.model["StorageUnit-p_store"] + network.model["StorageUnit-p_dispatch"]
        (unit,) = (d for d in both.dims if d not in ("snapshot", "_term"))
        most = xr.DataArray(network.storage_units.p_nom.to_numpy(), {unit: network.storage_units.index}, [unit])
        network.model.add_constraints(both <= most, name="shared power")

    options = {"solver": method, "output_flag": False}
    if method != "simplex":
        options["run_crossover"] = "off"
    n.optimize(
        solver_name="highs", solver_options=options, include_objective_constant=False, extra_functionality=share_power
    )
    return {"seconds": time.process_time() - began, "cost_usd": float(n.objective)}


def measured(*words: str, limit_s: float) -> dict[str, float] | None:
    """Run one solver in a process of its own; None if it does not end in time."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.operations", *words], cwd=ROOT, capture_output=True, text=True,
            timeout=limit_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else None


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--hours", type=int, default=8760, help="of each year")
    words.add_argument("--stores", type=int, nargs="+", default=[3, 5])
    words.add_argument("--years", nargs="+", default=["2021", "2022", "2021-2022-2021-2022-2021"])
    words.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    words.add_argument("--limit", type=float, default=900.0, help="seconds that PyPSA may take")
    words.add_argument("--run", choices=["ours", *METHODS], help="one solver, one size, in this process")
    asked = words.parse_args()
    if asked.run:
        size = (asked.years[0], asked.hours, asked.stores[0])
        found = ours(*size) if asked.run == "ours" else pypsas(*size, asked.run)
        found["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
        return
    for years, stores in itertools.product(asked.years, asked.stores):
        size = ("--hours", str(asked.hours), "--stores", str(stores), "--years", years)
        mine = measured("--run", "ours", *size, limit_s=asked.limit)
        print(f"{years}, {stores} stores, ours", mine, flush=True)
        for method in asked.methods:
            other = measured("--run", method, *size, limit_s=asked.limit)
            told = f"{years}, {stores} stores, PyPSA {method}"
            if other is None or mine is None:
                print(told, f"no answer in {asked.limit:g} s", flush=True)
                continue
            ratios = {key: round(mine[key] / other[key], 7) for key in other}
            print(told, other, "ours over PyPSA", ratios, flush=True)


if __name__ == "__main__":
    main()
