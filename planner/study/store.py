"""Files of a study: solved cases by address, tables in parts, the manifest. Every write is whole or not there."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from planner.faults import Fault, InputError
from planner.study.work import unpack
from planner.writing import WRITING, write_whole

SCHEMA_VERSION = "1.0"
TABLES = ("orders", "vintages", "contingencies", "cases")  # cases last: a case that is there has its orders there too
#: Cases per part: what is written anew when one of them ends.
PART = 250
#: Seconds after which a file that is still being written was left by a crash.
_LEFT_S = 3600.0


class Solved:
    """Solved cases by address; studies that share the folder share the answers.

    Parameters
    ----------
    folder
        Made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, address: str) -> Path:
        return self.folder / address[:2] / f"{address[2:]}.json.gz"

    def has(self, address: str) -> bool:
        """Whether the case is solved."""
        return bool(address) and self._path(address).is_file()

    def put(self, address: str, record: bytes) -> None:
        """Keep a record; of two equal ones the first stays."""
        if not self.has(address):
            path = self._path(address)
            path.parent.mkdir(exist_ok=True)
            write_whole(path, record)

    def get(self, address: str) -> dict[str, Any] | None:
        """Read a record, or None when it is not there or cannot be read (it is then solved again)."""
        try:
            return unpack(self._path(address).read_bytes())
        except (OSError, ValueError, EOFError):
            return None

    def clean(self) -> None:
        """Remove what interrupted writes left; young ones may be another study's that shares the folder."""
        for left in self.folder.glob(f"*/{WRITING}*"):
            try:
                if time.time() - left.stat().st_mtime > _LEFT_S:
                    left.unlink()
            except OSError:  # gone, or not ours to remove
                continue

    def forget(self, address: str) -> None:
        """Remove a record that cannot be read."""
        self._path(address).unlink(missing_ok=True)


class ResultSet:
    """Tables of a study as Parquet: ``cases``, ``orders``, ``vintages``, ``contingencies``, each a folder of parts.

    A part holds the cases of a fixed range of indices, so what lies where does not depend on the
    order in which cases end; it is written anew, whole, when one of them does.

    Parameters
    ----------
    folder
        Made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def manifest_path(self) -> Path:
        """Path of ``manifest.json``."""
        return self.folder / "manifest.json"

    def manifest(self) -> dict[str, Any] | None:
        """Read the manifest; None where there is none.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        try:
            found = json.loads(self.manifest_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError(
                [Fault(str(self.manifest_path), "", f"no manifest ({error})", "a study's manifest")]
            ) from None
        if not isinstance(found, dict) or found.get("schema_version") != SCHEMA_VERSION:
            raise InputError(
                [Fault(str(self.manifest_path), "schema_version", "another version", f"version {SCHEMA_VERSION}")]
            )
        return found

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"schema_version": SCHEMA_VERSION, **manifest}, indent=1, ensure_ascii=False)
        write_whole(self.manifest_path, text.encode())

    def write_part(self, part: int, tables: Mapping[str, pa.Table]) -> None:
        """Write the tables of one part."""
        for name in TABLES:
            sink = pa.BufferOutputStream()
            pq.write_table(tables[name], sink, compression="zstd")
            (self.folder / name).mkdir(exist_ok=True)
            write_whole(self.folder / name / f"part-{part:05d}.parquet", sink.getvalue().to_pybytes())

    def clean(self) -> None:
        """Remove what an interrupted write left."""
        for left in self.folder.glob(f"*/{WRITING}*"):
            left.unlink(missing_ok=True)
