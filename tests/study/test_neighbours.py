"""A case starts from its neighbour's plan: taken where it fits, left aside where it does not, never harmful."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.crew import Job
from planner.model.coefficients import Coefficients
from planner.model.reliability import RowKey, all_rows
from planner.pipeline import plan
from planner.problem import Problem
from planner.results import Plan
from planner.search import Search, Solution
from planner.solve import Attempt, Infeasible
from planner.study import engine
from planner.study.expand import Question
from planner.study.spec import Study
from planner.study.work import Answer, Start, solve
from tests.properties.questions import CALM, lean
from tests.properties.test_brute_force import questions

GAP = 0.002
SETTINGS = settings(
    deadline=None, derandomize=True, database=None, max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)  # fmt: skip
#: Of the cases some may not buy what their neighbours buy, and some have no plan at all.
STUDY = {
    "study": "near", "cases": ["tiny"], "set": {"solver.gap_frac": 0.01},
    "scenarios": {"base": [], "small": ["load-small"], "long": ["backup-8h"]},
    "grid": {
        "offers.exclude": [[], ["block-b"]],
        "reliability.storage_mandate_h": [0, 3, 336],
    },
}  # fmt: skip


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[Attempt | None]:
    """What every search found from its neighbour; None where its choices make no plan."""
    made: list[Attempt | None] = []
    real = Search._from_neighbour

    def watched(self: Search) -> Attempt | None:
        made.append(real(self))
        return made[-1]

    monkeypatch.setattr(Search, "_from_neighbour", watched)
    return made


def solved(problem: Problem, neighbour: Mapping[str, float] | None = None) -> tuple[Plan, dict[str, float]]:
    """A plan, and its choices."""
    choices: dict[str, float] = {}

    def keep(search: Search, solution: Solution) -> None:
        choices.update(search.choices(solution.x))

    return plan(problem, gap_frac=GAP, neighbour=neighbour, found=keep), choices


def agree(a: Plan, b: Plan) -> None:
    """Both keep their gap and are verified, and neither bound contradicts the other plan."""
    for mine, other in ((a, b), (b, a)):
        assert mine.status in ("optimal", "gap_limit")
        assert mine.verification is not None
        assert mine.verification.passed, mine.verification.errors
        assert mine.bound_musd <= other.cost_musd + 1e-5


def test_a_neighbours_plan_is_taken(offered: list[Attempt | None]) -> None:
    """Load a little dearer: the search begins with a whole plan of its neighbour's choices, and makes no rough one."""
    _, choices = solved(lean())
    there = lean(load__delay_usd_per_mw_yr=1.31e7)
    near, kept = solved(there, choices | {"award[Nobody]": 1.0})
    alone, _ = solved(there)
    (first,) = offered
    assert first is not None
    assert (kept, choices) == (choices, kept)
    assert any(name.startswith("tier[") for name in choices)
    assert "rough_plan" not in near.timing_s
    assert "rough_plan" in alone.timing_s
    agree(near, alone)


def test_a_neighbours_outage_rows_stay() -> None:
    """Rows that whole numbers needed are slack in the relaxation: they stay, or every case finds them again."""
    problem = lean(reliability__contingencies=CALM | {"supplier": 0.3}, site__generator_mw_max=21.0)
    ended: list[tuple[dict[str, float], tuple[RowKey, ...]]] = []

    def keep(search: Search, solution: Solution) -> None:
        ended.append((search.choices(solution.x), solution.rows))

    plan(problem, gap_frac=GAP, found=keep)
    choices, rows = ended[0]
    known = tuple(dict.fromkeys([*rows, *all_rows(Coefficients(problem))[::5]]))
    plan(problem, gap_frac=GAP, known_rows=known, neighbour=choices, found=keep)
    assert set(known) <= set(ended[1][1])


@pytest.mark.parametrize(
    "fit", [{"offers": ("Beta", "Gen")}, {"offers": ("Alpha", "Gen")}], ids=["no Alpha", "no Beta"]
)
def test_a_neighbour_who_bought_what_is_not_sold_here(fit: dict[str, Any]) -> None:
    """Choices of offers that this case does not have are no choices here."""
    _, choices = solved(lean())
    near, _ = solved(lean(**fit), choices)
    agree(near, solved(lean(**fit))[0])


