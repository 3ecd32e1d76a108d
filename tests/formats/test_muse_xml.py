"""GE MUSE XML: the rhythm with all twelve leads, and nothing else."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given

from openclef.formats.muse_xml import is_muse_xml, read_muse_xml
from openclef.signal import LEADS
from tests.formats.mutation import FUZZ, MUTATIONS, assert_record_or_refusal, damage, twelve_leads
from tests.formats.writers.muse_xml import write_muse_xml

pytest.importorskip("defusedxml")

STORED = tuple(lead for lead in LEADS if lead not in LEADS[2:6])
ROWS = [LEADS.index(lead) for lead in STORED]


@pytest.mark.parametrize(
    ("fs", "about"),
    [
        (500.0, {}),
        (250.0, {"step": 5, "sample_base": 25, "sample_exponent": 1, "checksums": False, "median": False}),
        (500.0, {"step": 0.005, "unit": "MILLIVOLTS", "doctype": False, "encoding": "UTF-8", "wrap": 10**6}),
        (500.0, {"encoding": "UTF-16"}),
    ],
)
def test_eight_stored_leads_give_twelve(tmp_path, fs, about):
    signal = twelve_leads(fs, step_mv=0.001)
    path = write_muse_xml(tmp_path / "a.xml", signal[ROWS], fs, STORED, **about)
    record = read_muse_xml(path)
    assert is_muse_xml(path.read_bytes()[:4096])
    assert (record.fs, record.leads, record.unit, record.record_id) == (fs, LEADS, "mV", "a")
    assert record.subject_id == "PID-7"
    assert record.metadata == {"age_years": 64.0, "sex": "female", "recorded_at": "2017-11-22T09:10:11"}
    np.testing.assert_allclose(record.signal[ROWS], signal[ROWS], atol=0.0025 + 1e-6)
    np.testing.assert_allclose(record.signal, signal, atol=0.005 + 1e-5)  # derived leads carry two roundings


def test_twelve_stored_leads_are_not_derived_again(tmp_path):
    signal = twelve_leads(500.0, 1.0)
    signal[2] = 0.5  # not what Einthoven's law says
    record = read_muse_xml(write_muse_xml(tmp_path / "a.xml", signal, 500, [*LEADS[:11], "V6"], step=2.5))
    assert record.leads == LEADS
    np.testing.assert_allclose(record.signal, signal, atol=0.00125 + 1e-6)


def test_other_leads_stay_and_without_i_and_ii_nothing_is_derived(tmp_path):
    signal = twelve_leads(500.0, 1.0)
    record = read_muse_xml(
        write_muse_xml(tmp_path / "a.xml", signal[[0, 1, 6, 7]], 500, ["I", "II", "V3R", "V1"])
    )
    assert record.leads == ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V3R")
    np.testing.assert_allclose(record.signal[-1], signal[6], atol=0.0025)
    record = read_muse_xml(write_muse_xml(tmp_path / "a.xml", signal[[1, 6]], 500, ["II", "V1"]))
    assert record.leads == ("II", "V1")


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"age": "18", "age_units": "MONTHS", "gender": "MALE"}, {"age_years": 1.5, "sex": "male"}),
        ({"age": ""}, {"age_years": 64.0, "sex": "female"}),  # by the date of birth
        ({"age": "", "born": "XX-XX-XXXX", "gender": "UNKNOWN"}, {}),
        ({"age": "30", "age_units": "", "born": ""}, {"sex": "female"}),  # 30 of what?
    ],
)
def test_what_the_file_says_of_the_person(tmp_path, about, expected):
    path = write_muse_xml(tmp_path / "a.xml", twelve_leads(250.0, 1.0)[:1], 250, ["I"], **about)
    assert read_muse_xml(path).metadata == expected | {"recorded_at": "2017-11-22T09:10:11"}


def test_dates_that_are_none_are_left_out(tmp_path):
    signal = twelve_leads(250.0, 1.0)[:1]
    path = write_muse_xml(
        tmp_path / "a.xml", signal, 250, ["I"], recorded=("22-11-2017", "x"), patient_id="", age=""
    )
    record = read_muse_xml(path, record_id="b")
    assert (record.metadata, record.subject_id, record.record_id) == ({"sex": "female"}, None, "b")
    path = write_muse_xml(tmp_path / "a.xml", signal, 250, ["I"], recorded=("11-22-2017", "??"))
    assert read_muse_xml(path).metadata["recorded_at"] == "2017-11-22"


def _edit(old: str, new: str):
    return lambda text: text.replace(old, new)


def _pattern(old: str, new: str):
    return lambda text: re.sub(old, new, text, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: "", r"a\.xml is empty; accepted is GE MUSE XML of a resting ECG: copy it again"),
        (lambda text: text[:9000], r"a\.xml is damaged or no XML \(.*copy it again"),
        (lambda text: "t,I\n0,1\n", r"a\.xml is damaged or no XML"),
        (lambda text: "<CardiologyXML/>", r"a\.xml is XML of <CardiologyXML>; accepted is GE MUSE XML"),
        (
            _edit('SYSTEM "restecg.dtd"', '[<!ENTITY x SYSTEM "/etc/passwd">]'),
            r"a\.xml has an entity or refers",
        ),
        (
            _edit("<WaveformType>Rhythm", "<WaveformType>Median"),
            r"holds only waveforms of type 'Median'; accepted",
        ),
        (_pattern("<Waveform>.*</Waveform>", ""), r"a\.xml holds no waveform; accepted is .* type Rhythm"),
        (_pattern("<LeadData>.*</LeadData>", ""), r"holds no lead|holds only"),
        (
            _edit("CONTINUOUS_SAMPLES", "DELTA"),
            r"a\.xml holds samples of type 'DELTA'; accepted is CONTINUOUS",
        ),
        (_pattern("<SampleBase>500</SampleBase>", ""), r"fs is missing for a\.xml"),
        (_edit("<SampleBase>500", "<SampleBase>0"), r"a\.xml states a sampling rate of 0.0 Hz"),
        (
            _edit("<SampleExponent>0", "<SampleExponent>99"),
            r"a\.xml states a rate of '500' times 10 to the '99'",
        ),
        (
            _edit("<LeadAmplitudeUnits>MICROVOLTS", "<LeadAmplitudeUnits>NEWTONS"),
            r"lead I: unit 'NEWTONS'; accepted",
        ),
        (
            _edit("<LeadAmplitudeUnits>MICROVOLTS", "<LeadAmplitudeUnits>"),
            r"unit is missing for a\.xml, lead I",
        ),
        (
            _edit("<LeadAmplitudeUnitsPerBit>4.88", "<LeadAmplitudeUnitsPerBit>"),
            "lead I states no amplitude a bit",
        ),
        (_edit("<LeadID>II<", "<LeadID>I<"), r"a\.xml holds lead I twice"),
        (_edit("<LeadID>II<", "<LeadID><"), r"a\.xml holds a lead without a name"),
        (_edit("<LeadSampleSize>2", "<LeadSampleSize>4"), "lead I has 4 bytes a sample; accepted are 2"),
        (
            _edit("<LeadSampleCountTotal>500<", "<LeadSampleCountTotal>99999999999<"),
            "LeadSampleCountTotal 9{11} and",
        ),
        (
            _edit("<LeadByteCountTotal>1000<", "<LeadByteCountTotal>998<"),
            "LeadByteCountTotal 998 and holds 1,000",
        ),
        (
            _pattern(r"<LeadDataCRC32>\d+", "<LeadDataCRC32>12"),
            "lead I does not have the checksum that the file",
        ),
        (
            _pattern(r"<WaveFormData>\s+.", "<WaveFormData>?"),
            r"lead I is damaged \(.*\); copy the file again",
        ),
        (_edit("<LeadTimeOffset>0", "<LeadTimeOffset>1250"), "lead I begins later than others"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, edit, message):
    path = write_muse_xml(tmp_path / "a.xml", twelve_leads(500.0, 1.0)[ROWS], 500, STORED)
    path.write_text(edit(path.read_text("latin-1")), "latin-1")
    with pytest.raises(ValueError, match=message):
        read_muse_xml(path)


def test_a_lead_that_is_shorter_than_others_is_refused(tmp_path):
    long = write_muse_xml(tmp_path / "a.xml", twelve_leads(500.0, 1.0)[:2], 500, STORED[:2], median=False)
    short = write_muse_xml(
        tmp_path / "b.xml", twelve_leads(500.0, 0.5)[:1], 500, ["V1"], median=False
    ).read_text("latin-1")
    lead = short[short.index("<LeadData>") : short.index("</Waveform>")]
    long.write_text(long.read_text("latin-1").replace("</Waveform>", lead + "</Waveform>"), "latin-1")
    with pytest.raises(
        ValueError, match=r"a\.xml holds leads of 250 to 500 samples; accepted are leads of one length"
    ):
        read_muse_xml(long)


def test_what_is_stated_but_not_applied_is_said(tmp_path):
    path = write_muse_xml(tmp_path / "a.xml", twelve_leads(500.0, 1.0)[:1], 500, ["I"])
    text = path.read_text("latin-1")
    path.write_text(text.replace("<FirstSampleBaseline>0", "<FirstSampleBaseline>7"), "latin-1")
    with pytest.warns(
        UserWarning, match=r"a\.xml, lead I states a baseline of 7 steps, which is not applied"
    ):
        read_muse_xml(path)
    path.write_text(text.replace("<LeadOff>FALSE", "<LeadOff>TRUE"), "latin-1")
    with pytest.warns(UserWarning, match=r"a\.xml, lead I was off, as the file states"):
        read_muse_xml(path)
    begin, end = text.rindex("<Waveform>"), text.index("</RestingECG>")
    path.write_text(text[:end] + text[begin:end] + text[end:], "latin-1")
    with pytest.warns(UserWarning, match=r"a\.xml holds 2 rhythms; the first is read"):
        read_muse_xml(path)


def test_what_is_missing_can_be_given_and_nothing_else(tmp_path):
    signal = twelve_leads(500.0, 1.0)
    path = write_muse_xml(tmp_path / "a.xml", signal[ROWS], 500, STORED)
    for wrong in ({"fs": 250}, {"leads": ["I"]}, {"unit": "mV"}, {"unit": "zscore"}):
        with pytest.raises(ValueError, match=r"a\.xml.* states .* is passed; pass no"):
            read_muse_xml(path, **wrong)
    assert read_muse_xml(path, fs=500, leads=LEADS, unit="uV").fs == 500
    text = path.read_text("latin-1").replace("MICROVOLTS", "").replace("SampleBase", "x")
    path.write_text(text, "latin-1")
    np.testing.assert_allclose(read_muse_xml(path, fs=500, unit="uV").signal[ROWS], signal[ROWS], atol=0.0025)


@pytest.mark.parametrize(
    "head", [b"", b"<", b"RestingECG", b"<restingecgdata>", b"<RestingECGData>", b"\x00" * 4096]
)
def test_other_beginnings_are_not_claimed(head):
    assert not is_muse_xml(head)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.xml is missing in .*; check the path"):
        read_muse_xml(tmp_path / "a.xml")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    signal = twelve_leads(100.0, 0.2)[[0, 1, 6]]
    return write_muse_xml(folder / "whole.xml", signal, 100, ["I", "II", "V1"], median=False).read_bytes()


@FUZZ
@given(mutations=MUTATIONS)
def test_damaged_files_are_refused_or_read(small, tmp_path, mutations):
    content = damage(small, mutations)
    is_muse_xml(content[:4096])
    assert_record_or_refusal(read_muse_xml, tmp_path / "damaged.xml", content)
