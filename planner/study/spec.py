"""The schema of a study file: base cases x scenarios x grid x draws x exposure limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from planner.case import Measure
from planner.casekeys import words_of
from planner.catalogue import Name, NonNeg
from planner.faults import Fault, InputError
from planner.reading import read_yaml
from planner.shipped import case_path, scenario_path, studies_dir
from planner.units import Month

KeyPath = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_\-]+)*$")]
MOST_CASES = 1_000_000


class Section(BaseModel):
    """A section of a study: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Parameter(Section):
    """Distribution of one case key; a draw is put in as ``template`` with ``{}`` replaced, or as the number itself."""

    distribution: Literal["uniform", "normal", "lognormal", "triangular", "choice"]
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    sd: Annotated[float, Field(gt=0)] | None = None
    mode: float | None = None
    values: Annotated[tuple[float, ...], Field(min_length=1)] | None = None
    whole: bool = False
    template: Annotated[str, Field(pattern=r".*\{\}.*")] = "{}"

    @model_validator(mode="after")
    def _complete(self) -> Parameter:
        needed = {
            "uniform": ("low", "high"),
            "normal": ("mean", "sd"),
            "lognormal": ("mean", "sd"),
            "triangular": ("low", "mode", "high"),
            "choice": ("values",),
        }[self.distribution]
        missing = [n for n in needed if getattr(self, n) is None]
        if missing:
            raise ValueError(
                f"a {self.distribution} distribution needs {', '.join(needed)}; missing: {', '.join(missing)}"
            )
        if self.distribution in ("uniform", "triangular") and not float(self.low or 0) < float(self.high or 0):
            raise ValueError("low must be below high")
        if self.distribution == "lognormal" and not float(self.mean or 0) > 0:
            raise ValueError("the mean of a lognormal distribution must be above 0")
        if self.distribution == "triangular" and not float(self.low or 0) <= float(self.mode or 0) <= float(
            self.high or 0
        ):
            raise ValueError("mode must lie from low to high")
        return self


class RankCorrelation(Section):
    """Spearman correlation of two drawn parameters."""

    of: tuple[KeyPath, KeyPath]
    rank_correlation: Annotated[float, Field(gt=-1, lt=1)]


class Draws(Section):
    """Random draws; ``saltelli`` lays them out for total-effect indices (no correlations then)."""

    method: Literal["sobol", "latin_hypercube", "saltelli"] = "sobol"
    count: Annotated[int, Field(ge=1, le=1_000_000)]
    seed: Annotated[int, Field(ge=0)] = 1
    parameters: Annotated[dict[KeyPath, Parameter], Field(min_length=1, max_length=60)]
    correlations: tuple[RankCorrelation, ...] = ()
    scenarios: tuple[Name, ...] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Draws:
        for pair in self.correlations:
            unknown = [k for k in pair.of if k not in self.parameters]
            if unknown:
                raise ValueError(f"correlations: {', '.join(unknown)} is no drawn parameter")
            if pair.of[0] == pair.of[1]:
                raise ValueError(f"correlations: {pair.of[0]} with itself")
        if self.method == "saltelli" and self.correlations:
            raise ValueError(
                "correlations: total-effect indices need independent parameters; take sobol or latin_hypercube"
            )
        if self.method in ("sobol", "saltelli") and self.count & (self.count - 1):
            raise ValueError(f"count: {self.count} is no power of 2, which Sobol points need to be balanced")
        return self


class Limits(Section):
    """Exposure limits that every case is solved under; null is no limit."""

    measure: Measure
    max_frac: Annotated[tuple[NonNeg | None, ...], Field(min_length=1, max_length=200)]


class Regret(Section):
    """Each scenario's own plan, fixed as far as it is signed before ``until``, in every other scenario."""

    until: Month
    scenarios: tuple[Name, ...] | None = None
    candidates: tuple[Name, ...] | None = None
    weights: dict[Name, NonNeg] = {}


class Study(Section):
    """A whole study.

    ``scenarios`` maps a name to the overlays laid over a base case, in this order; ``{}`` is only
    the base. ``set`` holds for every case.
    """

    study: Name
    title: Annotated[str, Field(max_length=200)] = ""
    cases: Annotated[tuple[str, ...], Field(min_length=1, max_length=200)]
    set: dict[KeyPath, Any] = {}
    scenarios: Annotated[dict[Name, tuple[str, ...]], Field(min_length=1, max_length=500)] = {"base": ()}
    grid: dict[KeyPath, Annotated[tuple[Any, ...], Field(min_length=1)]] = {}
    draws: Draws | None = None
    limits: Limits | None = None
    regret: Regret | None = None

    @model_validator(mode="after")
    def _names(self) -> Study:
        for where, names in (
            ("draws.scenarios", self.draws.scenarios if self.draws else None),
            ("regret.scenarios", self.regret.scenarios if self.regret else None),
            ("regret.candidates", self.regret.candidates if self.regret else None),
            ("regret.weights", tuple(self.regret.weights) if self.regret else None),
        ):
            unknown = [n for n in names or () if n not in self.scenarios]
            if unknown:
                raise ValueError(f"{where}: {', '.join(unknown)} is no scenario of this study")
        both = set(self.grid) & set(self.draws.parameters if self.draws else ())
        if both:
            raise ValueError(f"grid: {', '.join(sorted(both))} is drawn too; a key may be one of the two")
        return self


def study_path(name_or_path: str | Path) -> Path:
    """Path of a study file, looked up among the shipped studies when it does not exist."""
    path = Path(name_or_path)
    if path.is_file() or path.parent != Path():
        return path
    shipped = studies_dir() / (path.name if path.suffix else f"{path.name}.yaml")
    return shipped if path.name and shipped.is_file() else path


def read_study(name_or_path: str | Path) -> Study:
    """Read a study file; cases and overlays beside it are found from its folder.

    Parameters
    ----------
    name_or_path
        A file, or the name of a shipped study.

    Raises
    ------
    InputError
        With every fault of the file.
    """
    path = study_path(name_or_path)
    faults: list[Fault] = []
    text = read_yaml(path, str(name_or_path), faults)
    if text is None or faults:
        raise InputError(faults)
    try:
        study = Study.model_validate_json(json.dumps(text.top))
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            where = tuple(str(part) for part in problem["loc"] if part != "[key]")
            found, allowed = words_of(dict(problem))
            if problem["type"] == "value_error":
                key, _, words = allowed.partition(": ")
                where, found, allowed = ((*where, key), words, "something else") if words else (where, found, allowed)
            line = next((text.lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in text.lines), None)
            faults.append(Fault(str(name_or_path), ".".join(where), found, allowed, line))
        raise InputError(faults) from None
    return study.model_copy(
        update={
            "cases": tuple(_beside(path, c, case_path) for c in study.cases),
            "scenarios": {
                n: tuple(_beside(path, o, scenario_path) for o in names) for n, names in study.scenarios.items()
            },
        }
    )


def _beside(study: Path, name: str, shipped: Any) -> str:
    """Return a path relative to the study file where there is one, else the name as given."""
    here = study.parent / name
    return str(here) if here.is_file() and not Path(name).is_file() and not shipped(name).is_file() else name
