"""What a risk score rests on in a cohort: distributions, defaults, wrong defaults, and cohorts that must be refused.

    python studies/metadata_integrity/run.py --nhanes nhanes_2009_2012_adults.csv

NHANES 2009-2012 stands for real people with few gaps; a simulated hospital in MIMIC-IV's tables for many gaps, whose
kind is that of routine care and whose figures are invented. Spoiled versions of NHANES show what is caught.
Time: half a minute on one core. Writes distribution.csv, verdicts.csv, correlations.csv, wrong_defaults.csv, hidden.csv
and two figures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import openclef
from openclef.integrity import Integrity, judge_integrity
from openclef.risk import score2
from openclef.simulator import simulate_mimic_iv

sys.path.insert(0, str(Path(__file__).parents[1]))
from figures import INK, LINE
from ranks import spearman, spearman_within, strata

HERE = Path(__file__).parent
INPUTS = ("smoker", "diabetes", "sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l")
SCORES = ("score2", "framingham", "prevent_cvd")
HIDDEN = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
DRAWS = 20


def main() -> None:
    """Read the arguments, judge the cohorts, and write tables and figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nhanes", type=Path, required=True, help="CSV of NHANES adults")
    parser.add_argument(
        "--out", type=Path, default=HERE / "results", help="folder for the tables and figures"
    )
    parser.add_argument("--patients", type=int, default=4000, help="of the simulated hospital")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    people = pd.read_csv(given.nhanes).rename(columns={"current_smoker": "smoker", "id": "subject_id"})
    cohorts = {"NHANES": people, "simulated hospital": hospital(given.patients)} | spoiled(people)
    judged = {name: judge_integrity(cohort, SCORES) for name, cohort in cohorts.items()}
    for table in ("distribution", "correlations", "wrong_defaults"):
        rows = [getattr(found, table).assign(cohort=name) for name, found in judged.items()]
        write(pd.concat(rows), given.out / f"{table}.csv")
    verdicts = [row for name, found in judged.items() for row in verdict_rows(name, found)]
    write(pd.DataFrame(verdicts), given.out / "verdicts.csv")
    hidden = pd.DataFrame(hide(people))
    write(hidden, given.out / "hidden.csv")
    draw_distribution(cohorts, given.out / "distribution.svg")
    draw_hidden(hidden, given.out / "hidden.svg")
    for row in verdicts:
        print(f"{row['cohort']}, {row['score']}: {row['verdict']} {row['reasons']}")
    print(hidden.to_string(index=False))


def hospital(patients: int) -> pd.DataFrame:
    """Metadata extracted from a simulated hospital at each patient's first ECG."""
    with tempfile.TemporaryDirectory() as folder:
        tree = simulate_mimic_iv(Path(folder, "tree"), patients=patients, seed=0, signals=0, workers=1)
        done = openclef.extract_metadata(
            "mimic_iv",
            tree / "mimiciv" / "hosp",
            Path(folder, "out"),
            ecgs=tree / "mimic-iv-ecg",
            progress=False,
        )
        return done.values.drop_duplicates("subject_id")


