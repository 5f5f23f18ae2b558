"""Reading of YAML and CSV text from files that may be anything; faults are collected, not raised."""

from __future__ import annotations

import csv
import io
import math
import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from planner.faults import Fault, shown
from planner.problem import FloatArray

MAX_YAML_BYTES = 5_000_000
MAX_TABLE_BYTES = 20_000_000
MAX_DEPTH = 20
MAX_ABS = 1e18

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.?(inf|nan|infinity)", re.IGNORECASE)


@dataclass
class YamlText:
    """A parsed YAML mapping and the line of every key path.

    Attributes
    ----------
    top
        Plain dictionaries with text keys, lists, text, numbers, booleans and None.
    lines
        Line of each key path.
    """

    top: dict[str, Any]
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)


def read_bytes(path: Path, shown_as: str, limit: int, faults: list[Fault]) -> bytes | None:
    """Content of a regular file of at most ``limit`` bytes, or None and a fault."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            found = "a directory" if stat.S_ISDIR(status.st_mode) else "something that is no regular file"
            faults.append(Fault(shown_as, "", found, "a readable file"))
            return None
        if status.st_size > limit:
            faults.append(Fault(shown_as, "", f"{status.st_size} bytes", f"a file of at most {limit} bytes"))
            return None
        return path.read_bytes()
    except FileNotFoundError:
        faults.append(Fault(shown_as, "", "no such file", "the path of an existing file"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "a path that the system refuses"
        faults.append(Fault(shown_as, "", str(reason), "a readable file"))
    return None


def read_text(path: Path, shown_as: str, limit: int, faults: list[Fault]) -> str | None:
    """UTF-8 text of a file (a byte order mark is tolerated), or None and a fault."""
    content = read_bytes(path, shown_as, limit, faults)
    return None if content is None else _decoded(content, shown_as, faults)


def _decoded(content: bytes, shown_as: str, faults: list[Fault]) -> str | None:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        faults.append(Fault(shown_as, "", f"byte {content[error.start]:#04x}", "text in UTF-8", line))
        return None
    if "\0" in text:
        faults.append(Fault(shown_as, "", "a zero byte", "text in UTF-8", text[: text.index("\0")].count("\n") + 1))
        return None
    return text


class _Builder:
    """Turns YAML nodes into plain values by the YAML 1.2 core rules, noting lines and faults."""

    def __init__(self, shown_as: str, faults: list[Fault]) -> None:
        self.shown_as = shown_as
        self.faults = faults
        self.lines: dict[tuple[str, ...], int] = {}

    def fault(self, path: tuple[str, ...], node: Any, found: str, allowed: str) -> None:
        line = node.start_mark.line + 1
        self.faults.append(Fault(self.shown_as, ".".join(path), found, allowed, line))

    def value(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        self.lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*path, str(i))) for i, child in enumerate(node.value)]
        return self.scalar(node, path)

    def mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.value == "":
                self.fault(path, key_node, "a key that is no plain word", "a word or a number as key")
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key == "<<":
                self.fault(here, key_node, "a merge key", "keys written out (merge keys are refused)")
            elif key in result:
                self.fault(here, key_node, "the same key twice", "each key once")
            elif not _encodable(key):
                self.fault(path, key_node, "a key with a broken character", "text in UTF-8")
            else:
                result[key] = self.value(value_node, here)
                self.lines[here] = key_node.start_mark.line + 1
        return result

    def scalar(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        text = str(node.value)
        if not _encodable(text):
            self.fault(path, node, "a broken character", "text in UTF-8")
            return None
        if getattr(node, "style", None) in ("'", '"', "|", ">"):
            return text
        if text in ("", "~", "null", "Null", "NULL"):
            return None
        if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
            return text.lower() == "true"
        if _NOT_FINITE.fullmatch(text):
            self.fault(path, node, text, "a finite number")
            return None
        return self.number(node, text, path)

    def number(self, node: yaml.Node, text: str, path: tuple[str, ...]) -> Any:
        is_int = _INT.fullmatch(text)
        if not is_int and not _FLOAT.fullmatch(text):
            return text
        if abs(float(text)) > MAX_ABS:
            self.fault(path, node, shown(text), f"a number between -{MAX_ABS:g} and {MAX_ABS:g}")
            return None
        return int(text) if is_int else float(text)


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _event_faults(text: str, shown_as: str) -> Iterator[Fault]:
    """Faults of the raw event stream: aliases, anchors, tags, depth, several documents."""
    depth = documents = 0
    event: Any
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                yield Fault(shown_as, "", "a second document", "one YAML document", line)
                return
        if isinstance(event, yaml.AliasEvent):
            yield Fault(shown_as, "", f"the alias *{event.anchor}", "values written out (aliases are refused)", line)
        elif getattr(event, "anchor", None):
            yield Fault(shown_as, "", f"the anchor &{event.anchor}", "values written out (anchors are refused)", line)
        if getattr(event, "tag", None):
            yield Fault(shown_as, "", f"the tag {shown(event.tag)}", "plain values (tags are refused)", line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                yield Fault(shown_as, "", f"more than {MAX_DEPTH} levels", f"at most {MAX_DEPTH} levels", line)
                return
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _broken(error: Exception, shown_as: str) -> Fault:
    mark = getattr(error, "problem_mark", None)
    reason = " ".join(str(getattr(error, "problem", None) or getattr(error, "reason", None) or "broken text").split())
    line = mark.line + 1 if mark is not None else None
    return Fault(shown_as, "", f"text that is no YAML ({reason[:120]})", "a YAML mapping of keys and values", line)


def parse_yaml(text: str, shown_as: str, faults: list[Fault], any_top: bool = False) -> YamlText | None:
    """Parse one YAML document into plain values.

    Parameters
    ----------
    text
        The document.
    shown_as
        File name for faults.
    faults
        Takes every fault; the result is None when the document is unusable.
    any_top
        Whether a scalar or a list may stand at the top; it is returned under the key ``value``.
    """
    try:
        refused = list(_event_faults(text, shown_as))
        if refused:
            faults.extend(refused[:20])
            return None
        node = yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        faults.append(_broken(error, shown_as))
        return None
    builder = _Builder(shown_as, faults)
    if any_top:
        return YamlText({"value": None if node is None else builder.value(node, ())})
    if not isinstance(node, yaml.MappingNode):
        found = "an empty file" if node is None else "a list or a single value"
        faults.append(Fault(shown_as, "", found, "a mapping of keys and values at the top", 1))
        return None
    return YamlText(builder.mapping(node, ()), builder.lines)


def read_yaml(path: Path, shown_as: str, faults: list[Fault]) -> YamlText | None:
    """Parse a YAML file of at most 5 MB; see ``parse_yaml``."""
    text = read_text(path, shown_as, MAX_YAML_BYTES, faults)
    return None if text is None else parse_yaml(text, shown_as, faults)


def read_standard_input(shown_as: str, faults: list[Fault]) -> YamlText | None:
    """Parse YAML (or JSON, which is YAML) from standard input, of at most 5 MB; see ``parse_yaml``."""
    try:
        content = sys.stdin.buffer.read(MAX_YAML_BYTES + 1)
    except (OSError, ValueError, AttributeError):  # closed, or no stream at all
        content = b""
    if len(content) > MAX_YAML_BYTES:
        faults.append(Fault(shown_as, "", "too much text", f"at most {MAX_YAML_BYTES} bytes"))
        return None
    text = _decoded(content, shown_as, faults)
    return None if text is None else parse_yaml(text, shown_as, faults)


@dataclass(frozen=True)
class CsvText:
    """Header, rows of cells, and the line on which each row ends."""

    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]


def read_csv(path: Path, shown_as: str, faults: list[Fault]) -> CsvText | None:
    """Cells of a comma-separated file of at most 20 MB, or None and faults.

    Blank lines are skipped; a row with more or fewer cells than the header is a fault and left out.
    """
    text = read_text(path, shown_as, MAX_TABLE_BYTES, faults)
    if text is None:
        return None
    rows: list[list[str]] = []
    lines: list[int] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    broken = False
    header: tuple[str, ...] = ()
    try:
        header = tuple(cell.strip() for cell in next(reader, []))
        for cells in reader:
            if not cells or (len(cells) == 1 and not cells[0].strip()):
                continue
            if len(cells) != len(header):
                found, allowed = f"{len(cells)} cells", f"{len(header)} cells, as in the header"
                faults.append(Fault(shown_as, "", found, allowed, reader.line_num))
                continue
            rows.append(cells)
            lines.append(reader.line_num)
    except csv.Error as error:
        broken = True
        faults.append(Fault(shown_as, "", f"broken CSV ({error})", "comma-separated values", reader.line_num))
    if not any(header):
        broken = True
        faults.append(Fault(shown_as, "", "no header", "a header line with column names", 1))
    for name in sorted({h for h in header if header.count(h) > 1}):
        broken = True
        faults.append(Fault(shown_as, shown(name), "the same column twice", "each column once", 1))
    return None if broken else CsvText(header, rows, lines)


def number_column(text: CsvText, column: str, shown_as: str, faults: list[Fault]) -> FloatArray | None:
    """One column as finite numbers; trailing blanks are dropped, other blanks are faults."""
    at = text.header.index(column)
    cells = [row[at].strip() for row in text.rows]
    while cells and not cells[-1]:
        cells.pop()
    values = np.empty(len(cells))
    bad = 0
    for i, cell in enumerate(cells):
        try:
            number = float(cell)
        except ValueError:
            number = math.nan
        values[i] = number
        if not math.isfinite(number):
            bad += 1
            if bad <= 3:
                faults.append(Fault(shown_as, column, shown(cell), "a finite number", text.lines[i]))
    if bad > 3:
        faults.append(Fault(shown_as, column, f"{bad} cells that are no finite numbers", "a finite number in each"))
    return values if not bad else None
