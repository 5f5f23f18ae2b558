"""Tolls on what worlds sign, and what the relaxation of the joint problem says about them.

The dual values of its rows split the reduced cost of an order among the worlds that share it: with these tolls the
relaxations of the worlds alone add up to nearly that of all of them (rows that only the first stage has belong to no
world), so in whole numbers they add up to more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from planner.disruption.joint import Joint
from planner.disruption.worlds import OrderKey, Prospect
from planner.problem import FloatArray
from planner.solve import Compiled

#: A first-stage decision: an order, or the name of an option.
Decision = OrderKey | str
#: Rows that weigh the costs of the worlds.
_WEIGHING = ("over[", "worst[")


@dataclass(frozen=True)
class Tolls:
    """Weights by world and tolls by (world index, decision), in million USD."""

    weight: FloatArray
    toll: Mapping[tuple[int, Decision], float]


def shared_decisions(prospect: Prospect) -> dict[Decision, list[int]]:
    """Indices of the worlds that must agree on each decision, where there are several."""
    shared: dict[Decision, list[int]] = {}
    for w, world in enumerate(prospect.worlds):
        keys: list[Decision] = [*prospect.signed_before(world), *prospect.rule.options]
        for key in keys:
            shared.setdefault(key, []).append(w)
    return {key: at for key, at in shared.items() if len(at) > 1}


def of_relaxation(prospect: Prospect, joint: Joint, problem: Compiled, dual: FloatArray) -> Tolls:
    """Tolls and weights from the dual values of the rows of the relaxed joint problem.

    Parameters
    ----------
    prospect, joint
        All worlds.
    problem
        What was solved: the columns of ``joint`` and some of its rows.
    dual
        Dual value of each row of ``problem``.

    Notes
    -----
    A row belongs to the world whose columns stand in it. What no world accounts for, rows of the first stage alone and
    reduced costs, is shared by weight, so that the tolls on a decision add up to nothing.
    """
    many, rule = len(prospect.worlds), prospect.rule
    weighing = np.array([name.startswith(_WEIGHING) for name in problem.row_names])
    weight = np.zeros(many) if rule.aim == "worst" else np.array([w.probability for w in prospect.worlds])
    for i in np.flatnonzero(weighing):
        weight[int(problem.row_names[i].split("[")[1][:-1])] += dual[i]
    column: dict[Decision, int] = dict(joint.signed.items())
    column.update(joint.reserved.items())
    priced = problem.matrix.multiply(np.where(weighing, 0.0, dual)[:, None]).tocsc()
    world = _world_of_rows(joint, problem)
    toll: dict[tuple[int, Decision], float] = {}
    for key, at in shared_decisions(prospect).items():
        if key not in column:
            continue
        part = priced[:, [column[key]]].tocoo()
        mine = {w: float(part.data[world[part.row] == w].sum()) for w in at}
        mine = {w: value - weight[w] * joint.cost[w].get(column[key], 0.0) for w, value in mine.items()}
        over, total = sum(mine.values()), max(float(weight[at].sum()), 1e-12)
        shares = [float(weight[w]) / total if total > 1e-9 else 1.0 / len(at) for w in at]
        toll |= {(w, key): mine[w] - over * share for w, share in zip(at, shares, strict=True)}
    return Tolls(weight, toll)


def _world_of_rows(joint: Joint, problem: Compiled) -> np.ndarray:
    """World whose columns stand in each row; -1 for rows of the first stage alone."""
    entries = problem.matrix.tocoo()
    world = np.full(len(problem.row_lower), -1)
    np.maximum.at(world, entries.row, joint.part_of[entries.col])
    return world
