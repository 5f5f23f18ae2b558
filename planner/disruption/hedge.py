"""One world by itself: what it costs with orders that stand, with none, or with a toll on them.

Every cost that is reported comes from here: a world is solved alone, in whole containers, with the orders fixed,
replaying the plan and adding up its costs again in plain arithmetic: nothing of the joint problem is trusted there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from planner import decode
from planner.disruption.joint import Block, Fixed, Joining, Toll
from planner.disruption.together import FirstStage, JoinedSearch, Start
from planner.disruption.worlds import OrderKey, Prospect, World
from planner.model.reliability import RowKey
from planner.pipeline import stated
from planner.problem import FloatArray, Offer, Period, Problem
from planner.results import Plan
from planner.solve import Infeasible, NoPlan, SolverFault, Stop
from planner.verify import verify

#: Million USD by which the cost of a world may differ between the solver and plain arithmetic.
TOLERANCE_MUSD = 1e-4


@dataclass(frozen=True)
class Outcome:
    """One world with some first stage: what it costs and what is done in it.

    Attributes
    ----------
    world
        Its name.
    cost_musd, bound_musd
        Cost of the best plan found, and below which no plan with this first stage lies (with its toll, if it was
        solved with one). Both are infinite where nothing fits; the cost alone where no plan was found in time.
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
    point
        Columns of the world's own model.
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
    point: FloatArray | None = field(default=None, repr=False, compare=False)

    @property
    def impossible(self) -> bool:
        """Whether it is proved that nothing fits."""
        return bool(np.isposinf(self.bound_musd))


@dataclass(frozen=True)
class Tolled:
    """One world that signs for itself and pays a toll, containers in fractions.

    Attributes
    ----------
    bound_musd
        No orders cost it less, the toll counted; infinite where nothing fits.
    cost_musd, signed
        Its own cost in the solution found, and what it signs and reserves there; None without one.
    """

    world: str
    bound_musd: float
    cost_musd: float = np.inf
    signed: Mapping[OrderKey | str, float] | None = None

    @property
    def impossible(self) -> bool:
        """Whether it is proved that nothing fits."""
        return bool(np.isposinf(self.bound_musd))


