"""The review pack: ``report.html`` and ``report.xlsx``, drawn from the files of a result folder.

Nothing is decided here: every figure stands in ``plan.json``, ``frontier.json`` or ``explain.json`` before it is drawn,
or is the difference or the sum of two or three that do.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from planner.faults import Fault, InputError
from planner.report.pack import REGRET, read_pack
from planner.report.page import page_html
from planner.report.workbook import write_workbook
from planner.writing import beside

__all__ = ["left_aside_words", "write_report"]


def write_report(folder: Path, study: Path | None = None, *, left_aside: list[Fault] | None = None) -> tuple[Path, ...]:
    """Write the page and the workbook of a result folder, replacing those of an earlier run.

    Parameters
    ----------
    folder
        Holds ``plan.json`` or ``frontier.json`` and the tables beside it.
    study
        A folder with the ``regret.json`` of a study, which is copied beside the plan.
    left_aside
        Gets the faults of files beside the plan (an old ``explain.json``, ``frontier.json``, ``regret.json``): the
        report is written without them.

    Returns
    -------
    tuple of Path
        What was written.

    Raises
    ------
    planner.faults.InputError
        If the folder holds no result, or a broken one, or ``study`` no regret.
    OSError
        If the folder cannot be written; an earlier report is then whole.
    """
    pack = read_pack(folder, study)
    with beside(folder) as work:
        (work / "report.html").write_text(page_html(pack), encoding="utf-8")
        write_workbook(pack, work / "report.xlsx")
        names = ["report.html", "report.xlsx"]
        if study is not None:
            shutil.copyfile(study / REGRET, work / REGRET)
            names.append(REGRET)
    if left_aside is not None:
        left_aside += pack.left_aside
    return tuple(folder / name for name in names)


def left_aside_words(faults: Sequence[Fault]) -> str:
    """One message about the files that a report goes without; empty where there are none."""
    return f"The report goes without what could not be read:\n{InputError(faults)}" if faults else ""
