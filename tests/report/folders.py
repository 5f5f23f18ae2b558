"""What the tests of the report share: hostile text, browser flags, and reading a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
#: Exposure limits of the plans of the front; None is the plan without a limit.
LIMITS = (None, 0.24, 0.18)
LONG = "x" * 10_000
HOSTILE = (
    "<script>alert(1)</script>", "=cmd()", "+1+1", "@sum(a1)", "-2+3", "</script><img src=x onerror=alert(1)>",
    "{{ 7*7 }}", "<b>bold</b> &amp; <a href='javascript:alert(1)'>link</a>", "a\u202etxt.exe\u200f", "\x1b[2Jred",
    "\U0001f525\U0001f468\u200d\U0001f469", LONG,
)  # fmt: skip


def plan_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    return found
