"""The worlds that may come: one changed problem each, and what its orders cost when they do not come or are cancelled.

Signing is described in the calm problem: an order of an offer for a delivery period is signed ``order_lead_months``
before. Until a future is known, nobody can tell its world from the calm one, so orders signed by then are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from planner import contract, finance, supply
from planner.changes import CapacityOption, Disruption, UncertainFuture
from planner.model.coefficients import Coefficients
from planner.problem import Offer, Problem
from planner.units import KWH_PER_MWH, USD_PER_MUSD, year_of

#: Name of the future in which nothing happens.
CALM = "calm"
#: An order: the offer and the label of the delivery period that it is signed for.
OrderKey = tuple[str, str]
#: Containers by order.
Orders = Mapping[OrderKey, int]


def with_options(problem: Problem, options: Mapping[str, CapacityOption]) -> Problem:
    """Return the problem with every capacity option as an offer of its own.

    An option whose offer does not exist (any more) is left out. It has the terms of its offer, the fixed factor on
    the price and its own lead time; what qualifies its supplier is done before it is called.
    """
    offers = {o.offer: o for o in problem.offers}
    made = [_as_offer(name, option, offers[option.offer]) for name, option in options.items() if option.offer in offers]
    sources = tuple(
        row.model_copy(update={"offer": name})
        for name, option in options.items()
        for row in problem.tables.offer_sourcing
        if row.offer == option.offer
    )
    tables = replace(problem.tables, offer_sourcing=(*problem.tables.offer_sourcing, *sources))
    return replace(problem, offers=(*problem.offers, *made), tables=tables)


def _as_offer(name: str, option: CapacityOption, offer: Offer) -> Offer:
    return offer.model_copy(
        update={
            "offer": name,
            "price": {year: value * option.strike_frac for year, value in offer.price.items()},
            "lead_time_months": option.lead_months,
            "qualification_months": 0,
            "valid_until": option.expires,
            "min_order_mwh": 0.0,
        }
    )


@dataclass(frozen=True)
class World:
    """One future with all its figures.

    Attributes
    ----------
    name, probability
        As in the case; ``calm`` takes what is left over.
    known
        Month index at which it is told from the others; orders signed before are those of the calm world.
    problem
        The planning question in this world, options among its offers.
    future
        The future as the case states it; None for the calm world.
    """

    name: str
    probability: float
    known: int
    problem: Problem
    future: UncertainFuture | None

    @cached_property
    def c(self) -> Coefficients:
        """Coefficients of its problem."""
        return Coefficients(self.problem)

    @cached_property
    def offer_index(self) -> dict[str, int]:
        """Index of each offer that exists in this world."""
        return {o.offer: i for i, o in enumerate(self.problem.offers)}

    @cached_property
    def pairs(self) -> frozenset[tuple[int, int]]:
        """(offer index, period index) of each delivery that is possible in this world."""
        return frozenset(self.c.pairs)


class Prospect:
    """Everything that may come, seen from the decision.

    Parameters
    ----------
    calm
        The problem in which nothing happens.
    futures
        The problem of each uncertain future, from ``planner.inputs.load_worlds``.
    rule
        The section ``disruption``; that of the calm problem unless given.
    """

    def __init__(self, calm: Problem, futures: Mapping[str, Problem], rule: Disruption | None = None) -> None:
        self.rule = calm.case.disruption if rule is None else rule
        listed = self.rule.futures
        self.base = with_options(calm, self.rule.options)
        last = max((f.known for n, f in listed.items() if f.probability_frac > 0), default=calm.case.timeline.decision)
        left = 1.0 - sum(f.probability_frac for f in listed.values())
        worlds = [World(CALM, left, last, self.base, None)] if left > 1e-12 else []
        worlds += [
            World(name, f.probability_frac, f.known, with_options(futures[name], self.rule.options), f)
            for name, f in listed.items()
            if f.probability_frac > 0
        ]
        #: Worlds with a probability, the calm one first.
        self.worlds: tuple[World, ...] = tuple(worlds)
        self.c = Coefficients(self.base)
        offers, periods = self.base.offers, self.base.periods
        #: Month in which each order is signed that some world leaves no time to think about.
        self.signed_month: dict[OrderKey, int] = {}
        #: (offer index, period index) of each such order in the calm problem.
        self.pair: dict[OrderKey, tuple[int, int]] = {}
        for o, p in self.c.pairs:
            month = supply.order_month(offers[o], periods[p])
            if month < last and not self.expired(offers[o], month):
                self.signed_month[offers[o].offer, periods[p].label] = month
                self.pair[offers[o].offer, periods[p].label] = (o, p)

    def expired(self, offer: Offer, month: int) -> bool:
        """Whether an option can no longer be called in a month; False for what is no option."""
        option = self.rule.options.get(offer.offer)
        return option is not None and month > option.expires

    def signed_before(self, world: World) -> list[OrderKey]:
        """Orders that are signed before a world is known."""
        return [key for key, month in self.signed_month.items() if month < world.known]

    def arrival(self, world: World, key: OrderKey) -> tuple[int, int] | None:
        """(offer index, period index) at which an order signed before comes in a world; None if it never does.

        Where lead times have grown it comes so much later, in the first delivery period that starts then.
        """
        o = world.offer_index.get(key[0])
        if o is None:
            return None
        base_offer, p = self.base.offers[self.pair[key][0]], self.pair[key][1]
        late = max(0, world.problem.offers[o].order_lead_months - base_offer.order_lead_months)
        due = self.base.periods[p].start + late
        then = next((q.index for q in world.problem.periods if q.start >= due), None)
        return None if then is None or (o, then) not in world.pairs else (o, then)

    def orderable(self, world: World, o: int, p: int) -> bool:
        """Whether a delivery of a world can still be ordered once the world is known."""
        offer = world.problem.offers[o]
        month = supply.order_month(offer, world.problem.periods[p])
        return month >= world.known and not self.expired(offer, month)

    def may_fail(self, world: World, key: OrderKey, at: tuple[int, int]) -> bool:
        """Whether a supplier in this world has less than was promised, so that the buyer may walk away."""
        o, p = self.pair[key]
        offer = self.base.offers[o]
        factories = {offer.cell_factory, offer.assembly_plant}
        return any(world.c.factory_limit(f, at[1]) < self.c.factory_limit(f, p) - 1e-9 for f in factories)

    def may_cancel(self, world: World, at: tuple[int, int]) -> bool:
        """Whether goods are still to come when the world becomes known."""
        return world.problem.periods[at[1]].start > world.known

    # -- money, in million USD per container of present value ------------------------------------

    def price_usd(self, key: OrderKey) -> float:
        """Price of one container as signed, without tier discount, undiscounted."""
        o, p = self.pair[key]
        return finance.price_usd(self.base, self.base.offers[o], year_of(self.base.periods[p].start))

    def cancelled_musd(self, world: World, key: OrderKey) -> float:
        """Cost of a container cancelled when the world becomes known: the fee, payments in advance set off."""
        offer, signed = self.base.offers[self.pair[key][0]], self.signed_month[key]
        steps = [s.fee_frac for s in self.rule.cancellation if s.after_months <= world.known - signed]
        fee = offer.cancellation_fee_frac or (steps[-1] if steps else 0.0)
        paid = contract.payment_shares(self.base, offer).get("order", 0.0)
        early, late = finance.discount(self.base, signed), finance.discount(self.base, world.known)
        return self._counted(self.price_usd(key) * (paid * early + (fee - paid) * late))

    def lost_musd(self, world: World, key: OrderKey) -> float:
        """Cost of a container that does not come: what was paid in advance and is not given back."""
        offer = self.base.offers[self.pair[key][0]]
        paid = contract.payment_shares(self.base, offer).get("order", 0.0)
        back = self.rule.secured_frac
        back += (1.0 - back) * (world.future.back_frac if world.future is not None else 0.0)
        early, late = (finance.discount(self.base, month) for month in (self.signed_month[key], world.known))
        return self._counted(self.price_usd(key) * paid * (early - back * late))

    def premium_musd(self, world: World, o: int, p: int) -> float:
        """What ordering a container costs more once the world is known; options have their fixed factor instead."""
        offer, period = world.problem.offers[o], world.problem.periods[p]
        if world.future is None or not offer.is_storage or offer.offer in self.rule.options:
            return 0.0
        price = finance.price_usd(world.problem, offer, year_of(period.start))
        paid = price * contract.payment_factor(world.problem, offer, period.start)
        return world.future.premium_frac * paid / USD_PER_MUSD

    def fee_musd(self, option: str) -> float:
        """Fee for one container reserved."""
        rule = self.rule.options[option]
        offer = next(o for o in self.base.offers if o.offer == rule.offer)
        usd = rule.fee_usd_per_kwh * offer.energy_usable_ac_mwh * KWH_PER_MWH
        return usd * finance.discount(self.base, self.base.case.timeline.decision) / USD_PER_MUSD

    def short_musd_per_mw(self, world: World, p: int) -> float | None:
        """Cost of a megawatt of contracted load not served, beside its delay; None where it must be served."""
        usd = self.rule.short_usd_per_mw_yr
        if usd is None:
            return None
        period = world.problem.periods[p]
        return usd * finance.stream(world.problem, period.start, period.end) / USD_PER_MUSD

    def qualification_musd(self, supplier: str) -> float:
        """What qualifying a supplier costs."""
        fees = {s.supplier: s.qualification_usd for s in self.base.tables.suppliers}
        return fees.get(supplier, 0.0) / USD_PER_MUSD

    def _counted(self, usd: float) -> float:
        items = finance.with_tax(self.base, {"cancellation": usd})
        return finance.counted_usd(self.base, items) / USD_PER_MUSD
