"""What an extraction of clinical metadata knows, as tables for the terminal and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from openclef.database.mimic_iv.summary import (
    AGE_GROUPS,
    UNKNOWN,
    Extraction,
    age_groups,
    completeness_levels,
    is_known,
    known_by_group,
    known_values,
)
from openclef.reporting.markup import (
    Html,
    Section,
    element,
    figure,
    folded,
    join,
    key,
    label,
    missing,
    number,
    scrolling,
    table,
)

__all__ = ["print_profile", "write_profile"]

PAGE = "profile.html"

_ROW_PX = 24
_AROUND_PX = 70
_COLUMN_PX = 36
_NAMES_PX = 180
_FEW = 20  # ECGs of a group below which its shares say little
_LEVELS = ("all inputs known", "80 % or more", "60 to 80 %", "40 to 60 %", "20 to 40 %", "below 20 %")
_WORDS = {
    "age_years": "age, years",
    "sex": "sex (yes: female)",
    "sbp_mmhg": "systolic pressure, mmHg",
    "dbp_mmhg": "diastolic pressure, mmHg",
    "height_cm": "height, cm",
    "weight_kg": "weight, kg",
    "bmi": "body mass index, kg/m²",
    "total_chol_mmol_l": "total cholesterol, mmol/L",
    "hdl_mmol_l": "HDL cholesterol, mmol/L",
    "hba1c_mmol_mol": "HbA1c, mmol/mol",
    "creatinine_mg_dl": "creatinine, mg/dL",
    "egfr_ml_min": "eGFR, mL/min/1.73 m²",
    "diabetes": "diabetes",
    "age_at_diabetes_years": "age at diabetes, years",
    "smoker": "current smoker",
    "hypertension": "hypertension",
    "heart_failure": "heart failure",
    "stroke": "stroke, TIA, thromboembolism",
    "vascular_disease": "vascular disease",
    "atrial_fibrillation": "atrial fibrillation",
    "bp_treated": "antihypertensive drug",
    "statin": "statin",
}


def print_profile(extraction: Extraction, console: Console | None = None) -> None:
    """Print what is known of the ECGs, how complete the scores are, and what was dropped.

    Args:
        extraction: a finished one.
        console: where to; the terminal by default.

    Raises:
        FileNotFoundError: a file of the extraction is missing.

    Example:
        >>> print_profile(Extraction(Path("nowhere"), np.array([]), ""))
        Traceback (most recent call last):
        FileNotFoundError: ...
    """
    console = console or Console()
    known = known_values(extraction)
    shown = Table(title=_size(extraction))
    for heading in ("value", "ECGs", "share", "subjects", "yes or 25 %, median, 75 %", "days away"):
        shown.add_column(
            heading, justify="left" if heading == "value" else "right", no_wrap=heading == "value"
        )
    for row in known.to_dict("records"):
        shown.add_row(
            row["name"],
            f"{row['ecgs']:,}",
            f"{row['share']:.0%}",
            f"{row['subjects']:,}",
            _spread(row),
            _days(row["days"]),
        )
    console.print(shown)
    levels = completeness_levels(extraction.risks)
    if len(levels):
        scores = Table(title="Completeness of the scores: share of the ECGs")
        for heading in ("score", "value", "all inputs", "75 % or more", "half or more", "median"):
            scores.add_column(heading, justify="left" if heading == "score" else "right")
        for score, own in levels.groupby("score", sort=False):
            n = own["n"].sum()
            shares = [
                float(own.loc[own["completeness"] >= least, "n"].sum() / n) for least in (1.0, 0.75, 0.5)
            ]
            middle = np.median(np.repeat(own["completeness"], own["n"]))
            has_value = 1 - own["no_value"].sum() / n
            scores.add_row(str(score), *(f"{share:.0%}" for share in (has_value, *shares, float(middle))))
        console.print(scores)
    dropped = extraction.dropped
    console.print(
        f"Dropped: {dropped['n'].sum():,} rows"
        + (f", most for {_most(dropped)}" if len(dropped) else "")
        + f" (dropped.csv). {_absent(extraction) or 'All tables were there.'}"
    )


def write_profile(extraction: Extraction, path: str | Path | None = None) -> Path:
    """Write what is known of the ECGs as one self-contained page: by value, age and year, and by score.

    Args:
        extraction: a finished one.
        path: HTML file; profile.html in the extraction's folder by default.

    Returns:
        The file.

    Raises:
        ImportError: plotly is not installed.
        FileNotFoundError: a file of the extraction is missing.
        ValueError: the path is no name of a page.

    Example:
        >>> write_profile(Extraction(Path("nowhere"), np.array([]), ""))
        Traceback (most recent call last):
        FileNotFoundError: ...
    """
    from openclef.reporting.page import OF_GROUPS, write_sections

    target = extraction.folder / PAGE if path is None else Path(path)
    known = is_known(extraction.values)
    ages = age_groups(extraction.values["age_years"])
    years = pd.Series(extraction.years, index=known.index)
    sections = [
        Section("known", "What is known", _known(extraction)),
        Section("groups", "By age and year", _groups(known, ages, years)),
        Section("scores", "Completeness of the scores", _scores(completeness_levels(extraction.risks))),
        Section("dropped", "What was dropped", _dropped(extraction)),
        Section("rules", "By which rules", _rules(extraction)),
    ]
    write_sections(target, f"Clinical metadata of {len(known):,} ECGs", sections, OF_GROUPS)
    return target


def _size(extraction: Extraction) -> str:
    values = extraction.values
    return f"{len(values):,} ECGs of {values['subject_id'].nunique():,} subjects"


def _spread(row: dict[Any, Any]) -> str:
    if row["yes"] == row["yes"]:
        return f"{row['yes']:.0%}"
    return ", ".join(number(row[name]) for name in ("q25", "median", "q75")) if row["ecgs"] else "–"


def _days(days: float) -> str:
    return number(round(days)) if days == days else "–"


def _most(dropped: pd.DataFrame) -> str:
    row = dropped.sort_values("n").iloc[-1]
    return f"{row['name']} of {row['table']}: {row['reason']} ({row['n']:,})"


def _absent(extraction: Extraction) -> str:
    absent = [name for name, file in extraction.settings["tables"].items() if file is None]
    return (
        f"Tables that were not there, so that what they hold is unknown: {', '.join(absent)}."
        if absent
        else ""
    )


def _known(extraction: Extraction) -> Html:
    known = known_values(extraction)
    before, after = (abs(days) for days in extraction.settings["window_days"])
    said = (
        f"{_size(extraction)}. Measured values are the nearest in time from {before} days before the ECG to {after} "
        "days after it; diagnoses are those coded at admissions up to it, drugs those prescribed in the year before."
    )
    absent = _absent(extraction)
    words = [_WORDS.get(name, name) for name in known["name"]]
    bars = figure(
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [label(word) for word in words],
                "x": known["share"].to_numpy(),
                "marker": {"color": "@series-0", "line": {"width": 0}},
                "text": [f"{share:.0%}" for share in known["share"]],
                "textposition": "outside",
                "cliponaxis": False,
                "hovertemplate": "%{y}: %{x:.1%} of the ECGs<extra></extra>",
            }
        ],
        {
            "yaxis": {"autorange": "reversed", "showgrid": False, "automargin": True},
            "xaxis": {"range": [0, 1.14], "tickformat": ".0%", "title": {"text": "share of the ECGs"}},
            "bargap": 0.35,
        },
        alt=f"Share of ECGs for which each value is known. {said}",
        title="Share of the ECGs for which a value is known",
        height=_ROW_PX * len(words) + _AROUND_PX,
    )
    rows = [
        [
            word,
            f"{row['ecgs']:,}",
            f"{row['subjects']:,}",
            _spread(row),
            _days(row["days"]),
            "–" if np.isnan(row["after"]) else f"{row['after']:.0%}",
        ]
        for word, row in zip(words, known.to_dict("records"))
    ]
    body = table(
        ["value", "ECGs", "subjects", "yes, or 25 %, median, 75 %", "days away", "after"],
        rows,
        caption="ECGs and subjects with a known value; the share of yes among the known, or quartiles; the median "
        "distance from the ECG in days, and the share taken after it. A diagnosis has the date of its first code",
    )
    return join([element("p", said), missing(absent) if absent else "", bars, body])


def _groups(known: pd.DataFrame, ages: pd.Series, years: pd.Series) -> Html:
    by_age = known_by_group(known, ages).reindex(
        [name for name in (*AGE_GROUPS, UNKNOWN) if (ages == name).any()]
    )
    parts = [_heat(by_age, "age group", "Known by age at the ECG")]
    if years.notna().any():
        names = years.map(lambda year: f"{year:.0f}" if year == year else UNKNOWN)
        parts.append(
            _heat(
                known_by_group(known, names),
                "calendar year",
                "Known by calendar year",
                "MIMIC-IV shifts the years; a calendar year is the middle of the patient's anchor_year_group "
                "and the years between, so it may be off by one.",
            )
        )
    else:
        parts.append(
            missing("The table patients has no anchor_year_group, so the calendar years are unknown.")
        )
    return join(parts)


def _heat(shares: pd.DataFrame, what: str, title: str, more: str = "") -> Html:
    counts = shares["n"]
    cells = shares.drop(columns="n").T
    names = [label(_WORDS.get(str(name), str(name))) for name in cells.index]
    groups = [f"{label(str(group))}<br>{number(n)}" for group, n in counts.items()]
    few = int((counts < _FEW).sum())
    caption = " ".join(
        [
            f"Per cent of the ECGs of each {what} for which a value is known; below each {what} its number of ECGs.",
            *([f"Groups of fewer than {_FEW} ECGs say little."] if few else []),
            *([more] if more else []),
        ]
    )
    picture = figure(
        [
            {
                "type": "heatmap",
                "x": groups,
                "y": names,
                "z": cells.to_numpy() * 100,
                "zmin": 0,
                "zmax": 100,
                "colorscale": [[0, "@series-0/0"], [1, "@series-0/0.7"]],
                "showscale": False,
                "xgap": 2,
                "ygap": 2,
                "texttemplate": "%{z:.0f}",
                "textfont": {"color": "@ink", "size": 11},
                "hovertemplate": "%{y}, %{x}: %{z:.1f} %<extra></extra>",
            }
        ],
        {
            "xaxis": {"type": "category", "showgrid": False, "side": "top", "automargin": True},
            "yaxis": {"autorange": "reversed", "showgrid": False, "automargin": True},
        },
        alt=f"{title}. {caption}",
        title=title,
        caption=caption,
        height=_ROW_PX * len(names) + _AROUND_PX,
    )
    width = _NAMES_PX + _COLUMN_PX * len(groups)
    return scrolling(element("div", picture, style=f"min-width:{width}px"), title)


def _scores(levels: pd.DataFrame) -> Html:
    if levels.empty:
        return missing("No score was computed; extract with risks='all' (--risks all).")
    scores = list(dict.fromkeys(levels["score"]))
    traces: list[dict[str, Any]] = []
    shades = np.minimum(np.floor((1 - levels["completeness"]) * 10 / 2 + 0.999), len(_LEVELS) - 1).astype(int)
    for (shade, completeness), own in levels.groupby([shades, "completeness"]):
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "y": [label(score) for score in own["score"]],
                "x": own["share"].to_numpy(),
                "name": f"{completeness:.0%}",
                "marker": {"color": f"@level-{shade}", "line": {"color": "@panel", "width": 1}},
                "hovertemplate": f"%{{y}}: {completeness:.0%} known, %{{x:.1%}} of the ECGs<extra></extra>",
            }
        )
    traces.sort(key=lambda trace: -float(trace["name"].rstrip("%")))
    used = [(name, f"level-{place}", "box") for place, name in enumerate(_LEVELS) if (shades == place).any()]
    legend = key(used)
    picture = figure(
        traces,
        {
            "barmode": "stack",
            "yaxis": {
                "autorange": "reversed",
                "showgrid": False,
                "automargin": True,
                "categoryarray": scores,
            },
            "xaxis": {"range": [0, 1], "tickformat": ".0%", "title": {"text": "share of the ECGs"}},
            "hovermode": "closest",
            "bargap": 0.35,
        },
        alt="Share of ECGs by completeness, for each score.",
        caption="Completeness: share of a score's inputs that are known. Each piece of a bar is one number of inputs.",
        height=(_ROW_PX + 6) * len(scores) + _AROUND_PX,
    )
    rows = [
        [
            f"{row['score']}, {row['completeness']:.0%} known",
            f"{row['n']:,}",
            f"{row['share']:.1%}",
            f"{row['no_value']:,}",
        ]
        for row in levels.to_dict("records")
    ]
    body = table(
        ["score and completeness", "ECGs", "share", "without a value"],
        rows,
        caption="ECGs at each completeness; a score has no value where age or sex is unknown",
    )
    return join([legend, picture, folded("As a table", body)])


def _dropped(extraction: Extraction) -> Html:
    dropped = extraction.dropped
    if dropped.empty:
        return element("p", "Nothing was dropped.")
    rows = [
        [row["table"], row["name"], row["reason"], f"{row['n']:,}"]
        for row in dropped.sort_values(["table", "n"], ascending=[True, False]).to_dict("records")
    ]
    return table(
        ["table", "value", "reason", "rows"],
        rows,
        caption="Rows of the listed subjects that were not used, at any time and not in the window alone. Rows of "
        "record_list are ECGs",
        numeric=3,
    )


def _rules(extraction: Extraction) -> Html:
    about = extraction.settings
    said = (
        f"Rules with SHA-256 {about['concepts_sha256']}, openclef {about['versions']['openclef']}, DuckDB "
        f"{about['versions']['duckdb']}."
    )
    return join(
        [element("p", said), folded("The file of rules", element("pre", extraction.rules, class_="scroll"))]
    )
