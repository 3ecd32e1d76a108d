"""What the scores accept: units, ranges, and the many ways of writing "unknown"."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from openclef.risk import score2
from openclef.risk.inputs import count_missing, read_inputs


@pytest.mark.parametrize("unknown", [math.nan, None, "", np.nan, np.float32("nan"), pd.NA, pd.NaT])
def test_ways_of_writing_unknown(unknown: object) -> None:
    result = score2(age_years=60, sex=["male", unknown], sbp_mmhg=[unknown, 140.0], smoker=[unknown, True])
    assert result.n_missing.tolist() == [5, 4]
    assert np.isnan(result.value).tolist() == [False, True]


@pytest.mark.parametrize("storage", ["str", "object", "category", "string[python]", "string[pyarrow]"])
def test_columns_of_text_of_every_storage(storage: str) -> None:
    words = pd.Series(["male", None, "female", "", "male"], dtype=object).astype(storage)
    expected = [1, math.nan, 0, math.nan, 1]
    np.testing.assert_array_equal(read_inputs({"sex": words})["sex"], expected)
    np.testing.assert_array_equal(read_inputs({"sex": words.array})["sex"], expected)
    with pytest.raises(ValueError, match="sex is 'Male'"):
        read_inputs({"sex": words.astype(object).replace("male", "Male").astype(storage)})


def test_arrays_of_text() -> None:
    words = np.array(["male", "", "female"])
    for array in (words, words.astype(object), words[None, :].repeat(2, 0), words.astype("U20")):
        expected = np.broadcast_to([1, math.nan, 0], array.shape)
        np.testing.assert_array_equal(read_inputs({"sex": array})["sex"], expected)
    with pytest.raises(ValueError, match="sex is 'M'"):
        read_inputs({"sex": np.array(["male", "M"])})
    np.testing.assert_array_equal(read_inputs({"sex": pa.array(["male", None])})["sex"], [1, math.nan])
    both = pa.chunked_array([["male"], ["", "female"]])
    np.testing.assert_array_equal(read_inputs({"sex": both})["sex"], [1, math.nan, 0])


@pytest.mark.parametrize(
    "storage", ["float32", "Float64", "double[pyarrow]", "Int64", "int64[pyarrow]", "object"]
)
def test_columns_of_numbers_of_every_storage(storage: str) -> None:
    column = pd.Series([140, None, 120], dtype=object).astype(storage)
    np.testing.assert_array_equal(read_inputs({"sbp_mmhg": column})["sbp_mmhg"], [140, math.nan, 120])
    arrow = pa.array([140, None, 120.0])
    np.testing.assert_array_equal(read_inputs({"sbp_mmhg": arrow})["sbp_mmhg"], [140, math.nan, 120])


@pytest.mark.parametrize("storage", ["boolean", "bool[pyarrow]", "object", "Int8"])
def test_columns_of_yes_and_no_of_every_storage(storage: str) -> None:
    column = pd.Series([True, None, False], dtype=object).astype(storage)
    np.testing.assert_array_equal(read_inputs({"smoker": column})["smoker"], [1, math.nan, 0])


def test_columns_of_pandas_and_masked_arrays() -> None:
    frame = pd.DataFrame(
        {
            "sex": pd.Series(["male", None, "female"], dtype="string"),
            "smoker": pd.Series([True, None, False], dtype="boolean"),
            "sbp_mmhg": pd.Series([140, None, 120], dtype="Int64"),
        }
    ).set_index(pd.Index([7, 3, 5]))
    values = read_inputs({name: frame[name] for name in frame})
    np.testing.assert_array_equal(values["sex"], [1, math.nan, 0])
    np.testing.assert_array_equal(values["smoker"], [1, math.nan, 0])
    np.testing.assert_array_equal(values["sbp_mmhg"], [140, math.nan, 120])
    categories = read_inputs({"sex": frame["sex"].astype("category")})
    np.testing.assert_array_equal(categories["sex"], values["sex"])
    masked = np.ma.MaskedArray([140.0, 999.0], mask=[False, True])
    np.testing.assert_array_equal(read_inputs({"sbp_mmhg": masked})["sbp_mmhg"], [140, math.nan])


@pytest.mark.parametrize("sex", [0, 1, "M", "Male", "f", "other", 1.0, True, b"male"])
def test_other_codes_of_sex_are_refused(sex: object) -> None:
    with pytest.raises(ValueError, match='accepted are "female" and "male"'):
        score2(age_years=60, sex=["male", sex])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sbp_mmhg", 0, "sbp_mmhg is 0; accepted are 40 to 300"),
        ("sbp_mmhg", 18.7, r"kPa, multiply it by 7\.50062"),
        ("sbp_mmhg", -9, "accepted are 40 to 300"),
        ("sbp_mmhg", 301, "accepted are 40 to 300"),
        ("sbp_mmhg", math.inf, "sbp_mmhg is inf"),
        ("sbp_mmhg", -math.inf, "sbp_mmhg is -inf"),
        ("total_chol_mmol_l", 213, r"mg/dL, multiply it by 0\.02586"),
        ("total_chol_mmol_l", -1, "accepted are 0.2 to 20"),
        ("hdl_mmol_l", 50, r"mg/dL, multiply it by 0\.02586"),
        ("age_years", 300, "300 for over 89"),
        ("age_years", -1, "accepted are 0 to 120"),
        ("smoker", 2, "accepted are True or 1, False or 0"),
        ("diabetes", 0.5, "accepted are True or 1, False or 0"),
        ("diabetes", -math.inf, "accepted are True or 1, False or 0"),
        ("smoker", "yes", "smoker is 'yes'; accepted are numbers"),
        ("sbp_mmhg", "140", "sbp_mmhg is '140'; accepted are numbers"),
        ("sbp_mmhg", 140 + 1j, "accepted are numbers"),
    ],
)
def test_impossible_values_are_refused_by_name(name: str, value: object, message: str) -> None:
    inputs: dict = {"age_years": 60, "sex": "male"} | {name: value}
    with pytest.raises(ValueError, match=message):
        score2(**inputs)


def test_the_error_counts_the_wrong_values() -> None:
    with pytest.raises(ValueError, match=r"180 \(and 1 more such values\)"):
        score2(age_years=60, sex="male", total_chol_mmol_l=[5.0, 180.0, math.nan, 210.0])


def test_mg_dl_errors_name_the_limit_at_the_edge() -> None:
    read_inputs({"total_chol_mmol_l": 20.0, "hdl_mmol_l": 6.0})
    for name, value in (("total_chol_mmol_l", 20.01), ("hdl_mmol_l", 6.01)):
        with pytest.raises(ValueError, match="mg/dL"):
            read_inputs({name: value})


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"age_years \(2,\), sex \(3,\)"):
        score2(age_years=[50, 60], sex=["male"] * 3)


def test_no_patients_give_no_rows() -> None:
    result = score2(age_years=[], sex=[])
    assert result.value.shape == result.completeness.shape == (0,)


def test_count_missing_counts_each_input_once() -> None:
    values = read_inputs({"sbp_mmhg": [math.nan, 140], "smoker": [math.nan, math.nan]})
    n_missing, completeness = count_missing(values, ("sbp_mmhg", "smoker"))
    assert n_missing.tolist() == [2, 1]
    assert completeness.tolist() == [0.0, 0.5]
