"""DICOM waveforms, written by pydicom, and the real twelve-lead ECG that comes with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from openclef.formats.dicom import read_dicom
from openclef.signal import LEADS
from tests.formats.mutation import FUZZ, MUTATIONS, assert_record_or_refusal, damage

pydicom = pytest.importorskip("pydicom")
from pydicom.data import get_testdata_file  # noqa: E402
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, TwelveLeadECGWaveformStorage  # noqa: E402

MDC = {"I": "2:1", "II": "2:2", "III": "2:61", "aVR": "2:62", "aVL": "2:63", "aVF": "2:64"} | {
    f"V{n}": f"2:{n + 2}" for n in range(1, 7)
}
SCP = {lead: code.replace("2:", "5.6.3-9-") for lead, code in MDC.items()}


def _ecg(fs: float = 500, seconds: float = 10) -> np.ndarray:
    time_s = np.arange(round(fs * seconds)) / fs
    rng = np.random.default_rng(0)
    return np.sin(2 * np.pi * 1.2 * time_s) * np.linspace(-1, 1, 12)[:, None] + rng.normal(
        0, 0.05, (12, len(time_s))
    )


def _code(value: str, scheme: str = "MDC", meaning: str = "") -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _group(
    signal_mv: np.ndarray, fs: float, codes, *, unit="uV", step=2.5, dtype="<i2", baseline=0.0, correction=1.0
):
    group = Dataset()
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = signal_mv.shape
    group.SamplingFrequency = fs
    kinds = {"i2": (16, "SS"), "u2": (16, "US"), "i1": (8, "SB"), "i4": (32, "SL")}
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = kinds[dtype[1:]]
    channels = []
    for code in codes:
        channel = Dataset()
        channel.ChannelSourceSequence = [code]
        if unit:
            channel.ChannelSensitivityUnitsSequence = [_code(unit, "UCUM")]
        channel.ChannelSensitivity, channel.ChannelBaseline = str(step), str(baseline)
        channel.ChannelSensitivityCorrectionFactor = str(correction)
        channel.WaveformBitsStored = group.WaveformBitsAllocated
        channels.append(channel)
    group.ChannelDefinitionSequence = channels
    factor = {"uV": 1000.0, "mV": 1.0, "V": 1e-3, "": 1.0, "mmHg": 1.0}[unit]
    stored = np.round((signal_mv * factor - baseline) / (step * correction)).astype(dtype)
    group.WaveformData = stored.T.tobytes()
    return group


def _write(path: Path, groups, syntax=ExplicitVRLittleEndian, **about) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = TwelveLeadECGWaveformStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPClassUID, dataset.SOPInstanceUID = TwelveLeadECGWaveformStorage, "1.2.3"
    for name, value in ({"PatientID": "p-7", "PatientSex": "M", "PatientAge": "064Y"} | about).items():
        setattr(dataset, name, value)
    if groups is not None:
        dataset.WaveformSequence = groups
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_the_real_file_obeys_einthoven() -> None:
    path = get_testdata_file("waveform_ecg.dcm", download=False)
    record = read_dicom(path)
    assert (record.leads, record.fs, record.seconds) == (tuple(LEADS), 1000.0, 10.0)
    assert record.metadata == {"age_years": 42.0, "sex": "female", "recorded_at": "2013-01-25T10:59:19"}
    one, two, three, right, left, foot = record.signal[:6]
    quantum = 1.25e-3
    np.testing.assert_allclose(one + three, two, atol=quantum)
    np.testing.assert_allclose(right, -(one + two) / 2, atol=quantum)
    np.testing.assert_allclose(left, (one - three) / 2, atol=quantum)
    np.testing.assert_allclose(foot, (two + three) / 2, atol=quantum)
    independent = pydicom.dcmread(path).waveform_array(0).T / 1000
    np.testing.assert_allclose(record.signal, independent, atol=1e-6)


@pytest.mark.parametrize("codes", [MDC, SCP])
def test_twelve_leads_by_code(codes, tmp_path: Path) -> None:
    order = list(reversed(LEADS))
    signal = _ecg()
    group = _group(signal[::-1], 500, [_code(codes[lead]) for lead in order])
    record = read_dicom(_write(tmp_path / "a.dcm", [group]))
    assert record.leads == tuple(order)
    assert (record.subject_id, record.metadata) == ("p-7", {"age_years": 64.0, "sex": "male"})
    np.testing.assert_allclose(record.signal, signal[::-1], atol=1.26e-3)


@pytest.mark.parametrize(
    ("settings_", "quantum"),
    [
        ({"unit": "mV", "step": 0.001}, 5.1e-4),
        ({"unit": "V", "step": 1e-6}, 5.1e-4),
        ({"unit": "uV", "dtype": "<u2", "baseline": -5000.0}, 1.26e-3),
        ({"unit": "uV", "dtype": "<i4", "step": 0.01}, 1e-5),
        ({"unit": "uV", "dtype": "<i1", "step": 20.0}, 1.01e-2),
        ({"unit": "uV", "correction": 2.0}, 2.51e-3),
    ],
)
def test_units_types_baselines_and_corrections(settings_, quantum, tmp_path: Path) -> None:
    signal = _ecg()[5:7]
    group = _group(signal, 500, [_code(MDC["I"]), _code(MDC["V5"])], **settings_)
    np.testing.assert_allclose(read_dicom(_write(tmp_path / "a.dcm", [group])).signal, signal, atol=quantum)


def test_big_endian(tmp_path: Path) -> None:
    group = _group(_ecg()[:1], 500, [_code(MDC["I"])], dtype=">i2")
    path = _write(tmp_path / "a.dcm", [group], syntax=ExplicitVRBigEndian)
    np.testing.assert_allclose(read_dicom(path).signal, _ecg()[:1], atol=1.26e-3)


def test_padding_is_missing(tmp_path: Path) -> None:
    group = _group(_ecg()[:2], 500, [_code(MDC["I"]), _code(MDC["II"])])
    stored = np.frombuffer(group.WaveformData, "<i2").copy().reshape(-1, 2)
    stored[100:200, 0] = -32768
    group.WaveformData, group.WaveformPaddingValue = stored.tobytes(), np.int16(-32768).tobytes()
    signal = read_dicom(_write(tmp_path / "a.dcm", [group])).signal
    assert np.isnan(signal[0, 100:200]).all()
    assert np.isfinite(signal).sum() == signal.size - 100


def test_the_longest_original_group_is_read_and_others_are_named(tmp_path: Path) -> None:
    rhythm = _group(_ecg()[:2], 500, [_code(MDC["I"]), _code(MDC["II"])])
    short = _group(_ecg(500, 2.5)[:1], 500, [_code(MDC["V1"])])
    median = _group(_ecg(500, 1)[:1], 500, [_code(MDC["V1"])])
    median.WaveformOriginality = "DERIVED"
    pressure = _group(_ecg()[:2], 500, [_code(MDC["I"]), _code("1", meaning="Arterial pressure")])
    pressure.ChannelDefinitionSequence[1].ChannelSensitivityUnitsSequence = [_code("mm[Hg]", "UCUM")]
    assert read_dicom(_write(tmp_path / "a.dcm", [median, rhythm])).leads == ("I", "II")
    with pytest.warns(UserWarning, match="left out: 1 more groups of channels"):
        assert read_dicom(_write(tmp_path / "b.dcm", [short, rhythm])).seconds == 10
    with pytest.warns(UserWarning, match=r"left out: Arterial pressure in mm\[Hg\]"):
        assert read_dicom(_write(tmp_path / "c.dcm", [pressure])).leads == ("I",)
    with pytest.raises(ValueError, match="derived waveforms alone"):
        read_dicom(_write(tmp_path / "d.dcm", [median]))


def test_leads_by_meaning(tmp_path: Path) -> None:
    codes = [
        _code("x", "99LOCAL", "Lead I (Einthoven)"),
        _code("y", "99LOCAL", "lead avf"),
        _code("z", "99LOCAL", "Nehb D"),
    ]
    record = read_dicom(_write(tmp_path / "a.dcm", [_group(_ecg()[:3], 500, codes)]))
    assert record.leads == ("I", "aVF", "Nehb D")


def test_refusals(tmp_path: Path) -> None:
    one = [_code(MDC["I"])]
    cases = []
    group = _group(_ecg()[:1], 500, one)
    group.NumberOfWaveformSamples = 10**9
    cases.append((group, {}, "need 2,000,000,000 bytes"))
    group = _group(_ecg()[:1], 500, one)
    group.ChannelDefinitionSequence = []
    cases.append((group, {}, "and 0 definitions"))
    group = _group(_ecg()[:1], 500, one)
    group.WaveformSampleInterpretation = "MB"
    cases.append((group, {}, "16 bits, kind MB; accepted are 16 bits SS"))
    group = _group(_ecg()[:1], 500, one)
    del group.SamplingFrequency
    cases.append((group, {}, "is damaged"))
    cases.append(
        (_group(_ecg()[:1], 500, one, unit="", step=1e-3), {}, "unit is missing for a.dcm, channel I")
    )
    cases.append((_group(_ecg()[:1], 500, one), {"fs": 250}, "states 500 Hz and fs=250 is passed"))
    cases.append((_group(_ecg()[:1], 500, one), {"leads": ["V1"]}, "states the leads I"))
    cases.append((None, {}, "holds no waveform"))
    for group, asked, message in cases:
        path = _write(tmp_path / "a.dcm", group if group is None else [group])
        with pytest.raises(ValueError, match=message):
            read_dicom(path, **asked)
    whole = _write(tmp_path / "a.dcm", [_group(_ecg()[:1], 500, one)]).read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[:-3000])
    with pytest.raises(ValueError, match=r"cut\.dcm"):
        read_dicom(tmp_path / "cut.dcm")
    (tmp_path / "b.dcm").write_text("I,II\n1,2\n")
    with pytest.raises(ValueError, match="is no DICOM file"):
        read_dicom(tmp_path / "b.dcm")
    with pytest.raises(FileNotFoundError):
        read_dicom(tmp_path / "none.dcm")


def test_without_pydicom_the_error_names_the_extra(tmp_path: Path, monkeypatch) -> None:
    path = _write(tmp_path / "a.dcm", [_group(_ecg()[:1], 500, [_code(MDC["I"])])])
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(ImportError, match=r"openclef\[formats\]"):
        read_dicom(path)


@FUZZ
@given(mutations=MUTATIONS)
def test_damaged_files_are_refused_or_read(tmp_path: Path, mutations) -> None:
    source = tmp_path / "source.dcm"
    if not source.exists():
        _write(source, [_group(_ecg(100, 3)[:2], 100, [_code(MDC["I"]), _code(MDC["II"])])])
    assert_record_or_refusal(read_dicom, tmp_path / "damaged.dcm", damage(source.read_bytes(), mutations))
