"""The review pack: ``report.html`` and ``report.xlsx``, drawn from the files of a result folder.

Nothing is decided here: every figure stands in ``plan.json``, ``frontier.json`` or ``explain.json`` before it is drawn,
or is the difference or the sum of two or three that do.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from planner.report.pack import REGRET, read_pack
from planner.report.page import page_html
from planner.report.workbook import write_workbook
from planner.writing import beside

__all__ = ["write_report"]


def write_report(folder: Path, study: Path | None = None) -> tuple[Path, ...]:
    """Write the page and the workbook of a result folder, replacing those of an earlier run.

    Parameters
    ----------
    folder
        Holds ``plan.json`` or ``frontier.json`` and the tables beside it.
    study
        A folder with the ``regret.json`` of a study, which is copied beside the plan.

    Returns
    -------
    tuple of Path
        What was written.

    Raises
    ------
    planner.faults.InputError
        If the folder holds no result, or a broken one.
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
    return tuple(folder / name for name in names)
