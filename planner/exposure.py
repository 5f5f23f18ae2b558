"""China exposure of an offer, by measure (conventions, section 9)."""

from __future__ import annotations

from planner.policy import flag_binds
from planner.problem import Offer, Problem


def layer_shares(offer: Offer, ownership: bool) -> dict[str, float]:
    """China share of each supply-chain layer, by place or by owner."""
    return {n: (s.ownership_frac if ownership else s.production_frac) for n, s in offer.layers.items()}


def exposure_share(problem: Problem, offer: Offer, measure: str) -> float:
    """Share of one MWh of ``offer`` that counts as exposed; not defined for the chokepoint measures."""
    ownership = measure.endswith("_ownership")
    shares = layer_shares(offer, ownership)
    match measure.removesuffix("_ownership"):
        case "cell":
            return shares.get("cell", 0.0)
        case "value":
            weights = {r.layer: r.weight_frac for r in problem.tables.layer_weights if r.chemistry == offer.chemistry}
            return sum(weights.get(layer, 0.0) * share for layer, share in shares.items())
        case "control":
            owned = layer_shares(offer, ownership=True).get("control_software", 0.0)
            return max(owned, float(flag_binds(problem, offer, "software_control")))
    raise ValueError(f"{measure!r} has no share per offer")


def layers(problem: Problem) -> list[str]:
    """Every supply-chain layer that some offer has."""
    return sorted({layer for offer in problem.offers for layer in offer.layers})
