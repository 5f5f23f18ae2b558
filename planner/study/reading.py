"""What a result set says: differences, shares, effects, regret. Tables in, tables out; no drawing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from planner.faults import Fault, InputError
from planner.study.store import TABLES, ResultSet

#: Endings that leave a plan.
PLANNED = ("optimal", "gap_limit", "time_limit", "interrupted")


@dataclass(frozen=True)
class Findings:
    """A result set in memory.

    Attributes
    ----------
    manifest
        Of the result set.
    cases, orders, vintages, contingencies
        Its tables; ``cases`` in the order of the study.
    """

    manifest: dict[str, Any]
    cases: pd.DataFrame
    orders: pd.DataFrame
    vintages: pd.DataFrame
    contingencies: pd.DataFrame

    @property
    def own(self) -> pd.DataFrame:
        """Cases that were planned for themselves, not with another's orders."""
        return self.cases[self.cases["candidate"] == ""]

    @property
    def bases(self) -> list[str]:
        """Base cases in the order of the study."""
        return list(dict.fromkeys(self.cases["case"]))

    @property
    def scenarios(self) -> list[str]:
        """Scenarios in the order of the study."""
        return list(self.manifest["spec"]["scenarios"])


def read_results(folder: Path) -> Findings:
    """Read a result set.

    Raises
    ------
    InputError
        If there is none, or it cannot be read.
    """
    manifest = ResultSet(folder).manifest()
    if manifest is None:
        raise InputError([Fault(str(folder), "", "no manifest.json", "a folder that planner study wrote")])
    try:
        tables = {name: pd.read_parquet(folder / name) for name in TABLES}
    except (OSError, ValueError) as error:
        raise InputError(
            [Fault(str(folder), "", f"no readable tables ({error})", "a folder that planner study wrote")]
        ) from None
    cases = tables.pop("cases").sort_values("case_index", ignore_index=True)
    return Findings(manifest, cases, **tables)


def central(found: Findings) -> pd.DataFrame:
    """One case per base case and scenario: first grid point, first draw, without an exposure limit if possible."""
    own = found.own
    order = own.assign(limited=own["limit_frac"].notna()).sort_values(["limited", "case_index"])
    first = order.drop_duplicates(["case", "scenario"]).sort_values("case_index")
    return first.drop(columns="limited").reset_index(drop=True)


def against_base(found: Findings) -> pd.DataFrame:
    """Change of cost, exposure and public money against the study's first scenario; ``tie`` within the gaps.

    ``public_usd_per_mwh`` is public money (received by the buyer, net of duties paid) added per MWh of
    China-made cells removed, where at least a hundredth of the need is; ``all_usd_per_mwh`` counts the buyer's
    added cost too, so that what passes from one to the other cancels.
    """
    return _against(found, central(found))


def instruments(found: Findings) -> pd.DataFrame:
    """The same for every scenario, and for every exposure limit of the first one: a ban beside what money does.

    ``instrument`` names the scenario or the limit.
    """
    own = found.own
    limited = own[(own["scenario"] == found.scenarios[0]) & own["limit_frac"].notna()]
    limited = limited[(limited["draw"] <= 0) & (limited["point"] == 0)]
    first = central(found)
    first = first[first["scenario"] != found.scenarios[0]]
    table = _against(found, pd.concat([first, limited[~limited["case_index"].isin(first["case_index"])]]))
    if table.empty:
        return table
    words = [
        row["scenario"]
        if row["scenario"] != found.scenarios[0]
        else f"{row['measure']} at most {row['limit_frac']:.0%}"
        for row in table.to_dict("records")
    ]
    return table.assign(instrument=words)


