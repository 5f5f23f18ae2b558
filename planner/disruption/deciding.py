"""What to sign before it is known which future comes: every world by itself, candidates, and a search over all worlds.

1. Each world as if it were certain: its bound, and the orders that are best for it.
2. These orders, and those given from elsewhere, in every world.
3. The joint problem, started from the best of them; or, for many futures, world by world with tolls.
4. The same for the worst future.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from planner.crew import Crew
from planner.disruption.apart import Apart
from planner.disruption.found import Decided, Found, aim_of, needed
from planner.disruption.hands import Away, Hands, Here, Job, eases, time_shares
from planner.disruption.hedge import Hedger, Outcome
from planner.disruption.joint import Fixed, Toll
from planner.disruption.measures import expected, may_reign
from planner.disruption.together import Start
from planner.disruption.tolls import Tolls
from planner.disruption.worlds import CALM, OrderKey, Prospect
from planner.problem import Problem
from planner.solve import BOUND_SLACK_MUSD, Infeasible, NoPlan

HEDGED, WORST = "hedged", "worst future first"
#: Beginning of the name of a candidate that is a point of a front.
FRONT_POINT = "front at "
#: Worlds from which on no model of all of them is made, and candidates are given up as soon as they cannot win.
MANY_WORLDS = 16
#: Shares of the time at whose end the worlds alone, the candidates, those of them that had too little, the joint
#: problem, the tolls, and what they suggest are over.
_ALONE_UNTIL, _TRIED_UNTIL, _AGAIN_UNTIL, _JOINT_UNTIL, _SEARCH_UNTIL, _JUDGED_UNTIL = 0.35, 0.5, 0.57, 0.67, 0.83, 0.92
#: Share of the time left for candidates that each of them may use, however many wait.
_LEAST_TURN = 0.3
#: Seconds that a world gets at least: without a plan of every world, and one first stage tried, there is no answer.
_LEAST_S = 2.0
#: Searches of single worlds get this share of the gap that is asked for.
_WORLD_GAP_SHARE = 0.3
#: Share of the gap asked within which the bound is not raised any more.
_NEAR_SHARE = 0.3


class Deciding:
    """Solves everything that the answer needs.

    Parameters
    ----------
    calm, futures
        From ``planner.inputs.load_worlds``.
    gap_frac, time_limit_s
        Gap and seconds of the whole answer; those of the case if None.
    note
        Told every step.
    candidates
        Further first stages to compare, by name: the orders of plans made elsewhere, such as the points of a front.
    crew
        Workers that solve the worlds; None solves them in this process.
    apart
        Whether no model of all worlds is made; by their number if None.
    """

    def __init__(
        self, calm: Problem, futures: Mapping[str, Problem], gap_frac: float | None = None,
        time_limit_s: float | None = None, note: Callable[[str], None] = lambda text: None,
        candidates: Mapping[str, Mapping[OrderKey, int]] | None = None, crew: Crew | None = None,
        apart: bool | None = None,
    ) -> None:  # fmt: skip
        solver = calm.case.solver
        self.limit_s = solver.time_limit_s if time_limit_s is None else time_limit_s
        self.gap_frac = solver.gap_frac if gap_frac is None else gap_frac
        self.began = time.monotonic()
        self.prospect, self.note = Prospect(calm, futures), note
        self.candidates = {} if candidates is None else candidates
        note("building the worlds")
        inner = _WORLD_GAP_SHARE * self.gap_frac
        self.hedger = Hedger(self.prospect, inner, solver.seed, note)
        self.hands: Hands = Here(self.hedger)
        if crew is not None:
            self.hands = Away(crew, calm, futures, inner, solver.seed)
        self.many = len(self.prospect.worlds) > MANY_WORLDS
        self.apart = self.many if apart is None else apart
        self.search = Apart(self.prospect, self.hands, self._judged)
        self.done = Decided({}, {}, -np.inf)

    def decide(self) -> Decided:
        """Solve and compare.

        Raises
        ------
        Infeasible
            If no orders at all can be signed that every future allows.
        NoPlan
            If stopped before any orders were tried in every future.
        """
        done = self.done
        done.knowing = self._knowing()
        bounds = [done.knowing[w.name].bound_musd for w in self.prospect.worlds]
        done.bound_musd = aim_of(self.prospect, bounds) if np.isfinite(bounds).all() else -np.inf
        candidates = list(self._candidates())
        for i, (name, fixed) in enumerate(candidates):
            self._try(name, fixed, self._turn_until(len(candidates) - i))
        self._try_again()
        if len(self.prospect.worlds) > 1 and not self.hands.interrupted:
            self._reserving()
            if self.apart:
                self._apart(bounds)
            else:
                self._together()
            self._worst()
        if not any(np.isfinite(f.costs).all() for f in done.tried.values()):
            if self._impossible():
                raise Infeasible
            raise NoPlan(self.hands.interrupted)
        done.interrupted, done.troubles = self.hands.interrupted, self.hands.troubles
        done.rounds = self.search.rounds
        return done

    def left_s(self, until: float = 1.0) -> float:
        """Seconds left until a share of the time is used."""
        return max(0.0, self.began + until * self.limit_s - time.monotonic())

    def _turn_until(self, waiting: int) -> float:
        """Share of the time at whose end the next of so many waiting candidates must be through.

        An even share of what is left for them, but never so little that nothing is found; those for which none is
        left are named.
        """
        gone = (time.monotonic() - self.began) / self.limit_s
        return gone + max(0.0, _TRIED_UNTIL - gone) * max(1.0 / waiting, _LEAST_TURN)

    # -- one by one ------------------------------------------------------------------------------

    def _knowing(self) -> dict[str, Outcome]:
        names = [w.name for w in self.prospect.worlds]
        found: dict[str, Outcome] = {}
        odds = [w.probability for w in self.prospect.worlds]
        ease = dict(zip(names, eases(odds), strict=True))
        jobs = self._jobs(names, None, _ALONE_UNTIL, "as if {} were certain", odds)
        for job, outcome in self.hands.each(replace(job, ease=ease[job.world]) for job in jobs):
            found[job.world] = outcome
            if outcome.impossible:
                raise Infeasible
        if len(found) < len(names):
            raise NoPlan(self.hands.interrupted)
        self.search.note(found.values())
        return found

    def _jobs(
        self, names: Sequence[str], fixed: Fixed | None, until: float, words: str, weight: Sequence[float] | None = None
    ) -> Iterable[Job]:
        """Jobs that share the time left by weight; evenly where every world needs a plan."""
        for name, share in zip(names, time_shares(weight or [1.0] * len(names)), strict=True):
            self.note(words.format(name))
            yield Job(name, fixed, max(_LEAST_S, self.left_s(until) * min(1.0, self.hands.size * share)))

    def _candidates(self) -> Iterable[tuple[str, Fixed]]:
        """Orders that are best for one world, the calm one first, and those given."""
        for world in self.prospect.worlds:
            outcome = self.done.knowing[world.name]
            if outcome.plan is not None:
                yield f"as if {world.name}", outcome.fixed
        for name, given in self.candidates.items():
            yield name, Fixed({k: n for k, n in given.items() if k in self.prospect.pair and n > 0})

    def _reserving(self) -> None:
        """Reservations for the calm orders and for the best ones: what the disrupted worlds together would pay for.

        Each is asked alone, and pays the fee divided by the chance that any of them comes. The most that any of them
        reserves is tried, and half of it.
        """
        base = {o.offer for o in self.prospect.base.offers}
        names = [w.name for w in self.prospect.worlds if w.name != CALM]
        chance = sum(w.probability for w in self.prospect.worlds if w.name != CALM)
        toll = Toll(
            {}, {n: self.prospect.fee_musd(n) * (1.0 / chance - 1.0) for n in self.prospect.rule.options if n in base}
        )
        tried = self.done.tried
        best = min(tried, key=lambda n: aim_of(self.prospect, tried[n].costs), default="")
        asked = [n for n in (f"as if {CALM}", best) if n in tried]
        for name in dict.fromkeys(asked if toll.reserved else []):
            most: dict[str, int] = {}
            orders = tried[name].fixed.orders
            jobs = self._jobs(names, Fixed(orders, None), _AGAIN_UNTIL, f"slots for {name}: {{}}")
            for _, outcome in self.hands.each(replace(job, toll=toll) for job in jobs):
                for option, count in (outcome.fixed.reserved or {}).items() if outcome.plan is not None else ():
                    most[option] = max(most.get(option, 0), count)
            if any(most.values()):
                self._try(f"slots for {name}", Fixed(orders, most), _JOINT_UNTIL)
                half = {n: (count + 1) // 2 for n, count in most.items()}
                self._try(f"half the slots for {name}", Fixed(orders, half), _JOINT_UNTIL)

    def _try(self, name: str, fixed: Fixed, until: float) -> None:
        """Try a candidate, unless an equal one was tried, or it is late and another stands."""
        same = next((f for f in self.done.tried.values() if f.fixed.key == fixed.key), None)
        late = self.left_s(until) <= 0.0 and np.isfinite(self._best_aim())
        if same is None and not late:
            same = self._tried(name, fixed, until, self._best_aim() if self.many else np.inf)
        if same is None:
            hopeless = name.startswith(FRONT_POINT) and not late and not self.hands.interrupted
            (self.done.never_best if hopeless else self.done.given_up).append(name)
        else:
            self.done.tried[name] = same

    def _try_again(self) -> None:
        """Another look at candidates without a plan in some world that may have one, while there is time.

        Without the calm orders in every world nothing can be said about hedging.
        """
        for name, found in list(self.done.tried.items()):
            open_ = any(o.plan is None and not o.impossible for o in found.outcomes)
            if not open_ or name.startswith(FRONT_POINT) or self.left_s(_AGAIN_UNTIL) <= 0.0:
                continue
            again = self._tried(name, found.fixed, _AGAIN_UNTIL, self._best_aim() if self.many else np.inf)
            if again is not None:
                self.done.tried.update({n: again for n, f in self.done.tried.items() if f is found})

    def _tried(
        self, name: str, fixed: Fixed, until: float, rival: float, prospect: Prospect | None = None
    ) -> Found | None:
        """A first stage in every world; None as soon as its aim cannot be below that of a rival any more.

        What no world calls is not reserved: its fee is taken off. The aim is that of another prospect, if one is given.
        """
        worlds = [w.name for w in self.prospect.worlds]
        at: dict[str, Outcome] = {}
        for job, outcome in self.hands.each(self._open_jobs(name, fixed, until, at, rival, prospect or self.prospect)):
            at[job.world] = outcome
        self.search.note(at.values())
        if len(at) < len(worlds):
            return None
        return needed(self.prospect, Found(fixed, tuple(at[n] for n in worlds)))

    def _open_jobs(
        self, name: str, fixed: Fixed, until: float, at: Mapping[str, Outcome], rival: float, prospect: Prospect
    ) -> Iterable[Job]:
        """Worlds to try a first stage in, as long as it can still beat its rival."""
        worlds = [w.name for w in prospect.worlds]
        for job in self._jobs(worlds, fixed, until, f"{name}: {{}}"):
            hoped = [at[n].cost_musd if n in at else self.done.knowing[n].bound_musd for n in worlds]
            if np.isfinite(rival) and aim_of(prospect, hoped) >= rival:
                return
            if name.startswith(FRONT_POINT) and not self._may_reign(hoped):
                return
            yield job

    def _may_reign(self, hoped: Sequence[float]) -> bool:
        """Whether a point of a front with these costs could be the cheapest of them at some probability."""
        worlds = self.prospect.worlds
        if worlds[0].name != CALM or len(worlds) == 1 or not np.isfinite(hoped).all():
            return True
        weight = [w.probability for w in worlds[1:]]

        def line(costs: Sequence[float]) -> tuple[float, float]:
            return costs[0], expected(costs[1:], weight) / sum(weight)

        tried = [f for n, f in self.done.tried.items() if n.startswith(FRONT_POINT)]
        return may_reign(*line(hoped), [line(f.costs) for f in tried])

    def _best_aim(self) -> float:
        return min((aim_of(self.prospect, f.costs) for f in self.done.tried.values()), default=np.inf)

    def _impossible(self) -> bool:
        """Whether it is proved for every first stage tried that some world does not allow it."""
        return all(any(o.impossible for o in f.outcomes) for f in self.done.tried.values())

    # -- over all worlds -------------------------------------------------------------------------

    def _together(self) -> None:
        """The joint problem around the best candidate; its best first stage in whole containers is the hedged one."""
        self.note("orders that hold in every future")
        start = self._start(self.prospect)
        stage = self.hedger.joint(max(_LEAST_S, self.left_s(_JOINT_UNTIL)), start)
        self.done.bound_musd = max(self.done.bound_musd, stage.bound_musd)
        for fixed in stage.found:
            self._judged(fixed)
        if self._open() and self.left_s(_SEARCH_UNTIL) > 0.0:
            self._apart([self.done.knowing[w.name].bound_musd for w in self.prospect.worlds], stage.tolls)

    def _apart(self, bounds: Sequence[float], first: Tolls | None = None) -> None:
        """Tolls on the orders of each world, and what the worlds sign then."""
        bound = self.search.raised(
            bounds, self._best_aim(), self._slack(), lambda: self.left_s(_SEARCH_UNTIL), self.note, first
        )  # fmt: skip
        self.done.bound_musd = max(self.done.bound_musd, bound)

    def _slack(self) -> float:
        """Million USD between aim and bound that are near enough; the solver's tolerances leave some per world."""
        aim = self._best_aim()
        tolerances = 3.0 * BOUND_SLACK_MUSD * len(self.prospect.worlds)
        return max(tolerances, _NEAR_SHARE * self.gap_frac * abs(aim)) if np.isfinite(aim) else tolerances

    def _open(self) -> bool:
        return self._best_aim() - self.done.bound_musd > self._slack()

    def _judged(self, fixed: Fixed) -> float:
        """Aim of a first stage that the tolls suggest; it becomes the hedged one if it is the best so far."""
        before = self._best_aim()
        if self.hands.interrupted or any(f.fixed.key == fixed.key for f in self.done.tried.values()):
            return before
        found = self._tried(HEDGED, fixed, _JUDGED_UNTIL, before)
        aim = np.inf if found is None else aim_of(self.prospect, found.costs)
        if found is not None and aim < before:
            self.done.tried[HEDGED] = found
        return aim

    def _start(self, prospect: Prospect) -> Start | None:
        """The best candidate with a plan in every world."""
        whole = [f for f in self.done.tried.values() if all(o.point is not None for o in f.outcomes)]
        if not whole:
            return None
        best = min(whole, key=lambda f: aim_of(prospect, f.costs))
        return Start(best.fixed, [o.point for o in best.outcomes if o.point is not None])

    def _worst(self) -> None:
        """The robust choice, unless that is the aim anyway."""
        if self.prospect.rule.aim == "worst" or self.left_s() <= 0.0 or self.hands.interrupted:
            return
        self.note("orders for the worst future")
        seen = copy.copy(self.prospect)
        seen.rule = self.prospect.rule.model_copy(update={"aim": "worst"})
        if self.apart:
            tried = self._worst_apart(seen)
        else:
            try:
                stage = self.hedger.joint(max(_LEAST_S, 0.5 * self.left_s()), self._start(seen), seen)
            except Infeasible:
                return
            tried = [f for fixed in stage.found[:1] if (f := self._tried(WORST, fixed, 1.0, np.inf)) is not None]
        tried += self.done.tried.values()
        best = min(tried, key=lambda f: max(f.costs), default=None)
        if best is not None and np.isfinite(best.costs).all():
            self.done.tried[WORST] = best

    def _worst_apart(self, seen: Prospect) -> list[Found]:
        """First stages that tolls for the worst future suggest."""
        found: list[Found] = []

        def judged(fixed: Fixed) -> float:
            least = min((max(f.costs) for f in (*found, *self.done.tried.values())), default=np.inf)
            tried = self._tried(WORST, fixed, 1.0, least, seen)
            found.extend([] if tried is None else [tried])
            return least if tried is None else min(least, max(tried.costs))

        search = Apart(seen, self.hands, judged)
        knowing = [self.done.knowing[w.name] for w in seen.worlds]
        search.note([*knowing, *(o for f in self.done.tried.values() for o in f.outcomes)])
        least = min((max(f.costs) for f in self.done.tried.values()), default=np.inf)
        search.raised([o.bound_musd for o in knowing], least, self._slack(), self.left_s, self.note)
        return found
