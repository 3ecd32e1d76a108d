"""Integrity of the metadata that guide: what a cohort's risk scores rest on, and what they add to age and sex."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from openclef import risk
from openclef.risk.inputs import QUANTITIES
from openclef.risk.result import Score
from openclef.risk.summary import AGE_SEX_ONLY

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd

FEWEST_SUBJECTS = 20  # with fewer, a rank correlation says nothing
AGE_AND_SEX_RHO = 0.98  # a score that goes with `age_sex` as closely as this tells no more than age and sex
FILLED_SHARE = 0.25  # so many known values of a measurement are equal only where somebody filled them in
FEWEST_KNOWN = 50  # of a measurement, before equal values are taken for filled in
DEFAULTS_RHO = 0.9  # below this rank correlation the defaults decide the ranking
CONTROLS = ("age", "age_sex")
_WRONG = {"low": 0.1, "high": 0.9}  # wrong defaults: these quantiles of what is known


@dataclass(frozen=True)
class Judgement:
    """What is said of one score.

    Args:
        score: its name.
        verdict: ``"informative"``, ``"age and sex"``, ``"doubtful"``, ``"degenerate"`` or ``"cannot be judged"``.
        reasons: why, a sentence each; none for a sound score.

    Example:
        >>> str(Judgement("score2", "informative", ()))
        'score2: informative'
    """

    score: str
    verdict: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.score}: {self.verdict}" + (f": {'; '.join(self.reasons)}" if self.reasons else "")


@dataclass(frozen=True)
class Integrity:
    """The integrity of a cohort's metadata as guidance, one row a subject.

    Args:
        subjects: how many were looked at.
        judgements: one a score.
        distribution: a row a score and level of completeness (NaN: all): score, completeness, n, share, unknown, min,
            q25, median, q75, max, modal_value, modal_share.
        inputs: a row an input: input, known (share), default (share at the default of the scores, because
            unknown), modal_value and modal_share of the known ones.
        correlations: a row a pair of scores: score, other, spearman, n; ``other`` is "completeness", too.
        wrong_defaults: a row a score, input and wrong default: score, input, wrong ("low", "high": the 10th and 90th
            percentile of the known by sex; "yes"), unknown (share), spearman with the score as it is, and shift, the
            mean change of rank as a share of all ranks.

    Example:
        >>> import pandas as pd
        >>> people = pd.DataFrame({"age_years": [50.0, 60.0], "sex": ["male", "female"]})
        >>> judge_integrity(people).subjects
        2
    """

    subjects: int
    judgements: list[Judgement]
    distribution: pd.DataFrame
    inputs: pd.DataFrame
    correlations: pd.DataFrame
    wrong_defaults: pd.DataFrame

    @property
    def verdict(self) -> str:
        """One sentence on the whole."""
        if all(each.verdict == "cannot be judged" for each in self.judgements):
            return "nothing can be judged: the age or the sex of nearly everybody is unknown, or there are too few"
        good = [each.score for each in self.judgements if each.verdict == "informative"]
        if good:
            return f"{', '.join(good)} say more than age and sex do" + (
                "" if len(good) == len(self._own) else "; of the others see below"
            )
        if not self._own:
            return "only age and sex are known: guidance from these metadata is age-and-sex guidance"
        return "no score says clearly more than age and sex do: call guidance by them age-and-sex guidance"

    @property
    def _own(self) -> list[Judgement]:
        return [each for each in self.judgements if each.score not in CONTROLS]


def judge_integrity(
    records: pd.DataFrame, names: Sequence[str] | None = None, *, region: str = "low"
) -> Integrity:
    """Judge what the risk scores of a cohort rest on, from its metadata.

    Subjects count once, by their first record. The scores are computed as guidance (not strict), at their default
    values for what is unknown.

    Args:
        records: metadata under the names of a store's columns, one row a record, such as ``store.records``.
        names: keys of ``openclef.risk.SCORES``; None: `age`, `age_sex` and each score of which an input beyond age
            and sex is known of somebody.
        region: of the scores that have one.

    Returns:
        The tables and a judgement of each score.

    Raises:
        ValueError: no row, an unknown score, or a value that cannot be.

    Example:
        >>> import pandas as pd
        >>> rng = np.random.default_rng(0)
        >>> people = pd.DataFrame({"age_years": rng.uniform(40, 80, 300), "sex": ["male", "female", "male"] * 100})
        >>> people["sbp_mmhg"] = rng.normal(135, 25, 300).clip(90, 220)
        >>> print(*judge_integrity(people, ["age_sex", "score2"]).judgements, sep="; ")
        age_sex: age and sex; score2: informative
    """
    import pandas as pd

    if not len(records) or not len(records.columns):
        raise ValueError(
            "records has no row or no column; accepted is one row a record: pass a store's records"
        )
    chosen = [names] if isinstance(names, str) else names
    if chosen is not None and len(set(chosen)) < len(chosen):
        raise ValueError(f"names is {names!r}; accepted are scores, each once")
    people = _one_a_subject(records)
    scores = [_find(name) for name in (_usable(people) if chosen is None else chosen)]
    settings = [{"region": region} if "region" in score.settings else {} for score in scores]
    results = {
        score.name: score.function(**_inputs(score, people), **own)
        for score, own in zip(scores, settings, strict=True)
    }
    values = {name: result.value for name, result in results.items()}
    described = {
        name: risk.describe(result.value, result.n_missing, result.completeness)
        for name, result in results.items()
    }
    distribution = pd.DataFrame(
        [{"score": name, **row} for name, found in described.items() for row in found.rows]
    )
    with_controls = {name: _control(name, people, region) for name in CONTROLS} | values
    correlations = pd.DataFrame(
        [*_pairs(with_controls), *_with_completeness(results)], columns=["score", "other", "spearman", "n"]
    )
    inputs = _input_rows(people, scores)
    wrong = [
        row
        for score, own in zip(scores, settings, strict=True)
        for row in _wrong_defaults(score, people, values[score.name], own)
    ]
    columns = ["score", "input", "wrong", "unknown", "spearman", "shift"]
    wrong_defaults = pd.DataFrame(wrong, columns=columns)
    judgements = [
        _judge(
            score, values[score.name], described[score.name].degenerate, correlations, inputs, wrong_defaults
        )
        for score in scores
    ]
    return Integrity(len(people), judgements, distribution, inputs, correlations, wrong_defaults)


def _one_a_subject(records: pd.DataFrame) -> pd.DataFrame:
    if "subject_id" not in records:
        return records.reset_index(drop=True)
    subject = records["subject_id"]
    unknown = subject.isna() | (subject.astype(str) == "")
    return records[unknown | ~subject.duplicated()].reset_index(drop=True)


def _find(name: str) -> Score:
    if name not in risk.SCORES:
        raise ValueError(f"score {name!r} is unknown; accepted are {', '.join(risk.SCORES)}")
    return risk.SCORES[name]


def _usable(people: pd.DataFrame) -> list[str]:
    known = {name for name in people if name in QUANTITIES and _is_known(people[name]).any()}
    return [
        name
        for name, score in risk.SCORES.items()
        if name in CONTROLS or set(score.inputs) & known - {"age_years", "sex"}
    ]


def _is_known(column: pd.Series) -> np.ndarray:
    return np.asarray(column.notna() & (column.astype(object) != ""))


def _inputs(score: Score, people: pd.DataFrame) -> dict[str, Any]:
    return {name: people[name] if name in people else np.full(len(people), np.nan) for name in score.inputs}


def _control(name: str, people: pd.DataFrame, region: str) -> np.ndarray:
    score = risk.SCORES[name]
    own = {"region": region} if "region" in score.settings else {}
    return score.function(**_inputs(score, people), **own).value


def _spearman(first: np.ndarray, second: np.ndarray) -> tuple[float, int]:
    from scipy.stats import rankdata

    both = ~np.isnan(first) & ~np.isnan(second)
    ranks = [rankdata(values[both]) for values in (first, second)]
    if both.sum() < FEWEST_SUBJECTS or min(rank.std() for rank in ranks) == 0:
        return math.nan, int(both.sum())
    return float(np.corrcoef(*ranks)[0, 1]), int(both.sum())


def _pairs(values: dict[str, np.ndarray]) -> Iterable[tuple[str, str, float, int]]:
    names = list(values)
    for place, other in enumerate(names):
        for name in names[place + 1 :]:
            yield (name, other, *_spearman(values[name], values[other]))


def _with_completeness(results: dict[str, risk.RiskResult]) -> Iterable[tuple[str, str, float, int]]:
    for name, result in results.items():
        if name not in CONTROLS:
            yield (name, "completeness", *_spearman(result.value, result.completeness))


def _input_rows(people: pd.DataFrame, scores: Sequence[Score]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for name in dict.fromkeys(name for score in scores for name in score.inputs):
        known = people[name][_is_known(people[name])] if name in people else people.iloc[:0, 0]
        share = len(known) / len(people)
        counts = known.value_counts()
        filled = math.nan if name in ("age_years", "sex") else 1 - share
        modal = (counts.index[0], int(counts.iloc[0]) / len(known)) if len(known) else ("", math.nan)
        rows.append((name, len(known), share, filled, str(modal[0]), modal[1]))
    return pd.DataFrame(rows, columns=["input", "n", "known", "default", "modal_value", "modal_share"])


def _wrong_defaults(
    score: Score, people: pd.DataFrame, value: np.ndarray, own: dict[str, Any]
) -> Iterable[tuple[str, str, str, float, float, float]]:
    """The score with one unknown input at a wrong value instead of the default."""
    from scipy.stats import rankdata

    if "defaults" not in score.settings or "sex" not in people:
        return
    for name in score.inputs:
        if name in ("age_years", "sex") or name not in people:
            continue
        known = _is_known(people[name])
        if known.all() or known.sum() < FEWEST_SUBJECTS:
            continue
        for word, default in _wrong_values(name, people[known]).items():
            changed = score.function(**_inputs(score, people), **own, defaults={name: default}).value
            both = ~np.isnan(value) & ~np.isnan(changed)
            moved = np.abs(rankdata(value[both]) - rankdata(changed[both]))
            shift = float(moved.mean() / both.sum()) if both.any() else math.nan
            yield score.name, name, word, float(1 - known.mean()), _spearman(value, changed)[0], shift


def _wrong_values(name: str, people: pd.DataFrame) -> dict[str, Any]:
    if QUANTITIES[name].kind == "yes_no":
        return {"yes": 1.0}
    numbers = people[name].astype(float)
    by_sex = {sex: numbers[(people["sex"] == sex).to_numpy()] for sex in ("female", "male")}
    return {
        word: {sex: float((part if len(part) else numbers).quantile(q)) for sex, part in by_sex.items()}
        for word, q in _WRONG.items()
    }


def _judge(
    score: Score,
    value: np.ndarray,
    degenerate: str | None,
    correlations: pd.DataFrame,
    inputs: pd.DataFrame,
    wrong_defaults: pd.DataFrame,
) -> Judgement:
    if np.count_nonzero(~np.isnan(value)) < FEWEST_SUBJECTS:
        return Judgement(
            score.name, "cannot be judged", (f"fewer than {FEWEST_SUBJECTS} subjects have a value",)
        )
    reasons = [
        f"{row['modal_share']:.0%} of the known {row['input']} are exactly {row['modal_value']}: filled in, as it "
        "looks; make them unknown, or completeness says too much"
        for row in inputs.to_dict("records")
        if row["input"] in score.inputs
        and row["input"] != "age_years"
        and QUANTITIES[row["input"]].kind == "number"
        and row["n"] >= FEWEST_KNOWN
        and row["modal_share"] > FILLED_SHARE
    ]
    wrong = [row for row in wrong_defaults.to_dict("records") if row["score"] == score.name]
    worst = min(wrong, key=lambda row: (math.isnan(row["spearman"]), row["spearman"]), default=None)
    if worst is not None and worst["spearman"] < DEFAULTS_RHO:
        reasons.append(
            f"the default decides: with {worst['wrong']} instead of it for the {worst['unknown']:.0%} whose "
            f"{worst['input']} is unknown the ranks correlate by {worst['spearman']:.2f} only"
        )
    if any(not each.endswith(AGE_SEX_ONLY) for each in (degenerate or AGE_SEX_ONLY).split("; ")):
        return Judgement(score.name, "degenerate", (str(degenerate), *reasons))
    if score.name in CONTROLS:
        return Judgement(score.name, "age and sex", tuple(reasons))
    closest = correlations[(correlations["score"] == score.name) & (correlations["other"] == "age_sex")]
    rho = float(closest["spearman"].iloc[0])
    if degenerate or rho >= AGE_AND_SEX_RHO:
        said = f"its ranks go with those of age and sex alone (Spearman {rho:.3f})"
        return Judgement(score.name, "age and sex", (said, *([degenerate] if degenerate else []), *reasons))
    return Judgement(score.name, "doubtful" if reasons else "informative", tuple(reasons))
