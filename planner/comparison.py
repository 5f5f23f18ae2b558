"""``planner quotes``: check a file of quotes, make them comparable, show and write the bridge."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from planner.bridge import STEPS, Bridge, bridges
from planner.bridgepicture import svg
from planner.faults import Fault, InputError
from planner.inputs import load_case
from planner.problem import Problem
from planner.units import month_text, parse_month

#: Its site and tables price what quotes leave out, unless another case is named.
USUAL_CASE = "hyperscaler-1gw-texas"


@dataclass(frozen=True)
class Comparison:
    """Quotes side by side for one month of delivery."""

    problem: Problem
    month: int
    bridges: tuple[Bridge, ...]

    @property
    def title(self) -> str:
        """What is compared."""
        return f"{len(self.bridges)} quotes, delivered {month_text(self.month)}, site of {self.problem.case.case}"


def compare_quotes(
    file: str | Path, case: str = USUAL_CASE, delivery: str | None = None, as_of: str | None = None
) -> Comparison:
    """Read a file of quotes and bring every quote to one footing.

    Parameters
    ----------
    file
        CSV or XLSX, as ``planner quotes --template`` writes it.
    case
        Case whose site, tables and decision date hold.
    delivery
        Month of delivery, ``YYYY-MM``; the first period of the case if None.
    as_of
        Month at which quotes must still hold; the decision of the case if None.

    Raises
    ------
    InputError
        With every fault of the file, each with its row and column.
    """
    faults = []
    months: dict[str, int] = {}
    for name, text in (("--delivery", delivery), ("--as-of", as_of)):
        if text is not None:
            try:
                months[name] = parse_month(text)
            except ValueError:
                faults.append(Fault(name, "", json.dumps(text), "a month written YYYY-MM"))
    if faults:
        raise InputError(faults)
    path = json.dumps(str(Path(file).absolute()))
    changes = ["offers.mode=replace", "offers.use=null", "offers.exclude=[]", "offers.own=[]", f"offers.file={path}"]
    problem = load_case(case, changes, quotes_as_of=months.get("--as-of", -1))
    month = months.get("--delivery", problem.case.timeline.first)
    return Comparison(problem, month, tuple(bridges(problem, month)))


def bridge_csv(found: Sequence[Bridge]) -> str:
    """The bridge table as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ("quoted", *STEPS)
    writer.writerow(
        ["offer", "supplier", "basis", "note", *(f"{n}_usd_per_kwh" for n in names), "at_site_usd_per_kwh",
         "comparable_usd_per_kwh", "min_order_mwh", "tiers"]
    )  # fmt: skip
    for b in found:
        figures = [round(b.steps_usd_per_kwh[n], 6) for n in names]
        tiers = "; ".join(f"{mwh:g}: {share:g}" for mwh, share in b.tier_discounts)
        words = [_text(t) for t in (b.offer, b.supplier, b.basis, b.note)]
        totals = [round(b.at_site_usd_per_kwh, 6), round(b.comparable_usd_per_kwh, 6)]
        writer.writerow([*words, *figures, *totals, b.least_order_mwh, tiers])
    return out.getvalue()


def _text(cell: str) -> str:
    """Keep a spreadsheet from running a text."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell


def as_json(found: Comparison) -> str:
    """The comparison as JSON."""
    rows = [
        {**asdict(b), "at_site_usd_per_kwh": b.at_site_usd_per_kwh, "comparable_usd_per_kwh": b.comparable_usd_per_kwh}
        for b in found.bridges
    ]
    answer = {"case": found.problem.case.case, "delivery": month_text(found.month), "quotes": rows}
    return json.dumps(answer, indent=1, ensure_ascii=False)


def files_of_comparison(found: Comparison) -> dict[str, str]:
    """What is written, by file name."""
    return {"bridge.csv": bridge_csv(found.bridges), "bridge.svg": svg(found.bridges, found.title)}