@pytest.mark.parametrize("value", [0.0, 1.0, 7.0, -3.0], ids=["nothing", "everything", "too much", "less than nothing"])
def test_choices_that_make_no_plan_are_left_aside(value: float, offered: list[Attempt | None]) -> None:
    """Nobody awarded, or every tier and state at once: no whole plan has these choices, and the answer is the same."""
    alone, choices = solved(lean())
    names: list[str] = []
    plan(lean(), gap_frac=GAP, found=lambda search, solution: names.extend(name for name, _ in search._named()))
    near, _ = solved(lean(), dict.fromkeys([*names, *choices], value))
    assert offered == [None]
    assert "rough_plan" in near.timing_s
    agree(near, alone)


@SETTINGS
@given(here=questions(), there=questions(), noise=st.dictionaries(st.integers(0, 400), st.sampled_from([0.0, 1.0])))
def test_no_neighbour_does_harm(here: Problem, there: Problem, noise: dict[int, float]) -> None:
    """Choices of some other question, some of them changed: the answer agrees with that of a search by itself."""
    try:
        _, choices = solved(there)
    except Infeasible:
        choices = {}
    names: list[str] = []
    try:
        alone: Plan | None = plan(
            here, gap_frac=GAP, found=lambda search, solution: names.extend(name for name, _ in search._named())
        )
    except Infeasible:
        alone = None
    wrong = choices | {names[i % len(names)]: value for i, value in noise.items() if names}
    if alone is None:
        with pytest.raises(Infeasible):
            solved(here, wrong)
    else:
        agree(solved(here, wrong)[0], alone)


class Here:
    """Stands for ``planner.crew.Crew``: works in this process, and remembers what each case was started from."""

    started: ClassVar[dict[int, Start]] = {}

    def __init__(self, workers: int, scheduler: str | None) -> None:
        del workers, scheduler

    def __enter__(self) -> Here:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def each(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Any, str]]:
        for job in jobs:
            if job is None:
                return
            work, *words = job
            if isinstance(words[-1], Start):
                Here.started[words[0].index] = words[-1]
            yield job, work(*words), ""


def alone(question: Question, address: str, neighbour: Start) -> Answer:
    """Solve without the neighbour."""
    del neighbour
    return solve(question, address, Start())


def test_rows_are_the_same_with_and_without_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offered: list[Attempt | None]
) -> None:
    """Each case is offered the plan of the first of its scenario, or of its base case; the rows agree without it."""
    monkeypatch.setattr(engine, "Crew", Here)
    Here.started.clear()
    engine.run_study(Study.model_validate(STUDY), out=tmp_path / "near")
    started, taken = dict(Here.started), list(offered)
    engine.run_study(Study.model_validate(STUDY), out=tmp_path / "alone", answer=alone)
    assert len(offered) == len(taken)
    near, far = (pd.read_parquet(tmp_path / name / "cases") for name in ("near", "alone"))

    firsts = near.groupby("scenario", sort=False)["case_index"].min()
    solved_first = {i: solved_of(tmp_path / "near", near, i) for i in firsts}
    base = firsts["base"]
    assert not started[base].choices
    for index, scenario in zip(near["case_index"], near["scenario"], strict=True):
        if index != base:
            from_whom = base if index in set(firsts) else firsts[scenario]
            assert started[index] == solved_first[from_whom], near["name"][index]
            assert started[index].choices
    assert taken
    assert None not in taken

    same = ["case_index", "name", "status", "reason", "required_mwh", "address"]
    pd.testing.assert_frame_equal(near[same], far[same])
    assert set(near["status"]) == {"optimal", "infeasible"}
    both = near["cost_musd"].notna()
    assert (near["bound_musd"] <= far["cost_musd"] + 1e-6)[both].all()
    assert (far["bound_musd"] <= near["cost_musd"] + 1e-6)[both].all()


def solved_of(folder: Path, cases: pd.DataFrame, index: int) -> Start:
    """What a case of a result set hands on."""
    record = engine.Solved(folder / "solved").get(cases.set_index("case_index").loc[index, "address"])
    assert record is not None
    return Start.of_record(record)
