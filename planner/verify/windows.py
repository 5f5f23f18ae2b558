"""Chronological replay of the tightest and of random windows, against the closed form."""

from __future__ import annotations

import numpy as np

from planner.simulate import replay
from planner.verify.outage import FloatArray, IntArray
from planner.verify.reliability import Outages, Row
from planner.verify.tally import Tally

TIGHTEST = 200
RANDOM = 1000
#: Rows of a period and contingency that rank its windows.
RANKING_ROWS = 4
#: Windows replayed at once, and requirement figures held at once.
BATCH = 2000
HELD = 4_000_000


def survivors(row: Row) -> tuple[FloatArray, FloatArray]:
    """Power and energy by delivery that a replay may use.

    A burning fire group takes real containers here, the youngest first, so the replay has
    at least what the closed form counts.
    """
    power, energy = row.units.power * row.keep, row.units.energy * row.keep
    if row.loss.group is not None:
        o, left = row.loss.group
        for u in np.flatnonzero(row.units.offer == o)[::-1]:
            counted = row.units.containers[u] * row.units.availability[u]
            gone = min(left, counted)
            share = 1.0 - gone / counted if counted > 0 else 0.0
            power[u], energy[u] = power[u] * share, energy[u] * share
            left -= gone
    return power, energy


def _distinct(rows: list[Row]) -> list[Row]:
    """One row per period and surviving fleet: the one with the largest requirement."""
    best: dict[tuple[int, bytes, object, int], Row] = {}
    for row in rows:
        key = (row.q, row.keep.tobytes(), row.loss.group, row.season)
        if key not in best or row.scale > best[key].scale:
            best[key] = row
    return list(best.values())


def _tight_windows(rows: list[Row]) -> list[IntArray]:
    """For each row, the windows with the smallest margin over its tightest count vectors."""
    wanted: list[IntArray] = []
    for row in rows:
        ratio = np.where(row.need > 0, row.margin / np.maximum(row.need, 1e-12), np.inf)
        wanted.append(np.argsort(ratio, kind="stable")[:RANKING_ROWS])
    tables: dict[int, tuple[IntArray, FloatArray]] = {}
    for curve in {id(r.curve): r.curve for r in rows}.values():
        ids = np.unique(np.concatenate([w for w, r in zip(wanted, rows, strict=True) if r.curve is curve]))
        tables[id(curve)] = (ids, curve.of_windows(ids))
    out = []
    tops: dict[tuple[int, int], IntArray] = {}
    for row, ids in zip(rows, wanted, strict=True):
        known, table = tables[id(row.curve)]
        at = np.searchsorted(known, ids)
        for a in at:
            if (id(row.curve), int(a)) not in tops:
                count = min(TIGHTEST, table.shape[1])
                tops[id(row.curve), int(a)] = np.argpartition(-table[a], count - 1)[:count]
        pool = np.unique(np.concatenate([tops[id(row.curve), int(a)] for a in at]))
        have = row.margin[ids] + row.need[ids]
        margin = (have[:, None] - row.scale * table[np.ix_(at, pool)]).min(axis=0)
        out.append(pool[np.argsort(margin, kind="stable")[:TIGHTEST]])
    return out


def check_replay(outages: Outages, rows: list[Row], tally: Tally, audit: bool, seed: int) -> int:
    """Replay windows chronologically and compare with the closed form.

    Parameters
    ----------
    outages, rows
        The closed form.
    tally
        Where errors go.
    audit
        Replay every window of every period and contingency.
    seed
        Of the random windows.

    Returns
    -------
    int
        Windows replayed.
    """
    tally.hold("replay", "replay_agreement")
    rows = _distinct(rows)
    if not rows:
        return 0
    draw = np.random.default_rng(seed)
    tight = None if audit else _tight_windows(rows)
    extra = -(-RANDOM // len(rows))
    done = 0
    for i, row in enumerate(rows):
        total = row.curve.windows.starts * len(row.curve.windows.profiles)
        chosen = np.arange(total) if tight is None else np.concatenate([tight[i], draw.integers(0, total, extra)])
        for part in np.array_split(chosen, max(1, len(chosen) // BATCH)):
            _replay_row(outages, row, part, tally)
        done += len(chosen)
    return done


def _replay_row(outages: Outages, row: Row, chosen: IntArray, tally: Tally) -> None:
    """Replay some windows of one period and contingency."""
    windows, units = row.curve.windows, row.units
    load = np.zeros((len(chosen), windows.steps))
    for profile in range(len(windows.profiles)):
        mine = chosen // windows.starts == profile
        load[mine] = windows.load_mwh(chosen[mine] % windows.starts, profile) * row.scale
    power, energy = survivors(row)
    live = (power > 0) & (units.first < windows.steps)
    lost = replay(load, power[live], energy[live], windows.dt_h, units.first[live], units.delta[live]).sum(axis=1)
    size = np.maximum(load.sum(axis=1), 1e-9)
    # Where the rows hold for all windows, the closed form of each is 0.
    closed = np.zeros(len(chosen))
    if (row.margin < 0).any():
        have = row.margin + row.need
        step = max(1, HELD // len(have))
        for begin in range(0, len(chosen), step):
            part = slice(begin, begin + step)
            closed[part] = np.maximum(0.0, (row.curve.all_rows(load[part]) - have).max(axis=1))
    at = f"{outages.problem.periods[row.q].label}, {row.loss.kind} {row.loss.lost}"
    worst = int(np.argmax(lost / size))
    start = int(chosen[worst] % windows.starts)
    tally.fail(
        "replay", f"{at}: {lost[worst]:.6g} MWh unserved from start step {start}", float(lost[worst] / size[worst])
    )
    exact = row.loss.group is None and not units.delta[live].any()
    off = np.abs(lost - closed) if exact else np.maximum(0.0, lost - closed)
    worst = int(np.argmax(off / size))
    start = int(chosen[worst] % windows.starts)
    text = f"{at}: replay leaves {lost[worst]:.6g} MWh, the closed form {closed[worst]:.6g} (start step {start})"
    tally.fail("replay_agreement", text, float(off[worst] / size[worst]))
