from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from openclef.benchmarking.tables import TABLES, read_table, write_table


def test_text_stays_text_and_gaps_stay_gaps(tmp_path):
    row = {
        name: {str: "", int: 3, float: np.nan, bool: False}[kind] for name, kind in TABLES["labels"].items()
    }
    row |= {"label": "NA", "model": "null", "auroc": 0.1 + 0.2}
    write_table(tmp_path, "labels", [row, row | {"measurable": True}])
    found = read_table(tmp_path, "labels")
    assert found["label"].tolist() == ["NA", "NA"]
    assert found["model"].tolist() == ["null", "null"]
    assert found["auroc"].tolist() == [0.1 + 0.2] * 2
    assert found["auprc"].isna().all()
    assert found["measurable"].tolist() == [False, True]
    assert found["n"].dtype == int


@pytest.mark.parametrize("name", TABLES)
def test_empty_tables_have_headers(tmp_path, name):
    write_table(tmp_path, name, [])
    assert (tmp_path / f"{name}.csv").read_text().strip() == ",".join(TABLES[name])
    assert read_table(tmp_path, name).empty


def test_damaged_tables_are_named(tmp_path):
    write_table(tmp_path, "ranks", [])
    table = pd.read_csv(tmp_path / "ranks.csv").drop(columns="tasks")
    table.to_csv(tmp_path / "ranks.csv")
    with pytest.raises(ValueError, match=r"ranks\.csv lacks the columns tasks"):
        read_table(tmp_path, "ranks")
    row = dict.fromkeys(TABLES["skipped"], "x")
    (tmp_path / "skipped.csv").write_text(",".join(row) + "\n" + ",".join(row.values()))
    with pytest.raises(ValueError, match=r"skipped\.csv is damaged"):
        read_table(tmp_path, "skipped")
