"""The order of a study: each case as soon as those are solved that it starts from, whatever ends first."""

from __future__ import annotations

import random

import pytest

from planner.study.agenda import Agenda
from planner.study.expand import Question
from planner.study.work import Start


def question(index: int, case: str, scenario: str, candidate: str = "") -> Question:
    return Question(
        index=index, name=f"{index}", case=case, overlays=(), overrides=(), scenario=scenario, point=0, draw=-1,
        values={}, measure="", limit_frac=None, candidate=candidate,
    )  # fmt: skip


#: Case, scenario and address; e and h are asked twice, and nobody in scenario y of case 2 has a plan but the last.
ASKED = [
    ("1", "x", "a"), ("1", "x", "b"), ("1", "x", "h"), ("1", "y", "c"), ("1", "y", "d"), ("1", "z", "h"),
    ("1", "z", "e"), ("2", "x", "f"), ("2", "x", "e"), ("2", "y", "none"), ("2", "y", "g"),
]  # fmt: skip
#: From whom, by hand. The first with an address decides: h starts from a (a case of x), e from h (the first of z).
FROM = {"a": "", "b": "a", "h": "a", "c": "a", "d": "c", "e": "h", "f": "", "none": "f", "g": "f"}


def start_of(address: str) -> Start:
    return Start(choices={} if address == "none" else {address: 1.0})


@pytest.mark.parametrize("seed", range(20))
def test_who_starts_from_whom_depends_on_the_study_alone(seed: int) -> None:
    luck = random.Random(seed)
    agenda = Agenda(start_of)
    unread, under_way, begun, solved = list(enumerate(ASKED)), [], {}, set[str]()
    while unread or under_way or len(begun) < len(FROM):
        job = agenda.next_first() if luck.random() < 0.5 else agenda.next_other()
        if job is not None:
            _, address, start = job
            assert address not in begun
            begun[address] = next(iter(start.choices), "")
            under_way.append(address)
        elif unread and luck.random() < 0.5:
            index, (case, scenario, address) = unread.pop(0)
            agenda.add(question(index, case, scenario), address, unsolved=address not in solved)
        elif under_way:
            address = under_way.pop(luck.randrange(len(under_way)))
            solved.add(address)
            agenda.ended(address)
    assert begun == FROM


def test_what_was_solved_before_is_started_from_at_once() -> None:
    """Resumed: the first of the scenario has its answer, the first of the case is candidates' business no more."""
    agenda = Agenda(start_of)
    agenda.add(question(0, "1", "x"), "a", unsolved=False)
    agenda.add(question(1, "1", "y"), "b", unsolved=False)
    agenda.add(question(2, "1", "y"), "c", unsolved=True)
    agenda.add(question(3, "1", "w", candidate="x"), "d", unsolved=True)
    assert agenda.next_first() is None
    told = {job[1]: dict(job[2].choices) for job in (agenda.next_other(), agenda.next_other()) if job is not None}
    assert told == {"c": {"b": 1.0}, "d": {"a": 1.0}}


def test_those_whom_others_wait_for_come_first() -> None:
    agenda = Agenda(start_of)
    agenda.add(question(0, "1", "x"), "a", unsolved=True)
    agenda.add(question(1, "1", "x"), "b", unsolved=True)
    agenda.add(question(2, "1", "y"), "c", unsolved=True)
    assert agenda.next_other() is None
    job = agenda.next_first()
    assert job is not None
    assert (job[1], agenda.next_first(), agenda.next_other()) == ("a", None, None)
    agenda.ended("a")
    first, other = agenda.next_first(), agenda.next_other()
    assert first is not None
    assert other is not None
    assert (first[1], other[1]) == ("c", "b")
