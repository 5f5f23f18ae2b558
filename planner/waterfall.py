"""From load x hours to what is bought: why the fleet is larger than the first guess."""

from __future__ import annotations

import numpy as np

from planner.decode import Decision
from planner.model.coefficients import Coefficients
from planner.problem import FloatArray
from planner.results import WaterfallStep


def requirement_waterfall(c: Coefficients, d: Decision, relaxed_containers: FloatArray) -> tuple[WaterfallStep, ...]:
    """Steps in MWh in the first period that energises the full load, or else the most load.

    Parameters
    ----------
    relaxed_containers
        Containers of the bound problem per pair, which tells what whole containers add.

    Returns
    -------
    tuple of WaterfallStep
        ``total_mwh`` of the last step is the DC nameplate standing in that period.
    """
    problem = c.problem
    p = int(np.argmax(np.round(d.served_mw, 6)))
    load = float(d.served_mw[p]) / problem.periods[p].target_mw
    full = int(np.argmax(c.requirement.counts.sum(axis=1)))
    need = float(c.requirement.mwh[p, full]) * load
    first = problem.case.reliability.service[0]
    flat = float(d.served_mw[p]) * first.until_h * first.share_frac
    first_block = _first_block_mwh(c, first.until_h, first.share_frac) * float(d.served_mw[p])

    alive = c.alive[:, p]
    o = c.pair_offer
    n = np.array([d.containers[a, b] for a, b in c.pairs], dtype=float) * alive
    storage = np.array([problem.offers[a].is_storage for a in o], dtype=bool)
    delivered = c.delivered_mwh(p, full)
    firm = float((n * delivered)[~storage].sum())
    usable = np.array([q.energy_usable_ac_mwh for q in problem.offers])[o]
    charged, faded = c.energy_mwh[o], c.faded_mwh[:, p]

    def total(per_container: FloatArray, counts: FloatArray = n) -> float:
        return float((counts * per_container)[storage].sum())

    spare_power = total(np.where(alive, c.availability[o] * faded - delivered, 0.0))
    unavailable = total(np.where(alive, (1.0 - c.availability[o]) * faded, 0.0))
    rounding = total(usable) - total(usable, relaxed_containers * alive)
    surplus = total(delivered) - (need - firm)
    steps = [
        ("load x hours", flat, f"{d.served_mw[p]:,.0f} MW for {first.until_h:g} h at {first.share_frac:.0%}"),
        ("load shape", first_block - flat, "the campus is never at its peak in every hour of the worst window"),
        ("rest of the service profile", need - first_block, "the shares served after the first block"),
        ("firm resources", -firm, "generators and firm contracts serve this part"),
        ("redundancy, power and later years", surplus - rounding, "losses to survive, other hours, fade still to come"),
        ("whole containers", rounding, "against containers bought in fractions"),
        ("energy out of reach in the window", spare_power, "slow units hold more than their power can bring out"),
        ("availability", unavailable, "containers that are down when the outage starts"),
        ("fade", total(charged - np.where(alive, faded, charged)), "state of health at the end of the period"),
        ("reserve level", total(usable - charged), "the fleet is not full when the outage starts"),
        ("conversion and depth of discharge", total(c.nameplate_mwh[o] - usable), "DC nameplate against usable AC"),
    ]
    rows, running = [], 0.0
    for step, energy, why in steps:
        running += energy
        rows.append(WaterfallStep(step=step, energy_mwh=energy, total_mwh=running, why=why))
    return tuple(rows)


def _first_block_mwh(c: Coefficients, until_h: float, share: float) -> float:
    """Largest energy of the first service block over all start steps, per MW of target load."""
    steps = round(until_h / c.problem.dt_h)
    load = np.concatenate([c.problem.load_pu, np.resize(c.problem.load_pu, steps)])
    sums = np.lib.stride_tricks.sliding_window_view(load, steps)[: len(c.problem.load_pu)].sum(axis=1)
    return float(sums.max()) * share * c.problem.dt_h
