"""Two linear objectives over one feasible set, in arrays, and the solver runs that the front needs.

The model is compiled once. Both objectives are rows of it, scaled so that the way from one end
of the front to the other is ``SCALE``; a solve changes two right-hand sides and the cost vector.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from planner.problem import FloatArray
from planner.solve import Attempt, Compiled, Run, Stop

#: Length of the front along each objective inside the solver: its tolerance of 1e-6 is then 1e-9 of the range.
SCALE = 1000.0
#: A solution may violate a row by this share of the row's terms.
BROKEN = 1e-6
#: Linear programs solved again for lazy rows before it is called endless.
_MOST_ROUNDS = 200
Rows = tuple[csr_array, FloatArray, FloatArray, list[str]]


class Separation(Protocol):
    """Where lazy rows come from; must be picklable when more than one worker is asked for."""

    def violated(self, x: FloatArray) -> Rows | None:
        """Rows that ``x`` violates (matrix, lower, upper, names that tell rows apart), or None."""


@dataclass
class TwoObjectives:
    """Minimise two linear objectives over ``compiled``.

    Attributes
    ----------
    compiled
        Columns and rows; its own cost is ignored.
    cost, exposure
        Coefficients of the objectives over the columns.
    cost_offset, exposure_offset
        Constants of the objectives.
    integer
        Columns that must be whole; a slice fixes exactly these.
    separation
        Lazy rows, or None.
    """

    compiled: Compiled
    cost: FloatArray
    exposure: FloatArray
    cost_offset: float
    exposure_offset: float
    integer: NDArray[np.bool_]
    separation: Separation | None = None

    def values(self, x: FloatArray) -> tuple[float, float]:
        """(exposure, cost) of a solution, in the model's own units."""
        return float(self.exposure @ x) + self.exposure_offset, float(self.cost @ x) + self.cost_offset


@dataclass(frozen=True)
class Frame:
    """Origin and length of both objectives: normalised = (value - origin) / length."""

    x_origin: float = 0.0
    x_length: float = 1.0
    c_origin: float = 0.0
    c_length: float = 1.0

    def inside(self, point: tuple[float, float]) -> tuple[float, float]:
        """Normalise a point (exposure, cost)."""
        return (point[0] - self.x_origin) / self.x_length, (point[1] - self.c_origin) / self.c_length

    def outside(self, point: tuple[float, float]) -> tuple[float, float]:
        """Undo ``inside``."""
        return self.x_origin + point[0] * self.x_length, self.c_origin + point[1] * self.c_length


class LazyLoop(RuntimeError):
    """Separation goes on finding rows that the solver already has."""


