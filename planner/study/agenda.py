"""What can be solved now: the first case of a base case, then from it the first of each scenario, then the rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from planner.study.expand import Question
from planner.study.work import Start

Place = tuple[str, ...]


class Agenda:
    """Cases in the order of a study, each as soon as those are solved that it starts from.

    Who starts from whom depends on the study alone, not on who is quick: the first case of a base case
    starts from nothing, the first of a scenario from that, and every other from the first of its scenario, or
    of its base case where that one has no plan.

    Parameters
    ----------
    start_of
        What the case of an address hands on; None when it has no answer.
    """

    def __init__(self, start_of: Callable[[str], Start | None]) -> None:
        self._start_of = start_of
        self._first: dict[Place, str] = {}
        self._starts: dict[str, Start | None] = {}
        self._near: dict[str, tuple[str, ...]] = {}
        self._question: dict[str, Question] = {}
        self._unsolved: set[str] = set()
        self._held: dict[str, list[str]] = {}
        self._firsts: deque[str] = deque()
        self._rest: deque[str] = deque()

    def add(self, question: Question, address: str, unsolved: bool) -> None:
        """Take a case that could be read; cases must come in the order of the study.

        Parameters
        ----------
        question, address
            The case. Of cases with the same address the first one decides what it starts from.
        unsolved
            Whether it must be solved.
        """
        places: Sequence[Place] = ((question.case, question.scenario), (question.case,))
        if not question.candidate:
            for place in places:
                self._first.setdefault(place, address)
        if unsolved and address not in self._unsolved:
            firsts = (self._first.get(place, "") for place in places)
            self._near[address] = tuple(first for first in firsts if first not in ("", address))
            self._question[address] = question
            self._unsolved.add(address)
            self._release(address)

    def ended(self, address: str) -> None:
        """Note that a case was answered, or failed: those that waited for it may be solved."""
        self._unsolved.discard(address)
        for waiting in self._held.pop(address, []):
            self._release(waiting)

    def next_first(self) -> tuple[Question, str, Start] | None:
        """Return a case that others wait for, with its address and what it starts from; None when there is none now."""
        return self._take(self._firsts)

    def next_other(self) -> tuple[Question, str, Start] | None:
        """Return a case that nobody waits for; None when there is none now."""
        return self._take(self._rest)

    def _take(self, ready: deque[str]) -> tuple[Question, str, Start] | None:
        if not ready:
            return None
        address = ready.popleft()
        return self._question.pop(address), address, self._start(self._near.pop(address))

    def _release(self, address: str) -> None:
        """Put a case among those that are ready, or let it wait for one that it starts from."""
        for near in self._near[address]:
            if near in self._unsolved:
                self._held.setdefault(near, []).append(address)
                return
        place = (self._question[address].case, self._question[address].scenario)
        (self._firsts if self._first.get(place) == address else self._rest).append(address)

    def _start(self, near: tuple[str, ...]) -> Start:
        """Return what the first of the scenario hands on where it has a plan, else the first of the base case."""
        found = Start()
        for address in near:
            if address not in self._starts:
                self._starts[address] = self._start_of(address)
            found = self._starts[address] or found
            if found.choices:
                break
        return found
