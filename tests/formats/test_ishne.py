"""ISHNE Holter ECGs: whole, in stretches, and refused where they are cut or damaged."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given

from openclef.formats.ishne import is_ishne, read_ishne
from openclef.formats.stated import NotStated
from openclef.signal import LEADS
from tests.formats.mutation import FUZZ, MUTATIONS, assert_record_or_refusal, damage, twelve_leads
from tests.formats.writers.ishne import write_ishne


@pytest.mark.parametrize(
    ("rows", "about"),
    [
        (list(range(12)), {}),
        ([0, 1, 6], {"nanovolts": [5000, 2500, 1000], "variable": b"some text"}),
        ([1], {"checksum": 0, "nanovolts": 1}),
        ([1, 7], {"count_all": True}),
    ],
)
def test_every_lead_comes_back(tmp_path, rows, about, recwarn):
    signal = twelve_leads(200.0, step_mv=0.005)[rows]
    if about.get("nanovolts") == 1:
        signal = signal / 1000
    names = [LEADS[row] for row in rows]
    path = write_ishne(tmp_path / "a.ecg", signal, 200, names, **about)
    record = read_ishne(path)
    assert is_ishne(path.read_bytes()[:4096])
    assert (record.fs, record.leads, record.unit, record.record_id) == (200, tuple(names), "mV", "a")
    assert record.subject_id == "PID-7"
    assert record.metadata == {"age_years": 64.0, "sex": "female", "recorded_at": "2017-11-22T09:10:11"}
    np.testing.assert_allclose(record.signal, signal, atol=0.0025 + 1e-6)
    assert not recwarn.list


def test_missing_samples_are_nan(tmp_path):
    signal = twelve_leads(200.0, 1.0)[:2]
    signal[0, 10:20] = np.nan
    record = read_ishne(write_ishne(tmp_path / "a.ecg", signal, 200, ["I", "II"]))
    np.testing.assert_array_equal(np.isnan(record.signal), np.isnan(signal))


@pytest.mark.parametrize(
    ("start_s", "seconds", "first", "last"),
    [
        (0, 2, 0, 400),
        (2.5, 1.5, 500, 800),
        (9, 100, 1800, 2000),
        (9.999, None, 1999, 2000),
        (3, 1e-9, 600, 601),
    ],
)
def test_a_stretch_is_that_of_the_whole(tmp_path, start_s, seconds, first, last):
    path = write_ishne(tmp_path / "a.ecg", twelve_leads(200.0)[:3], 200, LEADS[:3], variable=b"odd")
    whole, part = read_ishne(path), read_ishne(path, start_s=start_s, seconds=seconds, record_id="b")
    np.testing.assert_array_equal(part.signal, whole.signal[:, first:last])
    assert (part.start_s, part.record_id) == (first / 200, "b")


def test_a_stretch_of_a_day_is_read_without_the_rest(tmp_path):
    import tracemalloc

    path = write_ishne(tmp_path / "a.ecg", np.zeros((3, 200)), 200, LEADS[:3], checksum=0)
    content = bytearray(path.read_bytes()[:522])
    samples = 24 * 3600 * 200
    struct.pack_into("<i", content, 14, samples)
    with path.open("wb") as file:  # a file with holes: it takes no room
        file.write(content)
        file.seek(522 + 6 * (samples - 1))
        file.write(struct.pack("<3h", 1, 2, 3))
    tracemalloc.start()
    record = read_ishne(path, start_s=86_399, seconds=10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert record.signal.shape == (3, 200)
    np.testing.assert_allclose(record.signal[:, -1], [0.005, 0.01, 0.015], rtol=1e-6)
    assert peak < 1e6


def test_leads_without_a_name_are_asked_for(tmp_path):
    signal = twelve_leads(200.0, 1.0)[:3]
    path = write_ishne(tmp_path / "a.ecg", signal, 200, ["II", "unknown", "generic"])
    with pytest.raises(
        NotStated, match=r"leads are missing for a\.ecg: the file states II, unknown"
    ) as error:
        read_ishne(path)
    assert (error.value.what, error.value.rows) == ("leads", 3)
    assert read_ishne(path, leads=["II", "V1", "V5"]).leads == ("II", "V1", "V5")
    for wrong in (["I", "V1", "V5"], ["II", "V1"]):
        with pytest.raises(ValueError, match=r"a\.ecg states the leads II, unknown, unknown and leads="):
            read_ishne(path, leads=wrong)
    with pytest.raises(ValueError, match=r"a\.ecg: lead names .* mean the same lead twice"):
        read_ishne(path, leads=["II", "V1", "ii"])


def test_what_the_file_does_not_say_is_left_out(tmp_path):
    about = {"subject": "", "sex": 0, "born": (-9, -9, -9), "recorded": (31, 2, 2017)}
    path = write_ishne(tmp_path / "a.ecg", twelve_leads(200.0, 1.0)[:1], 200, ["I"], **about)
    record = read_ishne(path)
    assert (record.metadata, record.subject_id) == ({}, None)
    path = write_ishne(tmp_path / "a.ecg", np.zeros((1, 200)), 200, ["I"], clock=(25, 0, 0), sex=1)
    assert read_ishne(path).metadata == {"age_years": 64.0, "sex": "male", "recorded_at": "2017-11-22"}


def _set(place: int, form: str, *values: int):
    def edit(content: bytes) -> bytes:
        changed = bytearray(content)
        struct.pack_into(form, changed, place, *values)
        return bytes(changed)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda content: b"", r"a\.ecg is no ISHNE Holter ECG; accepted is a file that begins with ISHNE1.0"),
        (lambda content: b"ANN  1.0" + content[8:], r"a\.ecg is no ISHNE Holter ECG"),
        (
            lambda content: content[:500],
            r"a\.ecg is cut short: it has 500 bytes, and its header alone needs 522",
        ),
        (
            lambda content: content[:-2],
            r"a\.ecg is cut short: its header promises 200 samples of 2 leads, which",
        ),
        (
            _set(14, "<i", 2_000_000_000),
            r"promises 2,000,000,000 samples of 2 leads, .*800 are there; copy it",
        ),
        (_set(14, "<i", 0), r"a\.ecg has a damaged header \(2 leads, 0 samples from byte 522 on\)"),
        (_set(156, "<h", 13), r"a\.ecg has a damaged header \(13 leads"),
        (_set(22, "<i", 9), r"a\.ecg has a damaged header .* from byte 9 on"),
        (_set(22, "<i", 2_000_000_000), r"a\.ecg is cut short: .* and 0 are there"),
        (_set(206, "<h", 0), r"a\.ecg states amplitudes of 0, 5000 nV a step; accepted are numbers above 0"),
        (_set(272, "<h", 0), r"fs is missing for a\.ecg"),
        (_set(272, "<h", -5), r"a\.ecg states a sampling rate of -5.0 Hz"),
        (_set(158, "<h", 6), r"a\.ecg: lead names .* mean the same lead twice"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, edit, message):
    path = write_ishne(tmp_path / "a.ecg", twelve_leads(200.0, 1.0)[:2], 200, LEADS[:2], checksum=0)
    path.write_bytes(edit(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        read_ishne(path)


def test_arguments_that_cannot_be_are_refused(tmp_path):
    path = write_ishne(tmp_path / "a.ecg", twelve_leads(200.0, 1.0)[:2], 200, LEADS[:2])
    for start_s in (-1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=r"start_s=.* for a\.ecg; accepted is 0 to less than 1 s"):
            read_ishne(path, start_s=start_s)
    with pytest.raises(ValueError, match=r"seconds=0 for a\.ecg; accepted is a duration above 0"):
        read_ishne(path, seconds=0)
    with pytest.raises(ValueError, match=r"a\.ecg states 200 Hz and fs=250 is passed; pass no fs"):
        read_ishne(path, fs=250)
    with pytest.raises(ValueError, match=r"a\.ecg states amplitudes in nV and unit='V' is passed"):
        read_ishne(path, unit="V")
    with pytest.raises(FileNotFoundError, match=r"b\.ecg is missing in .*; check the path"):
        read_ishne(tmp_path / "b.ecg")


def test_a_wrong_checksum_and_bytes_that_follow_are_said(tmp_path):
    path = write_ishne(tmp_path / "a.ecg", twelve_leads(200.0, 1.0)[:2], 200, LEADS[:2], checksum=1)
    with pytest.warns(UserWarning, match=r"a\.ecg: its header states the checksum 0001 and has [0-9A-F]{4}"):
        read_ishne(path)
    path = write_ishne(tmp_path / "a.ecg", twelve_leads(200.0, 1.0)[:2], 200, LEADS[:2])
    path.write_bytes(path.read_bytes() + b"abc")
    with pytest.warns(UserWarning, match=r"a\.ecg: 3 bytes follow the 200 samples that its header promises"):
        assert read_ishne(path).signal.shape == (2, 200)


@pytest.mark.parametrize("head", [b"", b"ISHNE", b"ANN  1.0", b"0       ", b"\x00" * 4096])
def test_other_beginnings_are_not_claimed(head):
    assert not is_ishne(head)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    signal = twelve_leads(100.0, 0.5)[[0, 1, 6]]
    return write_ishne(folder / "whole.ecg", signal, 100, ["I", "II", "V1"], variable=b"text").read_bytes()


@FUZZ
@given(mutations=MUTATIONS)
def test_damaged_files_are_refused_or_read(small, tmp_path, mutations):
    content = damage(small, mutations)
    is_ishne(content[:4096])
    assert_record_or_refusal(read_ishne, tmp_path / "damaged.ecg", content)
