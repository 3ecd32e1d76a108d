from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openclef.signal import (
    LEADS,
    canonical_lead,
    canonical_leads,
    derive_limb_leads,
    fill_gaps,
    lead_indices,
    quality_flags,
)

FS = 500.0


def ecg(leads: int = 1, seconds: float = 10, fs: float = FS) -> np.ndarray:
    """A spiky, wandering curve of ECG-like size in mV."""
    time = np.arange(round(seconds * fs)) / fs
    beat = np.exp(-(((time % 0.8) - 0.4) ** 2) / (2 * 0.012**2)) + 0.05 * np.sin(2 * np.pi * 0.3 * time)
    return np.stack([beat * (1 + lead / 10) for lead in range(leads)]).astype(np.float32)


@pytest.mark.parametrize("lead", LEADS)
@pytest.mark.parametrize(
    "spelling", ["{}", " {} ", "Lead {}", "lead_{}", "MDC_ECG_LEAD_{}", "ECG {}", "EKG {}"]
)
def test_any_spelling_of_a_standard_lead_is_known(lead, spelling):
    for name in (spelling.format(lead), spelling.format(lead.upper()), spelling.format(lead.lower())):
        assert canonical_lead(name) == lead


@pytest.mark.parametrize("name", ["MLII", "ECG", "V3R", "-aVR", "ECG1", "leadless", "V7", "Resp"])
def test_other_names_stay(name):
    assert canonical_lead(f" {name} ") == name


def test_two_names_of_one_lead_are_refused():
    with pytest.raises(ValueError, match=r"twice \(aVR\)"):
        canonical_leads(["I", "aVR", "AVR"])


def test_leads_are_found_by_name_in_the_order_asked():
    assert lead_indices(LEADS, ["v6", "AVF", "I"]) == [11, 5, 0]
    assert lead_indices(LEADS, "II") == [1]
    with pytest.raises(ValueError, match=r"lead MLII is not there; available leads: I, II"):
        lead_indices(("I", "II"), ["MLII"])


@given(hnp.arrays(np.float64, (2, 30), elements=st.one_of(st.just(np.nan), st.floats(-5, 5))))
def test_filling_keeps_what_is_known_and_stays_within_its_range(signal):
    filled = fill_gaps(signal)
    assert not np.isnan(filled).any()
    for lead, result in zip(signal, filled, strict=True):
        known = ~np.isnan(lead)
        np.testing.assert_array_equal(result[known], lead[known])
        if known.any():
            assert lead[known].min() - 1e-12 <= result.min()
            assert result.max() <= lead[known].max() + 1e-12
        else:
            assert not result.any()


def test_filling_leaves_its_input_alone_and_keeps_its_type():
    signal = np.array([[1, np.nan, 2]], np.float32)
    filled = fill_gaps(signal)
    assert np.isnan(signal[0, 1])
    assert filled.dtype == np.float32
    assert filled[0, 1] == 1.5


def test_limb_leads_obey_einthoven_and_goldberger():
    rng = np.random.default_rng(0)
    right_arm, left_arm, left_leg = rng.normal(size=(3, 100))
    centre = (right_arm + left_arm + left_leg) / 3
    limb = derive_limb_leads(left_arm - right_arm, left_leg - right_arm)
    np.testing.assert_allclose(limb["III"], left_leg - left_arm, atol=1e-12)
    np.testing.assert_allclose(limb["aVR"], 1.5 * (right_arm - centre), atol=1e-12)
    np.testing.assert_allclose(limb["aVL"], 1.5 * (left_arm - centre), atol=1e-12)
    np.testing.assert_allclose(limb["aVF"], 1.5 * (left_leg - centre), atol=1e-12)


def test_real_records_obey_the_lead_algebra_and_bear_no_flag(data_folder):
    wfdb = pytest.importorskip("wfdb")
    record = wfdb.rdrecord(str(data_folder / "ptb-xl" / "records500" / "00000" / "00001_hr"))
    leads = canonical_leads(record.sig_name)
    signal = record.p_signal.T
    assert leads == LEADS
    for name, derived in derive_limb_leads(signal[0], signal[1]).items():
        np.testing.assert_allclose(signal[leads.index(name)], derived, atol=0.0051)  # stored in 5 uV steps
    assert quality_flags(signal, record.fs, "mV", leads) == []


def test_flags_name_the_lead_and_the_fault():
    signal = ecg(6)
    signal[1] = 0.3
    signal[2, :3000] = np.nan
    signal[3] = np.nan
    signal[4] = np.clip(signal[4], None, 0.5)
    flags = quality_flags(signal, FS, "mV", LEADS[:6])
    assert flags == ["flat:II", "mostly_missing:III", "mostly_missing:aVR", "clipped:aVL"]


def test_a_value_held_at_the_end_is_not_clipping():
    signal = ecg()
    peak = int(signal[0].argmin())
    signal[0, peak : peak + 50] = signal[0, peak]
    assert quality_flags(signal, FS, "mV", ("I",)) == []


@pytest.mark.parametrize(("factor", "suspicious"), [(1000, True), (1e-3, True), (1, False), (0.2, False)])
def test_microvolts_called_millivolts_are_suspicious(factor, suspicious):
    flags = quality_flags(ecg(12) * factor, FS, "mV", LEADS)
    assert ("suspicious_unit" in flags) == suspicious
    assert "suspicious_unit" not in quality_flags(ecg(12) * factor, FS, "zscore", LEADS)


def test_one_dimension_is_refused():
    with pytest.raises(ValueError, match=r"signal\[None, :\]"):
        fill_gaps(np.zeros(5))


@pytest.mark.parametrize("name", [3, None, b"I", ["I"]])
def test_a_lead_is_named_by_text(name) -> None:
    with pytest.raises(ValueError, match="pass a lead by its name"):
        canonical_lead(name)
