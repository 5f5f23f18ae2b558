"""Writing of a sheet: text that stays text, number formats, frozen headings, and how it prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xlsxwriter
from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from planner.report.wording import harmless

#: A cell takes 32,767 characters.
LONGEST_CELL = 2000
#: What a spreadsheet would take for the start of a formula, should the text ever be typed anew.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
FORMATS: dict[str, dict[str, Any]] = {
    # Without its side an indent is passed over by LibreOffice.
    "text": {"text_wrap": True, "valign": "top", "align": "left", "indent": 1},
    "quoted": {"text_wrap": True, "valign": "top", "align": "left", "indent": 1, "quote_prefix": True},
    "line": {"valign": "top", "align": "left", "indent": 1},
    "whole": {"num_format": "#,##0", "valign": "top"},
    "one": {"num_format": "#,##0.0", "valign": "top"},
    "two": {"num_format": "#,##0.00", "valign": "top"},
    "three": {"num_format": "0.000", "valign": "top"},
    "musd": {"num_format": "#,##0.000000", "valign": "top"},
    "usd": {"num_format": "#,##0.00", "valign": "top"},
    "share": {"num_format": "0.0%", "valign": "top"},
    "fine_share": {"num_format": "0.00%", "valign": "top"},
    "factor": {"num_format": "0.000000", "valign": "top"},
    "tiny": {"num_format": "0.00E+00", "valign": "top"},
    "head": {
        "bold": True,
        "text_wrap": True,
        "valign": "bottom",
        "align": "left",
        "indent": 1,
        "bottom": 1,
        "bg_color": "#EEF1F5",
    },
    "head_n": {
        "bold": True,
        "text_wrap": True,
        "valign": "bottom",
        "align": "right",
        "bottom": 1,
        "bg_color": "#EEF1F5",
    },
    "unit": {"italic": True, "font_color": "#565E69", "text_wrap": True, "valign": "top"},
    "title": {"bold": True, "font_size": 14},
    "section": {"bold": True, "font_size": 11},
    "total": {"bold": True, "top": 1, "num_format": "#,##0.000000"},
    "total_text": {"bold": True, "top": 1},
}


#: Characters of text per unit of column width, points of one line, and of the highest row.
_LINE_CHARACTERS = 1.05
_LINE_POINTS, _MOST_POINTS = 12.5, 400.0


class Book:
    """A workbook with the formats of the report; use ``sheet`` to begin a sheet."""

    def __init__(self, path: str) -> None:
        # Nothing that a supplier writes may turn into a formula, a number or a link.
        options = {"strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
        self.book = xlsxwriter.Workbook(path, {**options, "nan_inf_to_errors": True})
        self.formats = {
            name: self.book.add_format({"font_name": "Arial", "font_size": 9, **f}) for name, f in FORMATS.items()
        }

    def close(self) -> None:
        """Write the file."""
        self.book.close()

    def sheet(self, name: str, widths: Sequence[float], title: str) -> Sheet:
        """Begin a sheet that prints on landscape A4, one page wide."""
        made = self.book.add_worksheet(name)
        made.set_landscape()
        made.set_paper(9)
        made.fit_to_pages(1, 0)
        made.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        made.set_footer("&L&A&RPage &P of &N")
        for column, width in enumerate(widths):
            made.set_column(column, column, width)
        sheet = Sheet(self, made, widths)
        sheet.put(0, 0, title, "title")
        sheet.row = 2
        return sheet


class Sheet:
    """A sheet that is written from the top; ``row`` is the next free one (from 0)."""

    def __init__(self, book: Book, made: Worksheet, widths: Sequence[float]) -> None:
        self.book, self.made, self.row, self.widths = book, made, 0, widths
        self.right = 0

    def put(self, row: int, column: int, value: Any, style: str = "text") -> None:
        """Write one cell; text is never read as anything else."""
        formats = self.book.formats
        self.right = max(self.right, column)
        if value is None:
            self.made.write_blank(row, column, None, formats[style])
        elif isinstance(value, bool):
            self.made.write_boolean(row, column, value, formats[style])
        elif isinstance(value, int | float):
            self.made.write_number(row, column, value, formats[style])
        else:
            text = harmless(str(value), LONGEST_CELL)
            quoted = style == "text" and text.startswith(FORMULA_STARTS)
            self.made.write_string(row, column, text, formats["quoted" if quoted else style])

    def formula(self, row: int, column: int, formula: str, value: float, style: str) -> None:
        """Write a live formula and the value it has now."""
        self.right = max(self.right, column)
        self.made.write_formula(row, column, formula, self.book.formats[style], value)

    def section(self, title: str) -> None:
        """Begin a table below what is there."""
        if self.row > 2:
            self.row += 1
        self.put(self.row, 0, title, "section")
        self.row += 1

    def head(self, headings: Sequence[str], styles: Sequence[str]) -> None:
        """Write a row of headings, those of numbers to the right like their numbers."""
        for column, (text, style) in enumerate(zip(headings, styles, strict=True)):
            self.put(self.row, column, text, "head" if style == "text" else "head_n")
        self.row += 1

    def rows(self, rows: Sequence[Sequence[Any]], styles: Sequence[str]) -> tuple[int, int]:
        """Write rows; returns the first row and the one after the last."""
        first = self.row
        for values in rows:
            for column, (value, style) in enumerate(zip(values, styles, strict=True)):
                self.put(self.row, column, value, style)
            self._heighten(values, styles)
            self.row += 1
        return first, self.row

    def _heighten(self, values: Sequence[Any], styles: Sequence[str]) -> None:
        """Room for text that wraps: not every program fits the height of a row when it opens the file."""
        room = [_LINE_CHARACTERS * width for width in self.widths]
        lines = [
            -(-min(len(str(value)), LONGEST_CELL) // room[i])
            for i, (value, style) in enumerate(zip(values, styles, strict=True))
            if style == "text" and isinstance(value, str) and i < len(room)
        ]
        if max(lines, default=1) > 1:
            self.made.set_row(self.row, min(_MOST_POINTS, _LINE_POINTS * max(lines)))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[Any]], styles: Sequence[str]) -> tuple[int, int]:
        """Headings and rows."""
        self.head(headings, styles)
        return self.rows(rows, styles)

    def finish(
        self,
        freeze_row: int,
        freeze_column: int = 0,
        repeat: bool = True,
        pages_wide: int = 1,
        print_rows: int | None = None,
    ) -> None:
        """Freeze the headings, repeat them on every page, and set what prints: all, or the first so many rows."""
        if pages_wide > 1:
            self.made.fit_to_pages(pages_wide, 0)
            self.made.repeat_columns(0, freeze_column - 1)
        self.made.freeze_panes(freeze_row, freeze_column)
        if repeat and freeze_row:
            self.made.repeat_rows(freeze_row - 1)
        rows = self.row if print_rows is None else print_rows
        self.made.print_area(0, 0, max(rows - 1, freeze_row), self.right)


def cell(row: int, column: int) -> str:
    """``B7`` of a row and a column counted from 0."""
    return str(xl_rowcol_to_cell(row, column))