def spoiled(people: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Versions of a cohort with faults that metadata come with; half of everything is hidden first."""
    random = np.random.default_rng(0)
    half = people.copy()
    for name in INPUTS:
        half.loc[random.random(len(half)) < 0.5, name] = np.nan
    filled = half.assign(
        **{name: half[name].fillna(people[name].mean()) for name in INPUTS if people[name].nunique() > 2}
    )
    return {
        "half of everything hidden": half,
        "half hidden, filled in with means": filled,
        "age and sex alone": people.drop(columns=list(INPUTS)),
        "everybody 60 years old, nothing measured": people.drop(columns=list(INPUTS)).assign(
            age_years=60.0, sex="male"
        ),
        "age of everybody unknown": people.assign(age_years=np.nan),
    }


def verdict_rows(cohort: str, found: Integrity) -> list[dict[str, str]]:
    """A row a score: what is said of it."""
    return [
        {
            "cohort": cohort,
            "score": each.score,
            "verdict": each.verdict,
            "reasons": "; ".join(each.reasons),
        }
        for each in found.judgements
    ]


def hide(people: pd.DataFrame) -> list[dict[str, float]]:
    """How a score with hidden inputs, at their defaults, goes with the score that knew them."""
    whole = people[people[list(INPUTS)].notna().all(axis=1)].reset_index(drop=True)
    stratum = strata(whole)
    full = score_of(whole)
    random = np.random.default_rng(1)
    rows = []
    for share in HIDDEN:
        found = []
        for _ in range(DRAWS if 0 < share < 1 else 1):
            part = whole.copy()
            for name in INPUTS:
                part.loc[random.random(len(part)) < share, name] = np.nan
            both = np.stack([full, score_of(part)], axis=1).round(12)
            found.append((spearman(both)[0, 1], spearman_within(both, stratum)[0, 1]))
        every, within = np.array(found).T
        rows.append(
            {
                "hidden": share,
                "n": float(len(whole)),
                "spearman": every.mean(),
                "within_age_and_sex": within.mean(),
                "within_low": np.nanmin(within) if np.isfinite(within).any() else np.nan,
                "within_high": np.nanmax(within) if np.isfinite(within).any() else np.nan,
            }
        )
    return rows


def score_of(people: pd.DataFrame) -> np.ndarray:
    """SCORE2 as guidance: at its default values for what is unknown."""
    found = score2(
        **{name: people[name] for name in ("age_years", "sex", *INPUTS)},
        region="low",
    )
    return np.asarray(found.value)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table with the cohort first."""
    first = [name for name in ("cohort",) if name in table]
    table[[*first, *(name for name in table if name not in first)]].infer_objects().to_csv(
        path, index=False, float_format="%.5g"
    )


def draw_distribution(cohorts: dict[str, pd.DataFrame], path: Path) -> None:
    """Draw the share of people below each value of SCORE2: all people, and those of whom all inputs are known."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    shown = ("NHANES", "simulated hospital", "half hidden, filled in with means", "age and sex alone")
    with mpl.rc_context({"font.size": 8, "svg.hashsalt": "openclef", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8.4, 2.6), layout="constrained")
        axes = figure.subplots(1, len(shown), sharey=True)
        for axis, name in zip(axes, shown):
            people = cohorts[name].reindex(columns=["age_years", "sex", *INPUTS])
            known = people[list(INPUTS)].notna().all(axis=1)
            value = score_of(people)
            for who, colour, label in (
                (np.ones(len(people), bool), INK, f"all {len(people):,}"),
                (known.to_numpy(), "#c8553d", f"all inputs known: {known.sum():,}"),
            ):
                found = np.sort(value[who & np.isfinite(value)])
                if len(found):
                    axis.plot(
                        found, np.arange(1, len(found) + 1) / len(found), color=colour, lw=1.2, label=label
                    )
            axis.set(title=name, xlabel="SCORE2 (fraction)", xscale="log", xlim=(5e-4, 0.7))
            axis.axhline(0.5, color=LINE, lw=0.5)
            axis.legend(frameon=False, fontsize=7, loc="upper left")
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].set_ylabel("share of people below")
        figure.savefig(path, metadata={"Date": None})


def draw_hidden(rows: pd.DataFrame, path: Path) -> None:
    """Draw how much of a score is left as its inputs are hidden."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 8, "svg.hashsalt": "openclef", "svg.fonttype": "none"}):
        figure = Figure(figsize=(4.2, 2.8), layout="constrained")
        axis = figure.subplots()
        known = 1 - rows["hidden"]
        axis.plot(known, rows["spearman"], "o-", color=INK, ms=3.5, lw=1.2, label="all adults")
        axis.plot(
            known,
            rows["within_age_and_sex"],
            "o-",
            color="#c8553d",
            ms=3.5,
            lw=1.2,
            label="within five years of age and one sex",
        )
        axis.set(
            xlabel="share of smoking, diabetes, pressure and lipids that is known",
            ylabel="rank correlation with\nthe whole SCORE2",
            ylim=(-0.03, 1.03),
        )
        axis.legend(frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
