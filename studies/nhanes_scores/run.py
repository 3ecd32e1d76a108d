"""Do the risk scores rank real adults alike, and does what is unknown stay visible?

NHANES 2009-2012 has most inputs of the scores with their real gaps, but no ECG and no outcome, neither eGFR nor
HbA1c, and no treatments or histories: this shows how the scores agree as guidance, not how well they predict.

    python studies/nhanes_scores/run.py --nhanes nhanes_2009_2012_adults.csv --out studies/nhanes_scores/results

Time: about a minute on one core. Writes agreement.csv, completeness.csv and results.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from openclef.risk import SCORES, score_table, unknown_inputs

sys.path.insert(0, str(Path(__file__).parents[1]))
from ranks import AGE_STEP, spearman, spearman_within, strata

NAMES = [name for name in SCORES if name != "age"] + ["age"]
SHOWN = ("score2", "framingham", "prevent_cvd")  # one score of each family, in words at the top
MEASURED = ("smoker", "diabetes", "sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l", "bmi")


def main() -> None:
    """Read the arguments, compute, and write the tables and the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nhanes", type=Path, required=True, help="CSV of NHANES adults")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables and the page")
    parser.add_argument("--region", default="low", help="SCORE2 risk region; the USA is in none")
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws of people")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    people = pd.read_csv(given.nhanes).rename(columns={"current_smoker": "smoker"})
    scores = score_table(people, region=given.region)
    check_missing(people, scores)

    complete = people[list(MEASURED)].notna().all(axis=1)
    middle = complete & people["age_years"].between(40, 70, inclusive="left") & (people["diabetes"] == 0)
    groups = {
        "all adults": np.ones(len(people), bool),
        "40 to 69 years, no diabetes, all measured": middle.to_numpy(),
        "some input unmeasured": (~complete).to_numpy(),
    }
    agreement = pd.concat(
        [
            agree(scores[who], strata(people[who]), given.draws).assign(group=group, n=int(who.sum()))
            for group, who in groups.items()
        ],
        ignore_index=True,
    )
    levels = completeness(scores)
    agreement.to_csv(given.out / "agreement.csv", index=False, float_format="%.6f")
    levels.to_csv(given.out / "completeness.csv", index=False, float_format="%.4f")
    page = "\n".join(write(people, agreement, levels, given.draws, given.region)) + "\n"
    (given.out / "results.md").write_text(page)
    print(page)


