"""The joint problem: one block per world, joined by the orders that are signed before anyone knows.

    min  sum_w probability[w] cost[w] + cvar_weight (eta + sum_w probability[w] over[w] / tail_frac)   (aim expected)
    min  worst,  worst >= cost[w] for every world w                                                    (aim worst)

    containers[w,o,p] = sum_{orders k that come then} (signed[k] - lost[w,k] - cancelled[w,k]) + new[w,o,p]
    over[w] >= cost[w] - eta,  over[w] >= 0
    sum of containers of an option called in w <= reserved[option]
    served_mw[w,p] + short_mw[w,p] >= floor_mw[p]
    award[w,s] >= signs[s,k] >= signed[k] / max[k]     where an order of a supplier may fail to come

``signed`` exists only for orders signed before some world is known, and stands in every world that is not known by
then. What does not come at all is lost; where a supplier has less than was promised the buyer may walk away; what is
still to come when a world becomes known may be cancelled. What was lost counts towards the award's volume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner.disruption.sidebyside import JoinedOutages, SideBySide, at_least
from planner.disruption.worlds import OrderKey, Orders, Prospect, World
from planner.lazy import Columns, OutageRows, Prepared
from planner.model.reliability import seed_rows
from planner.model.row import RULES
from planner.solve import INFINITY, Compiled


@dataclass
class Block:
    """One world's model, compiled once."""

    world: World
    made: Prepared

    @classmethod
    def of(cls, world: World) -> Block:
        """Build and compile the model of a world with a few outage rows."""
        return cls(world, Prepared.of(world.c, seed_rows(world.c), frozenset(RULES)))

    def copy(self) -> Compiled:
        """Arrays that may be changed."""
        return replace(self.made.compiled, row_names=list(self.made.compiled.row_names))

    @cached_property
    def _row_index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.made.compiled.row_names)}

    def row(self, family: str, *index: object) -> int | None:
        """Row of a constraint of the model; None if it has none."""
        block = getattr(self.made.model, family, None)
        key = index[0] if len(index) == 1 else index
        return None if block is None or key not in block else self._row_index.get(block[key].name)


