"""World by world: a bound for every first stage without a model of all worlds, and first stages worth trying.

Each world signs for itself, and pays a toll for what it signs; over the worlds that cannot be told apart yet the
tolls on an order add up to nothing. What the worlds cost then is a bound (Caroe and Schultz 1999):

    L(toll, weight) = sum_w min { weight[w] cost[w] + sum_k toll[w,k] signed[w,k] },   sum_w toll[w,k] = 0

``weight`` is the probability; with a weight on the tail, or for the worst world, it is any from the set whose largest
weighted cost is the aim (probability[w] + share[w], 0 <= share[w] <= cvar_weight probability[w] / tail_frac, the
shares adding up to cvar_weight; or weights that add up to 1). Without tolls L is what knowing the future would give.
Better tolls come from a linear program over everything met so far: whatever a world was seen to do is a plane above
its part of L. It looks no further than a box around the best tolls, which grows and shrinks with its success.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from planner.disruption.hands import Hands, Job
from planner.disruption.hedge import Outcome
from planner.disruption.joint import Fixed, Toll
from planner.disruption.worlds import OrderKey, Prospect
from planner.problem import FloatArray
from planner.solve import INFINITY, Attempt, Compiled, Run, Stop
from planner.units import USD_PER_MUSD

#: First size of the box around the best tolls, as a share of the price of a container.
_BOX = 0.1
#: A step counts as good from this share of what the program promised on.
_GOOD = 0.1
#: The worst aim gives every world at least this share of an even weight, so that its cost is looked at.
_LEAST_WEIGHT = 1e-3
_MASTER_S = 30.0

#: A first-stage decision: an order, or the name of an option.
Decision = OrderKey | str


@dataclass(frozen=True)
class Tolls:
    """Weights by world and tolls by (world index, decision), in million USD."""

    weight: FloatArray
    toll: Mapping[tuple[int, Decision], float]


class Ledger:
    """What worlds were seen to do, and the tolls that this suggests.

    Parameters
    ----------
    prospect
        What may come.
    """

    def __init__(self, prospect: Prospect) -> None:
        self.prospect, self.worlds = prospect, prospect.worlds
        shared: dict[Decision, list[int]] = {}
        for w, world in enumerate(self.worlds):
            keys: list[Decision] = [*prospect.signed_before(world), *prospect.rule.options]
            for key in keys:
                shared.setdefault(key, []).append(w)
        #: Worlds that must agree on a decision.
        self.shared = {key: at for key, at in shared.items() if len(at) > 1}
        self.size = {key: self._price(key) for key in self.shared}
        self.cuts: list[dict[tuple[object, ...], tuple[float, dict[Decision, int]]]] = [{} for _ in self.worlds]
        chance = np.array([w.probability for w in self.worlds])
        rule = prospect.rule
        worst, even = rule.aim == "worst", np.full(len(chance), 1.0 / len(chance))
        self.base = np.zeros(len(chance)) if worst else chance
        self.extra = 1.0 if worst else rule.cvar_weight
        self.most = np.ones(len(chance)) if worst else rule.cvar_weight * chance / rule.tail_frac
        self.least = _LEAST_WEIGHT * even if worst else np.zeros(len(chance))

    def _price(self, key: Decision) -> float:
        if isinstance(key, str):
            option = self.prospect.rule.options[key]
            pairs = [k for k in self.prospect.pair if k[0] in (key, option.offer)]
            return max((self.prospect.price_usd(k) for k in pairs), default=USD_PER_MUSD) / USD_PER_MUSD
        return self.prospect.price_usd(key) / USD_PER_MUSD

    def untolled(self, cost: Sequence[float]) -> Tolls:
        """No tolls, and the weights under which these costs are dearest."""
        share, left = np.zeros(len(cost)), self.extra
        for w in np.argsort(cost)[::-1]:
            share[w] = min(left, self.most[w])
            left -= share[w]
        return Tolls(self.base + share, {})

    def note(self, outcome: Outcome) -> None:
        """Remember what a world did, whatever it was told."""
        w = next(i for i, world in enumerate(self.worlds) if world.name == outcome.world)
        if outcome.plan is None:
            return
        before = {k for k, at in self.shared.items() if w in at}
        done: dict[Decision, int] = {k: n for k, n in outcome.fixed.orders.items() if k in before}
        done |= {k: n for k, n in (outcome.fixed.reserved or {}).items() if k in before}
        key = tuple(sorted(done.items(), key=str))
        if key not in self.cuts[w] or self.cuts[w][key][0] > outcome.cost_musd:
            self.cuts[w][key] = outcome.cost_musd, done

    def suggest(self, centre: Tolls, box: float) -> tuple[Tolls, float] | None:
        """Best tolls near the centre for all that is known, and what they promise; None without a solution."""
        names = [(w, key) for key, at in self.shared.items() for w in at]
        place = {name: 2 * len(self.worlds) + i for i, name in enumerate(names)}
        many = len(self.worlds)
        lower, upper = np.full(2 * many + len(names), -INFINITY), np.full(2 * many + len(names), INFINITY)
        share = centre.weight - self.base
        lower[many : 2 * many] = np.maximum(self.least, share - 10 * box * self.most)
        upper[many : 2 * many] = np.minimum(self.most, np.maximum(lower[many : 2 * many], share + 10 * box * self.most))
        for name, j in place.items():
            reach = box * self.size[name[1]] * max(float(centre.weight[name[0]]), _LEAST_WEIGHT / many)
            at = centre.toll.get(name, 0.0)
            lower[j], upper[j] = at - reach, at + reach
        rows: list[tuple[dict[int, float], float, float]] = [
            ({place[w, key]: 1.0 for w in at}, 0.0, 0.0) for key, at in self.shared.items()
        ]
        rows.append(({many + w: 1.0 for w in range(many)}, self.extra, self.extra))
        for w, cuts in enumerate(self.cuts):
            for cost, done in cuts.values():
                terms = {w: 1.0, many + w: -cost} | {place[w, key]: -float(n) for key, n in done.items()}
                rows.append((terms, -INFINITY, float(self.base[w]) * cost))
        cost_row = np.zeros(len(lower))
        cost_row[:many] = -1.0
        found = _least(cost_row, rows, lower, upper)
        if found.x is None:
            return None
        weight = self.base + np.clip(found.x[many : 2 * many], 0.0, None)
        return Tolls(weight, {name: float(found.x[j]) for name, j in place.items()}), -found.objective

    def tolls_of(self, w: int, tolls: Tolls) -> Toll:
        """What a world is charged, in units of its own cost."""
        mine = {key: usd / float(tolls.weight[w]) for (v, key), usd in tolls.toll.items() if v == w and usd}
        return Toll(
            {k: usd for k, usd in mine.items() if not isinstance(k, str)},
            {k: usd for k, usd in mine.items() if isinstance(k, str)},
        )


def _least(
    cost: FloatArray, rows: Sequence[tuple[dict[int, float], float, float]], lower: FloatArray, upper: FloatArray
) -> Attempt:
    at = [(i, j, a) for i, (terms, *_) in enumerate(rows) for j, a in terms.items()]
    i, j, a = zip(*at, strict=True)
    matrix = csr_array(coo_array((a, (i, j)), shape=(len(rows), len(cost))))
    low, high = (np.array([row[k] for row in rows], dtype=float) for k in (1, 2))
    whole = np.zeros(len(cost), dtype=bool)
    names = [f"row[{k}]" for k in range(len(rows))]
    run = Run(Compiled(matrix, low, high, cost, 0.0, lower, upper, whole, {}, names), Stop(_MASTER_S), 1)
    run.load(whole)
    return run.solve()


class Apart:
    """Raises the bound world by world, and names first stages on the way.

    Parameters
    ----------
    prospect
        What may come.
    hands
        Who solves the worlds.
    judge
        Tries a first stage in every world and returns its aim; what the worlds did comes back through ``note``.
    """

    def __init__(self, prospect: Prospect, hands: Hands, judge: Callable[[Fixed], float]) -> None:
        self.prospect, self.hands, self.judge = prospect, hands, judge
        self.ledger = Ledger(prospect)
        self.rounds = 0
        self._judged: set[tuple[object, ...]] = set()

    def note(self, outcomes: Iterable[Outcome]) -> None:
        """Learn from worlds that were solved with orders that stand."""
        for outcome in outcomes:
            self.ledger.note(outcome)

    def raised(
        self, known: Sequence[float], aim: float, slack: float, left_s: Callable[[], float],
        tell: Callable[[str], None],
    ) -> float:  # fmt: skip
        """Best bound until it is within ``slack`` of the best aim, nothing is promised any more, or time is up.

        ``known`` are bounds of the worlds without tolls.
        """
        ledger, box = self.ledger, _BOX
        centre = ledger.untolled(known)
        best = float(centre.weight @ np.array(known)) if np.isfinite(known).all() else -np.inf
        while left_s() > 0.0 and aim - best > slack and all(ledger.cuts) and not self.hands.interrupted:
            tried = ledger.suggest(centre, box)
            if tried is None or tried[1] - best <= 0.1 * slack:
                break
            self.rounds += 1
            tell(f"tolls, round {self.rounds}")
            found = self._all(tried[0], left_s)
            if found is None or any(o.impossible for o in found):  # no toll makes a world impossible: a fault
                break
            parts = [float(tried[0].weight[w]) * o.bound_musd for w, o in enumerate(found)]
            value = float(sum(parts))
            good = value - best > _GOOD * (tried[1] - best) if np.isfinite(best) else np.isfinite(value)
            box = min(1.0, 1.5 * box) if good else 0.4 * box
            if value > best:
                best, centre = value, tried[0]
            self.note(found)
            for fixed in self._worth_trying(found, tried[0]):
                aim = min(aim, self.judge(fixed))
        return best

    def _all(self, tolls: Tolls, left_s: Callable[[], float]) -> list[Outcome] | None:
        """Every world at these tolls; None if not all were solved."""
        place = {world.name: w for w, world in enumerate(self.prospect.worlds)}
        found: dict[int, Outcome] = {}
        jobs = (
            Job(name, None, max(1.0, left_s() * self.hands.size / (len(place) - w)), self.ledger.tolls_of(w, tolls))
            for name, w in place.items()
        )
        for job, outcome in self.hands.each(jobs):
            found[place[job.world]] = outcome
        return [found[w] for w in range(len(place))] if len(found) == len(place) else None

    def _worth_trying(self, found: Sequence[Outcome], tolls: Tolls) -> list[Fixed]:
        """First stages of this round: what the heaviest world signed, and the rounded mean of all."""
        there = [(float(tolls.weight[w]), o.fixed) for w, o in enumerate(found) if o.plan is not None]
        if not there:
            return []
        heaviest = max(there, key=lambda wf: wf[0])[1]
        tried = [f for f in (heaviest, self._mean(found, tolls)) if f.key not in self._judged]
        self._judged |= {f.key for f in tried}
        return list({f.key: f for f in tried}.values())

    def _mean(self, found: Sequence[Outcome], tolls: Tolls) -> Fixed:
        """Mean of what was signed, over the worlds that cannot be told apart then, rounded."""
        orders: Counter[OrderKey] = Counter()
        weight: Counter[OrderKey] = Counter()
        for w, (world, outcome) in enumerate(zip(self.prospect.worlds, found, strict=True)):
            for key in self.prospect.signed_before(world) if outcome.plan is not None else ():
                orders[key] += float(tolls.weight[w]) * outcome.fixed.orders.get(key, 0)  # type: ignore[assignment]
                weight[key] += float(tolls.weight[w])  # type: ignore[assignment]
        total = float(tolls.weight.sum())
        reserved = {
            name: round(
                sum(float(tolls.weight[w]) * (o.fixed.reserved or {}).get(name, 0) for w, o in enumerate(found)) / total
            )
            for name in self.prospect.rule.options
        }
        rounded = {k: round(n / weight[k]) for k, n in orders.items() if weight[k] > 0}
        return Fixed({k: n for k, n in rounded.items() if n}, {k: n for k, n in reserved.items() if n})
