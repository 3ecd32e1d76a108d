"""What an extraction knows of its ECGs: how many have which value, by group, and how complete the scores are."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from openclef.database.metadata_table import YES_NO
from openclef.database.mimic_iv.workspace import Workspace
from openclef.database.mimic_iv.writing import DROPPED, METADATA, NAMES, RISKS, SETTINGS, VALUES, read_values

if TYPE_CHECKING:
    import pandas as pd

AGE_GROUPS = {
    "under 40": (-np.inf, 40),
    "40 to 49": (40, 50),
    "50 to 59": (50, 60),
    "60 to 69": (60, 70),
    "70 to 79": (70, 80),
    "80 to 89": (80, 90),
    "over 89": (90, np.inf),
}
"""Name to the youngest age and that above the oldest; an unknown age is a group of its own."""

UNKNOWN = "unknown"

_KNOWN = tuple(name for name in VALUES if name != "age_over_89")


@dataclass(frozen=True)
class Extraction:
    """A finished extraction.

    Args:
        folder: with metadata.parquet, risks.parquet, dropped.csv and settings.json.
        years: calendar year of each ECG to within one, NaN unknown (the list's years are shifted).
        rules: text of the rules' file.

    Example:
        >>> Extraction(Path("out"), np.array([]), "").folder.name
        'out'
    """

    folder: Path
    years: np.ndarray = field(repr=False)
    rules: str = field(repr=False)

    @cached_property
    def values(self) -> pd.DataFrame:
        """The values, one row an ECG, without their dates and sources.

        Example:
            >>> Extraction(Path("nowhere"), np.array([]), "").values
            Traceback (most recent call last):
            FileNotFoundError: ...
        """
        return read_values(self.folder)

    @cached_property
    def risks(self) -> pd.DataFrame:
        """The scores, one row an ECG.

        Example:
            >>> Extraction(Path("nowhere"), np.array([]), "").risks
            Traceback (most recent call last):
            FileNotFoundError: ...
        """
        import pandas as pd

        return pd.read_parquet(self.folder / RISKS)

    @property
    def dropped(self) -> pd.DataFrame:
        """Columns table, name, reason and n.

        Example:
            >>> Extraction(Path("nowhere"), np.array([]), "").dropped
            Traceback (most recent call last):
            FileNotFoundError: ...
        """
        import pandas as pd

        return pd.read_csv(self.folder / DROPPED)

    @property
    def settings(self) -> dict[str, Any]:
        """The content of settings.json.

        Example:
            >>> Extraction(Path("nowhere"), np.array([]), "").settings
            Traceback (most recent call last):
            FileNotFoundError: ...
        """
        import json

        content: dict[str, Any] = json.loads((self.folder / SETTINGS).read_text(encoding="utf-8"))
        return content


def calendar_years(work: Workspace) -> np.ndarray:
    """Read each ECG's calendar year, to within one, from the table `person`; NaN where it is unknown.

    Example:
        >>> from openclef.database.mimic_iv.concepts import read_concepts
        >>> from openclef.database.mimic_iv.workspace import open_workspace
        >>> with open_workspace(Path("nowhere"), read_concepts()) as work:
        ...     _ = work.query("CREATE TABLE person AS FROM (VALUES (1, NULL), (0, 2012)) p(id, calendar_year)")
        ...     calendar_years(work)
        array([2012.,   nan])
    """
    found = work.fetch("SELECT calendar_year::DOUBLE AS year FROM person ORDER BY id")
    return np.asarray(found["year"].to_pandas(), float)


def age_groups(age_years: pd.Series) -> pd.Series:
    """Name each ECG's age group.

    Args:
        age_years: years, NaN unknown; 90 stands for over 89.

    Returns:
        Names of `AGE_GROUPS`, or "unknown".

    Example:
        >>> import pandas as pd
        >>> age_groups(pd.Series([39.0, 61.0, 90.0, np.nan])).tolist()
        ['under 40', '60 to 69', 'over 89', 'unknown']
    """
    import pandas as pd

    groups = pd.Series(UNKNOWN, index=age_years.index, dtype=object)
    for name, (low, high) in AGE_GROUPS.items():
        groups[(age_years >= low) & (age_years < high)] = name
    return groups


def is_known(values: pd.DataFrame) -> pd.DataFrame:
    """Tell of each value whether it is known.

    Args:
        values: of `read_values`.

    Returns:
        Truth values, a column for each value but age_over_89.

    Example:
        >>> import pandas as pd
        >>> people = pd.DataFrame({"record_id": ["1", "2"], "sex": ["male", ""], "bmi": [np.nan, 21.0]})
        >>> is_known(people).to_dict("list")
        {'sex': [True, False], 'bmi': [False, True]}
    """
    import pandas as pd

    return pd.DataFrame(
        {
            name: values[name] != "" if name == "sex" else values[name].notna()
            for name in _KNOWN
            if name in values
        }
    )


def known_values(extraction: Extraction) -> pd.DataFrame:
    """Say of each value how many have it, what it is like and how far from the ECG it was taken.

    Args:
        extraction: a finished one.

    Returns:
        One row a value: name, ecgs and subjects (that have it), share (of the ECGs), yes (share of yes among the
        known), q25, median, q75 (of numbers), days (median distance from the ECG in days), after (share taken
        after the ECG).

    Example:
        >>> known_values(Extraction(Path("nowhere"), np.array([]), ""))
        Traceback (most recent call last):
        FileNotFoundError: ...
    """
    import pandas as pd

    values = extraction.values
    times = pd.to_datetime(values["ecg_time"], errors="coerce", format="ISO8601")
    rows = []
    for name, known in is_known(values).items():
        own = values.loc[known, str(name)]
        row: dict[str, Any] = {
            "name": name,
            "ecgs": int(known.sum()),
            "subjects": int(values.loc[known, "subject_id"].nunique()),
            "share": float(known.mean()),
        }
        if name in YES_NO or name == "sex":
            row["yes"] = float((own == ("female" if name == "sex" else 1)).mean()) if len(own) else np.nan
        elif len(own):
            row |= dict(zip(("q25", "median", "q75"), own.quantile([0.25, 0.5, 0.75])))
        if name in NAMES and len(own):
            row |= _distance(extraction.folder, str(name), times)
        rows.append(row)
    columns = ["name", "ecgs", "subjects", "share", "yes", "q25", "median", "q75", "days", "after"]
    return pd.DataFrame(rows).reindex(columns=columns)


def _distance(folder: Path, name: str, times: pd.Series) -> dict[str, float]:
    """Days between the values and their ECGs."""
    import pandas as pd
    from pyarrow import parquet

    text = parquet.read_table(folder / METADATA, columns=[f"{name}_date"]).to_pandas()[f"{name}_date"]
    dates = pd.to_datetime(text.where(text != ""), errors="coerce", format="ISO8601")
    days_only = bool((text.str.len() <= len("2180-05-06")).all())
    days = (dates - (times.dt.normalize() if days_only else times)) / pd.Timedelta(days=1)
    days = days[days.notna()]
    return {"days": float(days.abs().median()), "after": float((days > 0).mean())}


def known_by_group(known: pd.DataFrame, groups: pd.Series | np.ndarray) -> pd.DataFrame:
    """Give the share of known values in each group of ECGs.

    Args:
        known: of `is_known`.
        groups: group of each ECG.

    Returns:
        One row a group, in order: the column n (ECGs), and the share of each value.

    Example:
        >>> import pandas as pd
        >>> known = pd.DataFrame({"bmi": [True, False, True]})
        >>> known_by_group(known, np.array(["a", "a", "b"])).to_dict("index")
        {'a': {'n': 2, 'bmi': 0.5}, 'b': {'n': 1, 'bmi': 1.0}}
    """
    grouped = known.groupby(np.asarray(groups))
    shares = grouped.mean()
    shares.insert(0, "n", grouped.size())
    return shares


def completeness_levels(risks: pd.DataFrame) -> pd.DataFrame:
    """Count the ECGs at each completeness of each score.

    Args:
        risks: of an extraction.

    Returns:
        Columns score, completeness (share of its inputs that are known), n, share, and no_value: ECGs there for
        which the score has no value; highest completeness first.

    Example:
        >>> import pandas as pd
        >>> risks = pd.DataFrame({"age": [50.0, np.nan], "age_n_missing": [0, 1], "age_completeness": [1.0, 0.0]})
        >>> completeness_levels(risks).to_dict("list")
        {'score': ['age', 'age'], 'completeness': [1.0, 0.0], 'n': [1, 1], 'share': [0.5, 0.5], 'no_value': [0, 1]}
    """
    import pandas as pd

    scores = [str(name).removesuffix("_n_missing") for name in risks if str(name).endswith("_n_missing")]
    rows = []
    for score in scores:
        level = risks[f"{score}_completeness"].round(4)
        for completeness, values in risks[score].groupby(level):
            rows.append(
                {
                    "score": score,
                    "completeness": float(completeness),
                    "n": len(values),
                    "share": len(values) / len(risks),
                    "no_value": int(values.isna().sum()),
                }
            )
    table = pd.DataFrame(rows, columns=["score", "completeness", "n", "share", "no_value"])
    order = {score: place for place, score in enumerate(scores)}
    return table.sort_values(
        ["score", "completeness"],
        key=lambda column: column.map(order) if column.name == "score" else -column,
        ignore_index=True,
    )
