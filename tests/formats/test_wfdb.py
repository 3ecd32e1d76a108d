"""WFDB records against the package wfdb itself, and every way in which a record can be damaged."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import wfdb

from openclef.formats.wfdb import read_header_line, read_wfdb, record_stem


def write(folder: Path, name: str = "a", *, leads=("I", "AVR"), fs=500, samples=400, gain=1000.0, **changes):
    rng = np.random.default_rng(len(name))
    digital = rng.integers(-3000, 3000, (samples, len(leads)))
    settings = {
        "fs": fs,
        "units": ["mV"] * len(leads),
        "sig_name": list(leads),
        "d_signal": digital,
        "fmt": ["16"] * len(leads),
        "adc_gain": [gain] * len(leads),
        "baseline": [0] * len(leads),
    } | changes
    wfdb.wrsamp(name, write_dir=str(folder), **settings)
    return folder / name


def edit(folder: Path, old: str, new: str) -> None:
    header = folder / "a.hea"
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))


@pytest.mark.parametrize("gain", [1000.0, 200.0, 333.3])
def test_values_are_those_of_wfdb(tmp_path, gain):
    path = write(tmp_path, gain=gain, baseline=[0, 120])
    record = read_wfdb(path)
    expected = wfdb.rdrecord(str(path)).p_signal.T.astype(np.float32)
    assert record.leads == ("I", "aVR")
    assert record.fs == 500
    np.testing.assert_array_equal(record.signal, expected)


def test_real_records_are_those_of_wfdb(data_folder):
    for path in (
        "ptb-xl/records100/00000/00001_lr",
        "ptb-xl/records500/00000/00100_hr",
        "cinc2017/training2017/A00002",
        "mitdb/101",
    ):
        expected = wfdb.rdrecord(str(data_folder / path)).p_signal.T.astype(np.float32)
        np.testing.assert_array_equal(read_wfdb(data_folder / path).signal, expected)


def test_invalid_samples_become_nan(tmp_path):
    digital = np.full((300, 1), 7)
    digital[10:20] = -32768
    record = read_wfdb(write(tmp_path, leads=["I"], d_signal=digital))
    assert np.flatnonzero(np.isnan(record.signal[0])).tolist() == list(range(10, 20))


@pytest.mark.parametrize(
    ("unit", "gain", "step_mv"), [("uV", 1.0, 0.001), ("V", 1e6, 0.001), ("mV", 1000.0, 0.001)]
)
def test_units_are_converted_to_millivolts(tmp_path, unit, gain, step_mv):
    path = write(
        tmp_path, leads=["I"], units=[unit], adc_gain=[gain], d_signal=np.array([[0], [250], [-1000]])
    )
    record = read_wfdb(path, scale=0.001)
    np.testing.assert_allclose(record.signal[0], np.array([0, 250, -1000]) * step_mv, rtol=1e-6)


def test_leads_by_name_whatever_their_order(tmp_path):
    path = write(tmp_path, leads=("V1", "aVF", "i"))
    whole, some = read_wfdb(path), read_wfdb(path, leads=["I", "AVF"])
    assert whole.leads == ("V1", "aVF", "I")
    assert some.leads == ("I", "aVF")
    np.testing.assert_array_equal(some.signal, whole.signal[[2, 1]])


def test_lead_names_are_replaced(tmp_path):
    path = write(tmp_path, leads=["ECG"])
    assert read_wfdb(path, leads=["I"], lead_names={"ECG": "I"}).leads == ("I",)


def test_name_with_a_dot(tmp_path):
    write(tmp_path, "abc")
    (tmp_path / "abc.hea").rename(tmp_path / "a.b.hea")
    assert read_wfdb(tmp_path / "a.b.hea").record_id == "a.b"
    assert [record_stem(f"x/a.b{ending}").name for ending in (".hea", ".dat", "")] == ["a.b"] * 3


DAMAGE = {
    "truncated": (
        lambda f: (f / "a.dat").write_bytes((f / "a.dat").read_bytes()[:1001]),
        "shorter than its header",
    ),
    "empty signals": (lambda f: (f / "a.dat").write_bytes(b""), "shorter than its header"),
    "no signals": (lambda f: (f / "a.dat").unlink(), "a.dat is missing"),
    "no header": (lambda f: (f / "a.hea").unlink(), "a.hea is missing"),
    "empty header": (lambda f: (f / "a.hea").write_text(""), "first line is ''"),
    "header breaks off": (lambda f: (f / "a.hea").write_text("a 2 500 400\n"), "header is damaged"),
    "unknown format": (lambda f: edit(f, "a.dat 16 ", "a.dat 17 "), "header is damaged"),
    "rate of zero": (lambda f: edit(f, "a 2 500 400", "a 2 0 400"), "fs=0"),
    "no leads": (lambda f: (f / "a.hea").write_text("a 0 500 400\n"), "names no lead"),
    "unknown unit": (lambda f: edit(f, "/mV", "/mmHg"), "'mmHg'; accepted are mV, uV and V"),
    "no gain": (lambda f: edit(f, "1000.0(0)/mV", "0"), "states no gain"),
    "segments": (lambda f: edit(f, "a 2 500", "a/3 2 500"), "several segments"),
    "impossible length": (lambda f: edit(f, "500 400", f"500 {10**13}"), "header"),
    "one bit": (
        lambda f: (f / "a.dat").write_bytes(
            bytes([(f / "a.dat").read_bytes()[0] ^ 1]) + (f / "a.dat").read_bytes()[1:]
        ),
        "checksum of lead I differs",
    ),
    "two rates": (lambda f: edit(f, "a.dat 16 ", "a.dat 16x2 "), "shorter than its header"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_records_say_why(tmp_path, name):
    write(tmp_path)
    damage, message = DAMAGE[name]
    damage(tmp_path)
    with pytest.raises((OSError, ValueError), match="record 'a'") as caught:
        read_wfdb(tmp_path / "a")
    assert message in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_checksum_of_zero_is_none_stated(tmp_path):
    write(tmp_path, leads=["I"])
    fields = (tmp_path / "a.hea").read_text().splitlines()[1].split()
    edit(tmp_path, " ".join(fields[5:7]), f"{fields[5]} 0")
    assert read_wfdb(tmp_path / "a").leads == ("I",)


def test_duplicate_and_missing_leads(tmp_path):
    write(tmp_path, leads=("aVR", "AVR"))
    with pytest.raises(ValueError, match="same lead twice"):
        read_wfdb(tmp_path / "a")
    write(tmp_path, "b", leads=("I", "II"))
    with pytest.raises(ValueError, match="leads missing: V1; it has I, II"):
        read_wfdb(tmp_path / "b", leads=["I", "V1"])


def test_step_and_rate_must_fit(tmp_path):
    write(tmp_path, gain=200.0)
    assert read_wfdb(tmp_path / "a", scale=0.001, fs=500).fs == 500
    for scale in (0.002, 0.01):
        with pytest.raises(ValueError, match="no multiple of the store's"):
            read_wfdb(tmp_path / "a", scale=scale)
    with pytest.raises(ValueError, match="500 Hz and 250 Hz is wanted"):
        read_wfdb(tmp_path / "a", fs=250)


def test_published_header_of_the_challenge_2017(tmp_path, data_folder):
    """The published headers carry a date, a checksum of 0 and a space at the end."""
    source = data_folder / "cinc2017/training2017"
    (tmp_path / "A00002.mat").write_bytes((source / "A00002.mat").read_bytes())
    (tmp_path / "A00002.hea").write_text(
        "A00002 1 300 9000 05:05:15 1/05/2000 \nA00002.mat 16+24 1000/mV 16 0 128 0 0 ECG \n"
    )
    np.testing.assert_array_equal(read_wfdb(tmp_path / "A00002").signal, read_wfdb(source / "A00002").signal)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a 12 500 5000", (12, 500.0, 5000, 0)),
        ("a 1 300 9000 05:05:15 1/05/2000 ", (1, 300.0, 9000, 0)),
        ("a/5 3 360/1000(2) 10", (3, 360.0, 10, 5)),
        ("a 2", (2, 250.0, 0, 0)),
        ("a 2 62.4725", (2, 62.4725, 0, 0)),
    ],
)
def test_first_line_of_a_header(tmp_path, line, expected):
    (tmp_path / "a.hea").write_text(f"#comment\n\n{line}\nrest\n")
    assert tuple(read_header_line(tmp_path / "a")) == expected


def test_garbled_headers_never_raise_anything_else(tmp_path):
    """Whatever a header holds, the error is one that a conversion counts."""
    write(tmp_path)
    whole = (tmp_path / "a.hea").read_bytes()
    choice = random.Random(0)
    letters = b"0123456789 /x:+-().\nmVe~#\xff"
    for _ in range(150):
        header = bytearray(whole)
        for _ in range(choice.choice([1, 2, 4])):
            place = choice.randrange(len(header))
            if choice.random() < 0.5:
                header[place] = choice.choice(letters)
            else:
                del header[place : place + choice.randrange(1, 12)]
        (tmp_path / "a.hea").write_bytes(bytes(header))
        try:
            read_wfdb(tmp_path / "a")
        except (OSError, ValueError) as error:
            assert str(error).startswith("record ")  # noqa: PT017
