# ruff: noqa: E501
"""Small operating years, and the same years as a plain linear program for another solver."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import lil_matrix

from planner.operations.year import Clock, Generator, Site, Store


def small_clock(
    seed: int, steps: int = 48, *, dt_h: float = 1.0, demand: float = 0.0, seasons: int = 1, negative: bool = True
) -> Clock:
    """Random hourly data; every price differs."""
    draw = np.random.default_rng(seed)
    price = draw.uniform(-20.0 if negative else 3.0, 90.0, steps)
    price[draw.integers(0, steps)] = 731.0
    sun = np.maximum(0.0, np.sin(np.arange(steps) * 2 * np.pi * dt_h / 24.0 - 1.3))
    return Clock(
        dt_h=dt_h, load_pu=draw.uniform(0.61, 1.0, steps), import_usd_per_mwh=price + 1.7,
        export_usd_per_mwh=price - 0.9, open_frac=(draw.random(steps) > 0.2).astype(float),
        season=(np.arange(steps) * seasons // steps).astype(np.int64), month=(np.arange(steps) * 2 // steps).astype(np.int64),
        renewable_cf=sun[None, :], demand_usd_per_mw_month=demand,
    )  # fmt: skip


def small_site(seed: int, clock: Clock) -> tuple[Site, list[Store], list[Generator]]:
    """A random campus behind a gate that is sometimes too narrow."""
    draw = np.random.default_rng(seed + 1000)
    served = draw.uniform(20.0, 90.0)
    stores = []
    for j in range(int(draw.integers(1, 4))):
        power = draw.uniform(3.0, 40.0)
        each = power * (np.ones(1) if clock.seasons == 1 else draw.uniform(0.3, 1.0, clock.seasons))
        energy = power * draw.uniform(0.7, 9.0)
        floor = draw.uniform(0.0, 0.8, clock.seasons) * energy
        through = draw.uniform(0.1, 1.1) * 365 * energy
        stores.append(Store(f"s{j}", each, energy, floor, through, draw.uniform(0.5, 0.97), draw.uniform(0.98, 1.0)))
    generators = [Generator("g", draw.uniform(2.0, 9.0), draw.uniform(50.0, 200.0), draw.uniform(500.0, 6000.0))]
    site = Site(
        served, served * draw.uniform(0.93, 1.5), served * draw.uniform(0.0, 0.2), served * draw.uniform(0.0, 0.6),
        np.array([served * draw.uniform(0.0, 0.5)]),
    )  # fmt: skip
    return site, stores, generators


def other_solver_usd(clock: Clock, site: Site, stores: list[Store], generators: list[Generator]) -> float:
    """Cost of the chronology by another formulation and solver: states of charge summed up, no banding."""
    t, dt, n = clock.steps, clock.dt_h, len(stores)
    months = int(clock.month.max()) + 1
    names = ["m", "x", "v", "g", "u", *[f"{k}{j}" for j in range(n) for k in "cd"]]
    at = {name: k * t for k, name in enumerate(names)}
    peaks, width = len(names) * t, len(names) * t + months
    cost, upper = np.zeros(width), np.full(width, np.inf)
    load = clock.load_pu * site.served_mw
    cost[at["m"] : at["m"] + t] = dt * clock.import_usd_per_mwh
    cost[at["x"] : at["x"] + t] = -dt * clock.export_usd_per_mwh
    cost[at["g"] : at["g"] + t] = dt * generators[0].usd_per_mwh
    cost[at["u"] : at["u"] + t] = dt * clock.unserved_usd_per_mwh
    cost[peaks:] = clock.demand_usd_per_mw_month
    upper[at["m"] : at["m"] + t] = site.firm_import_mw + site.flexible_import_mw * clock.open_frac
    upper[at["x"] : at["x"] + t] = site.export_mw
    upper[at["v"] : at["v"] + t] = site.renewable_mw[0] * clock.renewable_cf[0]
    upper[at["g"] : at["g"] + t] = generators[0].power_mw
    step = np.arange(t)
    equal = lil_matrix((t, width))
    for name, sign in (("m", 1.0), ("x", -1.0), ("v", 1.0), ("g", 1.0), ("u", 1.0)):
        equal[step, at[name] + step] = sign
    rows, limits = [], []

    def below(entries: dict[int, float], limit: float) -> None:
        rows.append(entries)
        limits.append(limit)

    below({at["g"] + int(i): dt for i in step}, generators[0].power_mw * generators[0].hours * clock.years)
    for i in step if clock.demand_usd_per_mw_month else []:
        below({at["m"] + int(i): 1.0, peaks + int(clock.month[i]): -1.0}, 0.0)
    for j, s in enumerate(stores):
        c, d = at[f"c{j}"], at[f"d{j}"]
        equal[step, c + step], equal[step, d + step] = -1.0, 1.0
        below({d + int(i): dt for i in step}, s.throughput_mwh * clock.years)
        floor = np.where(clock.season_ends, s.energy_mwh * (1 - 1e-9), s.floor_mwh[clock.season])
        for i in step:
            below({c + int(i): 1.0, d + int(i): 1.0}, float(s.power_mw[clock.season[i]]))
            state = {c + int(k): dt * s.efficiency_frac * s.keep_frac ** (i - k) for k in range(i + 1)}
            state |= {d + int(k): -dt * s.keep_frac ** (i - k) for k in range(i + 1)}
            start = s.energy_mwh * s.keep_frac ** (i + 1)
            below(state, s.energy_mwh - start)
            below({k: -a for k, a in state.items()}, start - floor[i])
    most = lil_matrix((len(rows), width))
    for r, entries in enumerate(rows):
        for k, a in entries.items():
            most[r, k] = a
    bounds = np.stack([np.zeros(width), upper], axis=1)
    found = linprog(cost, most.tocsr(), np.array(limits), equal.tocsr(), load, bounds, method="highs")
    assert found.status == 0
    return float(found.fun)
