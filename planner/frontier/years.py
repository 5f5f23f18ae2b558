"""What the operating years cost along a front: learned where it was traced, before it is traced to the end.

Bounds of operating years hold for every mix of suppliers, so that most of what a front needs is known from its
cheapest plan. The rest is learned at a few points of a coarse front, by linear programs with the binaries found there.
"""

from __future__ import annotations

import numpy as np

from planner.frontier.archive import Archive
from planner.frontier.bench import Bench
from planner.frontier.campus import Campus
from planner.frontier.curve import NOTHING
from planner.solve import Stop

#: Uncovered share at which the front that is learned from is good enough.
COARSE = 0.1
#: Points of it that are learned from, both ends among them, and rounds at each.
_POINTS, _ROUNDS = 5, 6
#: What the years of a point may still hide, as a share of the tolerance and of the way between the two ends.
_HIDDEN_SHARE = 0.25


def learn_along(campus: Campus, archive: Archive, tolerance: float, stop: Stop) -> None:
    """Operate the years of some points of a front, until what is known tells nearly all that they cost.

    Parameters
    ----------
    campus
        With operating years.
    archive
        What the engine left.
    tolerance
        Uncovered share that is aimed at.
    stop
        When to leave it at that.
    """
    settlement = campus.search.settlement
    assert settlement is not None
    upper = archive.upper()
    known = [piece for piece in upper.pieces if piece.tag != NOTHING]
    enough = _HIDDEN_SHARE * tolerance * archive.frame.c_length
    bench = Bench(campus.two, stop, campus.problem.case.solver.seed)
    for rows in archive.rows:
        bench.adopt(rows)
    bench.use_frame(archive.frame)
    told = False
    at = np.linspace(known[-1].right, known[0].left, _POINTS)
    for e in (*at[::2], *at[1::2]):
        if e == at[1] and not told:  # neither both ends nor the middle
            break
        piece = next(p for p in reversed(known) if p.left <= e)
        whole = archive.solution(piece, min(float(e), piece.right))
        for _ in range(_ROUNDS):
            x = bench.lp(whole, (0.0, 1.0), x_max=float(e) + 1e-9)
            if x is None or stop.now:
                break
            if settlement.learn(campus.columns(x), enough, 1.0) <= enough:
                break
            told = True
    settlement.stop.kept_s = 0.0  # no schedule of this search follows
