"""From a quoted price to a comparable one: duty-paid, at site, installed, in USD per usable AC kWh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from planner import finance
from planner.problem import Offer, Problem
from planner.units import KW_PER_MW, KWH_PER_MWH, year_of

#: Steps of a bridge after the quoted price, in order, and what each is.
STEPS = {
    "energy_basis": "from the energy that the price is for to usable AC energy",
    "lithium_clause": "the price follows lithium by contract",
    "duty": "duty at the import month, where the price leaves it out",
    "freight": "the way to the site, as far as the price leaves it out",
    "power_conversion": "power conversion and transformers, where left out",
    "balance_of_plant": "plant around the containers",
    "installation": "installation, commissioning, spares, where left out",
    "epc": "engineering and management",
}


@dataclass(frozen=True)
class Bridge:
    """One quote made comparable.

    Attributes
    ----------
    offer, supplier
        Names.
    quoted
        Price as quoted, in dollars per unit of its own basis, and ``basis`` in words.
    steps_usd_per_kwh
        What each step adds, per usable AC kWh; the first is the quoted figure itself.
    least_order_mwh, tier_discounts
        Minimum order (nameplate), and discounts by volume, which the comparable price leaves out.
    """

    offer: str
    supplier: str
    quoted: float
    basis: str
    note: str
    steps_usd_per_kwh: dict[str, float]
    least_order_mwh: float
    tier_discounts: tuple[tuple[float, float], ...]

    @property
    def at_site_usd_per_kwh(self) -> float:
        """Duty-paid and at site as an AC system, before plant, installation and engineering."""
        return sum(self.steps_usd_per_kwh[k] for k in ("quoted", *list(STEPS)[:5]))

    @property
    def comparable_usd_per_kwh(self) -> float:
        """Duty-paid, at site, installed, per usable AC kWh: the figure to compare."""
        return sum(self.steps_usd_per_kwh.values())


def bridges(problem: Problem, month: int) -> Iterator[Bridge]:
    """Bridge of every storage offer of a problem for deliveries in a month, cheapest first.

    Parameters
    ----------
    problem
        Its offers are the quotes; its tables price what a quote leaves out.
    month
        Month index of the delivery.
    """
    found = [bridge(problem, offer, month) for offer in problem.offers if offer.is_storage]
    yield from sorted(found, key=lambda b: (b.comparable_usd_per_kwh, b.offer))


def bridge(problem: Problem, offer: Offer, month: int) -> Bridge:
    """Bridge of one offer."""
    usable_kwh = offer.energy_usable_ac_mwh * KWH_PER_MWH
    plain = offer.model_copy(update={"lithium_pass_through_frac": 0.0})
    listed = finance.price_usd(problem, plain, year_of(month))
    equipment = finance.price_usd(problem, offer, year_of(month))
    dc = offer.energy_basis == "dc_nameplate"
    if offer.price_unit == "USD/kW":
        size, basis = offer.power_mw * KW_PER_MW, "kW"
    else:
        size = (offer.energy_nameplate_dc_mwh if dc else offer.energy_usable_ac_mwh) * KWH_PER_MWH
        basis = "kWh DC nameplate" if dc else "kWh usable AC"
    quoted = listed / size
    parts = finance.capital_usd(problem, offer, month, equipment)
    steps = {
        "quoted": quoted,
        "energy_basis": listed / usable_kwh - quoted,
        "lithium_clause": (equipment - listed) / usable_kwh,
        **{name: parts[name] / usable_kwh for name in list(STEPS)[2:]},
    }
    note = "; ".join(
        dict.fromkeys(
            row.note for row in problem.rows.get("offer_prices", ()) if getattr(row, "offer", "") == offer.offer
        )
    )
    return Bridge(
        offer=offer.offer,
        supplier=offer.supplier,
        quoted=quoted,
        basis=f"{offer.price_layer.replace('_', ' ')} {offer.incoterm}, USD per {basis}",
        note=note,
        steps_usd_per_kwh=steps,
        least_order_mwh=offer.min_order_mwh,
        tier_discounts=tuple((t.from_mwh, t.discount_frac) for t in offer.tiers if t.discount_frac > 0),
    )
