"""The table and figure of a store's score by completeness."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from openclef.record import Record
from openclef.reporting.risk import print_risk, risk_table, write_risk_figure
from openclef.store import Store, StoreWriter
from tests.reporting.packs import packs_of


def _store(folder, ages: list[float]) -> Store:
    rng = np.random.default_rng(0)
    writer = StoreWriter(folder, name="cohort", scale=0.001, fs=100, leads=("I",), seconds=10)
    records = [
        Record(rng.normal(0, 0.3, (1, 1000)), 100, ("I",), f"r{i}", subject_id=f"s{i}")
        for i in range(len(ages))
    ]
    writer.write_part(0, records, [{"age_years": age, "sex": "female"} for age in ages])
    return writer.finish()


def _printed(store: Store, label: str) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_risk(store, label, console)
    return console.file.getvalue()


def test_levels_of_completeness_and_unknown_values(tmp_path) -> None:
    store = _store(tmp_path / "store", [45.0, 55.0, 65.0, np.nan]).add_risk("age_sex")
    table = risk_table(store, "age_sex")
    assert table["completeness"].tolist()[:2] == [1.0, 0.5]
    assert table["n"].tolist() == [3, 1, 4]
    assert table["unknown"].tolist() == [0, 1, 1]
    text = _printed(store, "age_sex")
    assert "nan" not in text
    assert "tells patients apart" in text


def test_a_degenerate_score_is_warned_about_and_said(tmp_path) -> None:
    store = _store(tmp_path / "store", [60.0] * 6 + [70.0])
    with pytest.warns(UserWarning, match="share one value"):
        store.add_risk("age_sex")
    assert "degenerate: 86 % of patients share one value" in _printed(store, "age_sex")


def test_the_figure_is_a_page(tmp_path) -> None:
    pytest.importorskip("plotly")
    store = _store(tmp_path / "store", [45.0, 55.0, 65.0]).add_risk("age", label="old")
    with pytest.raises(ValueError, match=r"\.html or \.htm"):
        write_risk_figure(store, "old", store.path / "dataset.json")
    with pytest.raises(KeyError, match="holds no risk"):
        write_risk_figure(store, "score2", tmp_path / "figure.html")
    write_risk_figure(store, "old", tmp_path / "figure.html")
    assert '"title":{"text":"Age, in years"}' in packs_of((tmp_path / "figure.html").read_text())["figures"]


def test_the_figure_counts_every_known_window(tmp_path) -> None:
    pytest.importorskip("plotly")
    store = _store(tmp_path / "store", [45.0, 55.0, 65.0, np.nan]).add_risk("age_sex")
    page = tmp_path / "figure.html"
    write_risk_figure(store, "age_sex", page)
    text = page.read_text()
    assert "unknown for 1 of 4 windows" in text
    assert '"name":"100%"' in packs_of(text)["figures"]
    assert "SCORE2 and SCORE2-OP from age and sex alone" in text
    assert "as a fraction" in text
    assert "<script src=" not in text, "the page opens offline"
