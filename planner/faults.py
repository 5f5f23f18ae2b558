"""What is wrong with an input, as sentences: file, key, what was found, what is allowed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SHOWN_FAULTS = 50
FOUND_CHARACTERS = 60
MAX_TIME_LIMIT_S = 1e6


@dataclass(frozen=True)
class Fault:
    """One fault of one input.

    Attributes
    ----------
    file
        File that holds the fault, ``--set`` for an override.
    key
        Dotted key path in a case, or row and column of a table; empty for the file as a whole.
    found
        What stands there, shortened.
    allowed
        What may stand there, in words.
    line
        Line of the file, where known.
    """

    file: str
    key: str
    found: str
    allowed: str
    line: int | None = None

    def __str__(self) -> str:
        """One sentence."""
        place = self.file + (f", line {self.line}" if self.line else "")
        key = f"{self.key}: " if self.key else ""
        return f"{place}: {key}found {self.found}; allowed is {self.allowed}."


class InputError(Exception):
    """Every fault of a case, its tables and its profiles at once.

    Parameters
    ----------
    faults
        The faults, in the order in which they were found.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        super().__init__(self.faults)

    def __str__(self) -> str:
        """One line per fault, up to 50, then how many more."""
        lines = [str(f) for f in self.faults[:SHOWN_FAULTS]]
        more = len(self.faults) - SHOWN_FAULTS
        return "\n".join([*lines, f"(+{more} more)"] if more > 0 else lines)

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[Fault, ...]]]:
        """Survive the way from a worker process to its parent."""
        return InputError, (self.faults,)


def limit_faults(gap_frac: float | None, time_limit_s: float | None) -> list[Fault]:
    """Faults of the options ``--gap`` and ``--time-limit``; None is an option that was not given."""
    faults = []
    if gap_frac is not None and not 0.0 <= gap_frac < 1.0:
        faults.append(Fault("--gap", "", f"{gap_frac:g}", "a number of at least 0 and below 1"))
    if time_limit_s is not None and not 0.0 < time_limit_s <= MAX_TIME_LIMIT_S:
        allowed = f"a number above 0 and at most {MAX_TIME_LIMIT_S:.0f}"
        faults.append(Fault("--time-limit", "", f"{time_limit_s:g}", allowed))
    return faults


def limit_overrides(gap_frac: float | None, time_limit_s: float | None) -> list[str]:
    """The two options as overrides of the case, so that its fingerprint and its answer agree with them."""
    found = [] if gap_frac is None else [f"solver.gap_frac={gap_frac:.12f}"]
    return found if time_limit_s is None else [*found, f"solver.time_limit_s={time_limit_s:.6f}"]


def shown(value: Any) -> str:
    """Write a value as a reader would, shortened to 60 characters."""
    if value is None:
        return "null"
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    text = text.encode("ascii", "backslashreplace").decode() if not text.isprintable() else text
    return text if len(text) <= FOUND_CHARACTERS else text[: FOUND_CHARACTERS - 3] + "..."


def closest(word: str, known: Iterable[str]) -> str:
    """``did you mean ...?`` if a known word is near, else the empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def one_of(known: Iterable[str], most: int = 12) -> str:
    """``one of a, b, c``, cut after ``most`` words."""
    words = sorted(known)
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    return f"one of {', '.join(words[:most])}{rest}" if words else "nothing"


def known_name(word: str, known: Iterable[str]) -> str:
    """Say what is allowed where a name must be known, with the closest match."""
    words = list(known)
    hint = closest(word, words)
    return one_of(words) + (f" ({hint})" if hint else "")
