"""How a command ends: exit codes, an answer that is no plan, a defect, a closed pipe."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any, TextIO

from planner.terminal import plain, say

OK, DEFECT, BAD_INPUT, INFEASIBLE, STOPPED_WITH_PLAN, STOPPED = range(6)


def reply(out: TextIO, as_json: bool, code: int, answer: dict[str, Any]) -> int:
    """Print an answer other than a plan as JSON, if JSON was asked for."""
    if as_json:
        try:
            print(json.dumps(answer, indent=1, ensure_ascii=False), file=out, flush=True)
        except BrokenPipeError:
            pipe_closed()
    return code


def pipe_closed() -> int:
    """Whoever read the output has gone: keep the interpreter from complaining on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return DEFECT


def defect(error: BaseException) -> int:
    """Say that the planner failed, in one sentence; the details only on request."""
    text = plain(str(error), 300)
    say(
        f"The planner failed: {type(error).__name__}{': ' + text if text else ''}.\n"
        "This is a defect of the planner, not of your input. PLANNER_DEBUG=1 shows where."
    )
    details(error)
    return DEFECT


def details(error: BaseException) -> None:
    """Show where an error arose, if that was asked for."""
    if os.environ.get("PLANNER_DEBUG") == "1":
        traceback.print_exception(error, file=sys.stderr)
