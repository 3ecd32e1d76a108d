"""SCORE2 on real adults: what is missing, and what the score looks like by completeness, sex and age.

NHANES 2009-2012 has the seven inputs of SCORE2 with their real gaps, but no ECG and no outcome: this shows
how the score behaves as guidance, not how well it predicts.

    python studies/nhanes_scores/score2.py --nhanes nhanes_2009_2012_adults.csv --out runs/nhanes_score2

Time: a few seconds on one core. Writes missing, completeness, groups, knowledge and defaults as CSV, and
figure.html.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from openclef.risk import SCORES, age_sex, describe, score2

AGE_BANDS = [18, 30, 40, 50, 60, 70, 81]
OPTIONAL = ("smoker", "diabetes", "sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l")


def main() -> None:
    """Read the arguments, compute the tables, write and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nhanes", type=Path, required=True, help="CSV of NHANES adults")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables and the figure")
    parser.add_argument("--region", default="low", help="SCORE2 risk region; the USA is in none")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    people = pd.read_csv(arguments.nhanes).rename(columns={"current_smoker": "smoker"})
    inputs = {name: people[name] for name in SCORES["score2"].inputs}
    result = score2(**inputs, region=arguments.region)
    people["score2"], people["completeness"] = result.value, result.completeness
    people["age"] = pd.cut(people["age_years"], AGE_BANDS, right=False).map(
        lambda band: f"{band.left:.0f}-{band.right - 1:.0f}"
    )

    described = describe(result.value, result.n_missing, result.completeness)
    tables = {
        "missing": missing(people),
        "completeness": pd.DataFrame(
            [row | {"completeness": _level(row["completeness"])} for row in described.rows]
        ),
        "groups": groups(people),
        "knowledge": knowledge(people, arguments.region),
        "defaults": defaults(people, arguments.region),
    }
    for name, table in tables.items():
        table.to_csv(arguments.out / f"{name}.csv", index=False, float_format="%.6g")
        print(f"\n{name}\n{table.to_string(index=False, float_format=lambda value: f'{value:.4g}')}")
    print(f"\ndegenerate: {described.degenerate or 'no'}")
    shares = {name: float(flag.mean()) for name, flag in result.flags.items()}
    print(
        "share of adults with each flag:", ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
    )
    figure(people, arguments.out / "figure.html")


def _level(completeness: float | None) -> float | str:
    return "all" if completeness is None else completeness


def missing(people: pd.DataFrame) -> pd.DataFrame:
    """Share of adults whose input is unknown, for all and for those aged 40 to 69."""
    middle = people["age_years"].between(40, 70, inclusive="left")
    rows = [
        {
            "input": name,
            "missing": people[name].isna().mean(),
            "missing_40_69": people.loc[middle, name].isna().mean(),
        }
        for name in SCORES["score2"].inputs
    ]
    unknown = people[list(OPTIONAL)].isna()
    everyone = {
        "input": "any",
        "missing": unknown.any(axis=1).mean(),
        "missing_40_69": unknown[middle].any(axis=1).mean(),
    }
    return pd.DataFrame([*rows, everyone])


def groups(people: pd.DataFrame) -> pd.DataFrame:
    """Distribution of the score by age band and sex, and by whether every input is known."""
    people = people.assign(inputs=np.where(people["completeness"] == 1, "complete", "incomplete"))
    grouped = people.groupby(["age", "sex", "inputs"], observed=True)["score2"]
    table = grouped.quantile([0.05, 0.25, 0.5, 0.75, 0.95]).unstack().add_prefix("q")
    return pd.concat([grouped.size().rename("n"), table], axis=1).reset_index()


