from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

import openclef
from openclef import cli
from openclef.reporting.metadata_profile import print_profile, write_profile
from tests.database.mimic_iv.conftest import small_hospital
from tests.database.mimic_iv.tables import write_tables


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ecgs, tables = small_hospital()
    tables.pop("prescriptions")
    write_tables(tmp_path, ecgs, **tables)
    return tmp_path


def extract(folder: Path, **options):
    return openclef.extract_metadata(
        "mimic_iv", folder, folder / "out", ecgs=folder, progress=False, threads=1, **options
    )


def test_the_printed_profile(folder: Path) -> None:
    console = Console(file=io.StringIO(), width=140)
    print_profile(extract(folder), console)
    printed = console.file.getvalue()
    assert "7 ECGs of 6 subjects" in printed
    rows = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
        for line in printed.splitlines()
        if "│" in line
    }
    assert rows["sbp_mmhg"] == ["2", "29%", "2", "115, 120, 125", "16"]
    assert rows["smoker"][:4] == ["3", "43%", "2", "67%"]
    assert rows["statin"] == ["0", "0%", "0", "–", "–"]
    assert rows["age"][:2] == ["71%", "71%"]
    assert "not there, so that what they hold is unknown: prescriptions" in " ".join(printed.split())


def test_the_page(folder: Path) -> None:
    pytest.importorskip("plotly")
    page = write_profile(extract(folder))
    assert page == folder / "out" / "profile.html"
    text = page.read_text(encoding="utf-8")
    for expected in (
        "Clinical metadata of 7 ECGs",
        "its admission is not in admissions",
        "prescriptions.",
        "Known by age at the ECG",
        "Known by calendar year",
        "[diagnosis.diabetes]",
        "<td>blood pressure</td>",
    ):
        assert expected in text, expected
    for person in ("10000000", "2180-05-06 22:23:00", "diagnoses_icd 9 25000"):
        assert person not in text  # of groups alone


def test_a_page_without_scores_and_years(folder: Path) -> None:
    pytest.importorskip("plotly")
    ecgs, tables = small_hospital()
    tables["patients"] = tables["patients"].drop(columns="anchor_year_group")
    write_tables(folder, ecgs, patients=tables["patients"])
    text = write_profile(extract(folder, risks=[]), folder / "mine.html").read_text(encoding="utf-8")
    assert "No score was computed" in text
    assert "no anchor_year_group" in text


def test_the_command(folder: Path, capsys) -> None:
    pytest.importorskip("plotly")
    given = ["extract_metadata", "mimic_iv", str(folder / "hosp"), str(folder / "out"), "--ecgs"]
    given += [str(folder / "record_list.csv"), "--risks", '["score2"]', "--threads", "1"]
    assert cli.main(given) == 0
    printed = capsys.readouterr().out
    assert "7 ECGs of 6 subjects" in printed
    assert "score2" in printed
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        *("dropped.csv", "metadata.parquet", "profile.html", "risks.parquet", "settings.json")
    ]
    assert cli.main(given) == 1
    assert "pass overwrite=True" in capsys.readouterr().err
    assert cli.main([*given, "--overwrite", "true"]) == 0
    assert cli.main([*given[:3], str(folder / "other"), *given[4:], "--concepts", "nowhere.toml"]) == 1
    assert "nowhere.toml is missing" in capsys.readouterr().err