def check_missing(people: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Stop unless every score's n_missing and completeness are the plain count of empty cells."""
    for name in NAMES:
        inputs = SCORES[name].inputs
        count = sum(
            people[one].isna().astype(int) if one in people else pd.Series(1, people.index) for one in inputs
        )
        if (
            not (scores[f"{name}_n_missing"] == count).all()
            or not np.allclose(scores[f"{name}_completeness"], 1 - count / len(inputs))
            or scores[name].isna().any()
        ):
            raise RuntimeError(f"{name} does not carry through what is unknown")


def agree(scores: pd.DataFrame, stratum: np.ndarray, draws: int, seed: int = 0) -> pd.DataFrame:
    """Spearman correlation of every two scores, and within strata of age and sex, with bootstrap intervals."""
    values = scores[NAMES].to_numpy().round(12)  # equal inputs tie, whatever the last bit
    generator = np.random.default_rng(seed)
    samples = [generator.integers(0, len(values), len(values)) for _ in range(draws)]
    whole, within = spearman(values), spearman_within(values, stratum)
    bootstrap = np.array([spearman(values[rows]) for rows in samples])
    bootstrap_within = np.array([spearman_within(values[rows], stratum[rows]) for rows in samples])
    rows = []
    for first, second in pairs():
        row: dict[str, object] = {"first": NAMES[first], "second": NAMES[second]}
        for title, value, drawn in (("", whole, bootstrap), ("within_", within, bootstrap_within)):
            of_pair = drawn[:, first, second]
            low, high = (
                np.nanquantile(of_pair, [0.025, 0.975]) if np.isfinite(of_pair).any() else (np.nan, np.nan)
            )
            row |= {
                f"{title}spearman": value[first, second],
                f"{title}low": low,
                f"{title}high": high,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def pairs() -> Iterator[tuple[int, int]]:
    """Places of every two scores."""
    yield from zip(*np.triu_indices(len(NAMES), 1), strict=True)


def completeness(scores: pd.DataFrame) -> pd.DataFrame:
    """How many adults know how many of a score's inputs, with the median of the score."""
    rows = []
    for name in NAMES:
        inputs = len(SCORES[name].inputs)
        for n_missing, group in scores.groupby(f"{name}_n_missing"):
            rows.append(
                {
                    "score": name,
                    "known": inputs - int(n_missing),
                    "inputs": inputs,
                    "adults": len(group),
                    "share": len(group) / len(scores),
                    "median": group[name].median(),
                }
            )
    return pd.DataFrame(rows)


def write(
    people: pd.DataFrame, agreement: pd.DataFrame, levels: pd.DataFrame, draws: int, region: str
) -> Iterator[str]:
    """The page, line by line."""
    yield "# Risk scores of NHANES adults"
    yield ""
    yield f"{len(people):,} adults of 18 to 80 years, NHANES 2009-2012, unweighted; region {region} where a score"
    yield f"has one; scores as guidance (not strict). Spearman correlation with 95 % interval from {draws:,}"
    yield "bootstrap draws of people. Written by `run.py`; `agreement.csv` and `completeness.csv` have all figures."
    yield ""
    yield "## Do they rank people alike?"
    for group, table in agreement.groupby("group", sort=False):
        yield ""
        yield f"{str(group).capitalize()} (n = {table['n'].iloc[0]:,}):"
        yield ""
        yield "| | Spearman | within age and sex |"
        yield "| --- | --- | --- |"
        for row in table.to_dict("records"):
            if row["first"] in SHOWN and row["second"] in (*SHOWN, "framingham_bmi", "age", "age_sex"):
                yield (
                    f"| {row['first']}, {row['second']} | {interval(row, '')} | {interval(row, 'within_')} |"
                )
    yield ""
    yield f"Within age and sex: ranks within strata of {AGE_STEP} years and sex, so that what is left is the rest"
    yield "of the inputs. All pairs of scores, all adults, Spearman above the diagonal, within age and sex below:"
    yield ""
    yield from matrix(agreement[agreement["group"] == "all adults"])
    yield ""
    yield "## Is what is unknown carried through?"
    yield ""
    yield "Every score's `n_missing` and `completeness` equal the plain count of empty cells for every adult, and"
    yield "every adult has a value (age and sex are always known). Adults by the number of known inputs:"
    yield ""
    yield "| score | inputs | not in NHANES | adults by known inputs |"
    yield "| --- | --- | --- | --- |"
    for name, table in levels.groupby("score", sort=False):
        absent = unknown_inputs(people, str(name))
        shares = ", ".join(
            f"{row['known']}: {100 * row['share']:.1f} %"
            for row in table.sort_values("known", ascending=False).to_dict("records")
        )
        yield f"| {name} | {table['inputs'].iloc[0]} | {', '.join(absent) or '-'} | {shares} |"


def interval(row: dict[str, float], title: str) -> str:
    """A value with its interval; a dash where a score does not vary within strata."""
    if np.isnan(row[f"{title}spearman"]):
        return "-"
    value, low, high = (row[f"{title}{end}"] for end in ("spearman", "low", "high"))
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def matrix(table: pd.DataFrame) -> Iterator[str]:
    """Both correlations of every two scores as one square."""
    cells = {(row["first"], row["second"]): row for row in table.to_dict("records")}
    yield f"| | {' | '.join(NAMES)} |"
    yield f"| --- |{' --- |' * len(NAMES)}"
    for first in NAMES:
        row = []
        for second in NAMES:
            if (first, second) in cells:
                row.append(f"{cells[first, second]['spearman']:.2f}")
            elif (second, first) in cells:
                row.append(f"{cells[second, first]['within_spearman']:.2f}")
            else:
                row.append("")
        yield f"| {first} | {' | '.join(row)} |"


if __name__ == "__main__":
    main()