def _against(found: Findings, table: pd.DataFrame) -> pd.DataFrame:
    """Each row of cases against the case of its base in the first scenario."""
    first = central(found)
    base = first[first["scenario"] == found.scenarios[0]].set_index("case")
    rows = []
    for row in table.to_dict("records"):
        if row["case"] not in base.index:
            continue
        b = base.loc[row["case"]]
        change = row["cost_musd"] - b["cost_musd"]
        removed = b["exposure_cell_frac"] * b["required_mwh"] - row["exposure_cell_frac"] * row["required_mwh"]
        public = b["public_net_musd"] - row["public_net_musd"]
        enough = removed > 0.01 * row["required_mwh"]
        slack = max(row["cost_musd"] - row["bound_musd"], b["cost_musd"] - b["bound_musd"])
        rows.append(
            row
            | {
                "change_musd": change,
                "change_frac": change / b["cost_musd"] if b["cost_musd"] else np.nan,
                "tie": bool(abs(change) <= slack),
                "removed_mwh": removed,
                "public_added_musd": public,
                "public_usd_per_mwh": public * 1e6 / removed if enough else np.nan,
                "all_usd_per_mwh": (public + change) * 1e6 / removed if enough else np.nan,
            }
        )
    return pd.DataFrame(rows)


def supplier_share(found: Findings) -> pd.DataFrame:
    """Share of each supplier in the storage energy ordered, by base case and scenario; firm units store none."""
    table = central(found)[["case_index", "case", "scenario"]]
    stored = found.orders[found.orders["chemistry"] != "none"]
    joined = stored.merge(table, on="case_index").sort_values("case_index")
    total = joined.groupby(["case", "scenario", "supplier"], sort=False)["energy_mwh"].sum()
    return (total / total.groupby(level=[0, 1]).transform("sum")).rename("share_frac").reset_index()


def fronts(found: Findings) -> pd.DataFrame:
    """Cost by exposure limit, base case and scenario, where the study sets limits."""
    own = found.own
    limited = own[own["limit_frac"].notna()]
    if limited.empty:
        return limited
    return own[(own["draw"] <= 0) & (own["point"] == 0)].sort_values("case_index")


