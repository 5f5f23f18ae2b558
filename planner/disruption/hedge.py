"""Searches on joined worlds: the best first stage with a bound, and each world again on its own.

The joint search keeps second stages in fractions; its bound holds, and whole first-stage counts come out. What a
first stage is worth is found afterwards by solving every world separately in whole containers, with the orders fixed,
replaying the plan and adding up its costs again in plain arithmetic: nothing of the joint problem is trusted there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner import decode
from planner.disruption.joint import Block, Fixed, Joining, Joint
from planner.disruption.worlds import OrderKey, Prospect, World
from planner.model.reliability import RowKey
from planner.pipeline import stated
from planner.problem import FloatArray, Period
from planner.results import Plan
from planner.search import Search
from planner.solve import Attempt, Infeasible, SolverFault
from planner.verify import verify

#: Shares of the gap and of the time left that the bound of the joint problem may take.
_BOUND_GAP_SHARE = 0.3
_BOUND_TIME_SHARE = 0.6
#: Million USD by which the cost of a world may differ between the solver and plain arithmetic.
TOLERANCE_MUSD = 1e-4


class JoinedSearch(Search):
    """``planner.search.Search`` on joined worlds instead of one problem."""

    joining: Joining
    joint: Joint
    #: Outage rows found before, by part.
    known: Mapping[int, tuple[RowKey, ...]] = MappingProxyType({})

    def prepare(self, known_rows: tuple[RowKey, ...] = ()) -> None:
        """Join the compiled worlds; rows found earlier are added."""
        self.joint = self.joining.joint()
        self.compiled, self.columns = self.joint.compiled, self.joint.columns
        self.outages = self.joint.outages  # type: ignore[assignment]
        self.joint.outages.add((i, key) for i, keys in self.known.items() for key in keys)
        self.model = self.joining.blocks[0].made.model
        self.settlement = None  # operating years are refused

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
            coarse[column] = prospect.price_usd(key) / 1e6 > self.gap_frac * abs(bound)
        return coarse

    def first_stage(self) -> FirstStage:
        """Best first stage found and the bound of the joint problem.

        Raises
        ------
        Infeasible, NoPlan
            As ``run``; but a bound is kept where no orders are found in time.
        """
        self.prepare()
        with self.stop.catching_interrupt():
            self.best, self.fractions, self.bound, self.site_open = None, None, -np.inf, True
            relaxed = self._timed("relaxation", self._relax)
            self.bound = relaxed.bound
            coarse = self._coarse(relaxed.bound)
            fine = self._timed("bound_problem", lambda: self._bounded(coarse))
            self.bound = max(self.bound, fine.bound)
            found = fine.x
            if found is None:
                return FirstStage(None, self.bound)
            whole = self._timed("whole_orders", lambda: self._whole_orders(found, coarse))
        return FirstStage(self._fixed_orders(whole), self.bound)

    def _bounded(self, coarse: NDArray[np.bool_]) -> Attempt:
        """Binaries and dear containers whole, until no outage row is missing or the time for it is up.

        The bound of every round holds, also where rows are missing.
        """
        bound, seconds = -np.inf, self.stop.left_s() * _BOUND_TIME_SHARE
        until = time.monotonic() + seconds
        whole = self.binary() | coarse
        while True:
            run = self._new_run(whole)
            run.seldom_guess()
            attempt = run.solve(self.gap_frac * _BOUND_GAP_SHARE, time_limit_s=max(1.0, until - time.monotonic()))
            if attempt.infeasible:
                raise Infeasible
            bound = attempt.bound = max(bound, attempt.bound)
            late = self.stop.now or time.monotonic() >= until
            if attempt.x is None or late or self.outages.add_violated(attempt.x) is None:
                return attempt

    def _whole_orders(self, x: FloatArray, coarse: NDArray[np.bool_]) -> FloatArray:
        """Whole first-stage orders near a solution in fractions; its roundings if none are found in time."""
        first = coarse.copy()
        first[[*self.joint.signed.values(), *self.joint.reserved.values()]] = True
        found: Attempt | None = self._refine(x, first)
        return x if found is None or found.x is None else found.x

    def _fixed_orders(self, x: FloatArray) -> Fixed:
        joint = self.joint
        orders = {key: round(float(x[j])) for key, j in joint.signed.items() if round(float(x[j])) > 0}
        return Fixed(orders, {name: round(float(x[j])) for name, j in joint.reserved.items() if round(float(x[j])) > 0})


@dataclass(frozen=True)
class FirstStage:
    """What is signed (None if no orders were found in time), and the bound of the joint problem in million USD."""

    fixed: Fixed | None
    bound_musd: float


@dataclass(frozen=True)
class Outcome:
    """One world with some first stage: what it costs and what is done in it.

    Attributes
    ----------
    world
        Its name.
    cost_musd, bound_musd
        Cost of the best plan found, and below which no plan with this first stage lies; infinite where there is none.
    parts_musd
        ``plan`` (as verified), ``option_fees``, ``lost``, ``cancelled``, ``premium``, ``short``, ``qualification``.
    lost, cancelled
        Containers by order.
    called
        Containers by option.
    plan
        What is delivered; None where nothing fits.
    fixed
        What was signed: as it stood, or as is best when this world is certain.
    """

    world: str
    cost_musd: float
    bound_musd: float
    parts_musd: Mapping[str, float]
    lost: Mapping[OrderKey, int]
    cancelled: Mapping[OrderKey, int]
    called: Mapping[str, int]
    short_mw: Mapping[str, float]
    plan: Plan | None
    fixed: Fixed


class Hedger:
    """Solves the worlds of a prospect, together and one by one.

    Parameters
    ----------
    prospect
        What may come.
    gap_frac
        Gap of every search.
    stop_of
        Gives each search its time limit.
    seed
        Of the solver.
    note
        Told every step.
    """

    def __init__(self, prospect: Prospect, gap_frac: float, stop_of: Any, seed: int, note: Any = lambda text: None):
        self.prospect, self.gap_frac, self.stop_of, self.seed, self.note = prospect, gap_frac, stop_of, seed, note
        self.blocks = {w.name: Block.of(w) for w in prospect.worlds}
        self._rows: dict[str, tuple[RowKey, ...]] = {}
        self._known: dict[tuple[str, Any], Outcome] = {}

    def joint(self, prospect: Prospect | None = None) -> FirstStage:
        """Best first stage over all worlds; of another prospect with the same worlds, if one is given."""
        seen = self.prospect if prospect is None else prospect
        blocks = [replace(self.blocks[w.name], world=w) for w in seen.worlds]
        search = self._search(Joining(seen, blocks))
        found = search.first_stage()
        self._remember(blocks, search)
        return found

    def alone(self, world: World, fixed: Fixed | None) -> Outcome:
        """One world by itself: with orders that stand, or as if it were known from the start (``fixed`` None)."""
        key = (world.name, None if fixed is None else _frozen(self.prospect, world, fixed))
        if key not in self._known:
            self._known[key] = self._alone(world, fixed)
        return self._known[key]

    def _alone(self, world: World, fixed: Fixed | None) -> Outcome:
        block = self.blocks[world.name]
        search = self._search(Joining(self.prospect, [block], fixed=fixed))
        try:
            solution = search.run()
        except Infeasible:
            return Outcome(world.name, np.inf, np.inf, {}, {}, {}, {}, {}, None, fixed or Fixed({}))
        self._remember([block], search)
        return self._outcome(block, search, solution.x, solution.bound_musd, solution.cost_musd, fixed)

    def _search(self, joining: Joining) -> JoinedSearch:
        search = JoinedSearch(
            joining.blocks[0].world.c, self.stop_of(), self.gap_frac, self.seed, None, self.note
        )  # fmt: skip
        search.joining = joining
        search.known = {i: self._rows.get(b.world.name, ()) for i, b in enumerate(joining.blocks)}
        return search

    def _remember(self, blocks: list[Block], search: JoinedSearch) -> None:
        for block, part in zip(blocks, search.joint.outages.parts, strict=True):
            self._rows[block.world.name] = tuple(dict.fromkeys([*self._rows.get(block.world.name, ()), *part.rows]))

    def _outcome(
        self, block: Block, search: JoinedSearch, x: FloatArray, bound: float, cost: float, fixed: Fixed | None
    ) -> Outcome:
        """Decode, replay, and add up in plain arithmetic what the solver claims."""
        prospect, world, joint = self.prospect, block.world, search.joint
        lost = {key: round(float(x[j])) for (_, key), j in joint.lost.items()}
        orders = {key: round(float(x[joint.signed[key]])) for key in prospect.signed_before(world)}
        lost |= {k: n for k, n in orders.items() if prospect.arrival(world, k) is None}
        cancelled = {key: round(float(x[j])) for (_, key), j in joint.cancelled.items()}
        part = replace(block.made.compiled, column=block.made.compiled.column)
        decision = decode.decode(world.c, block.made.model, part, x[: len(part.cost)])
        plan = stated(world.c, decision, bound)
        short = {world.problem.periods[p].label: float(x[j]) for (_, p), j in joint.short.items() if float(x[j]) > 1e-9}
        called = {
            name: sum(o.containers for o in plan.orders if o.offer == name)
            + sum(n for k, n in (*lost.items(), *cancelled.items()) if k[0] == name)
            for name in prospect.rule.options
        }
        reserved = {name: round(float(x[j])) for name, j in joint.reserved.items()}
        arrived = {(o.offer, o.period): o.containers for o in plan.orders}
        parts = {
            "plan": plan.cost_musd,
            "option_fees": sum(prospect.fee_musd(n) * reserved.get(n, 0) for n in prospect.rule.options),
            "lost": sum(prospect.lost_musd(world, k) * n for k, n in lost.items()),
            "cancelled": sum(prospect.cancelled_musd(world, k) * n for k, n in cancelled.items()),
            "premium": self._premium(world, arrived, orders, lost, cancelled),
            "short": sum(
                (prospect.short_musd_per_mw(world, p.index) or 0.0) * short.get(p.label, 0.0)
                for p in world.problem.periods
            ),
            "qualification": self._wasted(world, plan, orders),
        }
        total = sum(parts.values())
        if abs(total - cost) > TOLERANCE_MUSD + 1e-6 * abs(cost):
            raise SolverFault(
                f"world {world.name}: the solver says {cost:.6f}, plain arithmetic {total:.6f} million USD"
            )
        verdict = verify(_lowered(world, short).problem, plan, monte_carlo=False)
        plan = plan.model_copy(
            update={"verification": verdict, "status": plan.status if verdict.passed else "unverified"}
        )
        return Outcome(
            world.name, total, min(bound, total), parts, _some(lost), _some(cancelled), _some(called), short, plan,
            self._as_signed(world, orders, arrived, reserved) if fixed is None else fixed,
        )  # fmt: skip

    def _premium(
        self, world: World, arrived: Mapping[OrderKey, int], orders: Mapping[OrderKey, int],
        lost: Mapping[OrderKey, int], cancelled: Mapping[OrderKey, int],
    ) -> float:  # fmt: skip
        """Premium on what was ordered after the world was known: what arrives beyond what had been signed."""
        prospect, total = self.prospect, 0.0
        labels = {p.label: p.index for p in world.problem.periods}
        due: dict[tuple[int, int], int] = {}
        for key, count in orders.items():
            at = prospect.arrival(world, key)
            if at is not None:
                due[at] = due.get(at, 0) + count - lost.get(key, 0) - cancelled.get(key, 0)
        for (name, label), count in arrived.items():
            at = (world.offer_index[name], labels[label])
            if prospect.orderable(world, *at):
                total += prospect.premium_musd(world, *at) * (count - due.get(at, 0))
        return total

    def _as_signed(
        self, world: World, orders: Mapping[OrderKey, int], arrived: Mapping[OrderKey, int], reserved: Mapping[str, int]
    ) -> Fixed:
        """What is signed by whoever takes a world for certain: blind orders as such, later ones as they come."""
        later = {k: arrived.get(k, 0) for k in self.prospect.pair if k not in orders}
        return Fixed(_some({**orders, **later}), _some(reserved))

    def _wasted(self, world: World, plan: Plan, orders: Mapping[OrderKey, int]) -> float:
        """Qualification of suppliers of whom nothing comes."""
        offers = {o.offer: o.supplier for o in self.prospect.base.offers}
        came = {o.supplier for o in plan.orders}
        signed = {offers[k[0]] for k, n in orders.items() if n > 0}
        return sum(self.prospect.qualification_musd(s) for s in sorted(signed - came))


def _lowered(world: World, short: Mapping[str, float]) -> World:
    """The world with floors as low as what is served short, for the replay."""
    periods: tuple[Period, ...] = tuple(
        replace(p, floor_mw=max(0.0, p.floor_mw - short.get(p.label, 0.0))) for p in world.problem.periods
    )
    return world if not short else replace(world, problem=replace(world.problem, periods=periods))


def _some(counts: Mapping[Any, int]) -> dict[Any, int]:
    return {key: count for key, count in counts.items() if count}


def _frozen(prospect: Prospect, world: World, fixed: Fixed) -> tuple[object, ...]:
    """What of a first stage bears on a world, for looking up an outcome found before."""
    before = set(prospect.signed_before(world))
    orders = sorted((k, n) for k, n in fixed.orders.items() if k in before and n)
    return (tuple(orders), tuple(sorted((k, n) for k, n in fixed.reserved.items() if n)))
