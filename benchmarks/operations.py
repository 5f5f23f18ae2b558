# ruff: noqa: PLC0415
"""One operating year against PyPSA with HiGHS: the same bus, stores, PV, gate and prices of both ERCOT years.

Run ``python -m benchmarks.operations [--hours 8760] [--stores 3 5] [--years 2021 2022 2021-2022-2021-2022-2021]`` with
the extra ``benchmark`` installed; years joined by dashes are one problem of all their hours. Both solve the hours with
given sizes; ``--containers`` asks instead how many whole containers of two kinds to buy for one year. Each run is a
process of its own, so that memory is that of one solver. The problem is the same: in PyPSA too every store is full at
the turn from the last hour to the first, and charge and discharge share one power. Seconds are the processor's, so that
a busy machine does not decide; building and solving the model count, imports do not.
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
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from planner.problem import Problem
    from planner.search import Search

ROOT = Path(__file__).resolve().parent.parent
#: Power in MW, hours, round trip.
STORES = ((300.0, 4.0, 0.86), (150.0, 8.0, 0.78), (80.0, 2.0, 0.91), (40.0, 24.0, 0.70), (20.0, 100.0, 0.43))
#: Methods of HiGHS: dual simplex and its two interior points. Without ``highspy[extras]`` HiGHS would quietly take the
#: simplex where the last one is asked for.
METHODS = ("simplex", "ipm", *(["hipo"] if find_spec("highspy_extras") else []))
SERVED_MW, GATE_MW, PV_MW = 1000.0, 1150.0, 600.0
#: Containers to choose from: MW, hours, round trip, USD per kWh in the one year that is planned; their site.
CONTAINERS = {"block-a": (2.0, 4.0, 0.86, 25.0), "block-b": (3.0, 8.0, 0.78, 17.0)}
SMALL_MW, SMALL_GATE_MW, WHOLE_GAP = 100.0, 115.0, 5e-4


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


def container_case() -> Problem:
    """One period of one year in which storage only shifts energy: nothing is held for outages."""
    import tempfile

    import yaml

    from planner.inputs import load_case

    tiny = ROOT / "cases" / "tiny.yaml"
    case = yaml.safe_load(tiny.read_text(encoding="utf-8"))
    case["tables"] = {name: str(tiny.parent / file) for name, file in case["tables"].items()}
    case["load"] = {"target_mw": {"2028-01": SMALL_MW}, "final_floor_frac": 1.0, "shape": {"years": 1}}
    case["site"]["energisation"] = {
        name: {"2028-01": SMALL_GATE_MW} for name in ("grid", "transformers", "permits")
    }  # fmt: skip
    case["operations"] = {
        "enabled": True, "price_years": [2022], "seasons": [list(range(1, 13))], "cycles_per_yr": 1e4,
        "reserve_settings": [0],
    }  # fmt: skip
    case["site"]["zones"][0] |= {"length_m": 5000, "width_m": 5000, "fire_areas": 1000, "fire_water_lpm": 1e6}
    own = {offer["offer"]: offer for offer in case["offers"]["own"]}
    for name, (mw, hours, efficiency, usd_per_kwh) in CONTAINERS.items():
        own[name] |= {
            "power_mw": mw, "energy_usable_ac_mwh": mw * hours, "energy_nameplate_dc_mwh": mw * hours,
            "round_trip_eff_frac": efficiency, "price": {2028: usd_per_kwh},
        }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "containers.yaml"
        path.write_text(yaml.safe_dump(case), encoding="utf-8")
        return load_case(str(path))


def container_search() -> Search:
    """The planner's search for the best numbers of containers, without the rules that PyPSA does not know."""
    from planner.model.coefficients import Coefficients
    from planner.model.row import RULES
    from planner.search import Search
    from planner.solve import Stop

    search = Search(Coefficients(container_case()), Stop(900.0), WHOLE_GAP, 1)
    search.rules = frozenset(RULES) - {"reliability", "fire", "site_area"}
    return search


def our_containers() -> dict[str, float]:
    search = container_search()
    search.c.problem.price_usd_per_mwh  # noqa: B018 - files are read before the clock starts
    began = time.process_time()
    found = search.run()
    took = time.process_time() - began
    counts = {name[0]: float(found.x[search.compiled.index(v)]) for name, v in search.model.containers.items()}
    at = [search.compiled.index(v) for v in search.model.award.values()]  # what a supplier costs is not known to PyPSA
    cost = found.cost_musd - float(found.x[at] @ search.compiled.cost[at])
    return {"seconds": took, "cost_usd": cost * 1e6, "gap": found.gap_frac, **counts}