def knowledge(people: pd.DataFrame, region: str) -> pd.DataFrame:
    """How well the score with inputs hidden ranks the complete adults aged 40 to 69, against the whole score.

    `pair_order` is the share of pairs of adults that both scores put in the same order, and `difference` the
    rank correlation of the squared risk differences, which is what guidance uses.
    """
    known = people[(people["completeness"] == 1) & people["age_years"].between(40, 70, inclusive="left")]
    inputs = {name: known[name] for name in SCORES["score2"].inputs}
    whole = score2(**inputs, region=region).value
    hidden = {f"without {name}": (name,) for name in OPTIONAL}
    hidden["without total_chol and hdl"] = ("total_chol_mmol_l", "hdl_mmol_l")
    scores = {
        title: score2(
            **{name: value for name, value in inputs.items() if name not in names}, region=region
        ).value
        for title, names in hidden.items()
    }
    scores["age and sex only"] = age_sex(age_years=known["age_years"], sex=known["sex"], region=region).value
    first, second = np.random.default_rng(0).integers(0, len(known), (2, 200_000))
    rows = []
    for title, partial in scores.items():
        pairs = pd.DataFrame(
            {"whole": (whole[first] - whole[second]) ** 2, "partial": (partial[first] - partial[second]) ** 2}
        )
        agree = np.sign(whole[first] - whole[second]) == np.sign(partial[first] - partial[second])
        rows.append(
            {
                "score": title,
                "n": len(known),
                "spearman": pd.Series(whole).corr(pd.Series(partial), method="spearman"),
                "pair_order": agree[first != second].mean(),
                "difference": pairs["whole"].corr(pairs["partial"], method="spearman"),
                "median": np.median(partial),
                "sd": partial.std(),
                "sd_whole": whole.std(),
            }
        )
    return pd.DataFrame(rows)


def defaults(people: pd.DataFrame, region: str) -> pd.DataFrame:
    """Medians of the whole score, and of the score with two kinds of stand-ins for SBP and lipids.

    Adults with all inputs known, by sex and age band: the whole score; the score with SBP and lipids hidden
    and its own standard values in their place; and with the medians of the adults of the same sex.
    """
    measured = ["sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l"]
    by_sex = people.groupby("sex")[measured].median()
    cohort_medians = {name: by_sex[name].to_dict() for name in measured}
    known = people[(people["completeness"] == 1) & (people["age_years"] >= 40)]
    inputs = {name: known[name] for name in SCORES["score2"].inputs}
    hidden = {name: value for name, value in inputs.items() if name not in measured}
    table = known.assign(
        whole=score2(**inputs, region=region).value,
        standard_values=score2(**hidden, region=region).value,
        cohort_medians=score2(**hidden, region=region, defaults=cohort_medians).value,
    )
    grouped = table.groupby(["age", "sex"], observed=True)
    medians = grouped[["whole", "standard_values", "cohort_medians"]].median()
    return pd.concat([grouped.size().rename("n"), medians], axis=1).reset_index()


def figure(people: pd.DataFrame, path: Path) -> None:
    """Write box plots of the score by age band, sex and completeness; one HTML file that needs no network."""
    import plotly.graph_objects as go

    chart = go.Figure()
    colours = {"female": "#7b3294", "male": "#008837"}
    for sex, colour in colours.items():
        for complete, strength in ((True, 1.0), (False, 0.35)):
            some = people[(people["sex"] == sex) & ((people["completeness"] == 1) == complete)].sort_values(
                "age_years"
            )
            chart.add_box(
                x=some["age"].astype(str),
                y=100 * some["score2"],
                name=f"{sex}, {'all inputs known' if complete else 'some unknown'}",
                marker_color=colour,
                opacity=strength,
                boxpoints=False,
            )
    chart.update_layout(
        boxmode="group",
        title="SCORE2 and SCORE2-OP in NHANES 2009-2012 adults (below 40 extrapolated)",
        xaxis_title="age in years",
        yaxis_title="ten-year risk in % (log scale)",
        yaxis_type="log",
        template="plotly_white",
    )
    chart.write_html(path, include_plotlyjs=True, full_html=True)


if __name__ == "__main__":
    main()