@dataclass(frozen=True)
class Fixed:
    """Orders and reservations that stand, whatever they cost; reservations are free if None."""

    orders: Orders
    reserved: Mapping[str, int] | None = field(default_factory=dict)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for equal first stages."""
        return (tuple(sorted((k, n) for k, n in self.orders.items() if n)),
                tuple(sorted((k, n) for k, n in (self.reserved or {}).items() if n)))  # fmt: skip


@dataclass(frozen=True)
class Toll:
    """What signing and reserving a container costs one world beside its own cost, in million USD; may be negative."""

    orders: Mapping[OrderKey, float]
    reserved: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Joint:
    """The joined arrays and where things stand in them.

    Attributes
    ----------
    compiled, columns, outages
        As ``planner.search.Search`` needs them.
    signed, reserved
        Columns of first-stage decisions.
    lost, cancelled, new
        Columns by world index and order, or (world, offer, period).
    cost, constant
        Cost of each world over the columns, and its constant.
    own_columns
        Columns of the worlds themselves; the joining ones stand after them.
    part_of
        World index of each column; -1 for what several worlds share.
    """

    compiled: Compiled
    columns: Columns
    outages: JoinedOutages
    first: list[int]
    signed: dict[OrderKey, int]
    reserved: dict[str, int]
    lost: dict[tuple[int, OrderKey], int]
    cancelled: dict[tuple[int, OrderKey], int]
    short: dict[tuple[int, int], int]
    cost: list[dict[int, float]]
    constant: list[float]
    own_columns: int
    part_of: NDArray[np.int64]

    def cost_musd(self, part: int, x: np.ndarray) -> float:
        """Cost of a world in a solution."""
        return self.constant[part] + sum(a * float(x[j]) for j, a in self.cost[part].items())


class Joining:
    """Builds a ``Joint``.

    Parameters
    ----------
    prospect
        What may come.
    blocks
        The worlds to join.
    fixed
        Orders that stand; None leaves them free.
    toll
        Charged on the first stage, for one world alone.
    """

    def __init__(
        self, prospect: Prospect, blocks: Sequence[Block], fixed: Fixed | None = None, toll: Toll | None = None
    ) -> None:
        self.prospect, self.blocks, self.fixed, self.toll = prospect, blocks, fixed, toll
        self.draft = SideBySide([b.copy() for b in blocks])
        self.signed: dict[OrderKey, int] = {}
        self.reserved: dict[str, int] = {}
        self.lost: dict[tuple[int, OrderKey], int] = {}
        self.cancelled: dict[tuple[int, OrderKey], int] = {}
        self.short: dict[tuple[int, int], int] = {}
        self._signs: dict[tuple[str, int], int] = {}
        self._paid: set[tuple[int, str]] = set()

    def joint(self) -> Joint:
        """The joined problem."""
        self._first_stage()
        for w, block in enumerate(self.blocks):
            before = self.prospect.signed_before(block.world)
            self._deliveries(w, block, before)
            self._called(w, block, before)
            self._contracts(w, block)
        for w in range(len(self.blocks)):
            for option, column in self.reserved.items():
                self.draft.charge(w, column, self.prospect.fee_musd(option))
        objective, constant = self._objective()
        compiled = self.draft.built(objective, constant)
        moved = [b.made.columns.moved(at) for b, at in zip(self.blocks, self.draft.first, strict=True)]
        parts = [
            OutageRows(b.world.c, columns, compiled, list(b.made.outages.rows))
            for b, columns in zip(self.blocks, moved, strict=True)
        ]
        return Joint(
            compiled, self._all_columns(moved), JoinedOutages(compiled, parts), self.draft.first, self.signed,
            self.reserved, self.lost, self.cancelled, self.short, self.draft.cost, self.draft.constant,
            self.draft.width, np.array(self.draft.part_of, dtype=np.int64),
        )  # fmt: skip

    # -- before anyone knows ---------------------------------------------------------------------

    def _first_stage(self) -> None:
        prospect, fixed = self.prospect, self.fixed
        most = dict(zip(prospect.c.pairs, prospect.c.largest_delivery, strict=True))
        for key, pair in prospect.pair.items():
            count = None if fixed is None else fixed.orders.get(key, 0)
            self.signed[key] = self._count(int(most[pair]), count)
        for name, option in prospect.rule.options.items():
            if name in {o.offer for o in prospect.base.offers}:
                count = None if fixed is None or fixed.reserved is None else fixed.reserved.get(name, 0)
                self.reserved[name] = self._count(option.containers, count)

    def _count(self, most: int, fixed: int | None) -> int:
        if fixed is None:
            return self.draft.column(float(most), whole=True)
        return self.draft.column(float(fixed), whole=True, lower=float(fixed))

    # -- what comes ------------------------------------------------------------------------------

    def _deliveries(self, w: int, block: Block, before: Sequence[OrderKey]) -> None:
        """Tie the containers of a world to what was signed, and to what can still be ordered."""
        prospect, world = self.prospect, block.world
        coming: dict[tuple[int, int], list[OrderKey]] = {}
        for key in before:
            at = prospect.arrival(world, key)
            if at is None:
                self._never_comes(w, block, key)
            else:
                coming.setdefault(at, []).append(key)
        for (o, p), local in zip(world.c.pairs, block.made.columns.containers, strict=True):
            column = self.draft.first[w] + int(local)
            free = prospect.orderable(world, o, p)
            keys = coming.get((o, p), [])
            if not keys:
                if free:
                    self.draft.charge(w, column, prospect.premium_musd(world, o, p))
                else:
                    self.draft.upper[column] = 0.0
                continue
            terms = {column: 1.0}
            if free:
                new = self.draft.column(INFINITY, part=w)
                self.draft.charge(w, new, prospect.premium_musd(world, o, p))
                terms[new] = -1.0
            for key in keys:
                self._comes(w, block, key, (o, p), terms, several=len(keys) > 1)
            self.draft.row(terms, 0.0, 0.0, f"deliveries[{world.name},{o},{p}]")

    def _comes(
        self, w: int, block: Block, key: OrderKey, at: tuple[int, int], terms: dict[int, float], several: bool
    ) -> None:
        """Add an order that comes to the row of its delivery, with what may be lost or cancelled of it."""
        prospect, world = self.prospect, block.world
        terms[self.signed[key]] = -1.0
        gone: dict[int, float] = {}
        if prospect.may_fail(world, key, at):
            self.lost[w, key] = column = self.draft.column(INFINITY, part=w)
            self.draft.charge(w, column, prospect.lost_musd(world, key))
            self._counts_towards_award(w, block, key, column)
            gone[column] = 1.0
        if prospect.may_cancel(world, at):
            self.cancelled[w, key] = column = self.draft.column(INFINITY, part=w)
            self.draft.charge(w, column, prospect.cancelled_musd(world, key))
            gone[column] = 1.0
        terms.update(gone)
        if gone:
            self._qualified(w, block, key)
        if gone and several:
            self.draft.row({**gone, self.signed[key]: -1.0}, -INFINITY, 0.0, f"no_more_than_signed[{key}]")

    def _never_comes(self, w: int, block: Block, key: OrderKey) -> None:
        self.draft.charge(w, self.signed[key], self.prospect.lost_musd(block.world, key))
        self._counts_towards_award(w, block, key, self.signed[key])
        self._qualified(w, block, key)

    def _counts_towards_award(self, w: int, block: Block, key: OrderKey, column: int) -> None:
        """What the supplier failed to bring counts towards the volume of the award."""
        o = block.world.offer_index.get(key[0])
        if o is None or o not in block.world.c.offers_used:
            return
        offer = block.world.problem.offers[o]
        for t in block.world.c.reachable_tiers(o):
            row = block.row("award_volume", offer.offer, offer.tiers[t].tier)
            if row is not None:
                least = max(offer.tiers[t].from_mwh, offer.min_order_mwh, offer.energy_nameplate_dc_mwh)
                self.draft.put(w, row, column, offer.energy_nameplate_dc_mwh / least)

    def _qualified(self, w: int, block: Block, key: OrderKey) -> None:
        """A supplier of what was signed has been qualified, even if nothing comes."""
        prospect = self.prospect
        supplier = prospect.base.offers[prospect.pair[key][0]].supplier
        fee = prospect.qualification_musd(supplier)
        if fee <= 0:
            return
        known = block.world.known
        if (supplier, known) not in self._signs:
            self._signs[supplier, known] = signs = self.draft.column(1.0, whole=True)
            for other in prospect.signed_before(block.world):
                most = self.draft.upper_of(self.signed[other])
                if prospect.base.offers[prospect.pair[other][0]].supplier == supplier and most > 0:
                    self.draft.row({self.signed[other]: 1.0 / most, signs: -1.0}, -INFINITY, 0.0, f"signs[{supplier}]")
        signs = self._signs[supplier, known]
        if (w, supplier) in self._paid:
            return
        self._paid.add((w, supplier))
        award = block.made.model.award[supplier] if supplier in block.made.model.suppliers else None
        local = -1 if award is None else block.made.compiled.index(award)
        if local < 0:
            self.draft.charge(w, signs, fee)
        else:
            self.draft.row({self.draft.first[w] + local: 1.0, signs: -1.0}, *at_least(0.0), f"award[{supplier}]")

    def _called(self, w: int, block: Block, before: Sequence[OrderKey]) -> None:
        """No more of an option is called than was reserved."""
        world = block.world
        for name, reserved in self.reserved.items():
            terms = {reserved: -1.0}
            for key in before:
                if key[0] == name:
                    terms[self.signed[key]] = 1.0
            o = world.offer_index.get(name)
            arrivals = {self.prospect.arrival(world, key) for key in before if key[0] == name}
            for (o2, p), local in zip(world.c.pairs, block.made.columns.containers, strict=True):
                if o2 == o and (o2, p) not in arrivals:
                    terms[self.draft.first[w] + int(local)] = 1.0
            self.draft.row(terms, -INFINITY, 0.0, f"called[{world.name},{name}]")

    def _contracts(self, w: int, block: Block) -> None:
        """Contracted load may be served late at a price, where the case names one."""
        for p, period in enumerate(block.world.problem.periods):
            price = self.prospect.short_musd_per_mw(block.world, p)
            row = block.row("contracted_load", period.label)
            if price is not None and row is not None:
                self.short[w, p] = column = self.draft.column(period.floor_mw, part=w)
                self.draft.charge(w, column, price)
                self.draft.put(w, row, column, 1.0)

    # -- together --------------------------------------------------------------------------------

    def _objective(self) -> tuple[dict[int, float], float]:
        """Expected cost with a weight on the tail, or the cost of the worst world."""
        rule, draft = self.prospect.rule, self.draft
        total = sum(b.world.probability for b in self.blocks)
        share = [b.world.probability / total for b in self.blocks]
        if len(self.blocks) == 1:
            return self._tolled(dict(draft.cost[0])), draft.constant[0]
        if rule.aim == "worst":
            worst = draft.column(INFINITY, lower=-INFINITY)
            for w in range(len(self.blocks)):
                terms = {worst: 1.0, **{j: -a for j, a in draft.cost[w].items()}}
                draft.row(terms, *at_least(draft.constant[w]), f"worst[{w}]")
            return {worst: 1.0}, 0.0
        objective: dict[int, float] = {}
        for part, cost in zip(share, draft.cost, strict=True):
            for j, a in cost.items():
                objective[j] = objective.get(j, 0.0) + part * a
        constant = float(np.dot(share, draft.constant))
        if rule.cvar_weight > 0:
            eta = draft.column(INFINITY, lower=-INFINITY)
            objective[eta] = rule.cvar_weight
            for w, part in enumerate(share):
                over = draft.column(INFINITY)
                objective[over] = rule.cvar_weight * part / rule.tail_frac
                terms = {over: 1.0, eta: 1.0, **{j: -a for j, a in draft.cost[w].items()}}
                draft.row(terms, *at_least(draft.constant[w]), f"over[{w}]")
        return objective, constant

    def _tolled(self, cost: dict[int, float]) -> dict[int, float]:
        if self.toll is not None:
            charges = [(self.signed[k], usd) for k, usd in self.toll.orders.items()]
            charges += [(self.reserved[n], usd) for n, usd in self.toll.reserved.items() if n in self.reserved]
            for column, usd in charges:
                cost[column] = cost.get(column, 0.0) + usd
        return cost

    def _all_columns(self, moved: Sequence[Columns]) -> Columns:
        """Containers and first-stage counts together: what a search buys in fractions until the end."""
        counts = [*self.signed.values(), *self.reserved.values()]
        one = moved[0]
        return Columns(
            np.concatenate([*(m.containers for m in moved), np.array(counts, dtype=np.int64)]), one.served, one.tiers,
            np.concatenate([m.placed for m in moved]), one.lost_levels, one.energised,
            np.concatenate([m.site for m in moved]),
        )  # fmt: skip
