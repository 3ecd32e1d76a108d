"""What the sections say, leave out and refuse."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from openclef.ranking import find_cliques
from openclef.reporting.benchmark import benchmark_sections
from openclef.reporting.benchmark.differences import differences_reading
from openclef.reporting.benchmark.everything import everything_section
from openclef.reporting.benchmark.ranks import rank_figure, ranks_reading
from openclef.reporting.benchmark.subgroups import subgroups_reading
from openclef.reporting.benchmark.tables import read_tables
from openclef.reporting.drawing import model_styles
from tests.reporting.benchmark.reading import figures_of, rows_of_table, text_of
from tests.reporting.benchmark_folder import write_benchmark

ANCHORS = [
    *("summary", "side-by-side", "ranks", "differences", "labels", "efficiency", "calibration", "subgroups"),
    *("robustness", "looks", "everything"),
]
FILES = ["benchmark", "labels", "comparisons", "averages", "ranks", "reliability", "looks", "skipped"]
BAD = "<script>alert(1)</script>"


def _bodies(folder) -> dict[str, str]:
    return {section.anchor: str(section.body) for section in benchmark_sections(folder)}


def _edit(folder, name: str, change) -> None:
    """Change a CSV file."""
    table = pd.read_csv(folder / f"{name}.csv", keep_default_na=False, dtype=str)
    changed = change(table)
    (table if changed is None else changed).to_csv(folder / f"{name}.csv", index=False)


def test_sections_stand_in_order(sections) -> None:
    assert list(sections) == ANCHORS
    for body in sections.values():
        assert len(body) > 500
        assert 'class="missing">' not in body or "Not judged" in body


def test_every_figure_says_what_it_shows(sections) -> None:
    figures = [each for body in sections.values() for each in figures_of(body)]
    assert len(figures) > 100
    for each in figures:
        assert len(each["alt"]) > 30
        assert len(each["caption"]) > 15


def test_summary_says_what_was_judged_and_what_was_not(sections) -> None:
    body = text_of(sections["summary"])
    assert "2 models beside 4 baselines on 7 tasks (5 by AUROC, 2 by MAE), 2 leads, 4 protocols" in body
    assert "For research." in body
    assert "the encoder does not say whom it was pretrained on" in body
    assert "Not judged: 13 of" in body
    for name, words in (("random_encoder", "random weights"), ("features", "no network")):
        assert re.search(rf"{name} *: [^.]*{words}", body)
    lines = rows_of_table(sections["summary"], "Cells that could not be judged")[0][1]
    assert [line[1] for line in lines] == ["12", "1"]
    assert "pretrain without aurora_bp" in lines[0][0]
    tasks = {
        line[0].split()[0]: line for line in rows_of_table(sections["summary"], "Records and subjects")[0][1]
    }
    assert tasks["ptb_xl/superdiagnostic"][3:] == ["2,163", "1,946", "5 of 5"]
    assert "simulated" in tasks["sim/af"][0]
    assert tasks["aurora_bp/sbp"][1] == "MAE in mmHg"


def test_no_difference_is_claimed_whose_interval_contains_0(tmp_path) -> None:
    write_benchmark(tmp_path / "flat", tasks=3, leads=("I",))

    def flatten(table: pd.DataFrame) -> None:
        table["low"], table["high"] = "-1", "1"

    for name in ("comparisons", "averages"):
        _edit(tmp_path / "flat", name, flatten)
    bodies = _bodies(tmp_path / "flat")
    captions = {each["caption"] for each in figures_of(bodies["differences"])}
    assert all(each.endswith("no difference was shown.") for each in captions)
    said = re.findall(r'<p class="caption">(.*?)</p>', bodies["summary"])
    assert said
    assert not any(
        re.search(r"(above|below|higher than|lower than) \w+( \+ age_sex)?:", each) for each in said
    )


@pytest.mark.parametrize(
    ("low", "high", "p", "words"),
    [
        (-0.01, 0.05, 0.001, "contains 0 for all 1"),
        (0.0001, 0.05, 0.001, "contains 0 for all 1"),  # printed as 0.000
        (0.01, 0.05, 0.2, "with p < 0.05 after Holm for none"),
        (0.01, 0.05, 0.01, "for 1: clef minus age_sex."),
        (np.nan, np.nan, 0.01, "contains 0 for all 1"),
    ],
)
def test_reading_of_differences(low, high, p, words) -> None:
    rows = pd.DataFrame(
        {"model": ["clef"], "against": "age_sex", "value": 0.03, "low": low, "high": high, "p_holm": p}
    )
    assert words in differences_reading(rows)


def test_many_pairs_are_parted_by_what_they_are_held_against(tmp_path) -> None:
    models = {"random_encoder": 0.4, "age_sex": 0.3} | {f"model_{i}": 0.5 + 0.03 * i for i in range(6)}
    body = _bodies(write_benchmark(tmp_path / "many", models=models, tasks=1, leads=("I",)))["differences"]
    assert "Against random_encoder + age_sex</summary>" in body
    assert "Models against each other</summary>" in body
    first = figures_of(body)[0]
    assert [each["text"] for each in first["layout"]["annotations"]][1] == "<b>minus random_encoder</b>"


def _ranks(values: dict[str, float], tasks: int = 12) -> pd.DataFrame:
    return pd.DataFrame({"model": list(values), "mean_rank": list(values.values()), "tasks": tasks})


def test_the_critical_difference_plot_is_the_classical_one() -> None:
    rows = _ranks({"clef": 1.2, "simclr": 2.0, "features": 3.1, "age_sex": 3.7})
    cliques = find_cliques(rows["mean_rank"], 1.25)
    (dots,), layout, _ = rank_figure(rows, 1.25, cliques, model_styles(rows["model"]))
    assert dots["x"].tolist() == rows["mean_rank"].tolist()
    bars = [each for each in layout["shapes"] if each["line"]["width"] == 5]
    ends = [(bar["x0"], bar["x1"]) for bar in bars]
    assert np.array(ends) == pytest.approx(np.array([(1.14, 2.06), (1.94, 3.16), (3.04, 3.76)]))
    assert any((each["x0"], each["x1"]) == (1, 2.25) for each in layout["shapes"]), "the critical difference"
    stems = {
        each["x0"]: -each["y1"] for each in layout["shapes"] if each["x0"] == each["x1"] and each["y1"] < -0.2
    }
    assert stems[1.2] > stems[2.0], "the outermost stem is the longest, so that no name is crossed"
    assert stems[3.7] > stems[3.1]
    assert len(set(stems.values())) == 4
    assert min(stems.values()) > max(-bar["y0"] for bar in bars)


@pytest.mark.parametrize(
    ("distance", "p", "tasks", "words"),
    [
        (1.0, 0.001, 18, "do not all rank alike (p = 0.001)"),
        (1.0, 0.3, 18, "so read no pair as different"),
        (9.0, 0.3, 2, "No two models lie further apart"),
        (9.0, 0.3, 2, "over 2 tasks, few for ranks"),
        (9.0, np.nan, 2, "could not be made"),
    ],
)
def test_what_ranks_show_and_cannot_show(distance, p, tasks, words) -> None:
    said = ranks_reading(_ranks({"clef": 1.0, "simclr": 2.5, "age_sex": 2.5}, tasks), distance, p)
    assert words in said
    assert "not by how much" in said
    assert ("few" in said) == (tasks < 10)
    _, layout, _ = rank_figure(
        _ranks({"clef": 1.0, "age_sex": 2.0}), distance, (), model_styles(["clef", "age_sex"])
    )
    assert layout["xaxis"]["range"][1] > 1 + distance, "the critical difference has room"


def test_one_task_or_one_model_has_no_ranks(little) -> None:
    _edit(little, "ranks", lambda table: table.assign(tasks="1"))
    assert "ranks need at least 2 of each" in _bodies(little)["ranks"]
    _edit(little, "ranks", lambda table: table.head(1))
    body = _bodies(little)["ranks"]
    assert "There are 1 models" in body
    assert "<figure>" not in body


def test_one_share_has_no_curve(little) -> None:
    _edit(little, "benchmark", lambda table: table[table["label_share"].astype(float) == 1])
    assert "needs at least two" in _bodies(little)["efficiency"]


@pytest.mark.parametrize("how", ["absent", "empty", "headings"])
def test_what_is_missing_leaves_one_line(little, how) -> None:
    for name in FILES:
        file = little / f"{name}.csv"
        if how == "absent":
            file.unlink()
        else:
            file.write_text("" if how == "empty" else file.read_text().splitlines()[0] + "\n")
    bodies = _bodies(little)
    assert list(bodies) == ANCHORS
    for name, body in bodies.items():
        assert "<figure>" not in body
        if name != "summary":
            assert body.count("<p") == 1
            assert 'class="missing"' in body
    assert "averages.csv has no rows" in bodies["summary"]
    assert "No cell of this benchmark was judged" in bodies["summary"]


@pytest.mark.parametrize("absent", FILES)
def test_one_file_that_is_missing_leaves_the_rest(little, absent) -> None:
    (little / f"{absent}.csv").unlink()
    bodies = _bodies(little)
    assert list(bodies) == ANCHORS
    assert sum("<figure>" in body for body in bodies.values()) >= (1 if absent == "benchmark" else 5)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("benchmark", lambda t: t.drop(columns="low"), r"benchmark\.csv is damaged \(it has no column low\)"),
        ("benchmark", lambda t: t.assign(value="high"), r"benchmark\.csv .*column value: line 2 has 'high'"),
        ("benchmark", lambda t: t.assign(high="inf"), r"benchmark\.csv .*column high"),
        ("benchmark", lambda t: t.assign(label_share="2"), r"benchmark\.csv .*column label_share"),
        (
            "benchmark",
            lambda t: t.assign(task=["", *t["task"][1:]]),
            r"benchmark\.csv .*column task: line 2 has none",
        ),
        ("labels", lambda t: t.assign(measurable="perhaps"), r"labels\.csv .*column measurable"),
        ("comparisons", lambda t: t.assign(p_holm="?"), r"comparisons\.csv .*column p_holm"),
        ("averages", lambda t: t.drop(columns="tasks"), r"averages\.csv .*no column tasks"),
        ("ranks", lambda t: t.assign(mean_rank="first"), r"ranks\.csv .*column mean_rank"),
        ("reliability", lambda t: t.drop(columns="n"), r"reliability\.csv .*no column n"),
        ("looks", lambda t: t.assign(label_share=""), r"looks\.csv .*column label_share"),
        ("skipped", lambda t: t.drop(columns="reason"), r"skipped\.csv .*no column reason"),
    ],
)
def test_damaged_files_are_named_with_the_column(little, name, change, words) -> None:
    _edit(little, name, change)
    with pytest.raises(ValueError, match=words):
        benchmark_sections(little)


@pytest.mark.parametrize("text", ["model,task\nclef\n", 'model\n"clef\n', "model,task\nclef,a,b,c\n"])
def test_files_that_end_too_early_are_named(little, text) -> None:
    (little / "ranks.csv").write_text(text)
    with pytest.raises(ValueError, match=r"ranks\.csv is damaged"):
        benchmark_sections(little)
    (little / "ranks.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"ranks\.csv is damaged"):
        benchmark_sections(little)


def test_benchmark_json_is_needed_and_checked(little) -> None:
    (little / "benchmark.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"benchmark\.json is damaged"):
        benchmark_sections(little)
    (little / "benchmark.json").write_text("{")
    with pytest.raises(ValueError, match=r"benchmark\.json is damaged"):
        benchmark_sections(little)
    (little / "benchmark.json").write_text("{}")
    assert list(_bodies(little)) == ANCHORS, "settings are words, not what the tables need"
    odd = {"settings": {"leads": "I", "seeds": 3, "draws": "many", "tasks": None}, "stores": 5, "notes": [1]}
    (little / "benchmark.json").write_text(json.dumps(odd | {"seconds": "long", "tasks": [{"stores": 3}]}))
    assert list(_bodies(little)) == ANCHORS


def test_names_that_look_like_gaps_or_numbers_stay_names(little) -> None:
    for name in ("benchmark", "ranks", "averages"):
        _edit(little, name, lambda table: table.replace({"model": {"clef": "NA"}}))
    assert [line[0] for line in rows_of_table(_bodies(little)["side-by-side"], "AUROC, lead I")[0][1]][
        -2
    ] == "NA"


def test_hostile_names_are_escaped_everywhere(tmp_path) -> None:
    write_benchmark(tmp_path / "bad", tasks=4, leads=("I",))
    swap = {
        "clef": BAD,
        "ptb_xl/superdiagnostic": f'bad/"{BAD}',
        "NORM": BAD,
        "noise 10 dB": BAD,
        "mmHg": BAD,
    }
    swap |= {"sex=female": f"sex={BAD}", "ptb_xl": BAD, "aurora_bp": BAD, "finetune": BAD}
    for name in FILES:
        _edit(tmp_path / "bad", name, lambda table: table.replace(swap))
    _edit(tmp_path / "bad", "skipped", lambda table: table.assign(reason=BAD))
    about = json.loads((tmp_path / "bad" / "benchmark.json").read_text())
    about |= {"notes": [{"model": BAD, "note": BAD}], "stores": [{"name": BAD}], "versions": {BAD: BAD}}
    (tmp_path / "bad" / "benchmark.json").write_text(json.dumps(about))
    for section in benchmark_sections(tmp_path / "bad"):
        assert "<script>alert" not in section.body, section.anchor
        for each in figures_of(section.body):
            assert "<script>" not in json.dumps({"data": each["data"], "layout": each["layout"]})
    assert "&lt;script&gt;alert" in str(section.body)


def test_networks_have_their_baselines_beside_them(sections) -> None:
    body = sections["robustness"]
    fold = body[body.index("<summary>finetune") :]
    figure = figures_of(fold)[0]
    names = [each["name"] for each in figure["data"]]
    assert names == ["random_encoder", "features", "scratch", "clef", "simclr"]
    assert "Judged by another protocol: random_encoder (probe), features (probe)." in figure["caption"]


def test_the_page_holds_so_many_rows_at_most(tables) -> None:
    body = str(everything_section(tables, limit=100).body)
    assert body.count('<th scope="row">') <= 100
    assert "benchmark.csv has all" in body
    assert read_tables(tables.folder).metrics.equals(tables.metrics), "nothing was changed by drawing"


def test_tasks_on_leads_of_their_own_stand_side_by_side(tmp_path) -> None:
    place = write_benchmark(tmp_path / "own", models={"age_sex": 0.3, "clef": 0.8}, tasks=3, leads=("I",))
    about = json.loads((place / "benchmark.json").read_text())
    about["settings"]["leads"] = ["own"]
    (place / "benchmark.json").write_text(json.dumps(about))
    for name in FILES[:-2]:
        if name in ("averages", "ranks"):
            _edit(place, name, lambda table: table.assign(lead="own"))
        else:
            _edit(
                place, name, lambda table: table.assign(lead=table["task"].map(lambda task: task[0].upper()))
            )
    bodies = _bodies(place)
    body = bodies["side-by-side"]
    assert 'ptb_<wbr>xl/<wbr>superdiagnostic<span class="ends">lead P</span>' in body
    assert "<details>" not in body, "no task is folded for its lead"
    assert len(rows_of_table(bodies["summary"], "Averages, each task’s own lead")) > 1
    assert len(figures_of(bodies["subgroups"].split("<details>")[0])) == 3


def test_groups_that_cannot_be_compared_are_not_said_to_overlap() -> None:
    rows = pd.DataFrame(
        {"model": "clef", "part": ["", "sex=male", "age_band=0-39"], "value": 0.7, "low": 0.6, "high": 0.8}
    )
    assert subgroups_reading(rows) == "No two groups of one kind were measured."
    assert "groups overlap" in subgroups_reading(
        pd.concat([rows, rows.tail(1).assign(part="age_band=40-59")])
    )


def test_bins_of_few_predictions_are_not_drawn(little) -> None:
    def few(table: pd.DataFrame) -> None:
        table.loc[table["bin_low"] == "0.0", "n"] = "9"

    before = len(figures_of(_bodies(little)["calibration"])[0]["data"][-1]["x"])
    _edit(little, "reliability", few)
    assert len(figures_of(_bodies(little)["calibration"])[0]["data"][-1]["x"]) == before - 1


def test_a_ledger_without_settings_is_counted(little) -> None:
    with_settings = text_of(_bodies(little)["looks"])
    _edit(little, "looks", lambda table: table.drop(columns="settings"))
    assert text_of(_bodies(little)["looks"]) == with_settings


def test_why_a_task_could_not_be_measured_is_said_of_its_kind(little) -> None:
    def add(table: pd.DataFrame) -> pd.DataFrame:
        first = table[table["task"] == table["task"].iloc[0]]
        of = {"sim/af": "auroc", "sim/sbp": "mae"}
        few = [
            first.assign(task=task, metric=metric, value="", low="", high="") for task, metric in of.items()
        ]
        return pd.concat([table, *few])

    _edit(little, "benchmark", add)
    body = text_of(_bodies(little)["summary"])
    assert "no label has 10 positives and 10 negatives among the judged records: sim/af." in body
    assert "fewer than 10 judged records have a value: sim/sbp." in body
