"""Several scores of a whole table of metadata at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from openclef.risk.result import Score

if TYPE_CHECKING:  # imported in the function: a score alone does without pandas
    import pandas as pd


def score_table(frame: pd.DataFrame, names: Sequence[str] | None = None, **settings: Any) -> pd.DataFrame:
    """Compute scores for every row of a table of metadata.

    Args:
        frame: One row a patient or record, with the columns of a store (``age_years``, ``sex``,
            ``sbp_mmhg`` ...) in any order and among any others. A column that is absent is unknown for all.
        names: Keys of `openclef.risk.SCORES`; all of them by default.
        **settings: Settings such as ``region="low"``, ``strict=True`` or ``defaults={...}``; each score takes
            those that it has, and of ``defaults`` those for its own inputs.

    Returns:
        Rows as in frame, with its index; for each score the columns NAME (the value in the score's own unit,
        NaN where it has no answer), NAME_n_missing (int) and NAME_completeness (0..1).

    Raises:
        ValueError: An unknown or repeated score, a setting or default that none of them has, or a value that
            cannot be: an implausible value is to be made unknown (NaN) before.

    Example:
        >>> import pandas as pd
        >>> people = pd.DataFrame({"age_years": [50, 64], "sex": ["male", None], "smoker": [1, 0]})
        >>> table = score_table(people, ["score2", "age"], region="low")
        >>> table[["score2", "score2_n_missing", "age"]].round(3)
           score2  score2_n_missing   age
        0    0.05                 4  50.0
        1     NaN                 5  64.0
    """
    import pandas as pd

    from openclef.risk import SCORES  # here, because the package imports this module

    chosen = list(SCORES) if names is None else list(names)
    wrong = [name for name in chosen if name not in SCORES or chosen.count(name) > 1]
    if wrong or isinstance(names, str):
        raise ValueError(
            f"names is {names!r}; accepted is a list of scores, each once, of {', '.join(SCORES)}."
        )
    scores = [SCORES[name] for name in chosen]
    _check_settings(scores, settings)
    columns: dict[str, Any] = {}
    for score in scores:
        inputs = {
            name: frame[name] if name in frame else np.full(len(frame), np.nan) for name in score.inputs
        }
        own = {name: value for name, value in settings.items() if name in score.settings}
        if own.get("defaults"):
            own["defaults"] = {name: value for name, value in own["defaults"].items() if name in score.inputs}
        result = score.function(**inputs, **own)
        columns[score.name] = result.value
        columns[f"{score.name}_n_missing"] = result.n_missing
        columns[f"{score.name}_completeness"] = result.completeness
    return pd.DataFrame(columns, index=frame.index)


def unknown_inputs(frame: pd.DataFrame, name: str) -> list[str]:
    """Name the inputs of a score that no row of a table knows.

    Args:
        frame: One row a patient or record, with the columns of a store.
        name: Key of `openclef.risk.SCORES`.

    Returns:
        The inputs whose column is absent or unknown throughout, in the score's order.

    Example:
        >>> import pandas as pd
        >>> people = pd.DataFrame({"age_years": [50, 64], "sex": ["male", ""], "bmi": [None, None]})
        >>> unknown_inputs(people, "prevent_hf")
        ['smoker', 'diabetes', 'sbp_mmhg', 'egfr_ml_min', 'bp_treated', 'bmi']
    """
    from openclef.risk import SCORES

    return [
        each
        for each in SCORES[name].inputs
        if each not in frame or not (frame[each].notna() & (frame[each] != "")).any()
    ]


def _check_settings(scores: Sequence[Score], settings: dict[str, Any]) -> None:
    accepted = dict.fromkeys(setting for score in scores for setting in score.settings)
    wrong = [name for name in settings if name not in accepted]
    if wrong:
        raise ValueError(
            f"the scores {', '.join(score.name for score in scores)} have no setting {', '.join(wrong)}; "
            f"accepted are {', '.join(accepted) or 'none'}; leave it out."
        )
    inputs = {name for score in scores if "defaults" in score.settings for name in score.inputs}
    wrong = [name for name in settings.get("defaults") or {} if name not in inputs]
    if wrong:
        raise ValueError(
            f"defaults has {', '.join(wrong)}; accepted are inputs of {', '.join(s.name for s in scores)}; "
            "remove it."
        )
