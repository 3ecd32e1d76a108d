"""The numbers on the page are those of the CSV files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.reporting.benchmark.reading import figures_of, numbers_in, rows_of_table, text_of


def _main(folder) -> pd.DataFrame:
    rows = pd.read_csv(folder / "benchmark.csv", keep_default_na=False)
    rows = rows[(rows["part"] == "") & (rows["condition"] == "") & (rows["label_share"] == 1)]
    return rows[rows["metric"].isin(["auroc", "mae"])].astype({"value": float, "low": float, "high": float})


@pytest.mark.parametrize(
    ("metric", "caption"), [("auroc", "AUROC, lead I"), ("mae", "Mean absolute error, lead I")]
)
def test_side_by_side_holds_every_value_with_its_interval(folder, sections, metric, caption) -> None:
    rows = _main(folder)
    rows = rows[(rows["lead"] == "I") & (rows["metric"] == metric)]
    tasks = list(dict.fromkeys(rows["task"]))
    shown = 0
    for protocol, lines in rows_of_table(sections["side-by-side"], caption):
        for model, *cells in lines:
            for task, cell in zip(tasks, cells, strict=True):
                row = rows[(rows["protocol"] == protocol) & (rows["model"] == model) & (rows["task"] == task)]
                if row.empty:
                    assert cell == ""
                    continue
                expected = row[["value", "low", "high"]].to_numpy()[0]
                digits = 3 if metric == "auroc" or rows[rows["task"] == task]["high"].max() < 10 else 1
                assert numbers_in(cell) == pytest.approx(np.round(expected, digits), abs=1e-9)
                shown += 1
    assert shown == len(rows)


def test_side_by_side_marks_the_best_of_each_column(folder, sections) -> None:
    rows = _main(folder)
    rows = rows[rows["lead"] == "I"]
    body = sections["side-by-side"].split("<details>")[0]
    strong = [numbers_in(each.split("</strong>")[0])[0] for each in body.split("<strong>")[1:]]
    best = [of["value"].max() for _, of in rows[rows["metric"] == "auroc"].groupby("task")]
    best += [of["value"].min() for _, of in rows[rows["metric"] == "mae"].groupby("task")]
    assert sorted(strong) == pytest.approx(
        sorted(round(each, 3 if each < 8 else 1) for each in best), abs=0.05
    )
    assert len(strong) == len(best)


def test_protocols_and_models_stand_in_order(sections) -> None:
    groups = rows_of_table(sections["side-by-side"], "AUROC, lead I")
    assert [name for name, _ in groups] == ["probe", "knn", "finetune", "scratch"]
    assert [line[0] for line in groups[0][1]] == [
        *("age_sex", "random_encoder", "random_encoder + age_sex", "features", "features + age_sex"),
        *("clef", "clef + age_sex", "simclr", "simclr + age_sex"),
    ]


def test_averages_are_grouped_by_what_they_are_held_against(folder, sections) -> None:
    rows = pd.read_csv(folder / "averages.csv", keep_default_na=False)
    rows = rows[(rows["lead"] == "I") & (rows["label_share"] == 1)]
    groups = rows_of_table(sections["summary"], "Averages, lead I, all training labels")
    assert [name for name, _ in groups][:2] == [
        "probe, changes against random_encoder",
        "probe, with age and sex, changes against random_encoder + age_sex",
    ]
    metrics = ("auroc", "auroc_change_percent", "mae_change_percent")
    shown = 0
    for name, lines in groups:
        for model, *cells in lines:
            for metric, cell in zip(metrics, cells, strict=True):
                of = rows[(rows["model"] == model) & (rows["metric"] == metric)]
                row = of[of["protocol"] == name.split(",")[0]]
                assert len(row) == bool(cell)
                if len(row):
                    digits = 3 if metric == "auroc" else 1
                    expected = np.round(row[["value", "low", "high"]].to_numpy(float)[0], digits)
                    assert numbers_in(cell) == pytest.approx(expected, abs=1e-9)
                    assert not row["reference"].item() or row["reference"].item() in name
                    shown += 1
    assert shown == len(rows)


def test_forests_draw_every_difference_with_its_interval(folder, sections) -> None:
    rows = pd.read_csv(folder / "comparisons.csv")
    rows = rows[(rows["lead"] == "I") & (rows["label_share"] == 1) & (rows["protocol"] == "probe")]
    figures = figures_of(sections["differences"].split("<details>")[0])
    assert len(figures) == rows["task"].nunique()
    for found in figures:
        of = rows[rows["task"] == found["title"].removesuffix("simulated").strip()]
        dots = [each for each in found["data"] if "error_x" in each]
        drawn = sorted(pair for each in dots for pair in zip(each["x"], each["error_x"]["array"]))
        expected = sorted(zip(of["value"], of["high"] - of["value"]))
        assert np.array(drawn) == pytest.approx(np.array(expected), rel=1e-4)
        texts = [note["text"] for note in found["layout"]["annotations"]]
        assert sum(text.startswith("<b>minus") for text in texts) == of["against"].nunique()
        beside = found["layout"]["yaxis2"]
        assert beside["ticktext"].count("< 0.001") == (of["p_holm"] < 0.001).sum()
        place, model = beside["tickvals"][0], found["layout"]["yaxis"]["ticktext"][0].replace("<br>", " ")
        first = next(each for each in dots if each["name"] == model)
        p = of[
            (of["model"] == model) & np.isclose(of["value"], first["x"][first["y"].index(place)], rtol=1e-4)
        ]
        assert beside["ticktext"][0] == f"{p['p_holm'].item():.3f}", "p stands beside its own row"
        assert found["layout"]["shapes"][0]["x0"] == 0, "a line at no difference"
    table = rows_of_table(sections["differences"], "Differences, first model")[0][1]
    assert len(table) == len(rows)
    first = rows[(rows["model"] == "clef") & (rows["against"] == "simclr")].iloc[0]
    line = next(each for each in table if each[:3] == ["clef (probe)", "simclr (probe)", first["task"]])
    assert numbers_in(line[4]) == pytest.approx([round(first[end], 3) for end in ("value", "low", "high")])
    assert line[6] == f"{first['p_holm']:.3f}"
    assert line[7] == f"{first['n']:,}"


def test_labels_are_ordered_by_prevalence_and_rare_ones_stand_apart(folder, sections) -> None:
    rows = pd.read_csv(folder / "labels.csv")
    rows = rows[(rows["lead"] == "I") & (rows["label_share"] == 1)]
    of = rows[rows["task"] == "ptb_xl/subdiagnostic"]
    once = of.drop_duplicates("label").sort_values("prevalence", ascending=False, kind="stable")
    kept = once[once["measurable"]]
    figure = figures_of(sections["labels"])[1]
    names = [each.split("<br>")[0] for each in figure["layout"]["yaxis"]["ticktext"]]
    assert names == list(kept["label"])
    assert f"{kept['positives'].iloc[0]:,} of 2,163" in figure["layout"]["yaxis"]["ticktext"][0]
    clef = of[(of["model"] == "clef") & (of["protocol"] == "probe")].set_index("label").loc[names]
    trace = next(each for each in figure["data"] if each.get("name") == "clef" and "hovertemplate" in each)
    assert trace["x"] == pytest.approx(clef["auroc"].tolist(), rel=1e-4)
    assert trace["error_x"]["arrayminus"] == pytest.approx(
        (clef["auroc"] - clef["auroc_low"]).tolist(), abs=1e-4
    )
    bars = [each for each in figure["data"] if each["type"] == "bar"]
    assert {bar["base"] for bar in bars} == {0.5}
    listed = text_of(sections["labels"].split('class="list rare"')[1].split("</ul>")[0])
    for row in once[~once["measurable"]].to_dict("records"):
        assert f"{row['label']}  {row['positives']:,} of {row['n']:,}" in listed


def test_efficiency_draws_every_share_on_a_logarithmic_axis(folder, sections) -> None:
    rows = pd.read_csv(folder / "benchmark.csv", keep_default_na=False)
    rows = rows[(rows["part"] == "") & (rows["condition"] == "") & (rows["lead"] == "I")]
    rows = rows[(rows["model"] == "clef") & (rows["protocol"] == "probe") & (rows["task"] == "aurora_bp/sbp")]
    rows = rows[rows["metric"] == "mae"].astype({"value": float, "high": float}).sort_values("label_share")
    figure = next(
        each for each in figures_of(sections["efficiency"]) if each["title"].startswith("aurora_bp/sbp")
    )
    line = next(each for each in figure["data"] if each.get("name") == "clef" and "hovertemplate" in each)
    assert line["x"] == pytest.approx([0.01, 0.1, 1])
    assert line["y"] == pytest.approx(rows["value"].tolist(), rel=1e-4)
    band = figure["data"][figure["data"].index(line) - 1]
    assert band["y"] == pytest.approx(rows["high"].tolist(), rel=1e-4)
    assert figure["layout"]["xaxis"]["type"] == "log"
    assert figure["layout"]["xaxis"]["ticktext"] == ["1 %", "10 %", "100 %"]
    assert figure["caption"].startswith("Lowest with 1 %")
    assert "lower is better" in figure["title"]


def test_reliability_is_drawn_with_its_counts_and_errors_in_tables(folder, sections) -> None:
    rows = pd.read_csv(folder / "reliability.csv")
    rows = rows[(rows["lead"] == "I") & (rows["label_share"] == 1) & (rows["protocol"] == "probe")]
    of = rows[(rows["model"] == "clef") & (rows["task"] == "mitdb/beat")]
    figure = next(each for each in figures_of(sections["calibration"]) if each["title"] == "mitdb/beat")
    diagonal = figure["data"][0]
    assert diagonal["x"] == diagonal["y"] == [0, 1]
    line = next(each for each in figure["data"] if each.get("name") == "clef" and "hovertemplate" in each)
    assert line["x"] == pytest.approx(of["mean_predicted"].tolist(), rel=1e-4)
    assert line["y"] == pytest.approx(of["observed"].tolist(), rel=1e-4)
    assert line["customdata"] == of["n"].tolist()
    assert np.argsort(line["marker"]["size"]).tolist() == np.argsort(of["n"], kind="stable").tolist()
    brier = pd.read_csv(folder / "benchmark.csv", keep_default_na=False).query(
        "metric == 'brier' and lead == 'I'"
    )
    row = brier.query("model == 'simclr' and protocol == 'probe' and label_share == 1").iloc[0]
    (_, lines), *_ = rows_of_table(sections["calibration"], "Brier score")
    cell = next(line for line in lines if line[0] == "simclr")[1]
    assert numbers_in(cell) == pytest.approx([round(float(row[end]), 3) for end in ("value", "low", "high")])


def test_subgroups_stand_with_their_counts(folder, sections) -> None:
    rows = pd.read_csv(folder / "benchmark.csv", keep_default_na=False)
    rows = rows.query("lead == 'I' and label_share == 1 and metric == 'auroc' and condition == ''")
    of = rows.query("task == 'ptb_xl/superdiagnostic' and model == 'clef' and protocol == 'probe'")
    figure = figures_of(sections["subgroups"])[0]
    parts = [
        "",
        "sex=female",
        "sex=male",
        "age_band=0-39",
        "age_band=40-59",
        "age_band=60-74",
        "age_band=75-149",
    ]
    of = of.set_index("part").loc[parts].astype({"value": float, "n": int})
    trace = next(each for each in figure["data"] if each["name"] == "clef")
    assert trace["x"] == pytest.approx(of["value"].tolist(), rel=1e-4)
    assert [each.split("<br>")[1] for each in figure["layout"]["yaxis"]["ticktext"]] == [
        f"n {count:,}" for count in of["n"]
    ]
    assert figure["layout"]["yaxis"]["ticktext"][3].startswith("under 40 years")
    assert "sex unknown (n 21)" in figure["caption"]


def test_changes_are_against_the_same_model_as_recorded(folder, sections) -> None:
    rows = pd.read_csv(folder / "benchmark.csv", keep_default_na=False)
    rows = rows.query("lead == 'I' and label_share == 1 and metric == 'auroc' and part == ''")
    of = rows.query("task == 'sim/af' and model == 'simclr' and protocol == 'probe'")
    value = of.set_index("condition")["value"].astype(float)
    lines = rows_of_table(sections["robustness"], "Values under each condition")[0][1]
    start = next(i for i, line in enumerate(lines) if line[0].startswith("sim/af") and line[1] == "simclr")
    assert lines[start][3] == "as recorded"
    for line in lines[start + 1 : start + 5]:
        assert line[1] == "simclr"
        assert numbers_in(line[4])[0] == pytest.approx(value[line[3]], abs=6e-4)
        assert numbers_in(line[5])[0] == pytest.approx(value[line[3]] - value[""], abs=6e-4)
    figure = next(each for each in figures_of(sections["robustness"]) if each["title"].startswith("sim/af"))
    assert [each.split("<br>")[0] for each in figure["layout"]["yaxis"]["ticktext"]] == [
        *("as recorded", "noise 10 dB", "lead II", "100 Hz", "5 s a window"),
    ]
    assert "age_sex" not in [each["name"] for each in figure["data"]], "it reads no ECG"


def test_looks_are_counted_as_a_slow_set_counts_them(folder, sections) -> None:
    rows = pd.read_csv(folder / "looks.csv", keep_default_na=False)
    lines = rows_of_table(sections["looks"], "Different looks")[0][1]
    for line in lines:
        of = rows[rows["task"] == line[0].removesuffix("simulated").strip()]
        different = {
            (row["model"], row["weights"], row["protocol"], row["lead"], row["label_share"], row["condition"])
            for row in of.to_dict("records")
        }
        assert line[7] == str(len(different))
        assert line[2] == of["time"].min()[:16].replace("T", " ")
        assert line[3] == of["time"].max()[:16].replace("T", " ")
    assert len(rows_of_table(sections["looks"], "The ledger")[0][1]) == len(rows)


def test_everything_has_each_row_but_those_of_labels(folder, sections) -> None:
    rows = pd.read_csv(folder / "benchmark.csv", keep_default_na=False)
    rows = rows[~rows["metric"].str.contains(":")]
    assert sections["everything"].count('<th scope="row">') == len(rows)
