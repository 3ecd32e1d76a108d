"""Polar H10 ECGs of Polar Sensor Logger: an even line of time, with gaps where packets were lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from openclef.formats.polar import is_polar, read_polar
from tests.formats.mutation import FUZZ, MUTATIONS, assert_record_or_refusal, damage, twelve_leads
from tests.formats.writers.polar import PACKET, write_polar

SIGNAL = np.round(twelve_leads(130.0, 20.0)[1] * 1000)


@pytest.mark.parametrize(("fs", "jitter_ms"), [(130.0, 0), (130.0, 2), (129.87, 1), (65.0, 0)])
def test_the_recording_comes_back(tmp_path, fs, jitter_ms, recwarn):
    path = write_polar(tmp_path / "a.txt", SIGNAL, fs, jitter_ms=jitter_ms)
    record = read_polar(path, leads=["II"])
    assert is_polar(path.read_bytes()[:4096])
    assert (record.leads, record.unit, record.record_id) == (("II",), "mV", "a")
    assert record.fs == pytest.approx(fs, rel=1e-3 if jitter_ms else 1e-5)
    assert record.metadata == {"recorded_at": "2026-04-24T14:10:15.270"}
    np.testing.assert_allclose(record.signal, SIGNAL[None] / 1000, rtol=1e-6)
    assert not recwarn.list


@pytest.mark.parametrize("jitter_ms", [0, 2])
def test_lost_packets_are_missing_samples(tmp_path, jitter_ms):
    path = write_polar(tmp_path / "a.txt", SIGNAL, lost=(3, 7, 8), jitter_ms=jitter_ms)
    with pytest.warns(
        UserWarning, match=r"a\.txt: 219 samples \(1\.7 s\) in 2 gaps were not received; they are NaN"
    ):
        record = read_polar(path)
    expected = SIGNAL / 1000
    for packet in (3, 7, 8):
        expected[packet * PACKET : (packet + 1) * PACKET] = np.nan
    assert record.leads == ("ECG",)
    np.testing.assert_allclose(record.signal[0], expected, rtol=1e-6)


def test_the_nominal_rate_may_be_given(tmp_path):
    path = write_polar(tmp_path / "a.txt", SIGNAL, 129.87)
    assert read_polar(path, fs=130, unit="uV", record_id="b").fs == 130
    for wrong in ({"fs": 250}, {"fs": -1}, {"unit": "mV"}):
        with pytest.raises(ValueError, match=r"a\.txt states .* is passed; pass no"):
            read_polar(path, **wrong)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda lines: [""],
            r"a\.txt is no ECG of Polar Sensor Logger; accepted is text whose first line is",
        ),
        (
            lambda lines: ["Phone timestamp;sensor timestamp [ns];X [mg];Y [mg];Z [mg]", *lines[1:]],
            "is no ECG of",
        ),
        (lambda lines: lines[:1], r"a\.txt holds 0 samples; accepted are at least two"),
        (lambda lines: [*lines[:9], "2026-04-24T14:10:15;12.5;0;x"], r"a\.txt: .*; accepted are numbers"),
        (
            lambda lines: [*lines[:9], "2026-04-24T14:10:15;99999999999999999999;0;1"],
            r"a\.txt: .*; accepted are",
        ),
        (lambda lines: [*lines[:9], "a;b;c;d;e;f"], r"a\.txt: .*Expected 4 fields.*; accepted are numbers"),
        (
            lambda lines: [*lines, *lines[1:]],
            r"a\.txt: the sensor's times go back after row 2601; cut the file",
        ),
        (
            lambda lines: [lines[0], *[lines[1]] * 9],
            r"a\.txt: the sensor's times do not rise; record it anew",
        ),
        (
            lambda lines: [*lines[:99], lines[99].replace(";5996", ";6996")],
            r"a\.txt: .* s lie between its first and last sample, of which 1 s were received; cut it",
        ),
        (lambda lines: [lines[0].replace("uV", "mmHg"), *lines[1:]], r"a\.txt: unit 'mmhg'; accepted are mV"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, edit, message):
    path = write_polar(tmp_path / "a.txt", SIGNAL)
    path.write_text("\n".join(edit(path.read_text().splitlines())))
    with pytest.raises(ValueError, match=message):
        read_polar(path)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"Phone timestamp;sensor timestamp [ns];X [mg];Y [mg];Z [mg]\n",
        b"Phone timestamp;HR [bpm]\n",
        b"t;ecg [uV]\n0;1\n",
        b"\x00" * 4096,
    ],
)
def test_other_beginnings_are_not_claimed(head):
    assert not is_polar(head)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.txt is missing in .*; check the path"):
        read_polar(tmp_path / "a.txt")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_polar(tmp_path_factory.mktemp("fuzz") / "whole.txt", SIGNAL[:40]).read_bytes()


@FUZZ
@given(mutations=MUTATIONS)
def test_damaged_files_are_refused_or_read(small, tmp_path, mutations):
    content = damage(small, mutations)
    is_polar(content[:4096])
    assert_record_or_refusal(read_polar, tmp_path / "damaged.txt", content)
