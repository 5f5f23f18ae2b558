"""Where the shipped tables and cases lie: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _shipped_dir(name: str) -> Path:
    inside = _PACKAGE / "_shipped" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def data_dir() -> Path:
    """Folder of the shipped tables; ``profiles`` lies in it."""
    return _shipped_dir("data")


def cases_dir() -> Path:
    """Folder of the shipped cases."""
    return _shipped_dir("cases")


def shipped_cases() -> tuple[str, ...]:
    """Names of the shipped cases, without suffix."""
    return tuple(sorted(p.stem for p in cases_dir().glob("*.yaml")))


def scenarios_dir() -> Path:
    """Folder of the shipped scenarios: overlays over a case, one per future."""
    return cases_dir() / "scenarios"


def shipped_scenarios() -> tuple[str, ...]:
    """Names of the shipped scenarios, without suffix."""
    return tuple(sorted(p.stem for p in scenarios_dir().glob("*.yaml")))


def scenario_path(name_or_path: str | Path) -> Path:
    """Path of an overlay file, looked up among the shipped scenarios when it does not exist.

    Parameters
    ----------
    name_or_path
        A path, or the name of a shipped scenario.
    """
    path = Path(name_or_path)
    try:
        if path.is_file() or path.parent != Path():
            return path
    except (OSError, ValueError):
        return path
    shipped = scenarios_dir() / (path.name if path.suffix else f"{path.name}.yaml")
    return shipped if path.name and shipped.is_file() else path


def case_path(name_or_path: str | Path) -> Path:
    """Path of a case file, looked up among the shipped cases when it does not exist.

    Parameters
    ----------
    name_or_path
        A path, or the name of a shipped case with or without ``cases/`` and ``.yaml``.

    Returns
    -------
    Path
        An existing file where one was found, else the path as given.
    """
    path = Path(name_or_path)
    try:
        if path.exists() and not path.is_dir():  # a result folder may bear the name of its case
            return path
    except (OSError, ValueError):
        return path
    if path.is_absolute() or path.parent.name not in ("", "cases") or path.name in ("", ".."):
        return path
    for name in (path.name, f"{path.name}.yaml"):
        shipped = cases_dir() / name
        if shipped.suffix in (".yaml", ".yml") and shipped.is_file():
            return shipped
    return path


def studies_dir() -> Path:
    """Folder of the shipped studies."""
    return cases_dir() / "studies"
