from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from openclef.database.mimic_iv.concepts import (
    DIAGNOSES,
    DRUGS,
    LABS,
    MEASUREMENTS,
    read_concepts,
    shipped_concepts,
)

TEXT = shipped_concepts().read_text(encoding="utf-8")


def test_the_shipped_rules_are_all_there_and_sourced() -> None:
    concepts = read_concepts()
    assert (*concepts.measurements, *concepts.labs, *concepts.diagnoses, *concepts.drugs) == (
        *MEASUREMENTS,
        *LABS,
        *DIAGNOSES,
        *DRUGS,
    )
    assert {name: lab.itemids for name, lab in concepts.labs.items()} == {
        "total_chol_mmol_l": (50907,),
        "hdl_mmol_l": (50904,),
        "hba1c_mmol_mol": (50852,),
        "creatinine_mg_dl": (50912,),
    }
    assert [len(group) for group in concepts.postures] == [2, 1, 3]
    assert (len(concepts.drugs["statin"]), len(concepts.drugs["bp_treated"])) == (7, 47)
    table = tomllib.loads(TEXT)
    for room in ("window", "blood_pressure", "smoking", "drugs"):
        assert table[room]["source"], room
    for room in ("measurement", "lab", "diagnosis", "drug"):
        assert all(rule["source"] for rule in table[room].values()), room


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("before_days = 365\n", "before_days = -1\n", "window.before_days is -1; accepted are whole days"),
        (
            "before_days = 365\n",
            "before_days = 365\nafter = 3\n",
            "window has after; accepted are before_days",
        ),
        ("after_days = 30\n", "", "window has no after_days"),
        (
            "systolic_mmhg = [60, 260]",
            "systolic_mmhg = [260, 60]",
            r"systolic_mmhg is \[260, 60\]; accepted are",
        ),
        ("systolic_mmhg = [60, 260]", "systolic_mmhg = [8, 35]", "sbp_mmhg within 40 to 300"),
        ("[1, 20]", "[40, 770]", "total_chol_mmol_l within 0.2 to 20"),
        ("[50907]", '["50907"]', "itemids is .* accepted is a list of whole numbers"),
        ("[50907]", "[50904]", "itemid 50904 twice"),
        ('"Height" = 2.54', '"Weight" = 2.54', "result name 'Weight' twice"),
        ('"Height" = 2.54', '"Height" = 0', "factor of 0 or less"),
        ('unit = "%"', 'unit = "g/L"', "unit is 'g/L', which lab.hba1c_mmol_mol.units does not have"),
        ("times = 10.93", "time = 10.93", "has time; accepted are times"),
        ("divided_by = 88.42", "divided_by = 0", "multiplies or divides by 0"),
        ('["250*"]', '["250.00"]', r"diagnosis.diabetes.icd9 has '250\.00'; accepted are codes in capitals"),
        ('["250*"]', '"250*"', "accepted is a list of codes"),
        ('"E08*", "E09*"', '"E08*", "E08*"', r"entry 'E08\*' twice"),
        ("[diagnosis.stroke]", "[diagnosis.strokes]", "diagnosis has no stroke"),
        ('"lisinopril"', '"Lisinopril 5"', "ingredients has 'Lisinopril 5'; accepted is one word"),
        ("[window]", "[window", "is no TOML"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert before in TEXT
    copy = tmp_path / "mine.toml"
    copy.write_text(TEXT.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as raised:
        read_concepts(copy)
    assert str(copy) in str(raised.value)
    with pytest.raises(FileNotFoundError, match=r"pass a changed copy of openclef's concepts\.toml"):
        read_concepts(tmp_path / "other.toml")


@pytest.mark.parametrize(
    ("name", "yes", "no"),
    [
        ("diabetes", ["9 25000", "10 E119", "10 E0800"], ["10 E14", "9 2490", "10 25000", "9 E119"]),
        (
            "stroke",
            ["9 43301", "9 43491", "10 G459", "10 Z8673"],
            ["9 43300", "9 433011", "10 G454", "10 I619"],
        ),
        (
            "vascular_disease",
            ["9 4400", "9 44021", "10 I252", "10 I70201"],
            ["9 4401", "10 I2510", "10 I701"],
        ),
        ("heart_failure", ["9 4280", "9 40201", "10 I110", "10 I5022"], ["9 40200", "10 I119", "10 I42"]),
        ("hypertension", ["9 4019", "10 I10", "10 I161"], ["9 I10", "10 I14", "9 400"]),
        ("atrial_fibrillation", ["9 42731", "10 I480", "10 I4821"], ["9 42732", "10 I483", "10 I4892"]),
    ],
)
def test_codes(name: str, yes: list[str], no: list[str]) -> None:
    rule = read_concepts().diagnoses[name]
    for each in yes:
        assert rule.match(int(each.split()[0]), each.split()[1]), each
    for each in no:
        assert not rule.match(int(each.split()[0]), each.split()[1]), each


def test_remission_is_former_smoking() -> None:
    concepts = read_concepts()
    for code, former in (("F17210", False), ("F17201", True), ("F1721", False), ("F17291", True)):
        assert concepts.smoking_former.match(10, code) is former
        assert concepts.smoking_current.match(10, code) is not former