def effects(found: Findings, output: str = "cost_musd") -> pd.DataFrame:
    """How much each drawn parameter moves an output, by base case and scenario.

    ``low`` and ``high`` are means over the lowest and highest fifth of the parameter; ``first_frac`` and
    ``total_frac`` are Sobol indices (only with ``method: saltelli`` and no case that failed).
    """
    draws = found.manifest["spec"].get("draws")
    if not draws:
        return pd.DataFrame()
    keys = list(draws["parameters"])
    rows = []
    drawn = found.own[(found.own["draw"] >= 0) & (found.own["point"] == 0)]
    if "limit_frac" in drawn:
        drawn = drawn[drawn["limit_frac"].isna()]
    for (case, scenario), part in drawn.groupby(["case", "scenario"], sort=False):
        values = part[output].to_numpy(dtype=float)
        good = np.isfinite(values)
        if good.sum() < 5:
            continue
        sobol = _indices(part.sort_values("draw")[output].to_numpy(dtype=float), len(keys), draws)
        for i, key in enumerate(keys):
            x = part[f"set.{key}"].to_numpy(dtype=float)
            low, high = (values[good & w].mean() for w in (x <= np.quantile(x, 0.2), x >= np.quantile(x, 0.8)))
            rank = stats.spearmanr(x[good], values[good]).statistic if np.ptp(values[good]) > 0 else 0.0
            first, total = (float(s[i]) for s in sobol) if sobol else (np.nan, np.nan)
            rows.append(
                {
                    "case": case, "scenario": scenario, "parameter": key, "low": low, "high": high,
                    "rank_correlation": rank, "first_frac": first, "total_frac": total,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _indices(values: np.ndarray[Any, Any], size: int, draws: dict[str, Any]) -> tuple[Any, Any] | None:
    """First-order and total-effect indices of a Saltelli layout (Saltelli et al. 2010), by scipy."""
    n = draws["count"]
    if draws["method"] != "saltelli" or values.size != n * (size + 2) or not np.isfinite(values).all():
        return None
    blocks = values.reshape(size + 2, n)
    centred = blocks - blocks[:2].mean()
    if np.ptp(centred[:2]) == 0:
        return None
    found = stats.sobol_indices(
        func={"f_A": centred[0][None], "f_B": centred[1][None], "f_AB": centred[2:][:, None, :]}, n=n
    )
    return np.ravel(found.first_order), np.ravel(found.total_order)


@dataclass(frozen=True)
class RegretTable:
    """What each candidate plan costs too much in each scenario, for one base case.

    Attributes
    ----------
    case
        Base case.
    regret_musd
        Rows are candidates, columns scenarios; infinite where the candidate does not survive.
    worst_musd, expected_musd
        By candidate; expected over the study's weights, equal ones if it gives none.
    minimax, least_expected
        The choices; ``None`` if no candidate survives every scenario.
    hopeless
        Scenarios that nobody survives, whatever was signed; they are left out, for they tell no candidate from another.
    """

    case: str
    regret_musd: pd.DataFrame
    worst_musd: pd.Series[float]
    expected_musd: pd.Series[float]
    minimax: str | None
    least_expected: str | None
    hopeless: tuple[str, ...] = ()


def regrets(found: Findings) -> list[RegretTable]:
    """Regret of every candidate in every scenario, against the best plan known for that scenario."""
    rule = found.manifest["spec"].get("regret")
    tried = found.cases[found.cases["candidate"] != ""]
    if not rule or tried.empty:
        return []
    own = central(found)
    tables = []
    for case, part in tried.groupby("case", sort=False):
        if part.pivot_table("case_index", "candidate", "scenario", dropna=False).isna().to_numpy().any():
            continue  # not every plan was tried everywhere yet
        cost = part.pivot_table("cost_musd", "candidate", "scenario", sort=False, dropna=False)
        best = own[own["case"] == case].set_index("scenario")["cost_musd"].reindex(cost.columns)
        best = pd.concat([best, cost.min()], axis=1).min(axis=1)  # within the gap a fixed plan may be the cheaper one
        hopeless = [str(s) for s in cost.columns if not np.isfinite(best[s])]
        cost, best = cost.drop(columns=hopeless), best.drop(hopeless)
        if cost.empty:
            continue
        table = (cost - best).where(cost.notna(), np.inf)
        weights = pd.Series({s: rule["weights"].get(s, 0.0 if rule["weights"] else 1.0) for s in cost.columns})
        weights = weights / weights.sum() if weights.sum() > 0 else weights
        worst = table.max(axis=1)
        expected = table.where(weights > 0, 0.0).mul(weights.where(weights > 0, 0.0)).sum(axis=1)
        expected = expected.where(table.loc[:, weights > 0].lt(np.inf).all(axis=1), np.inf)
        least, mean = (str(s.idxmin()) if np.isfinite(s.min()) else None for s in (worst, expected))
        tables.append(RegretTable(str(case), table, worst, expected, least, mean, tuple(hopeless)))
    return tables


def switches(found: Findings) -> pd.DataFrame:
    """Where along a grid key the largest supplier changes: the two neighbouring values and the suppliers."""
    grid = found.manifest["spec"]["grid"]
    energy = found.orders.groupby(["case_index", "supplier"])["energy_mwh"].sum().reset_index()
    largest = (
        energy.sort_values("energy_mwh").drop_duplicates("case_index", keep="last").set_index("case_index")["supplier"]
    )
    rows = []
    for key in grid:
        column, others = f"set.{key}", [f"set.{k}" for k in grid if k != key]
        own = found.own.assign(largest=found.own["case_index"].map(largest))
        for where, part in own.groupby(["case", "scenario", "draw", "limit_frac", *others], dropna=False, sort=False):
            steps = part.sort_values("point")[[column, "largest"]].to_numpy()
            for (a, s), (b, t) in pairwise(steps):
                if s != t:
                    rows.append(
                        {"case": where[0], "scenario": where[1], "key": key, "from": a, "to": b, "was": s, "becomes": t}
                    )
    return pd.DataFrame(rows)
