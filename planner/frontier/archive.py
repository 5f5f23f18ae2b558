"""Everything known about a front: slices, bounds, lazy rows; it can be written and read back."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import astuple, dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from planner.frontier.bench import Frame, Rows, TwoObjectives
from planner.frontier.curve import FLAT, NOTHING, Curve, Fact, Piece, slice_curve
from planner.frontier.slices import Slice, Vertex
from planner.problem import FloatArray
from planner.writing import write_whole

_FORMAT = 1
#: The range of the curves goes this far beyond the cheap end, so that the end itself lies inside.
_BEYOND = 1e-6
#: An attained point must contradict a bound by more than this (normalised) to count as a solver error.
CONTRADICTION = 5e-7


class StateFault(ValueError):
    """A state file that cannot be gone on from."""


@dataclass
class Archive:
    """Facts are normalised by ``frame``; slices are in model units."""

    frame: Frame = field(default_factory=Frame)
    framed: bool = False
    slices: list[Slice] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)
    levels: dict[tuple[float | str, ...], int] = field(default_factory=dict)
    incidents: list[str] = field(default_factory=list)
    solves: int = 0
    seconds: float = 0.0

    def use_frame(self, frame: Frame) -> None:
        """Change the scale; everything normalised is converted."""
        old = (self.frame.x_origin, self.frame.x_length, self.frame.c_origin, self.frame.c_length)
        new = (frame.x_origin, frame.x_length, frame.c_origin, frame.c_length)
        self.facts = [fact.reframed(old, new) for fact in self.facts]
        self.frame = frame
        self.levels.clear()

    def without_slices(self) -> Archive:
        """What stays true once more lazy rows are known: the bounds and the rows, not what was attained."""
        return replace(self, framed=False, slices=[], facts=list(self.facts), rows=list(self.rows), levels={})

    def inside(self, vertex: Vertex) -> tuple[float, float]:
        """Normalised (exposure, cost) of a vertex."""
        return self.frame.inside((vertex.exposure, vertex.cost))

    def keep_slice(self, found: Slice) -> list[str]:
        """Keep a slice; drop bounds that it proves wrong, and say so."""
        self.slices.append(found)
        words = []
        for vertex in found.vertices:
            x, c = self.inside(vertex)
            wrong = [fact for fact in self.facts if fact.contradicted_by(x, c) > CONTRADICTION]
            if wrong:
                by = max(fact.contradicted_by(x, c) for fact in wrong)
                words.append(f"a solution that keeps every row lies {by:.2g} of the range below a proved bound")
                self.facts = [fact for fact in self.facts if fact not in wrong]
        return words

    def keep_fact(self, fact: Fact) -> list[str]:
        """Keep a bound, unless an attained point already proves it wrong."""
        worst = max((fact.contradicted_by(*self.inside(v)) for part in self.slices for v in part.vertices), default=0.0)
        if worst > CONTRADICTION:
            return [f"a bound of the solver lies {worst:.2g} of the range above a known solution"]
        self.facts.append(fact)
        return []

    # -- curves ---------------------------------------------------------------------------

    def span(self) -> tuple[float, float]:
        """Range of the curves: from the least exposure that is not excluded to the cheap end."""
        corners = [self.inside(v) for part in self.slices for v in part.vertices]
        right = min(corners, key=lambda p: (p[1], p[0]))[0]
        left = min(p[0] for p in corners)
        proved = [f.bound / f.wx for f in self.facts if f.wc == 0 and f.c_max == np.inf and f.wx > 0]
        return min([left, max(proved, default=left)]), max(right, left) + _BEYOND

    def upper(self) -> Curve:
        """What is attained."""
        lo, hi = self.span()
        curve = Curve.nothing(lo, hi, np.inf)
        for number, part in enumerate(self.slices):
            points = [self.inside(v) for v in part.vertices]
            if points[0][0] < hi:
                curve = curve.merged(slice_curve(points, number, lo, hi), 1)
        return curve

    def best_slices(self) -> list[Slice]:
        """Those that the curve of what is attained is made of."""
        numbers = {piece.tag[0] for piece in self.upper().pieces if piece.tag != NOTHING}
        return [self.slices[number] for number in sorted(numbers)]

    def lower(self) -> Curve:
        """What is proved."""
        lo, hi = self.span()
        curve = Curve.nothing(lo, hi, -np.inf)
        for number, fact in enumerate(self.facts):
            curve = curve.merged(fact.curve(number, lo, hi), -1)
        return curve

    def solution(self, piece: Piece, e: float) -> FloatArray:
        """A solution that attains a piece at a normalised exposure (to its left for a flat piece)."""
        number, k, kind = piece.tag
        vertices = self.slices[number].vertices
        if kind == FLAT:
            return vertices[k].x
        (e0, _), (e1, _) = self.inside(vertices[k]), self.inside(vertices[k + 1])
        share = min(1.0, max(0.0, (e - e0) / (e1 - e0)))
        return (1 - share) * vertices[k].x + share * vertices[k + 1].x

    def start(self, x_max: float, c_max: float, upper: Curve) -> FloatArray | None:
        """A known solution with at most this exposure and cost."""
        for piece in upper.pieces:
            if piece.tag == NOTHING or piece.left > x_max or piece.at_right > c_max:
                continue
            e = piece.left
            if piece.at_left > c_max:
                e += (piece.right - piece.left) * (piece.at_left - c_max) / (piece.at_left - piece.at_right)
            return self.solution(piece, e) if e <= x_max else None
        return None

    # -- files ----------------------------------------------------------------------------

    def save(self, path: Path, signature: str) -> None:
        """Write everything, beside its place first and then moved."""
        vertices = [v for part in self.slices for v in part.vertices]
        matrix = vstack([r[0] for r in self.rows], format="csr") if self.rows else csr_array((0, 0))
        words = {
            "format": _FORMAT,
            "signature": signature,
            "incidents": self.incidents,
            "names": [name for r in self.rows for name in r[3]],
            "levels": [[*key, level] for key, level in self.levels.items()],
            "framed": self.framed,
            "solves": self.solves,
            "seconds": self.seconds,
        }
        file = io.BytesIO()
        np.savez_compressed(
            file,
            words=np.frombuffer(json.dumps(words).encode(), dtype=np.uint8),
            frame=np.array(astuple(self.frame)),
            facts=np.array([astuple(f) for f in self.facts]).reshape(-1, 5),
            corners=np.array([(v.exposure, v.cost) for v in vertices]).reshape(-1, 2),
            x=np.array([v.x for v in vertices]),
            lengths=np.array([len(part.vertices) for part in self.slices], dtype=np.int64),
            data=matrix.data, indices=matrix.indices, indptr=matrix.indptr, shape=np.array(matrix.shape),
            lower=np.concatenate([r[1] for r in self.rows]) if self.rows else np.zeros(0),
            upper=np.concatenate([r[2] for r in self.rows]) if self.rows else np.zeros(0),
        )  # fmt: skip
        write_whole(path, file.getvalue())

    @classmethod
    def load(cls, path: Path, signature: str) -> Archive:
        """Read what ``save`` wrote.

        Raises
        ------
        StateFault
            If the file is of another model or cannot be read.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as held:
                part = dict(held)
            words = json.loads(part["words"].tobytes())
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise StateFault(f"{path} holds no state of a front ({error})") from None
        if words.get("format") != _FORMAT or words.get("signature") != signature:
            raise StateFault(f"{path} is the state of another model: start without resuming, or elsewhere")
        vertices = [Vertex(float(e), float(c), x) for (e, c), x in zip(part["corners"], part["x"], strict=True)]
        starts = np.concatenate([[0], np.cumsum(part["lengths"])])
        matrix = csr_array((part["data"], part["indices"], part["indptr"]), shape=tuple(part["shape"]))
        rows = [(matrix, part["lower"], part["upper"], list(words["names"]))] if words["names"] else []
        return cls(
            Frame(*(float(v) for v in part["frame"])),
            bool(words["framed"]),
            [Slice(tuple(vertices[a:b])) for a, b in pairwise(starts)],
            [Fact(*(float(v) for v in row)) for row in part["facts"]],
            rows,
            {tuple(row[:-1]): int(row[-1]) for row in words["levels"]},
            list(words["incidents"]),
            int(words["solves"]),
            float(words["seconds"]),
        )


def signature_of(model: TwoObjectives) -> str:
    """Hash of the arrays of a model, to know its state file again."""
    digest = hashlib.sha256()
    c = model.compiled
    arrays: list[NDArray[np.generic]] = [
        c.matrix.data, c.matrix.indices, c.matrix.indptr, c.row_lower, c.row_upper, c.lower, c.upper,
        model.cost, model.exposure, model.integer,
    ]  # fmt: skip
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr((model.cost_offset, model.exposure_offset)).encode())
    return digest.hexdigest()
