"""The joint problem of all worlds: its bound, and first stages searched around one that is known to be good.

Started from a candidate, the search goes from narrow to wide: the binaries of the candidate's outcomes stand and only
containers and orders move; then the binaries of one world at a time are free; then all those in which the candidate
and the relaxation disagree; last the whole problem, for its bound. Every bound holds for every first stage.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from planner.disruption.joint import Fixed, Joining, Joint
from planner.disruption.tolls import Tolls, of_relaxation
from planner.model.reliability import RowKey
from planner.problem import FloatArray
from planner.search import Search
from planner.solve import FEASIBILITY, Attempt, Infeasible, NoPlan
from planner.units import USD_PER_MUSD

#: Share of the gap that the bound problem and each neighbourhood may leave open.
_GAP_SHARE = 0.1
#: Shares of the time left that go to each neighbourhood of the candidate, and to the bound problem after them.
_NARROW_SHARE, _WORLDS_SHARE, _AGREED_SHARE, _BOUND_SHARE = 0.15, 0.3, 0.3, 0.7
#: A binary on whose value candidate and relaxation differ by less counts as agreed.
_AGREED = 0.1


@dataclass(frozen=True)
class Start:
    """A candidate: its first stage, and the columns of its outcome in every world."""

    fixed: Fixed
    points: Sequence[FloatArray]


@dataclass(frozen=True)
class FirstStage:
    """First stages found, the best first; the bound in million USD; the tolls of the relaxation."""

    found: tuple[Fixed, ...]
    bound_musd: float
    tolls: Tolls | None = None


class JoinedSearch(Search):
    """``planner.search.Search`` on joined worlds instead of one problem."""

    joining: Joining
    joint: Joint
    #: Outage rows found before, by part.
    known: Mapping[int, tuple[RowKey, ...]] = MappingProxyType({})

    def prepare(self, known_rows: tuple[RowKey, ...] = ()) -> None:
        """Join the compiled worlds; rows found earlier are added."""
        self.bound, self.best = -np.inf, None
        self.joint = self.joining.joint()
        self.compiled, self.columns = self.joint.compiled, self.joint.columns
        self.outages = self.joint.outages  # type: ignore[assignment]
        self.joint.outages.add((i, key) for i, keys in self.known.items() for key in keys)
        self.model = self.joining.blocks[0].made.model
        self.settlement = None  # operating years are refused

    def _enough(self) -> float:
        """Dual bound that closes the gap of the best plan: of many worlds none is worth the last digits."""
        return np.inf if self.best is None else self.best.objective - self.gap_frac * abs(self.best.objective)

    def _coarse(self, bound: float) -> NDArray[np.bool_]:
        """Containers so dear that half of one matters for the gap, weighed with the probability of their world."""
        coarse = np.zeros_like(self.compiled.integer)
        total = sum(b.world.probability for b in self.joining.blocks)
        for block, first in zip(self.joining.blocks, self.joint.first, strict=True):
            c, share = block.world.c, block.world.probability / total
            share = 1.0 if self.joining.prospect.rule.aim == "worst" else share
            for (o, p), local in zip(c.pairs, block.made.columns.containers, strict=True):
                each = min(c.unit_cost_musd[o, p, t, "none"] for t in c.reachable_tiers(o))
                coarse[first + int(local)] = share * each > self.gap_frac * abs(bound)
        prospect = self.joining.prospect
        for key, column in self.joint.signed.items():
            coarse[column] = prospect.price_usd(key) / USD_PER_MUSD > self.gap_frac * abs(bound)
        return coarse

    def first_stage(self, start: Start | None = None) -> FirstStage:
        """First stages found, and the bound of the joint problem.

        Raises
        ------
        Infeasible
            If no first stage keeps every rule in every world.
        """
        self.prepare()
        with self.stop.catching_interrupt():
            self.fractions, self.site_open = None, True
            try:
                relaxed = self._timed("relaxation", self._relax)
            except NoPlan:
                return FirstStage((), self.bound)
            self.bound = relaxed.bound
            tolls = self._timed("tolls", self._relaxed_tolls)
            coarse = self._coarse(relaxed.bound)
            near = None if start is None else self._timed("near_candidate", lambda: self._around(start, relaxed.x))
            point = None if near is None else near.x
            fine = self._timed("bound_problem", lambda: self._bounded(coarse, point))
            self.bound = max(self.bound, fine.bound)
            found = [] if near is None or near.x is None else [near]
            if fine.x is not None:
                whole = self._timed("whole_orders", lambda: self._whole_orders(fine, coarse))
                found.append(whole)
        found.sort(key=lambda a: a.objective)
        return FirstStage(_distinct([self._fixed_orders(a.x) for a in found if a.x is not None]), self.bound, tolls)

    def _relaxed_tolls(self) -> Tolls | None:
        """Tolls of the relaxation with the outage rows that it needs."""
        run = self._new_run(np.zeros_like(self.compiled.integer))
        if not run.solve().finished:
            return None
        return of_relaxation(self.joining.prospect, self.joint, run.problem, np.array(run.highs.getSolution().row_dual))

    def bounded(self, start: FloatArray | None) -> Attempt:
        """Bound of the problem with its containers in fractions, and a solution that keeps every row, if one is found.

        ``start`` is such a solution of the same problem with another objective.

        Raises
        ------
        Infeasible, NoPlan
            If there is no solution, or no relaxation in time.
        """
        self.prepare()
        with self.stop.catching_interrupt():
            self.fractions, self.site_open = None, True
            relaxed = self._relax()
            coarse = self._coarse(relaxed.bound)
            whole = self.binary() | coarse
            if start is not None and np.abs(start - np.round(start))[whole].max(initial=0.0) > FEASIBILITY:
                start = None
            found = self._bounded(coarse, start, 1.0)
            found.bound = max(found.bound, relaxed.bound)
            if found.x is not None and self.outages.add_violated(found.x) is not None:
                found.x = None
        return found

    # -- around a candidate ----------------------------------------------------------------------

    def _around(self, start: Start, relaxed: FloatArray | None) -> Attempt | None:
        """Best solution in growing neighbourhoods of a candidate; None if it fits none."""
        x = self._completed(start)
        if x is None:
            return None
        binaries = self.purchase_binary()
        best = self._moved(x, binaries, _NARROW_SHARE * self.stop.left_s())
        if best is None:
            return None
        until = time.monotonic() + _WORLDS_SHARE * self.stop.left_s()
        order = np.argsort([-b.world.probability for b in self.joining.blocks], kind="stable")
        for i, w in enumerate(order):
            free = np.zeros_like(binaries)
            first = self.joint.first[w]
            free[first : first + len(self.joining.blocks[w].made.compiled.cost)] = True
            free[self.joint.own_columns :] = True
            left = (until - time.monotonic()) / (len(order) - i)
            best = self._better(best, binaries & ~free, left)
        if relaxed is not None and best.x is not None:
            agreed = binaries & (np.abs(np.round(best.x) - relaxed) < _AGREED)
            best = self._better(best, agreed, _AGREED_SHARE * self.stop.left_s())
        return best

    def _completed(self, start: Start) -> FloatArray | None:
        """Columns of the joint problem for the outcomes of a candidate."""
        width = self.joint.own_columns
        x = np.zeros(len(self.compiled.cost))
        x[:width] = np.concatenate(start.points)
        fixed = self.compiled.integer & (np.arange(len(x)) < width)
        for key, column in self.joint.signed.items():
            x[column], fixed[column] = start.fixed.orders.get(key, 0), True
        for name, column in self.joint.reserved.items():
            x[column], fixed[column] = (start.fixed.reserved or {}).get(name, 0), True
        with self._fixed(fixed, x):
            return self._new_run(self._whole_columns()).solve(time_limit_s=_NARROW_SHARE * self.stop.left_s()).x

    def _better(self, best: Attempt, fixed: NDArray[np.bool_], seconds: float) -> Attempt:
        if seconds <= 0.0 or self.stop.now or best.x is None:
            return best
        moved = self._moved(best.x, fixed, seconds)
        return best if moved is None or moved.objective >= best.objective else moved

    def _moved(self, x: FloatArray, fixed: NDArray[np.bool_], seconds: float) -> Attempt | None:
        """Best solution with some columns as in ``x``, every outage row kept; None if none is found in time.

        Binaries, orders and reservations are whole, and every container that was so in ``x``; other containers may be
        fractional.
        """
        until = time.monotonic() + seconds
        with self._fixed(fixed, x):
            while True:
                run = self._new_run(self._whole_columns())
                attempt = run.solve(
                    self.gap_frac * _GAP_SHARE, time_limit_s=max(0.1, until - time.monotonic()), start=x
                )
                if attempt.x is None:
                    return None
                if self.outages.add_violated(attempt.x) is None:
                    return attempt
                if self.stop.now or time.monotonic() >= until:
                    return None

    def _whole_columns(self) -> NDArray[np.bool_]:
        """Binaries, orders, reservations, and dear containers."""
        whole = self.binary() | self._coarse(self.bound)
        whole[[*self.joint.signed.values(), *self.joint.reserved.values()]] = True
        return whole

    # -- everything free -------------------------------------------------------------------------

    def _bounded(
        self, coarse: NDArray[np.bool_], start: FloatArray | None, gap_share: float = _GAP_SHARE
    ) -> Attempt:  # fmt: skip
        """Binaries and dear containers whole, until no outage row is missing or the time for it is up.

        The bound of every round holds, also where rows are missing; a start must be whole in all of these.
        """
        bound, until = -np.inf, time.monotonic() + self.stop.left_s() * _BOUND_SHARE
        whole = self.binary() | coarse
        while True:
            run = self._new_run(whole)
            run.seldom_guess()
            attempt = run.solve(self.gap_frac * gap_share, time_limit_s=max(1.0, until - time.monotonic()), start=start)
            if attempt.infeasible:
                raise Infeasible
            bound = attempt.bound = max(bound, attempt.bound)
            late = self.stop.now or time.monotonic() >= until
            if attempt.x is None or late or self.outages.add_violated(attempt.x) is None:
                return attempt

    def _whole_orders(self, fine: Attempt, coarse: NDArray[np.bool_]) -> Attempt:
        """Whole first-stage orders near a solution in fractions; its roundings if none are found in time."""
        first = coarse.copy()
        first[[*self.joint.signed.values(), *self.joint.reserved.values()]] = True
        assert fine.x is not None
        found: Attempt | None = self._refine(fine.x, first)
        return Attempt(fine.x, np.inf, fine.bound, False) if found is None else found

    def _fixed_orders(self, x: FloatArray) -> Fixed:
        joint = self.joint
        orders = {key: round(float(x[j])) for key, j in joint.signed.items() if round(float(x[j])) > 0}
        return Fixed(orders, {name: round(float(x[j])) for name, j in joint.reserved.items() if round(float(x[j])) > 0})


def _distinct(found: Sequence[Fixed]) -> tuple[Fixed, ...]:
    return tuple({f.key: f for f in reversed(found)}.values())[::-1]