@dataclass
class Bench:
    """Solver runs on one model; each worker has its own.

    All arguments and answers are normalised by ``frame``.
    """

    model: TwoObjectives
    stop: Stop
    seed: int = 0
    presolve: bool = True
    frame: Frame = field(default_factory=Frame)
    fresh: list[Rows] = field(default_factory=list)
    solves: int = 0

    def __post_init__(self) -> None:
        self.known = set(self.model.compiled.row_names)
        self.rows = self.model.compiled
        self._build()

    def use_frame(self, frame: Frame) -> None:
        """Scale the two objective rows anew."""
        self.frame = frame
        self._build()

    def adopt(self, rows: Rows) -> None:
        """Take lazy rows that were found elsewhere."""
        self._add(rows)

    def violated(self, x: FloatArray) -> bool:
        """Add the lazy rows that a solution violates; whether there were any."""
        if self.model.separation is None:
            return False
        found = self.model.separation.violated(x)
        if found is None:
            return False
        added = self._add(found)
        if added is not None:
            self.fresh.append(added)
        return added is not None

    def take_fresh(self) -> list[Rows]:
        """Rows found here since the last call."""
        fresh, self.fresh = self.fresh, []
        return fresh

    def mip(
        self,
        weight: tuple[float, float],
        x_max: float,
        c_max: float,
        gap: float,
        start: FloatArray | None = None,
        gap_frac: float = 0.0,
    ) -> Attempt:
        """Minimise ``weight`` over the box; objective and bound come back normalised, the solution unchecked."""
        self.solves += 1
        run = self._mip
        constant = self._aim(run, weight, x_max, c_max)
        attempt = run.solve(gap_frac, start=start, abs_gap=max(1e-9, gap * SCALE))
        if attempt.x is not None:
            attempt.x = np.where(self.model.integer, np.round(attempt.x), attempt.x)
        attempt.objective = (attempt.objective + constant) / SCALE
        attempt.bound = (attempt.bound + constant) / SCALE
        return attempt

    def lp(
        self, whole: FloatArray, weight: tuple[float, float], x_max: float = np.inf, c_max: float = np.inf
    ) -> FloatArray | None:
        """Best solution with the whole numbers given, every lazy row kept; None if there is none."""
        at = np.flatnonzero(self.model.integer)
        for _ in range(_MOST_ROUNDS):
            run = self._lp
            if len(at):
                run.set_bounds(at, whole[at], whole[at])
            self._aim(run, weight, x_max, c_max)
            attempt = run.solve()
            if attempt.x is None:
                return None
            attempt.x[at] = whole[at]
            if not self.violated(attempt.x):
                return attempt.x
        raise LazyLoop("the lazy rows do not come to an end: `separate` returns rows again and again")

    def relaxation(self, weight: tuple[float, float], x_max: float, c_max: float) -> float:
        """Bound of the linear relaxation over the box, with every lazy row that it violates; infinity if empty."""
        at = np.flatnonzero(self.model.integer)
        bound = -np.inf
        for _ in range(_MOST_ROUNDS):
            run = self._lp
            if len(at):
                run.set_bounds(at, self.rows.lower[at], self.rows.upper[at])
            constant = self._aim(run, weight, x_max, c_max)
            attempt = run.solve()
            if attempt.infeasible:
                return np.inf
            if attempt.x is None:
                return bound
            bound = (attempt.bound + constant) / SCALE
            if not self.violated(attempt.x):
                return bound
        raise LazyLoop("the lazy rows do not come to an end: `separate` returns rows again and again")

    def point(self, x: FloatArray) -> tuple[float, float]:
        """Normalised (exposure, cost) of a solution."""
        return self.frame.inside(self.model.values(x))

    def broken(self, x: FloatArray) -> float:
        """Largest relative violation of any row or bound, recomputed outside the solver."""
        return self.rows.violation(x)

    # -- pieces ---------------------------------------------------------------------------

    def _build(self) -> None:
        """Load both solvers with the rows known so far, behind the two objective rows."""
        model, frame = self.model, self.frame
        self._cost = model.cost * (SCALE / frame.c_length)
        self._exposure = model.exposure * (SCALE / frame.x_length)
        objectives = csr_array(np.vstack([self._exposure, self._cost]))
        rows = self.rows
        problem = replace(
            rows,
            matrix=csr_array(vstack([objectives, rows.matrix], format="csr")),
            row_lower=np.concatenate([[-np.inf, -np.inf], rows.row_lower]),
            row_upper=np.concatenate([[np.inf, np.inf], rows.row_upper]),
            cost=np.zeros_like(rows.cost),
            offset=0.0,
        )
        none = np.zeros_like(model.integer)
        self._mip, self._lp = (Run(problem, self.stop, self.seed) for _ in range(2))
        self._mip.seldom_guess()  # every piece has an attained end to start from
        for run, integer in ((self._mip, model.integer), (self._lp, none)):
            if not self.presolve:
                run.highs.setOptionValue("presolve", "off")
            run.highs.setOptionValue("primal_feasibility_tolerance", 1e-9)
            run.highs.setOptionValue("mip_feasibility_tolerance", 1e-9)
            run.load(integer)

    def _aim(self, run: Run, weight: tuple[float, float], x_max: float, c_max: float) -> float:
        """Set objective and box; return the constant that the objective lacks, in solver units."""
        model, frame = self.model, self.frame
        x_shift = (model.exposure_offset - frame.x_origin) * (SCALE / frame.x_length)
        c_shift = (model.cost_offset - frame.c_origin) * (SCALE / frame.c_length)
        vector = weight[0] * self._exposure + weight[1] * self._cost
        run.set_cost(vector)
        run.set_row(0, -np.inf, x_max * SCALE - x_shift)
        run.set_row(1, -np.inf, c_max * SCALE - c_shift)
        return weight[0] * x_shift + weight[1] * c_shift

    def _add(self, rows: Rows) -> Rows | None:
        """Append those rows that are new."""
        matrix, lower, upper, names = rows
        new = [i for i, name in enumerate(names) if name not in self.known]
        if not new:
            return None
        added = csr_array(matrix[new]), lower[new], upper[new], [names[i] for i in new]
        self.known.update(added[3])
        self.rows = replace(self.rows)
        self.rows.row_names = list(self.rows.row_names)
        self.rows.add_rows(*added)
        for run in (self._mip, self._lp):
            run.add_rows(*added[:3])
        return added
