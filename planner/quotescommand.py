"""What ``planner quotes`` does: the template, or a file of quotes shown and written side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from planner import comparison
from planner.faults import Fault, InputError
from planner.quotefile import TEMPLATE_ROWS, csv_text
from planner.summary import print_bridges
from planner.terminal import console_on, say
from planner.writing import make_folder, write_texts


@dataclass(frozen=True)
class QuotesWish:
    """Options of the command, as given."""

    file: str | None
    template: bool
    case: str | None
    delivery: str | None
    as_of: str | None
    out: Path | None
    as_json: bool

    def carry_out(self, stream: TextIO) -> int:
        """Print and write; returns the exit code.

        Raises
        ------
        InputError
            With every fault of the options or the file.
        """
        if self.template:
            stream.write(csv_text(TEMPLATE_ROWS))
            return 0
        if self.file is None:
            raise InputError([Fault("planner quotes", "FILE", "nothing", "a file of quotes, or --template")])
        if self.out is not None:
            make_folder(self.out)
        case = self.case or comparison.USUAL_CASE
        found = comparison.compare_quotes(self.file, case, self.delivery, self.as_of)
        if self.out is not None:
            write_texts(comparison.files_of_comparison(found), self.out)
        if self.as_json:
            print(comparison.as_json(found), file=stream)
            return 0
        print_bridges(found.title, found.bridges, console_on(stream))
        if self.out is not None:
            say(f"Written to {self.out}: bridge.csv, bridge.svg.")
        return 0
