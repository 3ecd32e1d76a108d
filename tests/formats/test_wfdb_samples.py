"""Plain WFDB records are read as the package wfdb reads them, and what is not plain is left to it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclef.formats.wfdb_samples import WfdbSamples, read_any, read_plain

COUNT = 40


def plain(stem: Path, start: int = 0, stop: int | None = None) -> WfdbSamples | None:
    return read_plain(stem, Path(f"{stem}.hea").read_text("utf-8", "replace"), start, stop)


def assert_same(found: WfdbSamples, expected: WfdbSamples) -> None:
    assert (found.fs, list(found.leads), list(found.units)) == (
        expected.fs,
        list(expected.leads),
        list(expected.units),
    )
    assert list(found.gains) == list(expected.gains)
    assert list(found.checksums) == list(expected.checksums)
    for mine, theirs in zip(found.digital, expected.digital, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(found.physical, expected.physical, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def real_records(folder: Path) -> list[Path]:
    paths = sorted(folder.rglob("*.hea"))
    return [path.with_suffix("") for path in paths if "16" in path.read_text().splitlines()[1].split()[1]]


def test_some_real_records_are_those_of_wfdb(data_folder):
    stems = real_records(data_folder)
    for stem in stems[:: len(stems) // 40]:
        found = plain(stem)
        assert found is not None
        assert_same(found, read_any(stem, 0, None))
        assert_same(plain(stem, 100, 700), read_any(stem, 100, 700)._replace(checksums=found.checksums))


@pytest.mark.slow
def test_all_real_records_are_those_of_wfdb(data_folder):
    stems = real_records(data_folder)
    assert len(stems) > 4000
    for stem in stems:
        found = plain(stem)
        assert found is not None
        assert_same(found, read_any(stem, 0, None))


def written(folder: str, header: str, leads: int) -> Path:
    values = np.random.default_rng(leads).integers(-2000, 2000, COUNT * leads).astype("<i2")
    values[::7] = -32768
    Path(folder, "a.dat").write_bytes(bytes(24) + values.tobytes())
    Path(folder, "a.hea").write_bytes(header.encode())
    return Path(folder, "a")


SIGNAL = st.tuples(
    st.just("a.dat"),
    st.sampled_from(["16", "16+24"]),
    st.tuples(
        st.from_regex(r"-?[1-9][0-9]{0,3}(\.[0-9]{1,3})?", fullmatch=True),
        st.sampled_from(["", "(0)", "(-12)", "(700)"]),
        st.sampled_from(["/mV", "/uV", "/V", "/mmHg"]),
    ).map("".join),
    st.just("16"),
    st.sampled_from(["0", "5", "-1024"]),  # the baseline where none is stated
    st.integers(-9999, 9999).map(str),
    st.integers(-32768, 65535).map(str),
    st.just("0"),
    st.sampled_from(["I", "aVR", "lead II", "V 1  ", "#"]),
)
RECORD = (
    st.sampled_from(["a", "x-1"]), st.just("2"), st.sampled_from(["500", "360.0", "62.4725"]),
    st.sampled_from(["40", "7"]), st.sampled_from(["", "05:06:00 04/03/2152", "05:06:00.5"]),
)  # fmt: skip
ODD = [
    "", "a/1", "a.b", "~", "b.dat", "1", "0", "3", "41", "250/1000", "499.9999999999", "1e3", "25:00:00", "µ",
    "05:06:00 31/02/2152", "16x1", "16:3", "212", "80", "61", "x", "0/mV", "200", "200(1.5)/mV", "200()/mV",
    "200(0)", "200/µV", "1e2/mV", "-", "1.5", "+7",
]  # fmt: skip


@st.composite
def headers(draw) -> str:
    """Plain headers of two leads, half of them with a field or two that are not."""
    fields = [*draw(st.tuples(*RECORD)), *draw(SIGNAL), *draw(SIGNAL)]
    fields[15] = fields[6]  # one format
    for place in draw(st.lists(st.integers(0, len(fields) - 1), max_size=2)) if draw(st.booleans()) else ():
        fields[place] = draw(st.sampled_from(ODD))
    gap, end = draw(st.sampled_from([" ", "\t", "  "])), draw(st.sampled_from(["\n", "\r\n", "\n\n#x\n"]))
    return end.join(gap.join(line) for line in (fields[:5], fields[5:14], fields[14:])) + end


@given(headers())
def test_what_is_plain_is_as_wfdb_reads_it(header):
    with tempfile.TemporaryDirectory() as folder:
        stem = written(folder, header, 2)
        try:
            found = plain(stem)
        except FileNotFoundError:
            with pytest.raises(FileNotFoundError):
                read_any(stem, 0, None)
            return
        if found is not None:
            assert_same(found, read_any(stem, 0, None))


PLAIN = (
    "a 2 500 40 05:06:00 04/03/2152",
    "a.dat 16+24 200.0(0)/mV 16 0 5 7 0 I",
    "a.dat 16+24 200.0/mV 16 3 5 7 0 V1",
)


def test_plain_headers_are_read_here():
    for header in (PLAIN, ("# note", *PLAIN, "# more"), (PLAIN[0][:10], *PLAIN[1:])):
        with tempfile.TemporaryDirectory() as folder:
            stem = written(folder, "\n".join(header), 2)
            found = plain(stem)
            assert found is not None
            assert_same(found, read_any(stem, 0, None))
            assert found.physical[0][1] == found.digital[0][1] / 200
            assert found.physical[1][1] == (found.digital[1][1] - 3) / 200
            assert np.isnan(found.physical[0][0])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a 2 ", "a/2 2 "), ("a 2 ", "a 1 "), ("a 2 ", "a 3 "), (" 40 ", " 0 "), (" 500 ", " 500/1000(0) "),
        ("05:06:00", "25:06:00"), ("04/03/2152", "31/02/2152"), ("16+24", "16x2+24"), ("16+24", "16:3+24"),
        ("16+24", "212+24"), ("200.0", "0.0"), ("200.0(0)/mV", "200.0(0)"), ("/mV", "/µV"), (" 0 I", " 1 I"),
        (" 7 0 I", ""), (" 40 ", " 41 "), ("a.dat 16+24 200.0(0)", "b.dat 16+24 200.0(0)"),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_wfdb(old, new):
    text = "\n".join(PLAIN)
    assert old in text
    with tempfile.TemporaryDirectory() as folder:
        assert plain(written(folder, text.replace(old, new, 1), 2)) is None