def pypsas_containers(method: str) -> dict[str, float]:
    """The same numbers as whole multiples of ``p_nom_mod``; with ``method`` for the linear programs at the nodes."""
    import pandas as pd
    import pypsa

    from planner.operations.campus import Campus

    search = container_search()
    search.prepare()
    campus, c = Campus(search.c), search.c
    clock, offers = campus.clock, [c.problem.offers[o] for o, _ in c.pairs]
    each = [c.unit_cost_musd[o, p, t, "none"] * 1e6 for o, p in c.pairs for t in c.reachable_tiers(o)]
    began = time.process_time()
    n = pypsa.Network()
    n.set_snapshots(pd.RangeIndex(clock.steps))
    n.add("Bus", "campus")
    n.add("Load", "load", bus="campus", p_set=pd.Series(clock.load_pu * SMALL_MW))
    n.add("Generator", "grid", bus="campus", p_nom=campus.gate(0)[0], marginal_cost=pd.Series(clock.import_usd_per_mwh))
    n.add("Generator", "missing", bus="campus", p_nom=2 * SMALL_MW, marginal_cost=clock.unserved_usd_per_mwh)
    for offer, usd, most in zip(offers, each, c.largest_delivery, strict=True):
        n.add(
            "StorageUnit", offer.offer, bus="campus", p_nom_extendable=True, p_nom_mod=offer.power_mw,
            p_nom_max=offer.power_mw * int(most), capital_cost=usd / offer.power_mw,
            max_hours=offer.energy_usable_ac_mwh / offer.power_mw, efficiency_store=offer.round_trip_eff_frac,
            efficiency_dispatch=1.0, cyclic_state_of_charge=True,
        )  # fmt: skip

    def alike(network: pypsa.Network, snapshots: pd.Index) -> None:
        """One power for both ways, and full at the turn of the year."""
        m = network.model
        power, store = m["StorageUnit-p_nom"], m["StorageUnit-state_of_charge"]
        (unit,) = (d for d in store.dims if d not in ("snapshot", "_term"))
        for name in network.storage_units.index:
            mine, at = power.sel({power.dims[0]: name}), {unit: name}
            flows = m["StorageUnit-p_store"].sel(at) + m["StorageUnit-p_dispatch"].sel(at)
            m.add_constraints(flows - mine <= 0, name=f"shared power {name}")
            hours = float(network.storage_units.max_hours[name])
            last = store.sel({**at, "snapshot": snapshots[-1]})
            m.add_constraints(last - hours * mine == 0, name=f"full {name}")

    options = {"output_flag": False, "mip_rel_gap": WHOLE_GAP, "mip_lp_solver": method}
    n.optimize(solver_name="highs", solver_options=options, include_objective_constant=False, extra_functionality=alike)
    took = time.process_time() - began
    cost = float(n.objective) - campus.baseline_usd_per_mw * SMALL_MW
    counts = (n.storage_units.p_nom_opt / n.storage_units.p_nom_mod).round(6).to_dict()
    return {"seconds": took, "cost_usd": cost, **counts}


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
    words.add_argument("--containers", action="store_true", help="whole containers of one year, not given sizes")
    words.add_argument("--run", choices=["ours", *METHODS], help="one solver, one size, in this process")
    asked = words.parse_args()
    if asked.run:
        size = (asked.years[0], asked.hours, asked.stores[0])
        if asked.containers:
            found = our_containers() if asked.run == "ours" else pypsas_containers(asked.run)
        else:
            found = ours(*size) if asked.run == "ours" else pypsas(*size, asked.run)
        found["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
        return
    sizes = {
        f"{years}, {stores} stores": ("--hours", str(asked.hours), "--stores", str(stores), "--years", years)
        for years, stores in itertools.product(asked.years, asked.stores)
    }
    for name, size in ({"whole containers": ("--containers",)} if asked.containers else sizes).items():
        mine = measured("--run", "ours", *size, limit_s=asked.limit)
        print(f"{name}, ours", mine, flush=True)
        for method in asked.methods:
            other = measured("--run", method, *size, limit_s=asked.limit)
            told = f"{name}, PyPSA {method}"
            if other is None or mine is None:
                print(told, f"no answer in {asked.limit:g} s", flush=True)
                continue
            ratios = {key: round(mine[key] / other[key], 7) for key in ("seconds", "cost_usd", "memory_mb")}
            print(told, other, "ours over PyPSA", ratios, flush=True)


if __name__ == "__main__":
    main()
