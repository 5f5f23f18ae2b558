"""Stores that differ in size only are operated as one: they run alike, so nothing is lost and a year takes less."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from planner.operations.year import Clock, Dispatch, Generator, Site, Store, operate

#: Digits to which what makes stores alike, or years the same, must agree.
_DIGITS = 9


def operate_alike(
    clock: Clock, site: Site, stores: Sequence[Store], generators: Sequence[Generator], *, tolerance: float,
    shortfall: bool = False,
) -> Dispatch:  # fmt: skip
    """``planner.operations.year.operate``, with stores that differ in size only as one, and told apart again.

    Parameters
    ----------
    clock, site, stores, generators, tolerance, shortfall
        As of ``operate``.

    Returns
    -------
    Dispatch
        Rows of stores in the order given; each store has its share, by power, of those that it was one with.
    """
    groups = alike(stores)
    together = [_joined([stores[i] for i in members]) for members in groups]
    d = operate(clock, site, together, generators, tolerance=tolerance, shortfall=shortfall)
    if len(together) == len(stores):  # each by itself, so in the order given
        return d
    at, share = np.zeros(len(stores), dtype=int), np.zeros((len(stores), 1))
    for g, members in enumerate(groups):
        for i in members:
            at[i], share[i] = g, stores[i].power_mw.max() / together[g].power_mw.max()
    energy, whole = (np.array([[s.energy_mwh] for s in some]) for some in (stores, together))
    return replace(
        d, charge=share * d.charge[at], discharge=share * d.discharge[at],
        stored=energy - share * (whole - d.stored)[at],
        wear_usd_per_mwh=d.wear_usd_per_mwh[at], store_usd_per_mwh=d.store_usd_per_mwh[at],
    )  # fmt: skip


def alike(stores: Sequence[Store]) -> list[list[int]]:
    """Which stores differ in size only."""
    groups: dict[str, list[int]] = {}
    for i, store in enumerate(stores):
        groups.setdefault(_make(store), []).append(i)
    return list(groups.values())


def _make(s: Store) -> str:
    """What a store can do per MW; what lies below its floor matters only where it loses some of it."""
    power = float(s.power_mw.max())
    below = s.energy_mwh if s.keep_frac < 1.0 else 0.0
    numbers = [*s.power_mw, *(s.energy_mwh - s.floor_mwh), s.throughput_mwh, below]
    return key_of([*(number / max(power, 1e-12) for number in numbers), s.efficiency_frac, s.keep_frac])


def _joined(stores: list[Store]) -> Store:
    if len(stores) == 1:
        return stores[0]
    power, floor = (np.array([getattr(s, name) for s in stores]).sum(axis=0) for name in ("power_mw", "floor_mwh"))
    energy, through = sum(s.energy_mwh for s in stores), sum(s.throughput_mwh for s in stores)
    return replace(stores[0], power_mw=power, energy_mwh=energy, floor_mwh=floor, throughput_mwh=through)


def key_of(numbers: Iterable[float]) -> str:
    """Numbers as words that are the same where all digits that count agree."""
    return " ".join(f"{round(x, _DIGITS):.{_DIGITS}g}" for x in numbers)
