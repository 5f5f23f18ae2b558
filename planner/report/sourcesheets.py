"""Where the figures come from: a sheet with one line per source, and one with every data row."""

from __future__ import annotations

from planner.report.pack import ROW_COLUMNS, Pack
from planner.report.sheets import Book
from planner.report.wording import CONFIDENCE

#: Of the sheet of data rows one page prints: the first rows are those of the offers, which are long.
_PRINTED_ROWS = 6


def write_sources(book: Book, pack: Pack) -> None:
    """Where the figures come from, one line per source: what a reader prints."""
    sheet = book.sheet("Sources", (70, 12, 12, 14, 18, 60), "Where the figures come from, most used first")
    styles = ("text", "text", "whole", "whole", "text", "text")
    sheet.head(("Source", "Latest date", "Data rows", "of what is bought", "Weakest confidence", "Tables"), styles)
    top = sheet.row
    at = {name: ROW_COLUMNS.index(name) for name in ("table", "source", "date", "confidence", "in_plan")}
    by_source: dict[str, list[tuple[str | bool, ...]]] = {}
    for row in pack.rows:
        by_source.setdefault(str(row[at["source"]]), []).append(row)
    lines = []
    for source, rows in by_source.items():
        found = {str(row[at["confidence"]]) for row in rows}
        tables = dict.fromkeys(str(row[at["table"]]).replace("_", " ") for row in rows)
        bought = sum(bool(row[at["in_plan"]]) for row in rows)
        latest = max(str(row[at["date"]]) for row in rows)
        lines.append((source, latest, len(rows), bought, min(found, key=_strength), ", ".join(tables)))
    sheet.rows(sorted(lines, key=lambda line: (-line[3], -line[2], line[0])), styles)
    sheet.finish(top, 1)


def _strength(confidence: str) -> int:
    return CONFIDENCE.index(confidence) if confidence in CONFIDENCE else -1


def write_rows(book: Book, pack: Pack) -> None:
    """Every data row, to be filtered and not to be printed: of a large case there are a hundred pages and more."""
    title = "Every data row that entered, those of what is bought first: to be filtered here; its first lines print"
    sheet = book.sheet("Data rows", (18, 30, 46, 12, 44, 12, 12, 50, 10), title)
    styles = ("text",) * len(ROW_COLUMNS)
    sheet.head([name.replace("_", " ") for name in ROW_COLUMNS], styles)
    top = sheet.row
    bought = ROW_COLUMNS.index("in_plan")
    rows = sorted(pack.rows, key=lambda row: not row[bought])
    sheet.rows([(*row[:bought], "yes" if row[bought] else "no", *row[bought + 1 :]) for row in rows], styles)
    sheet.made.autofilter(top - 1, 0, max(sheet.row - 1, top), len(ROW_COLUMNS) - 1)
    sheet.finish(top, 2, print_rows=min(sheet.row, top + _PRINTED_ROWS))
