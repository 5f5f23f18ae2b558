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

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from scipy.sparse import coo_array, csr_array

from planner.disruption.hands import Hands, Job, eases, time_shares
from planner.disruption.hedge import Outcome, Tolled
from planner.disruption.joint import Fixed, Toll
from planner.disruption.tolls import Decision, Tolls, shared_decisions
from planner.disruption.worlds import Prospect
from planner.problem import FloatArray
from planner.solve import INFINITY, Attempt, Compiled, Run, Stop
from planner.units import USD_PER_MUSD

#: First size of the box around the best tolls, as a share of the price of a container.
_BOX = 0.1
#: A box smaller than this hides nothing: what is still promised there are the solver's tolerances.
_LEAST_BOX = 1e-6
#: A step counts as good from this share of what the program promised on.
_GOOD = 0.1
#: The worst aim gives every world at least this share of an even weight, so that its cost is looked at.
_LEAST_WEIGHT = 1e-3
_MASTER_S = 30.0


class Ledger:
    """What worlds were seen to do, and the tolls that this suggests.

    Parameters
    ----------
    prospect
        What may come.
    """

    def __init__(self, prospect: Prospect) -> None:
        self.prospect, self.worlds = prospect, prospect.worlds
        #: Worlds that must agree on a decision.
        self.shared = shared_decisions(prospect)
        self.size = {key: self._price(key) for key in self.shared}
        self.cuts: list[dict[tuple[object, ...], tuple[float, dict[Decision, float]]]] = [{} for _ in self.worlds]
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

    def lawful(self, tolls: Tolls) -> Tolls:
        """The same without a solver's tolerances: weights from their set, tolls that add up to nothing."""
        share = np.clip(tolls.weight - self.base, self.least, self.most)
        over = float(share.sum()) - self.extra
        room = share - self.least if over > 0.0 else self.most - share
        if room.sum() > 0.0:
            share = share - over * room / room.sum()
        toll = dict(tolls.toll)
        for key, at in self.shared.items():
            left = sum(toll.get((w, key), 0.0) for w in at) / len(at)
            toll |= {(w, key): toll.get((w, key), 0.0) - left for w in at}
        return Tolls(self.base + share, toll)

    def note(self, outcome: Outcome) -> None:
        """Remember what a world did, whatever it was told."""
        w = next(i for i, world in enumerate(self.worlds) if world.name == outcome.world)
        if outcome.plan is not None:
            did: dict[Decision, float] = dict(outcome.fixed.orders.items())
            did.update((outcome.fixed.reserved or {}).items())
            self.learn(w, outcome.cost_musd, did)

    def learn(self, w: int, cost_musd: float, did: Mapping[Decision, float]) -> None:
        """Remember what a world can do at which cost of its own."""
        done = {k: float(n) for k, n in did.items() if n and w in self.shared.get(k, ())}
        key = tuple(sorted(done.items(), key=str))
        if key not in self.cuts[w] or self.cuts[w][key][0] > cost_musd:
            self.cuts[w][key] = cost_musd, done

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
                terms = {w: 1.0, many + w: -cost} | {place[w, key]: -n for key, n in done.items()}
                rows.append((terms, -INFINITY, float(self.base[w]) * cost))
        cost_row = np.zeros(len(lower))
        cost_row[:many] = -1.0
        found = _least(cost_row, rows, lower, upper)
        if found.x is None:
            return None
        tolls = Tolls(self.base + found.x[many : 2 * many], {name: float(found.x[j]) for name, j in place.items()})
        return self.lawful(tolls), -found.objective

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
        tell: Callable[[str], None], first: Tolls | None = None,
    ) -> float:  # fmt: skip
        """Best bound until it is within ``slack`` of the best aim, nothing is promised any more, or time is up.

        ``known`` are bounds of the worlds without tolls; ``first`` are the tolls to begin with, if any are known.
        """
        ledger, box = self.ledger, _BOX
        centre = ledger.untolled(known)
        best = float(centre.weight @ np.array(known)) if np.isfinite(known).all() else -np.inf
        while left_s() > 0.0 and aim - best > slack and not self.hands.interrupted:
            tried = None if first is None else (ledger.lawful(first), np.inf)
            if tried is None and all(ledger.cuts):
                tried = ledger.suggest(centre, box)
            if tried is None or tried[1] - best <= 0.1 * slack or box < _LEAST_BOX:
                break
            self.rounds += 1
            tell(f"tolls, round {self.rounds}: bound {best:,.2f}, best orders {aim:,.2f}")
            found = self._all(tried[0], left_s)
            if found is None or any(t.impossible for t in found):  # no toll makes a world impossible: a fault
                break
            value = float(sum(float(tried[0].weight[w]) * t.bound_musd for w, t in enumerate(found)))
            if first is None:
                good = value - best > _GOOD * (tried[1] - best) if np.isfinite(best) else np.isfinite(value)
                box = min(1.0, 1.5 * box) if good else 0.4 * box
            first = None
            if value > best:
                best, centre = value, tried[0]
            for w, tolled in enumerate(found):
                if tolled.signed is not None:
                    ledger.learn(w, tolled.cost_musd, tolled.signed)
            for fixed in self._worth_trying(found, tried[0]):
                aim = min(aim, self.judge(fixed))
        return best

    def _all(self, tolls: Tolls, left_s: Callable[[], float]) -> list[Tolled] | None:
        """Every world at these tolls; None if not all were solved."""
        place = {world.name: w for w, world in enumerate(self.prospect.worlds)}
        found: dict[int, Tolled] = {}
        shares, ease = time_shares(list(tolls.weight)), eases(list(tolls.weight))
        jobs = (
            Job(
                name, None, max(1.0, left_s() * min(1.0, self.hands.size * shares[w])), self.ledger.tolls_of(w, tolls),
                ease[w],
            )
            for name, w in place.items()
        )  # fmt: skip
        for job, tolled in self.hands.tolled(jobs):
            found[place[job.world]] = tolled
        return [found[w] for w in range(len(place))] if len(found) == len(place) else None

    def _worth_trying(self, found: Sequence[Tolled], tolls: Tolls) -> list[Fixed]:
        """First stages of this round: what the heaviest world signed, and the mean of all, both rounded."""
        there = [(float(tolls.weight[w]), t.signed) for w, t in enumerate(found) if t.signed is not None]
        if not there:
            return []
        heaviest = max(there, key=lambda ws: ws[0])[1]
        tried = [f for f in (self._rounded(heaviest), self._mean(found, tolls)) if f.key not in self._judged]
        self._judged |= {f.key for f in tried}
        return list({f.key: f for f in tried}.values())

    def _mean(self, found: Sequence[Tolled], tolls: Tolls) -> Fixed:
        """Mean of what was signed, over the worlds that cannot be told apart then."""
        total: dict[Decision, float] = {}
        weight: dict[Decision, float] = {}
        for w, (world, tolled) in enumerate(zip(self.prospect.worlds, found, strict=True)):
            keys: list[Decision] = [*self.prospect.signed_before(world), *self.prospect.rule.options]
            for key in keys if tolled.signed is not None else ():
                assert tolled.signed is not None
                total[key] = total.get(key, 0.0) + float(tolls.weight[w]) * tolled.signed.get(key, 0.0)
                weight[key] = weight.get(key, 0.0) + float(tolls.weight[w])
        return self._rounded({k: n / weight[k] for k, n in total.items() if weight[k] > 0})

    def _rounded(self, signed: Mapping[Decision, float]) -> Fixed:
        whole = {key: round(n) for key, n in signed.items() if round(n) > 0}
        return Fixed(
            {k: n for k, n in whole.items() if not isinstance(k, str)},
            {k: n for k, n in whole.items() if isinstance(k, str)},
        )
