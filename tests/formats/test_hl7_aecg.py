"""HL7 annotated ECGs: the rhythm as it was recorded, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from openclef.formats.hl7_aecg import is_hl7_aecg, read_hl7_aecg
from openclef.signal import LEADS
from tests.formats.mutation import FUZZ, MUTATIONS, assert_record_or_refusal, damage, twelve_leads
from tests.formats.writers.hl7_aecg import lead_sequence, write_hl7_aecg

pytest.importorskip("defusedxml")


@pytest.mark.parametrize(
    ("fs", "about"),
    [
        (500.0, {}),
        (1000.0, {"milliseconds": True, "absolute": False}),
        (360.0, {"unit": "mV", "scale": 0.005, "origin": 0.25, "beats": False}),
        (500.0, {"prefix": "v3"}),
        (500.0, {"encoding": "UTF-16"}),
        (500.0, {"encoding": "GB18030"}),
    ],
)
def test_twelve_leads_come_back(tmp_path, fs, about):
    signal = twelve_leads(fs)
    path = write_hl7_aecg(tmp_path / "a.xml", signal, fs, LEADS, **about)
    record = read_hl7_aecg(path)
    assert is_hl7_aecg(path.read_bytes()[:4096])
    assert (record.fs, record.leads, record.unit, record.record_id) == (fs, LEADS, "mV", "a")
    assert record.subject_id == "SBJ-123"
    assert record.metadata == {"age_years": 49.0, "sex": "female", "recorded_at": "2002-11-22T09:10:00"}
    # leads of the device are in whole steps; those derived from them may be half a step between two
    np.testing.assert_allclose(record.signal, signal, atol=0.0025 + 1e-6)
    np.testing.assert_allclose(record.signal[[0, 1, 6, 11]], signal[[0, 1, 6, 11]], atol=1e-6)


def test_leads_in_groups_lie_on_one_time_line(tmp_path):
    signal = twelve_leads(500.0)
    for absolute in (True, False):
        path = write_hl7_aecg(tmp_path / "a.xml", signal, 500, LEADS, groups=4, absolute=absolute)
        record = read_hl7_aecg(path)
        assert record.signal.shape == (12, 5000)
        for row in range(12):
            begin = 1250 * (row // 3)
            inside = np.zeros(5000, bool)
            inside[begin : begin + 1250] = True
            np.testing.assert_allclose(record.signal[row, inside], signal[row, inside], atol=0.0025 + 1e-6)
            assert np.isnan(record.signal[row, ~inside]).all()


def test_what_the_file_says_of_the_person(tmp_path):
    signal = twelve_leads(250.0, 1.0)
    stated = read_hl7_aecg(write_hl7_aecg(tmp_path / "a.xml", signal, 250, LEADS, age="61.5", sex="M"))
    assert (stated.metadata["age_years"], stated.metadata["sex"]) == (61.5, "male")
    silent = read_hl7_aecg(
        write_hl7_aecg(tmp_path / "a.xml", signal, 250, LEADS, born="", sex="UN", subject_id="?"),
        record_id="b",
    )
    assert (silent.subject_id, silent.record_id) == (None, "b")
    assert silent.metadata == {"recorded_at": "2002-11-22T09:10:00"}


@pytest.mark.parametrize(
    ("increment", "rate"),
    [("0.002", 500), ("0.00333", 300), ("0.00390625", 256), ("0.0078125", 128), ("0.0025", 400)],
)
def test_a_rounded_step_gives_the_whole_rate(tmp_path, increment, rate):
    path = write_hl7_aecg(tmp_path / "a.xml", twelve_leads(500.0, 1.0), 500, LEADS)
    path.write_text(path.read_text().replace('value="0.002" unit="s"', f'value="{increment}" unit="s"'))
    assert read_hl7_aecg(path).fs == rate


def test_what_is_no_lead_or_of_another_rate_is_left_out_and_named(tmp_path):
    signal = twelve_leads(500.0, 1.0)
    other = lead_sequence("MDC_RESP", np.arange(9), 1, 0, "uV")
    slow = write_hl7_aecg(tmp_path / "b.xml", signal[:1], 100, ["V3R"], beats=False).read_text()
    begin = slow.index('<component typeCode="COMP"><sequenceSet')
    slow = slow[begin : slow.index("<subjectOf")].replace("</sequenceSet>", other + "</sequenceSet>")
    path = write_hl7_aecg(tmp_path / "a.xml", signal, 500, LEADS, more_sets=slow)
    with pytest.warns(UserWarning, match="left out") as warned:
        record = read_hl7_aecg(path)
    assert record.leads == LEADS
    said = " ".join(str(each.message) for each in warned)
    assert "a.xml: left out is what is no lead of an ECG: MDC_RESP" in said
    assert "left out are leads of another rate than 500 Hz: V3R" in said


def test_of_several_series_the_rhythm_is_read(tmp_path):
    signal = twelve_leads(500.0, 1.0)
    second = write_hl7_aecg(tmp_path / "b.xml", -signal, 500, LEADS, recorded="20030101120000").read_text()
    second = second[second.index('<component typeCode="COMP"><series') : second.index("</AnnotatedECG>")]
    path = write_hl7_aecg(tmp_path / "a.xml", signal, 500, LEADS, more_series=second)
    with pytest.warns(UserWarning, match=r"a.xml holds 2 rhythm series; the first is read.* 20030101120000"):
        record = read_hl7_aecg(path)
    np.testing.assert_allclose(record.signal[1], signal[1], atol=1e-6)
    path = write_hl7_aecg(
        tmp_path / "a.xml", signal, 500, LEADS, more_series=second.replace("RHYTHM", "REPRESENTATIVE_BEAT")
    )
    assert read_hl7_aecg(path).signal.shape == signal.shape
    path.write_text(path.read_text().replace("RHYTHM", "REPRESENTATIVE_BEAT"))
    with pytest.raises(
        ValueError, match=r"a.xml holds only series of REPRESENTATIVE_BEAT; accepted is .* RHYTHM"
    ):
        read_hl7_aecg(path)


def test_recordings_far_apart_are_not_joined(tmp_path):
    signal = twelve_leads(500.0, 1.0)
    later = write_hl7_aecg(
        tmp_path / "b.xml", signal, 500, LEADS, recorded="20031122091000", beats=False
    ).read_text()
    later = later[later.index('<component typeCode="COMP"><sequenceSet') : later.index("<subjectOf")]
    path = write_hl7_aecg(tmp_path / "a.xml", signal, 500, LEADS, more_sets=later)
    with pytest.warns(UserWarning, match="a.xml: left out are leads far apart in time: I, II"):
        assert read_hl7_aecg(path).signal.shape == (12, 500)


def _edit(old: str, new: str, count: int = -1):
    return lambda text: text.replace(old, new, count)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_edit("", ""), None),
        (lambda text: "", "a.xml is empty; accepted is HL7 annotated ECG"),
        (lambda text: text[:5000], r"a.xml is damaged or no XML \(.*copy it again"),
        (lambda text: "time_s,I (mV)\n0,1\n", r"a.xml is damaged or no XML \(syntax error"),
        (lambda text: "<RestingECG/>", r"a.xml is XML of <RestingECG>; accepted is HL7 annotated ECG, which"),
        (_edit('<!-- written for a test -->', '<!DOCTYPE a [<!ENTITY x "y">]>'), "a.xml has an entity or refers"),
        (_edit('unit="uV"', 'unit="mmHg"'), r"a.xml, lead I: unit 'mmHg'; accepted are mV, uV and V"),
        (_edit('unit="uV"', ""), r"unit is missing for a.xml, lead I: the file states none; pass unit="),
        (_edit('<increment value="0.002" unit="s"/>', ""), "fs is missing for a.xml: the file states no sampling rate"),
        (_edit('<increment value="0.002" unit="s"/>', '<increment value="0" unit="s"/>'), "a time step of '0' 's'"),
        (_edit('<increment value="0.002" unit="s"/>', '<increment value="2" unit="mm"/>'), "a time step of '2' 'mm'"),
        (_edit("sequenceSet", "sequenceList"), "a.xml holds no lead of an ECG in its rhythm"),
        (_edit("LEAD_III", "LEAD_II"), "a.xml holds lead II twice in one sequence set"),
        (_edit("<digits>\n", "<digits>\nx ", 1), "a.xml, lead I holds 'x'; accepted are numbers"),
        (lambda text: text.replace("<digits>", "<notes>").replace("</digits>", "</notes>"), "lead I holds no digits"),
        (_edit('<scale value="5.0"', '<scale value="0"'), "lead I states no scale, so its amplitude is unknown"),
        (_edit("<component typeCode", "<part typeCode"), "mismatched tag"),
        (_edit("<id root", "<a>" * 300), "a.xml is nested over 200 deep"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(tmp_path, edit, message):
    path = write_hl7_aecg(tmp_path / "a.xml", twelve_leads(500.0, 1.0), 500, LEADS)
    path.write_text(edit(path.read_text()))
    if message is None:
        assert read_hl7_aecg(path).signal.shape == (12, 500)
        return
    with pytest.raises(ValueError, match=message):
        read_hl7_aecg(path)


def test_what_is_missing_can_be_given_and_nothing_else(tmp_path):
    signal = twelve_leads(500.0, 1.0)
    path = write_hl7_aecg(tmp_path / "a.xml", signal, 500, LEADS)
    for wrong in ({"fs": 250}, {"leads": ["I"]}, {"unit": "mV"}, {"unit": "zscore"}):
        with pytest.raises(ValueError, match=r"a.xml.* states .* is passed; pass no"):
            read_hl7_aecg(path, **wrong)
    assert read_hl7_aecg(path, fs=500, leads=list(LEADS), unit="uV").fs == 500
    text = path.read_text().replace('<increment value="0.002" unit="s"/>', "").replace('unit="uV"', "")
    path.write_text(text)
    record = read_hl7_aecg(path, fs=500, unit="uV")
    np.testing.assert_allclose(record.signal[0], signal[0], atol=1e-6)


def test_missing_files_folders_and_package(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"a.xml is missing in .*; check the path"):
        read_hl7_aecg(tmp_path / "a.xml")
    with pytest.raises(ValueError, match="is no file"):
        read_hl7_aecg(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "defusedxml.ElementTree", None)
    with pytest.raises(ImportError, match=r"defusedxml; install it with: pip install 'openclef\[formats\]'"):
        read_hl7_aecg(tmp_path / "a.xml")


def test_a_bomb_of_elements_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("openclef.formats.xml_file.MAX_ELEMENTS", 1000)
    path = write_hl7_aecg(tmp_path / "a.xml", twelve_leads(500.0, 1.0), 500, LEADS)
    whole = path.read_text()
    path.write_text(whole.replace("<component typeCode", "<a/>" * 1100 + "<component typeCode", 1))
    with pytest.raises(ValueError, match=r"a\.xml has over 1,000 elements; no HL7 annotated ECG has"):
        read_hl7_aecg(path)
    path.write_text(whole.replace("<annotation>", "<annotation>" + "<a/>" * 1100, 1))
    assert read_hl7_aecg(path).signal.shape == (12, 500)  # annotations are passed over, however many


def test_leads_of_wildly_different_lengths_do_not_fill_the_memory(tmp_path):
    many = "".join(lead_sequence(f"MDC_ECG_LEAD_X{index}", "1", 1, 0, "uV") for index in range(3000))
    path = write_hl7_aecg(tmp_path / "a.xml", np.zeros((1, 20_000)), 500, ["I"], beats=False)
    path.write_text(path.read_text().replace("</sequenceSet>", many + "</sequenceSet>"))
    with (
        pytest.warns(UserWarning, match="from 1 to 20,000"),
        pytest.raises(ValueError, match="very different lengths"),
    ):
        read_hl7_aecg(path)


@pytest.mark.parametrize(
    "head", [b"", b"\xff\xfe", b"<", b"AnnotatedECG", b"<!--", b"<a/>", bytes(range(256)), b"\x00" * 4096]
)
def test_other_beginnings_are_not_claimed(head):
    assert not is_hl7_aecg(head)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    return write_hl7_aecg(
        folder / "whole.xml", twelve_leads(100.0, 0.2)[:3], 100, LEADS[:3], groups=3
    ).read_bytes()


@FUZZ
@given(mutations=MUTATIONS)
def test_damaged_files_are_refused_or_read(small, tmp_path, mutations):
    content = damage(small, mutations)
    is_hl7_aecg(content[:4096])
    assert_record_or_refusal(read_hl7_aecg, tmp_path / "damaged.xml", content)
