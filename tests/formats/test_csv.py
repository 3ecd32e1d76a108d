"""Text tables of one recording."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from openclef.formats.csv import is_csv, read_csv
from openclef.formats.stated import NotStated
from tests.formats.mutation import FUZZ, MUTATIONS, assert_record_or_refusal, damage


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_named_columns_with_times(tmp_path, separator):
    rows = [["time_s", "AVR (uV)", "i (mV)"], ["0.00", "100", "1"], ["0.01", "", "2"], ["0.02", "-50", "nan"]]
    (tmp_path / "a.csv").write_text("\n".join(separator.join(row) for row in rows) + "\n")
    record = read_csv(tmp_path / "a.csv")
    assert record.leads == ("aVR", "I")
    assert record.fs == 100
    np.testing.assert_allclose(record.signal, [[0.1, np.nan, -0.05], [1, 2, np.nan]], rtol=1e-6)


def test_numbers_only_need_names(tmp_path):
    (tmp_path / "a.csv").write_text("1\n2\n3\n")
    record = read_csv(tmp_path / "a.csv", fs=130, leads=["I"], unit="mV")
    np.testing.assert_array_equal(record.signal, [[1, 2, 3]])
    with pytest.raises(ValueError, match="leads are missing"):
        read_csv(tmp_path / "a.csv", fs=130, unit="mV")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("I\n1\n2\n", "fs is missing for a.csv; pass fs=<Hz>"),
        ("t,I\n0,1\n1,2\n", "unit is missing"),
        ("t,I (mV)\n0,1\n1,x\n", "accepted are numbers"),
        ("t,I (mV)\n0,1\n1,2\n9,3\n", "not evenly spaced"),
        ("t,I (mV)\n1,1\n0,2\n", "does not rise"),
        ("t,I (mV),i (mV)\n0,1,1\n1,2,2\n", "same lead twice"),
        ("t,I (mV),II (mmHg)\n0,1,1\n1,2,2\n", "accepted are mV, uV and V"),
        ("", "is empty"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_csv(tmp_path / "a.csv")


def test_text_that_is_not_utf_8_is_named(tmp_path):
    for encoding in ("latin-1", "utf-16-le"):
        (tmp_path / "a.csv").write_bytes("time_s,I (µV)\n0.0,1\n0.01,2\n".encode(encoding))
        with pytest.raises(ValueError, match=r"a.csv is no UTF-8 text .*; save it as UTF-8"):
            read_csv(tmp_path / "a.csv")


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("I,II, I\n1,2,3\n")
    with pytest.raises(ValueError, match=r"a.csv has several columns 'I'; give each column its own name"):
        read_csv(tmp_path / "a.csv", fs=100, unit="mV")


TIMES = np.arange(40) / 500
WAVE = np.round(np.sin(np.arange(40)) * 1000) / 1000


def _rows(separator: str, *columns, decimal: str = ".") -> str:
    return "\n".join(
        separator.join(
            f"{value:.3f}".replace(".", decimal) if isinstance(value, float) else str(value) for value in row
        )
        for row in zip(*columns)
    )


@pytest.mark.parametrize(
    ("header", "separator", "decimal"),
    [
        ("t,I (mV),II (mV)", ",", "."),
        ("t;I (mV);II (mV)", ";", ","),
        ("t|I (mV)|II (mV)", "|", "."),
        ("t\tI (mV)\tII (mV)", "\t", ","),
        ("t  I (mV)  II (mV)", "   ", "."),
        ("t I (mV) II (mV)", " ", ","),
        ("# made by hand\n% twice\n\nt,I (mV),II (mV)", ",", "."),
        ("sample #,t,I (mV),II (mV)", ",", "."),
        ("time [ms],I (mV),II (mV)", ",", "."),
        ("t_us;I (mV);II (mV)", ";", "."),
        ("timestamp (ns)\tI (mV)\tII (mV)", "\t", "."),
        ("'t','I (mV)','II (mV)'", ",", "."),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_layout(tmp_path, header, separator, decimal, encoding, recwarn):
    scale = (
        1000 if "ms" in header else 1_000_000 if "us" in header else 1_000_000_000 if "ns" in header else 1
    )
    times = [float(value) if scale == 1 else round(value * scale) for value in TIMES]
    columns = [times, list(map(float, WAVE)), list(map(float, -WAVE))]
    if "#," in header:
        columns.insert(0, list(range(40)))
    path = tmp_path / "a.csv"
    path.write_bytes(f"{header}\n{_rows(separator, *columns, decimal=decimal)}\n".encode(encoding))
    record = read_csv(path)
    assert is_csv(path.read_bytes()[:4096])
    assert (record.fs, record.leads, record.unit) == (500, ("I", "II"), "mV")
    np.testing.assert_allclose(record.signal, [WAVE, -WAVE], rtol=1e-6)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("text", "about", "expected"),
    [
        ("1\n-2\n3.5\n", {}, [[1, -2, 3.5]]),
        ("ecg (mV)\n0,5\n-1,25\n", {}, [[0.5, -1.25]]),
        ("1 2\n3 4\n5 6\n", {"leads": ["I", "II"]}, [[1, 3, 5], [2, 4, 6]]),
        ("0,5 1,5\n1,5 2\n", {"leads": ["I", "II"]}, [[0.5, 1.5], [1.5, 2]]),
        ("0,7\n1,8\n2,7\n", {}, [[7, 8, 7]]),  # the first column counts
        (",I\n0,7\n1,8\n", {"leads": ["I"]}, [[7, 8]]),  # as pandas writes its index
        ("I,II,\n1,2,\n3,4,\n", {"leads": ["I", "II"]}, [[1, 3], [2, 4]]),  # a comma too many
        ("n,I\n5,7\n5,8\n", {"leads": ["n", "I"]}, [[5, 5], [7, 8]]),  # does not count
        ('"I","II"\n"1","2"\n', {"leads": ["I", "II"]}, [[1], [2]]),
    ],
)
def test_columns_that_are_leads(tmp_path, text, about, expected):
    (tmp_path / "a.txt").write_text(text)
    passed = {"fs": 300, "leads": ["I"], "unit": None if "mV" in text else "mV"} | about
    np.testing.assert_allclose(read_csv(tmp_path / "a.txt", **passed).signal, expected)


def test_columns_of_text_and_further_times_are_left_out(tmp_path):
    text = "when,t,timestamp,I (mV)\n2020-01-01 10:00:00,0,9,1\n2020-01-01 10:00:01,0.01,12,2\n"
    (tmp_path / "a.csv").write_text(text)
    with pytest.warns(
        UserWarning, match=r"a\.csv: columns left out: when \(text\), timestamp \(times of no known unit\)"
    ):
        record = read_csv(tmp_path / "a.csv")
    assert (record.fs, record.leads) == (100, ("I",))
    (tmp_path / "a.csv").write_text("2020-01-01T10:00:00,1\n2020-01-01T10:00:01,2\n")
    with pytest.warns(UserWarning, match=r"a\.csv: columns left out: column 1 \(text\)"):
        np.testing.assert_array_equal(
            read_csv(tmp_path / "a.csv", fs=100, leads=["I"], unit="mV").signal, [[1, 2]]
        )


def test_empty_lines_between_samples_are_said(tmp_path):
    (tmp_path / "a.txt").write_text("\n1\n2\n\n3\n\n")
    with pytest.warns(
        UserWarning, match=r"a\.txt: empty lines between samples are left out; write nan where"
    ):
        record = read_csv(tmp_path / "a.txt", fs=100, leads=["I"], unit="mV")
    np.testing.assert_array_equal(record.signal, [[1, 2, 3]])


@pytest.mark.parametrize(
    ("text", "passed", "what", "rows"),
    [
        ("1,5,3\n1,4,3\n", {}, "fs", 3),
        ("1,5,3\n1,4,3\n", {"fs": 100}, "leads", 3),
        ("t,I,II\n0,1,2\n1,3,4\n", {}, "unit", 2),
    ],
)
def test_what_nobody_states_is_asked_for(tmp_path, text, passed, what, rows):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(NotStated, match=rf"{what} (is|are) missing for a\.csv; pass") as error:
        read_csv(tmp_path / "a.csv", **passed)
    assert (error.value.what, error.value.rows) == (what, rows)


@pytest.mark.parametrize(
    ("text", "passed", "message"),
    [
        ("# nothing\n\n", {}, r"a\.csv is empty; accepted is a row a sample"),
        ("t,I (mV)\n", {}, r"a\.csv holds no sample; accepted is a row a sample"),
        ("name,place\na,b\n", {}, r"a\.csv holds no column of a lead but name \(text\), place \(text\)"),
        (
            "I (mV)\n1\n2,3,4\n",
            {"fs": 100},
            r"a\.csv: .*Expected 1 fields in line 3, saw 3; accepted are numbers",
        ),
        (
            ",I (mV)\n5,1\n7,2\n",
            {"fs": 100},
            r"a\.csv: column 1 has no name; name each lead in the first line",
        ),
        ("I (mV),II (zscore)\n1,2\n", {"fs": 100}, r"a\.csv has columns in zscore and in volts"),
        ("I (mV)\nx\ny\n", {"fs": 100}, r"a\.csv: could not convert string to float.*; accepted are numbers"),
        ("t [ms],I (mV)\n0,1\n1,2\n2,3\n9,4\n", {}, r"a\.csv: the times are not evenly spaced"),
        (",".join(["1"] * 5000), {}, r"a\.csv has 5,000 columns; accepted are up to 4,096: a row a sample"),
        ('"' + "1" * 200_000, {}, r"is no row of a table \(field larger than field limit"),
    ],
)
def test_other_tables_say_why(tmp_path, text, passed, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_csv(tmp_path / "a.csv", **passed)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.csv is missing in .*; check the path"):
        read_csv(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x00" * 4096,
        b"<RestingECG>1</RestingECG>",
        b"100 2 360 650000\n100.dat 212 200 11 1024 995 -22131 0 MLII\n",
        b"0       X X X X".ljust(256),
        b"ISHNE1.0" + bytes(99),
        b'{"fs": 1}\n',
        b"hello, world\n",
        "Sample Rate,512 hertz\n\nLead,Lead I\nUnit,µV\n\n1\n2\n".encode(),
        b"Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV]\n2026-01-01T00:00:00;1;0.0;1\n",
    ],
)
def test_other_beginnings_are_not_claimed(head):
    assert not is_csv(head)


SMALL = [
    f"time_s,I (uV),II (uV)\n{_rows(',', map(float, TIMES), map(float, WAVE), map(float, -WAVE))}\n".encode(),
    f"# text\nwhen;t [ms];II (mV)\n{_rows(';', ['2020-01-01 10:00'] * 40, range(40), WAVE, decimal=',')}\n".encode(),
    "\n".join(map(str, WAVE.tolist())).encode("utf-16"),
]


@pytest.mark.parametrize("kind", range(3))
@FUZZ
@given(mutations=MUTATIONS)
def test_damaged_files_are_refused_or_read(tmp_path, kind, mutations):
    content = damage(SMALL[kind], mutations)
    is_csv(content[:4096])
    more = {"fs": 300, "leads": ["I"], "unit": "mV"} if kind == 2 else {}
    assert_record_or_refusal(lambda path: read_csv(path, **more), tmp_path / "damaged.csv", content)
