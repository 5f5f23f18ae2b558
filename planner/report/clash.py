"""The page of a case that has no plan: what clashes, how far each rule must give, and the ways out with their cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from planner.report.page import asset, environment
from planner.writing import write_texts

if TYPE_CHECKING:
    from planner.checks import Checks
    from planner.infeasible import Diagnosis
    from planner.problem import Problem


def clash_html(problem: Problem, found: Diagnosis | None, checks: Checks, command: str) -> str:
    """The whole page as text; ``found`` is None where the search for the rules that clash did not end.

    Parameters
    ----------
    problem
        The question without an answer.
    found, checks
        From ``planner.infeasible.diagnose`` and ``planner.checks.check_problem``.
    command
        The command line that was asked.
    """
    return environment().get_template("clash.html.j2").render(
        case=problem.case.case, title=problem.case.title, found=found, impossible=checks.impossible,
        answer=_answer(found, checks), command=command, style=Markup(asset("page.css")),
    )  # fmt: skip


def write_clash(folder: Path, problem: Problem, found: Diagnosis | None, checks: Checks, command: str) -> Path:
    """Write the page of a case without a plan as ``report.html``, whole or not at all.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    write_texts({"report.html": clash_html(problem, found, checks, command)}, folder)
    return folder / "report.html"


def _answer(found: Diagnosis | None, checks: Checks) -> str:
    if found is None:
        return "No plan exists." + (
            "" if checks.impossible else " Which rules clash was not found out in the time given."
        )
    if not found.sets:
        return (
            "Every rule can be kept with containers in fractions; only whole containers do not fit. Smaller containers,"
            " a lower minimum order or a little room in any rule will do."
        )
    count = len(found.sets[0])
    text = "One rule cannot be kept." if count == 1 else f"{count} rules cannot hold together."
    if found.ways_out:
        best = found.ways_out[0]
        text += f" The cheapest way out: {best.text}"
        if best.cost_upper_musd is not None:
            text += f"; the plan then costs {best.cost_upper_musd:,.1f} million USD at present value or less"
        text += "."
    return text
