"""EDF, EDF+ and BDF, written by edfio: what is read back, what is left out, and damage."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from openclef.formats.edf import is_edf, read_edf
from openclef.signal import LEADS
from tests.formats.mutation import FUZZ, MUTATIONS, assert_record_or_refusal, damage

edfio = pytest.importorskip("edfio")


def _ecg(fs: float = 500, seconds: float = 10) -> np.ndarray:
    time_s = np.arange(round(fs * seconds)) / fs
    rng = np.random.default_rng(0)
    return np.sin(2 * np.pi * 1.2 * time_s) * np.linspace(-1, 1, 12)[:, None] + rng.normal(
        0, 0.05, (12, len(time_s))
    )


def _channel(signal_mv: np.ndarray, fs: float, label: str, unit: str = "uV", kind=None):
    factor = {"uV": 1000.0, "mV": 1.0, "V": 1e-3, "": 1.0, "L": 1.0}[unit]
    made = edfio.EdfSignal if kind is None else kind
    reach = 5 * factor
    return made(signal_mv * factor, fs, label=label, physical_dimension=unit, physical_range=(-reach, reach))


def _write(path: Path, channels, **about) -> Path:
    about = {
        "patient": edfio.Patient(code="p-7", sex="F", birthdate=datetime.date(1960, 5, 1)),
        "recording": edfio.Recording(startdate=datetime.date(2020, 1, 2)),
        "starttime": datetime.time(10, 30),
    } | about
    edfio.Edf(channels, **about).write(path)
    return path


@pytest.fixture(scope="module")
def twelve(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("edf")
    channels = [_channel(row, 500, f"ECG {lead}") for row, lead in zip(_ecg(), LEADS)]
    return _write(folder / "twelve.edf", channels, annotations=[edfio.EdfAnnotation(1.0, None, "beat")])


def test_twelve_leads_are_read_back(twelve: Path) -> None:
    record = read_edf(twelve)
    assert record.leads == tuple(LEADS)
    assert (record.fs, record.record_id, record.subject_id, record.unit) == (500.0, "twelve", "p-7", "mV")
    np.testing.assert_allclose(record.signal, _ecg(), atol=1.01 * 5 / 32767)
    assert record.metadata == {"age_years": 59.0, "sex": "female", "recorded_at": "2020-01-02T10:30:00"}


@pytest.mark.parametrize("unit", ["uV", "mV", "V"])
def test_units(unit: str, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.edf", [_channel(_ecg()[3], 500, "aVR", unit)])
    np.testing.assert_allclose(read_edf(path).signal[0], _ecg()[3], atol=5e-4)


def test_bdf_has_24_bits(tmp_path: Path) -> None:
    channels = [
        edfio.BdfSignal(row * 1000, 500, label=lead, physical_dimension="uV", physical_range=(-5000, 5000))
        for row, lead in zip(_ecg(), LEADS)
    ]
    edfio.Bdf(channels).write(tmp_path / "a.bdf")
    record = read_edf(tmp_path / "a.bdf")
    assert is_edf((tmp_path / "a.bdf").read_bytes()[:4096])
    np.testing.assert_allclose(record.signal, _ecg(), atol=1e-6)


def test_other_channels_and_rates_are_left_out_by_name(tmp_path: Path) -> None:
    ecg = _ecg()
    channels = [
        _channel(ecg[0], 500, "EKG I"),
        _channel(ecg[1], 500, "ECG II"),
        _channel(ecg[6, ::2], 250, "V1"),
        _channel(ecg[2], 500, "EEG Fpz-Cz"),
        _channel(ecg[2, ::20], 25, "Resp", "L"),
    ]
    path = _write(tmp_path / "a.edf", channels)
    with pytest.warns(UserWarning, match=r"channels left out: EEG Fpz-Cz, Resp, V1 at 250 Hz"):
        record = read_edf(path)
    assert record.leads == ("I", "II")


def test_channels_without_a_lead_s_name_are_named_by_the_caller(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.edf", [_channel(_ecg()[0], 500, "ECG")])
    assert read_edf(path).leads == ("ECG",)
    assert read_edf(path, leads=["I"]).leads == ("I",)
    two = _write(tmp_path / "b.edf", [_channel(row, 500, "ECG") for row in _ecg()[:2]])
    with pytest.raises(ValueError, match=r"b.edf has several channels of one name \(ECG, ECG\); pass leads="):
        read_edf(two)
    assert read_edf(two, leads=["I", "II"]).leads == ("I", "II")


def test_the_unit_of_an_empty_dimension_is_asked_for(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.edf", [_channel(_ecg()[0], 500, "I", "")])
    with pytest.raises(ValueError, match=r"unit is missing for a\.edf, channel I"):
        read_edf(path)
    np.testing.assert_allclose(read_edf(path, unit="mV").signal[0], _ecg()[0], atol=5e-4)


def test_anonymised_and_plain_headers_state_nothing(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.edf", [_channel(_ecg()[0], 500, "I")], patient=edfio.Patient(), recording=None
    )
    raw = bytearray(path.read_bytes())
    raw[8:88] = b"Mr Smith".ljust(80)
    raw[88:168] = b"somewhere".ljust(80)
    path.write_bytes(raw)
    record = read_edf(path)
    assert record.subject_id is None
    assert not {"sex", "age_years"} & set(record.metadata)


def _discontinuous(twelve: Path, onsets: list[float], path: Path) -> Path:
    """Change the times at which blocks of one second begin."""
    raw = bytearray(twelve.read_bytes())
    raw[192:236] = b"EDF+D".ljust(44)
    for number, onset in enumerate(onsets):
        was, new = f"+{number}\x14\x14".encode(), f"+{onset:.0f}\x14\x14".encode()
        at = raw.find(was, 256 * 14 + number * (12 * 1000 + 1))
        assert at > 0
        raw[at : at + max(len(was), len(new))] = new.ljust(max(len(was), len(new)), b"\0")
    path.write_bytes(raw)
    return path


def test_what_edf_plus_d_does_not_cover_is_missing(twelve: Path, tmp_path: Path) -> None:
    path = _discontinuous(twelve, [0, 1, 2, 3, 4, 7, 8, 9, 10, 11], tmp_path / "gap.edf")
    record = read_edf(path)
    whole = read_edf(twelve).signal
    assert record.seconds == 12
    assert np.isnan(record.signal[:, 2500:3500]).all()
    np.testing.assert_array_equal(record.signal[:, :2500], whole[:, :2500])
    np.testing.assert_array_equal(record.signal[:, 3500:], whole[:, 2500:])


@pytest.mark.parametrize(
    ("onsets", "message"),
    [
        ([0, 1, 2, 3, 4, 3, 6, 7, 8, 9], "blocks overlap or are out of order"),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9e7], "cut it into its pieces"),
    ],
)
def test_impossible_times_are_refused(twelve: Path, tmp_path: Path, onsets, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_edf(_discontinuous(twelve, onsets, tmp_path / "a.edf"))


def _patched(twelve: Path, path: Path, at: int, content: bytes) -> Path:
    raw = bytearray(twelve.read_bytes())
    raw[at : at + len(content)] = content
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("at", "content", "message"),
    [
        (0, b"\x89PNG", "is no EDF or BDF file"),
        (236, b"99999999", "promises 99999999 blocks of 1 s, and 10 are there; copy it again"),
        (252, b"0   ", "damaged header"),
        (252, b"9999", "damaged header"),
        (244, b"0       ", "damaged header"),
        (244, b"nan     ", "damaged header"),
        (184, b"256     ", "damaged header"),
        (256 + 13 * 216, b"-5      ", "damaged header"),
    ],
)
def test_damaged_headers_are_refused(
    twelve: Path, tmp_path: Path, at: int, content: bytes, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_edf(_patched(twelve, tmp_path / "a.edf", at, content))


def test_what_contradicts_the_file_is_refused(twelve: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="states 500 Hz and fs=250 is passed"):
        read_edf(twelve, fs=250)
    with pytest.raises(ValueError, match="states the leads"):
        read_edf(twelve, leads=["I"])
    with pytest.raises(ValueError, match="states the unit uV and unit='mV' is passed"):
        read_edf(twelve, unit="mV")
    only = _write(tmp_path / "eeg.edf", [_channel(_ecg()[0], 500, "EEG Cz")])
    with pytest.raises(ValueError, match="has no ECG channel but EEG Cz; accepted are labels"):
        read_edf(only)
    (tmp_path / "empty.edf").write_bytes(b"")
    with pytest.raises(ValueError, match="cut short"):
        read_edf(tmp_path / "empty.edf")
    (tmp_path / "cut.edf").write_bytes(twelve.read_bytes()[:-5000])
    with pytest.raises(ValueError, match="promises 10 blocks of 1 s, and 9 are there"):
        read_edf(tmp_path / "cut.edf")
    with pytest.raises(FileNotFoundError):
        read_edf(tmp_path / "none.edf")


def test_a_file_that_was_never_closed_is_read_to_its_end(twelve: Path, tmp_path: Path) -> None:
    path = _patched(twelve, tmp_path / "a.edf", 236, b"-1      ")
    np.testing.assert_array_equal(read_edf(path).signal, read_edf(twelve).signal)


def test_without_edfio_the_error_names_the_extra(twelve: Path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "edfio", None)
    with pytest.raises(ImportError, match=r"openclef\[formats\]"):
        read_edf(twelve)


@FUZZ
@given(mutations=MUTATIONS)
def test_damaged_files_are_refused_or_read(tmp_path: Path, mutations) -> None:
    source = tmp_path / "source.edf"
    if not source.exists():
        _write(source, [_channel(row, 100, lead) for row, lead in zip(_ecg(100, 3)[:3], LEADS)])
    assert_record_or_refusal(read_edf, tmp_path / "damaged.edf", damage(source.read_bytes(), mutations))
