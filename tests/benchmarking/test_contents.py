from __future__ import annotations

import numpy as np
import pytest

from openclef.benchmarking.contents import _bins
from openclef.metrics import apply_temperature, fit_temperature
from openclef.protocol.result import load_result


def test_labels_are_counted_and_carry_their_own_metrics(bench, store):
    rows = bench.labels.query("model == 'poor' and task == 'tiny/labels'").set_index("label")
    assert list(rows.index) == ["A", "B", "NA"]
    judged = store.records[store.records["split"] == "test"]
    for label in rows.index:
        assert rows.loc[label, "positives"] == (judged[f"l/{label}"] == 1).sum()
        assert rows.loc[label, "n"] == len(judged)
        assert rows.loc[label, "prevalence"] == pytest.approx(judged[f"l/{label}"].mean())
    assert rows["measurable"].tolist() == [True, True, False]
    metrics = bench.metrics.query(
        "model == 'poor' and task == 'tiny/labels' and condition == '' and part == ''"
    )
    of = metrics.set_index("metric")
    for label in rows.index:
        for metric in ("auroc", "auprc"):
            found = rows.loc[label, [metric, f"{metric}_low", f"{metric}_high"]].astype(float)
            expected = of.loc[f"{metric}:{label}", ["value", "low", "high"]].astype(float)
            np.testing.assert_allclose(found, expected)
    assert set(bench.labels["task"]) == {"tiny/labels", "tiny/copy"}  # regression has no labels


def test_calibration_curves_by_hand(bench):
    cell = bench.folder / "cells" / "tiny" / "labels" / "I" / "probe" / "1" / "poor"
    table = load_result(cell).predictions.query("model == 'poor' and condition == ''")
    wide = {
        split: [
            of.pivot_table(index="record_id", columns="label", values=value) for value in ("target", "score")
        ]
        for split, of in table.groupby("split")
    }
    temperature = fit_temperature(*(each.to_numpy() for each in wide["val"]))
    target, score = (each[["A", "B"]].to_numpy() for each in wide["test"])  # NA is not measurable
    scaled = apply_temperature(score, temperature)
    found = bench.reliability.query("model == 'poor' and task == 'tiny/labels'")
    assert found["n"].sum() == target.size
    for row in found.itertuples():
        inside = (scaled >= row.bin_low) & (scaled < row.bin_high)
        assert row.n == inside.sum()
        assert row.mean_predicted == pytest.approx(scaled[inside].mean())
        assert row.observed == pytest.approx(target[inside].mean())
    several = bench.reliability.query("model == 'good' and task == 'tiny/labels'")
    assert several["n"].sum() == 2 * target.size  # two seeds


def test_bins_hold_their_ends():
    found = _bins(np.array([0.0, 1, 1, 0]), np.array([0.0, 0.1, 1.0, 0.95]))
    assert [(row["bin_low"], row["n"]) for row in found] == [(0.0, 1), (0.1, 1), (0.9, 2)]
    assert found[-1]["observed"] == 0.5
