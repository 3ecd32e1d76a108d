"""Apple Watch ECGs, told by structure and read in any language."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from openclef.formats.apple_watch import is_apple_watch, read_apple_watch
from openclef.formats.stated import NotStated
from tests.formats.mutation import FUZZ, MUTATIONS, assert_record_or_refusal, damage, twelve_leads
from tests.formats.writers.apple_watch import write_apple_watch

SIGNAL = twelve_leads(512.0, 2.0)[0]


@pytest.mark.parametrize(
    ("fs", "about"),
    [
        (512.0, {}),
        (511.848, {"rate": "511.848 hertz", "line_end": "\r\n", "encoding": "utf-8-sig"}),
        (
            511.422,
            {"language": "de", "rate": '"511,422 Hertz"', "comma": True, "born": "05.08.1953"},
        ),
        (511.5, {"language": "de", "rate": "511,5\u00a0hertz", "comma": True, "born": "5. Aug. 1953"}),
        (
            512.0,
            {
                "language": "fr",
                "rate": "512 hertz",
                "comma": True,
                "born": "5 août 1953",
                "encoding": "utf-16",
            },
        ),
        (512.0, {"rate": "512Hz", "unit": "mV", "name": "", "born": "1953-08-05"}),
    ],
)
def test_the_recording_comes_back(tmp_path, fs, about):
    path = write_apple_watch(tmp_path / "a.csv", SIGNAL, **about)
    record = read_apple_watch(path)
    assert is_apple_watch(path.read_bytes()[:4096])
    assert (record.fs, record.leads, record.unit, record.record_id) == (fs, ("I",), "mV", "a")
    assert record.metadata == {"age_years": 64.0, "recorded_at": "2017-11-22T09:10:11"}
    assert record.subject_id is None
    np.testing.assert_allclose(record.signal, SIGNAL[None], atol=0.001)


@pytest.mark.parametrize("born", ["", "05/08/1953", "Foo 5, 1953", "31.02.1953", "Aug 1953"])
def test_dates_that_cannot_be_read_are_left_out(tmp_path, born):
    path = write_apple_watch(tmp_path / "a.csv", SIGNAL, born=born)
    assert read_apple_watch(path, record_id="b").metadata == {"recorded_at": "2017-11-22T09:10:11"}
    path = write_apple_watch(tmp_path / "a.csv", SIGNAL, born=born, recorded="yesterday")
    assert read_apple_watch(path).metadata == {}


def _without(word: str):
    return lambda text: "\n".join(line for line in text.split("\n") if not line.startswith(word))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda text: "",
            r"a\.csv is no Apple Watch ECG; accepted is a text of the folder electrocardiograms",
        ),
        (lambda text: "t,I (mV)\n0,1\n", r"a\.csv is no Apple Watch ECG"),
        (lambda text: text[:200], r"a\.csv is no Apple Watch ECG"),
        (_without("Sample Rate"), r"fs is missing for a\.csv: the file states no sampling rate"),
        (_without("Unit"), r"unit is missing for a\.csv: the file states none"),
        (lambda text: text.replace("512 hertz", "0 hertz"), r"a\.csv states a sampling rate of 0.0 Hz"),
        (lambda text: text + "Lead,Lead II\n", r"a\.csv: .*could not convert.*; accepted are numbers"),
        (lambda text: text + "1.234,5\n", r"a\.csv: .*accepted are numbers, one column a lead"),
        (lambda text: text + "1\t2\n", r"a\.csv: .*accepted are numbers"),
        (lambda text: text + "nan\n", r"a\.csv is damaged: it holds what is no sample; export it anew"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, edit, message):
    path = write_apple_watch(tmp_path / "a.csv", SIGNAL)
    path.write_text(edit(path.read_text("utf-8")), "utf-8")
    with pytest.raises(ValueError, match=message):
        read_apple_watch(path)


def test_what_is_missing_can_be_given_and_nothing_else(tmp_path):
    path = write_apple_watch(tmp_path / "a.csv", SIGNAL)
    for wrong in ({"fs": 250}, {"leads": ["II"]}, {"unit": "mV"}):
        with pytest.raises(ValueError, match=r"a\.csv states .* is passed; pass no"):
            read_apple_watch(path, **wrong)
    text = _without("Sample Rate")(_without("Lead")(path.read_text("utf-8")))
    path.write_text(text, "utf-8")
    with pytest.raises(NotStated) as error:
        read_apple_watch(path)
    assert (error.value.what, error.value.rows) == ("fs", None)
    assert read_apple_watch(path, fs=512).leads == ("I",)
    assert read_apple_watch(path, fs=512, leads=["II"]).leads == ("II",)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"1\n2\n3\n",
        b"t,I (mV)\n0,1\n",
        b"Name,x\nSample Rate,512 hertz\n\nLead,Lead I\nUnit,mV\n",  # and no sample
        b"Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV]\n",
        b"id,unit\n1,mV\n",
        b"\x00" * 4096,
    ],
)
def test_other_beginnings_are_not_claimed(head):
    assert not is_apple_watch(head)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.csv is missing in .*; check the path"):
        read_apple_watch(tmp_path / "a.csv")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_apple_watch(tmp_path_factory.mktemp("fuzz") / "whole.csv", SIGNAL[:60]).read_bytes()


@FUZZ
@given(mutations=MUTATIONS)
def test_damaged_files_are_refused_or_read(small, tmp_path, mutations):
    content = damage(small, mutations)
    is_apple_watch(content[:4096])
    assert_record_or_refusal(read_apple_watch, tmp_path / "damaged.csv", content)