class Hedger:
    """Solves the worlds of a prospect, together and one by one.

    Parameters
    ----------
    prospect
        What may come.
    gap_frac
        Gap of every search.
    seed
        Of the solver.
    note
        Told every step.
    """

    def __init__(self, prospect: Prospect, gap_frac: float, seed: int, note: Any = lambda text: None):
        self.prospect, self.gap_frac, self.seed, self.note = prospect, gap_frac, seed, note
        self.worlds = {w.name: w for w in prospect.worlds}
        self.interrupted = False
        self._blocks: dict[str, Block] = {}
        self._rows: dict[str, tuple[RowKey, ...]] = {}
        self._known: dict[tuple[str, Any], Outcome] = {}
        #: Last solution of each world that signed for itself, to start from.
        self._tolled_at: dict[str, FloatArray] = {}

    def joint(self, seconds: float, start: Start | None = None, prospect: Prospect | None = None) -> FirstStage:
        """First stages over all worlds and their bound; of another prospect with the same worlds, if one is given."""
        seen = self.prospect if prospect is None else prospect
        blocks = [replace(self.block(w), world=w) for w in seen.worlds]
        search = self._search(Joining(seen, blocks), seconds)
        try:
            found = search.first_stage(start)
        finally:
            self.interrupted |= search.stop.interrupted
        self._remember(blocks, search)
        return found

    def alone(
        self, name: str, fixed: Fixed | None, seconds: float, toll: Toll | None = None, ease: float = 1.0
    ) -> Outcome:
        """One world by itself: with orders that stand, or as if it were known from the start (``fixed`` None).

        ``ease`` widens the gap for a world that counts little.
        """
        key = (name, None if fixed is None else _frozen(self.prospect, self.worlds[name], fixed))
        if toll is not None:
            return self._alone(self.worlds[name], fixed, seconds, toll, ease)
        if key not in self._known:
            found = self._alone(self.worlds[name], fixed, seconds, None, ease)
            if found.plan is None and not found.impossible:
                return found
            self._known[key] = found
            if fixed is None and found.plan is not None:  # with these orders fixed the same plan is the best
                self._known.setdefault((name, _frozen(self.prospect, self.worlds[name], found.fixed)), found)
        return self._known[key]

    def tolled(self, name: str, toll: Toll, seconds: float, ease: float = 1.0) -> Tolled:
        """One world that signs for itself and pays a toll: its bound, and what it does then.

        ``ease`` widens the gap for a world that counts little.
        """
        world = self.worlds[name]
        block = self.block(world)
        search = self._search(Joining(self.prospect, [block], None, toll), seconds)
        search.gap_frac *= ease
        try:
            found = search.bounded(self._tolled_at.get(name))
        except Infeasible:
            return Tolled(name, np.inf)
        except NoPlan:
            return Tolled(name, -np.inf)
        finally:
            self.interrupted |= search.stop.interrupted
        self._remember([block], search)
        if found.x is None:
            return Tolled(name, found.bound)
        self._tolled_at[name] = found.x
        joint = search.joint
        signed: dict[OrderKey | str, float] = {
            k: float(found.x[joint.signed[k]]) for k in self.prospect.signed_before(world)
        }
        signed |= {k: float(found.x[j]) for k, j in joint.reserved.items()}
        return Tolled(name, found.bound, joint.cost_musd(0, found.x), {k: n for k, n in signed.items() if n > 1e-6})

    def block(self, world: World) -> Block:
        """The model of a world, built when it is first needed."""
        if world.name not in self._blocks:
            self._blocks[world.name] = Block.of(world)
        return self._blocks[world.name]

    def _alone(self, world: World, fixed: Fixed | None, seconds: float, toll: Toll | None, ease: float) -> Outcome:
        block = self.block(world)
        search = self._search(Joining(self.prospect, [block], fixed, toll), seconds)
        search.gap_frac *= ease
        nothing = Outcome(world.name, np.inf, np.inf, {}, {}, {}, {}, {}, None, fixed or Fixed({}))
        try:
            solution = search.run()
        except Infeasible:
            return nothing
        except NoPlan:
            return replace(nothing, bound_musd=search.bound)
        finally:
            self.interrupted |= search.stop.interrupted
        self._remember([block], search)
        if fixed is None:
            self._tolled_at[world.name] = solution.x
        found = self._outcome(block, search, solution.x, solution.bound_musd, fixed)
        return found if toll is not None else replace(found, bound_musd=min(found.bound_musd, found.cost_musd))

    def _search(self, joining: Joining, seconds: float) -> JoinedSearch:
        search = JoinedSearch(
            joining.blocks[0].world.c, Stop(seconds), self.gap_frac, self.seed, None, lambda text: None
        )  # fmt: skip
        search.joining = joining
        search.known = {i: self._rows.get(b.world.name, ()) for i, b in enumerate(joining.blocks)}
        return search

    def _remember(self, blocks: list[Block], search: JoinedSearch) -> None:
        for block, part in zip(blocks, search.joint.outages.parts, strict=True):
            self._rows[block.world.name] = tuple(dict.fromkeys([*self._rows.get(block.world.name, ()), *part.rows]))

    def _outcome(self, block: Block, search: JoinedSearch, x: FloatArray, bound: float, fixed: Fixed | None) -> Outcome:
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
        total, cost = sum(parts.values()), joint.cost_musd(0, x)
        tolerance = TOLERANCE_MUSD + 1e-6 * abs(cost)
        if not -tolerance <= cost - total <= self._idle_fees(world, plan, orders) + tolerance:
            raise SolverFault(
                f"world {world.name}: the solver says {cost:.6f}, plain arithmetic {total:.6f} million USD"
            )
        verdict = verify(_eased(world, short, lost), plan, monte_carlo=False)
        plan = plan.model_copy(
            update={"verification": verdict, "status": plan.status if verdict.passed else "unverified"}
        )
        return Outcome(
            world.name, total, bound, parts, _some(lost), _some(cancelled), _some(called), short, plan,
            self._as_signed(world, orders, arrived, reserved)
            if fixed is None
            else Fixed(fixed.orders, _some(reserved)),
            x[: len(part.cost)],
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

    def _idle_fees(self, world: World, plan: Plan, orders: Mapping[OrderKey, int]) -> float:
        """Fees of suppliers of whom nothing is signed or comes: a search may pay them needlessly within its gap."""
        offers = {o.offer: o.supplier for o in self.prospect.base.offers}
        busy = {offers[k[0]] for k, n in orders.items() if n > 0} | {o.supplier for o in plan.orders}
        idle = {offers[k[0]] for k in orders} - busy
        return sum(self.prospect.qualification_musd(s) for s in sorted(idle))

    def _wasted(self, world: World, plan: Plan, orders: Mapping[OrderKey, int]) -> float:
        """Qualification of suppliers of whom nothing comes."""
        offers = {o.offer: o.supplier for o in self.prospect.base.offers}
        came = {o.supplier for o in plan.orders}
        signed = {offers[k[0]] for k, n in orders.items() if n > 0}
        return sum(self.prospect.qualification_musd(s) for s in sorted(signed - came))


def _eased(world: World, short: Mapping[str, float], lost: Mapping[OrderKey, int]) -> Problem:
    """The problem that a plan is replayed against: floors as low as what is served short, volumes less what was lost.

    What a supplier failed to bring counts towards the volume of its award.
    """
    problem = world.problem
    periods: tuple[Period, ...] = tuple(
        replace(p, floor_mw=max(0.0, p.floor_mw - short.get(p.label, 0.0))) for p in problem.periods
    )
    gone: dict[str, int] = {}
    for (offer, _), count in lost.items():
        gone[offer] = gone.get(offer, 0) + count
    offers = tuple(_volume_eased(o, gone[o.offer]) if gone.get(o.offer) else o for o in problem.offers)
    return replace(problem, periods=periods, offers=offers)


def _volume_eased(offer: Offer, lost: int) -> Offer:
    mwh = lost * offer.energy_nameplate_dc_mwh
    tiers = tuple(t.model_copy(update={"from_mwh": max(0.0, t.from_mwh - mwh)}) for t in offer.tiers)
    return offer.model_copy(update={"tiers": tiers, "min_order_mwh": max(0.0, offer.min_order_mwh - mwh)})


def _some(counts: Mapping[Any, int]) -> dict[Any, int]:
    return {key: count for key, count in counts.items() if count}


def _frozen(prospect: Prospect, world: World, fixed: Fixed) -> tuple[object, ...]:
    """What of a first stage bears on a world, for looking up an outcome found before."""
    before = set(prospect.signed_before(world))
    orders = sorted((k, n) for k, n in fixed.orders.items() if k in before and n)
    return (tuple(orders), Fixed({}, fixed.reserved).key)
