"""China exposure of an offer, by measure (conventions, section 9)."""

from __future__ import annotations

from planner.policy import accepted_nodes, flag_binds
from planner.problem import LayerShare, Offer, Problem
from planner.results import Plan


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


def relieved_mwh(problem: Problem, measure: str, plan: Plan, layer: str = "") -> dict[str, float]:
    """Exposed MWh that a plan's chosen sources take away, by delivery period; of one layer for the chokepoints."""
    by_owner, kind = measure.endswith("_ownership"), measure.removesuffix("_ownership")
    weights = {(r.chemistry, r.layer): r.weight_frac for r in problem.tables.layer_weights}
    chemistry = {o.offer: o.chemistry for o in problem.offers}
    found: dict[str, float] = {}
    for row in plan.sourcing:
        before = {"made": (1.0, 1.0), "owned": (0.0, 1.0), "hosted": (1.0, 0.0)}[row.part][by_owner]
        less = before - float((row.owner_country if by_owner else row.country) == "China")
        of_layer = float(row.layer == layer)
        weight = weights[chemistry[row.offers.split("; ")[0]], row.layer] if kind == "value" else of_layer
        if kind in ("value", "chokepoint"):
            found[row.period] = found.get(row.period, 0.0) + less * weight * row.energy_mwh
    return found


def least_share(problem: Problem, offer: Offer, measure: str) -> float:
    """Exposure of one MWh of ``offer`` if all that its maker may source elsewhere came from there."""
    free = accepted_nodes(problem, offer)
    layers = {
        n: LayerShare(production_frac=0.0, ownership_frac=0.0) if n in free else s for n, s in offer.layers.items()
    }
    return exposure_share(problem, offer.model_copy(update={"layers": layers}), measure)
