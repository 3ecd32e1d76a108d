"""Kinds of labels, inferred from cells."""

from __future__ import annotations

import pandas as pd
import pytest

from openclef.database.labels import declare_labels, infer_kind


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["0", "1", "1"], "binary"),
        (["1", "1"], "binary"),
        (["Yes", "no", "NO"], "binary"),
        (["true", "False"], "binary"),
        (["0", "1", "2"], "multiclass"),
        ([str(number) for number in range(10)], "multiclass"),
        ([str(number) for number in range(11)], "regression"),
        (["55.5", "60"], "regression"),
        (["-1e3", "4.5"], "regression"),
        (["7", "7"], "regression"),
        (["AF", "SR", "SR"], "multiclass"),
        (["AF;SR", "SR"], "multilabel"),
        (["one", "two", "three"], None),
        (["same", "same"], None),
        ([f"ward {number // 2}" for number in range(80)], None),
        ([], None),
    ],
)
def test_kinds(cells, kind):
    assert infer_kind(pd.Series(cells, dtype=object)) == kind


def test_missing_cells_and_metadata_do_not_count():
    table = pd.DataFrame({"p": ["a", "b"], "age_years": ["1", "2"], "x": ["NA", "1"], "empty": ["", "nan"]})
    tasks, told = declare_labels(table, None, {"p"}, "n")
    assert tasks == {"n/x": {"column": "x", "kind": "binary"}}
    assert told == ["n/x: binary, inferred (1: 1)", "empty: no label (all cells are empty); left out"]
