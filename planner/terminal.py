"""What reaches a terminal: safe text, consoles that read well when piped, and the live line."""

from __future__ import annotations

import io
import math
import sys
import time
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

PIPED_WIDTH = 100
SHOWN_CHARACTERS = 240
#: What the solver's figures mean in a step: whose incumbent it is, and whether its bound holds for the whole question.
#: Steps that are not listed show no new figures.
STEPS: dict[str, tuple[str, bool]] = {
    "relaxation": ("", True),
    "rough plan": ("best in fractions of containers", True),
    "bound problem": ("best in fractions of containers", True),
    "whole containers": ("best found", False),
    "branch and bound": ("best found", True),
}
_REFRESH_S = 0.25


def plain(text: object, most: int = SHOWN_CHARACTERS) -> str:
    """Text that cannot steer a terminal.

    Parameters
    ----------
    text
        Anything; suppliers write some of it.
    most
        Characters kept; the rest becomes an ellipsis.

    Returns
    -------
    str
        One line; invisible characters (escapes, direction marks) are spelled out.
    """
    whole = str(text)
    cut = whole if len(whole) <= most else whole[: most - 3] + "..."
    return "".join(_visible(character) for character in cut)


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else character.encode("unicode_escape").decode()


def prepare_streams() -> None:
    """Let no character that the terminal cannot show end a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def console_on(stream: TextIO) -> Console:
    """Console without markup, emoji codes or highlighting; 100 columns and no colour when piped."""
    terminal = stream.isatty()
    return Console(
        file=stream,
        force_terminal=terminal,
        width=None if terminal else PIPED_WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
    )


def say(text: str) -> None:
    """Write lines to standard error, made harmless."""
    for line in text.splitlines():
        print(plain(line, 2000), file=sys.stderr)


class LiveLine:
    """Progress on standard error while solving: step, best plan, bound, gap, time.

    One line that renews itself on a terminal; one plain line per step elsewhere; nothing
    when ``quiet``. Use as a context; pass ``note`` and ``progress`` to ``planner.plan``.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.began = time.monotonic()
        self.step = "starting"
        self.best_musd: dict[str, float] = {}
        self.bound_musd = -math.inf
        self._refreshed = 0.0
        on_terminal = sys.stderr.isatty() and not quiet
        self._live: Live | None = None
        if on_terminal:
            self._live = Live(
                get_renderable=lambda: Text(self.line(), no_wrap=True, overflow="ellipsis"),
                console=console_on(sys.stderr),
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )

    def __enter__(self) -> LiveLine:
        """Show the line."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the line away."""
        self.close()

    def close(self) -> None:
        """Take the line away for good; a second call does nothing."""
        self.quiet = True
        if self._live is not None:
            self._live.stop()

    def note(self, step: str) -> None:
        """Say that a step begins."""
        self.step = step
        if self._live is None and not self.quiet:
            print(f"{self._elapsed_s():7.1f} s  {plain(step)}{self._known()}", file=sys.stderr, flush=True)

    def progress(self, step: str, incumbent: float, bound: float) -> None:
        """Take in what the solver reports, in million USD."""
        whose, bound_holds = STEPS.get(self.step, ("", False))
        if whose and math.isfinite(incumbent):
            self.best_musd[whose] = min(self.best_musd.get(whose, math.inf), incumbent)
        if bound_holds and math.isfinite(bound):
            self.bound_musd = max(self.bound_musd, bound)
        # What lies below the bound kept too few rules: outage rows, or those of the site, were still missing.
        slack = 1e-6 * max(1.0, abs(self.bound_musd)) if math.isfinite(self.bound_musd) else 0.0
        self.best_musd = {k: v for k, v in self.best_musd.items() if v >= self.bound_musd - slack}
        now = time.monotonic()
        if self._live is not None and now - self._refreshed > _REFRESH_S:
            # HiGHS may hold the interpreter for long: refresh from its callback, not only from the thread.
            self._refreshed = now
            self._live.refresh()

    def line(self) -> str:
        """Return the line as it stands now."""
        return f"{self.step}{self._known()}, {self._elapsed_s():.0f} s"

    def _elapsed_s(self) -> float:
        return time.monotonic() - self.began

    def _known(self) -> str:
        if self.step not in STEPS:
            return ""
        whose = STEPS[self.step][0]
        best = self.best_musd.get(whose)
        parts = [] if best is None else [f"{whose} {best:,.1f}"]
        if math.isfinite(self.bound_musd):
            parts.append(f"bound {self.bound_musd:,.1f} million USD")
            if best is not None:
                parts.append(f"gap {max(0.0, best - self.bound_musd) / max(abs(best), 1e-9):.2%}")
        return ": " + ", ".join(parts) if parts else ""
