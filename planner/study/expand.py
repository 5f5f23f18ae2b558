"""From a study to its list of cases, in a fixed order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planner.faults import Fault, InputError
from planner.results import Plan
from planner.study.draws import draw
from planner.study.spec import MOST_CASES, Study
from planner.units import month_text


@dataclass(frozen=True)
class Question:
    """One case of a study, as it is read by ``planner.load_case``.

    Attributes
    ----------
    index
        Place in the study.
    name
        Readable and unique in the study.
    case, overlays, overrides
        Arguments of ``load_case``.
    scenario, point, draw
        Coordinates in the study; ``draw`` is -1 for none.
    values
        Key paths of the grid and of the draws, with the value of this case.
    limit_frac
        Exposure limit, or None.
    candidate
        Scenario whose plan is fixed, or the empty string.
    """

    index: int
    name: str
    case: str
    overlays: tuple[str, ...]
    overrides: tuple[str, ...]
    scenario: str
    point: int = 0
    draw: int = -1
    values: dict[str, Any] = field(default_factory=dict)
    measure: str = ""
    limit_frac: float | None = None
    candidate: str = ""


def expand(study: Study) -> list[Question]:
    """Every case of a study but those of the regret table, which need plans first.

    Raises
    ------
    InputError
        If there are more than a million.
    """
    points = list(itertools.product(*study.grid.values()))
    limits = study.limits.max_frac if study.limits else (None,)
    drawn: list[tuple[int, dict[str, tuple[float, str]]]] = [(-1, {})]
    if study.draws is not None:
        rows = draw(study.draws)
        parameters = study.draws.parameters
        drawn = [
            (n, {k: (float(v), p.template) for (k, p), v in zip(parameters.items(), row, strict=True)})
            for n, row in enumerate(rows)
        ]
    whole = [p.whole for p in study.draws.parameters.values()] if study.draws else []
    found: list[Question] = []
    for case, (scenario, overlays) in itertools.product(study.cases, study.scenarios.items()):
        here = drawn
        if study.draws is not None and study.draws.scenarios is not None and scenario not in study.draws.scenarios:
            here = [(-1, {})]
        if len(found) + len(points) * len(here) * len(limits) > MOST_CASES:
            raise InputError([Fault("the study", "", "more than a million cases", "a smaller product")])
        for (g, point), (d, values), limit in itertools.product(enumerate(points), here, limits):
            grid = dict(zip(study.grid, point, strict=True))
            texts = [f"{k}={json.dumps(v)}" for k, v in {**study.set, **grid}.items()]
            for i, (k, (v, template)) in enumerate(values.items()):
                texts.append(f"{k}={template.replace('{}', str(int(v)) if whole[i] else repr(v))}")
            measure = study.limits.measure if study.limits else ""
            if limit is not None:
                texts.append(f"exposure_limits.{measure}={{max_frac: {limit!r}}}")
            name = "/".join(
                [
                    Path(case).stem,
                    scenario,
                    *([f"p{g}"] if study.grid else []),
                    *([f"d{d}"] if d >= 0 else []),
                    *([f"{measure}<={'any' if limit is None else f'{limit:g}'}"] if study.limits else []),
                ]
            )
            found.append(
                Question(
                    index=len(found), name=name, case=case, overlays=overlays, overrides=tuple(texts),
                    scenario=scenario, point=g, draw=d, values=grid | {k: v for k, (v, _) in values.items()},
                    measure=measure, limit_frac=limit,
                )
            )  # fmt: skip
    return found


def first_of(questions: list[Question]) -> dict[tuple[str, str], Question]:
    """The first question of each case and scenario: no draw before it, no limit if there is such a one."""
    first: dict[tuple[str, str], Question] = {}
    for q in questions:
        key = (q.case, q.scenario)
        if key not in first or (first[key].limit_frac is not None and q.limit_frac is None and q.point == 0):
            first[key] = q
    return first


def regret_questions(study: Study, questions: list[Question], plans: dict[int, Plan]) -> Iterator[Question]:
    """Every candidate's plan in every scenario, as far as it is signed before ``regret.until``.

    Parameters
    ----------
    study
        With a section ``regret``.
    questions
        All questions of the study.
    plans
        By index of the question; those that were found.
    """
    if study.regret is None:
        return
    rule = study.regret
    first = first_of(questions)
    index = len(questions)
    futures = rule.scenarios or tuple(study.scenarios)
    for case in study.cases:
        for candidate in rule.candidates or futures:
            plan = plans.get(first[case, candidate].index)
            if plan is None:
                continue
            until = month_text(rule.until)
            orders = [
                {"offer": o.offer, "delivery": delivery_month(o.period), "containers": o.containers}
                for o in plan.orders
                if o.order_by < until
            ]
            signed = (f"committed.until={until}", f"committed.orders={json.dumps(orders)}")
            for scenario in futures:
                base = first[case, scenario]
                yield Question(
                    index=index, name=f"{Path(case).stem}/{scenario}/plan of {candidate}", case=case,
                    overlays=base.overlays, overrides=(*base.overrides, *signed), scenario=scenario,
                    point=base.point, draw=base.draw, values=base.values, measure=base.measure,
                    limit_frac=base.limit_frac, candidate=candidate,
                )  # fmt: skip
                index += 1


def delivery_month(period: str) -> str:
    """First month, ``YYYY-MM``, of a period label (``2028``, ``2028-H2``, ``2028-Q3``, ``2028-02..2028-07``)."""
    year, _, rest = period.partition("..")[0].partition("-")
    months = {"": 1, **{f"H{n}": 6 * n - 5 for n in (1, 2)}, **{f"Q{n}": 3 * n - 2 for n in (1, 2, 3, 4)}}
    return f"{year}-{months.get(rest) or int(rest):02d}"
