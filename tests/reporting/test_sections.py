"""The numbers of each section against slow, plain ways to the same."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from openclef.reporting.contents import Contents, FoundRun, find_contents
from openclef.reporting.curves import curve_values, curves_section
from openclef.reporting.embedding_map import colourings, map_positions, neighbour_agreement, neighbours
from openclef.reporting.embeddings import embed_runs
from openclef.reporting.heading import badges, guidance_words, heading_section
from openclef.reporting.markup import embedded, label, plain, table
from openclef.reporting.results import model_order, reading, results_section, shown_metrics
from openclef.reporting.risk import completeness_counts
from openclef.reporting.similarity import (
    against_random,
    rho_difference,
    similarity_curve,
    similarity_section,
)
from openclef.reporting.strips import choose_records, make_views, strip


@pytest.fixture(scope="module")
def groups(reported):
    return embed_runs(find_contents([reported]).runs, split="val", windows=20, seed=0)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_similarity_bins_equal_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    vectors, risk = rng.normal(size=(40, 5)), rng.random(40)
    risk[3] = np.nan
    subject = np.repeat(np.arange(20), 2)
    curve = similarity_curve(vectors, risk, subject, bins=4, draws=20)
    pairs = [
        (abs(risk[i] - risk[j]), _cosine(vectors[i], vectors[j]))
        for i in range(40)
        for j in range(i + 1, 40)
        if subject[i] != subject[j] and np.isfinite(risk[i] + risk[j])
    ]
    gap, cosine = np.array(pairs).T
    edges = np.quantile(gap, [0.25, 0.5, 0.75])
    for number in range(4):
        inside = [k for k in range(len(gap)) if sum(gap[k] >= edge for edge in edges) == number]
        assert curve.pairs[number] == len(inside)
        assert curve.difference[number] == pytest.approx(gap[inside].mean())
        assert curve.mean[number] == pytest.approx(cosine[inside].mean(), abs=1e-6)
    expected = pd.Series(gap).corr(pd.Series(cosine), method="spearman")
    assert curve.rho[0] == pytest.approx(expected, abs=1e-3)
    assert (curve.low <= curve.mean + 0.05).all()
    assert (curve.high >= curve.mean - 0.05).all()
    assert curve.rho[1] < curve.rho[0] < curve.rho[2]


def test_similarity_intervals_equal_a_slow_bootstrap() -> None:
    from openclef.statistics import subject_counts

    rng = np.random.default_rng(4)
    risk, subject = rng.random(24), np.repeat(np.arange(12), 2)
    both = [np.stack([np.cos(risk), np.sin(risk)], 1), rng.normal(size=(24, 3))]
    curves = [similarity_curve(vectors, risk, subject, bins=3, draws=40, seed=2) for vectors in both]
    times = subject_counts(subject, draws=40, seed=2)
    pairs = [(i, j) for i in range(24) for j in range(i + 1, 24) if subject[i] != subject[j]]
    gap = np.array([abs(risk[i] - risk[j]) for i, j in pairs])
    place = np.digitize(gap, np.quantile(gap, [1 / 3, 2 / 3]))
    drawn_rho = []
    for vectors, curve in zip(both, curves):
        cosine = np.array([_cosine(vectors[i], vectors[j]) for i, j in pairs])
        ranks = [pd.Series(each).rank().to_numpy() for each in (gap, cosine)]
        means, rhos = [], []
        for draw in range(40):
            weight = np.array([times[i, draw] * times[j, draw] for i, j in pairs])
            means.append([np.average(cosine[place == k], weights=weight[place == k]) for k in range(3)])
            covariance = np.cov(ranks, aweights=weight, ddof=0)
            rhos.append(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
        low, high = np.quantile(means, [0.025, 0.975], axis=0)
        assert curve.low == pytest.approx(low, abs=1e-4)
        assert curve.high == pytest.approx(high, abs=1e-4)
        assert curve.rho[1:] == pytest.approx(np.quantile(rhos, [0.025, 0.975]), abs=1e-3)
        drawn_rho.append(rhos)
    apart = np.quantile(np.subtract(*drawn_rho), [0.025, 0.975])
    value, *ends = rho_difference(*curves)
    assert value == pytest.approx(curves[0].rho[0] - curves[1].rho[0])
    assert ends == pytest.approx(apart, abs=2e-3)


@pytest.mark.parametrize(
    ("difference", "differs"),
    [
        ((-0.002, -0.01, -0.0004), False),
        ((0.01, 0.0004, 0.02), False),
        ((0.01, 0.002, 0.02), True),
        ((-0.05, -0.09, -0.01), True),
    ],
)
def test_no_contrast_is_made_by_rounding(difference, differs) -> None:
    said = against_random("clef", difference)
    assert ("differs from" in said) == differs
    assert "−0.000" not in said


def test_similarity_says_rho_and_the_paired_difference(groups) -> None:
    colours = {"clef": "series-0", "simclr": "series-1"}
    body = similarity_section(*groups, colours, seed=0).body
    one = r"[+−]\d\.\d{3} \[[+−]\d\.\d{3}, [+−]\d\.\d{3}\]"
    for name in colours:
        assert re.search(rf"{name} {one}", body)
        assert re.search(rf"{name} minus random {one}, (differs from|no difference from)", body)
    assert re.search(rf"random encoder {one}", body)
    assert "the more two patients differ" not in body


def test_similarity_draws_weigh_pairs_by_both_subjects() -> None:
    from openclef.reporting.similarity import _bilinear

    rng = np.random.default_rng(1)
    i, j = np.triu_indices(6, 1)
    each, weight = rng.random(len(i)), rng.integers(0, 3, (6, 4)).astype(np.float32)
    slow = [sum(e * weight[a, d] * weight[b, d] for a, b, e in zip(i, j, each)) for d in range(4)]
    assert _bilinear(i, j, each, weight) == pytest.approx(slow, rel=1e-5)


def test_similarity_of_tied_and_few_risks() -> None:
    vectors = np.random.default_rng(0).normal(size=(12, 3))
    curve = similarity_curve(vectors, np.zeros(12), np.arange(12), draws=10)
    assert curve.pairs.tolist() == [66]
    assert np.isnan(curve.rho[0])
    with pytest.raises(ValueError, match="at least 3"):
        similarity_curve(vectors, np.zeros(12), np.zeros(12))


def test_a_planted_trend_is_found_and_none_where_there_is_none() -> None:
    rng = np.random.default_rng(0)
    risk = rng.random(60)
    along = np.stack([np.cos(risk), np.sin(risk)], 1)
    assert similarity_curve(along, risk, np.arange(60), draws=50).rho[2] < -0.9
    noise = similarity_curve(rng.normal(size=(60, 8)), risk, np.arange(60), draws=50)
    assert noise.rho[1] < 0 < noise.rho[2]


def test_embeddings_are_those_of_the_run_and_windows_are_capped(groups, reported, small) -> None:
    import openclef
    from openclef.embedding import embed_store

    (group,), absent = groups
    assert len(group.row) == 20
    assert set(group.vectors) == {"clef", "simclr"}
    assert list(group.random) == ["random encoder"]
    assert "unfinished" in absent[0]
    assert (small.records["split"].to_numpy()[group.row] == "val").all()
    slow = embed_store(openclef.load(reported / "clef"), small, lead="I", rows=group.row)
    assert group.vectors["clef"] == pytest.approx(slow, abs=1e-5)
    assert group.value == pytest.approx(small.risk("age_sex")["value"].to_numpy()[group.row])
    assert group.column("age_years").tolist() == small.records["age_years"].to_numpy()[group.row].tolist()


def test_map_is_the_same_each_time_and_stands_collapse(groups) -> None:
    vectors = groups[0][0].vectors["clef"]
    assert np.array_equal(map_positions(vectors, seed=1), map_positions(vectors, seed=1))
    assert not map_positions(np.ones((8, 4))).any()


def test_colours_are_risk_age_and_labels(groups) -> None:
    kinds = {kind["name"]: kind for kind in colourings(groups[0][0])}
    assert list(kinds) == ["age_sex", "age in years", "old"]
    ages = kinds["age in years"]["values"]
    assert kinds["old"]["values"] == [int(age > 60) for age in ages]


def test_neighbours_are_of_other_subjects() -> None:
    rng = np.random.default_rng(0)
    vectors, subject = rng.normal(size=(15, 3)), np.repeat(np.arange(5), 3)
    order = neighbours(vectors, subject)
    for i in range(15):
        others = [j for j in range(15) if subject[j] != subject[i]]
        expected = sorted(others, key=lambda j: -_cosine(vectors[i], vectors[j]))[:10]
        assert order[i].tolist() == expected
    value = rng.random(15)
    ours, chance = neighbour_agreement(value.tolist(), order, subject, scale=True)
    assert ours == pytest.approx(np.mean([abs(value[i] - value[j]) for i in range(15) for j in order[i]]))
    every = [abs(value[i] - value[j]) for i in range(15) for j in range(15) if subject[i] != subject[j]]
    assert chance == pytest.approx(np.mean(every))
    has = (value > 0.5).astype(float)
    ours, chance = neighbour_agreement(has.tolist(), order, subject, scale=False, among=1)
    assert ours == pytest.approx(np.mean([has[j] for i in range(15) if has[i] for j in order[i]]))
    pairs = [has[j] for i in range(15) if has[i] for j in range(15) if subject[i] != subject[j]]
    assert chance == pytest.approx(np.mean(pairs))


def test_tables_have_baselines_first_and_only_measured_metrics_open() -> None:
    names = [
        "clef + age_sex",
        "clef",
        "scratch",
        "random_encoder",
        "age_sex",
        "zzz",
        "random_encoder + age_sex",
    ]
    assert model_order(names) == [
        *("age_sex", "random_encoder", "random_encoder + age_sex", "scratch"),
        *("clef", "clef + age_sex", "zzz"),
    ]
    rows = pd.DataFrame({"metric": ["auroc", "auroc:AF", "prevalence", "auprc", "brier", "mae"]})
    rows["part"] = ["", "", "", "", "", "female"]
    rows["condition"] = ""
    assert shown_metrics(rows) == ["auroc", "auprc"]


@pytest.mark.parametrize(
    ("metric", "values", "words"),
    [
        (
            "auroc",
            {"age_sex": 0.7, "clef": 0.95},
            "Highest: clef, 0.950 [0.850, 1.050]; the best baseline is",
        ),
        ("auroc", {"age_sex": 0.7, "clef": 0.95}, "do not overlap"),
        ("auroc", {"age_sex": 0.9, "clef": 0.85}, "a baseline; the best encoder is clef"),
        ("mae", {"age_sex": 0.9, "clef": 0.85}, "Lowest: clef"),
        ("auroc", {"clef": 0.85}, "no baseline"),
        ("auroc", {"clef": np.nan, "age_sex": 0.5}, "Highest: age_sex"),
    ],
)
def test_readings_are_computed(metric, values, words) -> None:
    rows = pd.DataFrame({"model": list(values), "value": list(values.values())})
    rows["low"], rows["high"] = rows["value"] - 0.1, rows["value"] + 0.1
    assert words in reading(rows, metric)


def test_result_section_orders_rows_and_escapes_names(reported) -> None:
    body = results_section(find_contents([reported])).body
    rows = [part.split("</th>")[0].replace("<wbr>", "") for part in body.split('<th scope="row">')[1:6]]
    assert rows == ["age_sex", "random_encoder", "clef", "simclr", "simclr + age_sex"]
    assert "<script>alert" not in body
    assert "small/&lt;script&gt;" in body


def test_each_protocol_has_a_heading_and_tables_of_its_own(tmp_path, row, save_rows) -> None:
    save_rows(tmp_path, [row("clef", 0.8), row("clef", 0.9, protocol="fine-tune")])
    body = results_section(find_contents([tmp_path])).body
    assert re.findall(r"<h3>small/old<span class=.sub.>protocol ([\w-]+)", body) == ["probe", "fine-tune"]
    assert re.findall(r"<caption><span>AUROC, small/old, protocol ([\w-]+)", body) == ["probe", "fine-tune"]


def test_curves_keep_what_is_known() -> None:
    history = pd.DataFrame({"epoch": [1.0, 2.0], "loss": [3.0, np.nan], "val_loss": [np.nan, np.nan]})
    run = FoundRun(None, "x", {}, False, history)
    assert [what for what, *_ in curve_values(run, "loss")] == ["training"]
    assert curve_values(run, "uniformity") == []
    contents = Contents([], [run], pd.DataFrame(), [], [])
    assert "Last: x 3 at epoch 1, not finite after it." in curves_section(contents).body
    never = pd.DataFrame({"epoch": [1.0, 2.0], "loss": [np.nan, np.inf]})
    assert curve_values(FoundRun(None, "x", {}, False, never), "loss") == []


def test_heading_says_what_was_run(reported) -> None:
    found = find_contents([reported])
    body = heading_section(found).body
    assert "unfinished: 2 of 2 epochs" in body
    assert "6 (3 an epoch, 48 windows)" in body
    assert "443,184" in body
    (store,) = found.stores
    assert f"48 of {len(store):,} windows (train)" in body
    assert badges(found) == []
    clef, simclr, _ = found.runs
    assert "risk age_sex; squared difference, scaled within the batch; margin 0.2" in guidance_words(clef)
    assert guidance_words(simclr) == "none"


def test_risk_counts_every_known_window(small) -> None:
    edges, counts = completeness_counts(small, "age_sex", bins=5)
    values = small.risk("age_sex")["value"].to_numpy()
    assert sum(counts.values()).tolist() == np.histogram(values, edges)[0].tolist()


def test_records_differ_in_label_and_subject(small) -> None:
    chosen = choose_records(small, "val", count=4)
    records = small.records.iloc[chosen]
    assert records["old"].tolist()[:2] == [0.0, 1.0]
    assert records["subject_id"].is_unique
    assert set(records["split"]) == {"val"}
    assert choose_records(small, "nowhere") == []


def test_views_are_those_of_pretraining_but_for_the_z_score(small) -> None:
    from openclef.augment import Views
    from openclef.preprocessing import Preprocessing

    plain_views = Views(noise="none", mask_probability=0)
    preprocessing = Preprocessing(fs=100.0)
    ((first, second),) = make_views(small, [5], preprocessing, plain_views, "II", seed=0)
    import torch

    expected = preprocessing.filter(torch.from_numpy(small.read([5], ["II"])), small.fs)[0, 0].numpy()
    assert first[0] == second[0] == "II"
    assert first[1] == pytest.approx(expected, abs=1e-6)


def test_strip_is_to_scale_with_square_boxes() -> None:
    signal = np.zeros(500)
    signal[250] = 2.0  # 2 mV, 2.5 s after the start of 5 s
    drawn = strip(signal, 100.0, "Recorded")
    assert 'viewBox="-10 -25 135 35"' in drawn, "10 mm of calibration, 125 mm of signal, boxes of 5 mm"
    assert "0.25 -20 0.25 20" in drawn, "2 mV are 20 mm high"
    assert "preserveAspectRatio" not in drawn
    signal[100:200] = np.nan
    assert strip(signal, 100.0, "Recorded").count("M0 0") == 2, "a gap is left open, in both sizes"
    assert "nan" not in strip(np.full(100, np.nan), 100.0, "Recorded").lower()


def test_text_cannot_break_out() -> None:
    bad = '"><script>x</script>&'
    assert "<script>" not in table([bad], [[bad, bad]], caption=bad)
    assert "</script" not in embedded({bad: [bad]}).removesuffix("</script>")
    assert label(bad) == '"&gt;&lt;script&gt;x&lt;/script&gt;&amp;'
    assert plain([np.float32(0.5), np.nan, np.inf, np.int64(3), {"a": np.array([1.0])}]) == [
        *(0.5, None, None, 3),
        {"a": [1]},
    ]
