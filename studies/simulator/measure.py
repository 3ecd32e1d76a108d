"""What is measured on one 12-lead ECG: intervals, axes, amplitudes, variation, noise, spectrum, dimension.

One piece of code for real and simulated records. Beats are found on the energy of all leads; intervals are measured
once a record, on the median of the beats of the dominant shape, over eight leads together, as ECG machines do. A
quantity that cannot be measured is NaN. This is a yardstick for comparing two sets, not a clinical measurement.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from delineate import BEFORE_S, EIGHT, POSITION, aligned_beats, delineate, filtered, find_beats
from numpy.typing import NDArray
from scipy import signal as sp

from openclef.signal import LEADS, fill_gaps

Array = NDArray[np.floating]

BANDS_HZ = {
    "0-0.5": (0, 0.5),
    "0.5-5": (0.5, 5),
    "5-15": (5, 15),
    "15-40": (15, 40),
    "40-100": (40, 100),
    "100+": (100, 1e9),
}
MAINS_HZ = (50.0, 60.0)


def measure(ecg_mv: Array, fs: float) -> dict[str, float]:
    """Measure one record.

    Args:
        ecg_mv: (12, time) in mV, leads in the order of `openclef.signal.LEADS`; NaN is missing.
        fs: sampling rate in Hz.

    Returns:
        Quantities by name (see `UNITS`); NaN where one cannot be measured.
    """
    raw = fill_gaps(np.asarray(ecg_mv, dtype=np.float64))
    found = dict.fromkeys(UNITS, np.nan)
    found |= _whole_record(raw, fs)
    steady = filtered(raw, 0.5, None, fs)
    clean = filtered(steady, None, 40.0, fs, 4)
    peaks = find_beats(clean, fs)
    if len(peaks) < 4:
        return found
    peaks, beats, dominant, others = aligned_beats(clean, peaks, fs)
    if dominant.sum() < 3:
        return found
    rr_s = np.diff(peaks) / fs
    found |= _rhythm(rr_s) | {"beats of another shape": float(others)}
    beat = np.median(beats[dominant], axis=0)
    marks = delineate(beat, fs, float(np.median(rr_s)))
    found |= _intervals(marks, fs, float(np.median(rr_s)))
    found |= _amplitudes(beat, marks, fs)
    found |= _variation(beats[dominant], beat, marks)
    found |= _noise_between_beats(raw, peaks, marks, fs)
    return found


def _whole_record(raw: Array, fs: float) -> dict[str, float]:
    """Spectrum, baseline, mains, steps, correlation and dimension of the whole record."""
    out: dict[str, float] = {}
    centred = raw - raw.mean(axis=1, keepdims=True)
    taper = sp.windows.tukey(raw.shape[1], 0.05)
    power = np.abs(np.fft.rfft(centred * taper, axis=1)) ** 2
    hertz = np.fft.rfftfreq(raw.shape[1], 1 / fs)
    total = power.sum(axis=1)
    whole = power[:, hertz >= 0.5].sum(axis=1)
    shares = {}
    for band, (low, high) in BANDS_HZ.items():
        inside = (hertz >= low) & (hertz < high)
        part = power[:, inside].sum(axis=1)
        shares[band] = 100 * np.divide(
            part, total if low == 0 else whole, out=np.full(12, np.nan), where=whole > 0
        )
        for name in LEADS:
            out[f"share {band} Hz {name}"] = float(shares[band][POSITION[name]])
        out[f"share {band} Hz median"] = float(np.median(shares[band]))
    amplitude = (
        2 * np.abs(np.fft.rfft(centred * np.hanning(raw.shape[1]), axis=1)) / np.hanning(raw.shape[1]).sum()
    )
    for mains in MAINS_HZ:
        if mains < 0.48 * fs:
            at = np.abs(hertz - mains) <= 0.3
            near = (np.abs(hertz - mains) > 1) & (np.abs(hertz - mains) < 4)
            above = amplitude[EIGHT][:, at].max(axis=1) - np.median(amplitude[EIGHT][:, near], axis=1)
            out[f"mains {mains:g} Hz"] = float(1000 * np.median(above))
    slow = filtered(centred, None, 0.5, fs)
    out["baseline wander"] = float(1000 * np.median(slow[EIGHT].std(axis=1)))
    out["baseline wander worst"] = float(1000 * slow[EIGHT].std(axis=1).max())
    steps = np.diff(np.unique(np.round(1000 * raw[POSITION["V2"]], 2)))
    out["quantisation step"] = float(steps.min()) if len(steps) else np.nan
    einthoven = 1000 * (raw[POSITION["II"]] - raw[POSITION["I"]] - raw[POSITION["III"]])
    out["Einthoven residual"] = float(einthoven.std())
    same = np.abs(np.diff(raw, axis=1)) < 5e-5
    out["unchanged samples"] = float(100 * np.median(same[EIGHT].mean(axis=1)))
    moving = np.flatnonzero((np.diff(raw, axis=1) != 0).any(axis=0))
    out["still at start"] = float(1000 * moving[0] / fs) if len(moving) else np.nan
    out["still at end"] = float(1000 * (raw.shape[1] - 2 - moving[-1]) / fs) if len(moving) else np.nan

    clean = filtered(raw, 0.5, 40.0, fs)
    alive = clean.std(axis=1) > 1e-6
    if alive.all():
        r = np.corrcoef(clean)
        for one, two in (("I", "II"), ("I", "V6"), ("II", "V5"), ("V1", "V6"), ("V1", "V2"), ("V5", "V6")):
            out[f"|corr| {one}-{two}"] = float(abs(r[POSITION[one], POSITION[two]]))
        pairs = r[np.ix_(EIGHT, EIGHT)][np.triu_indices(8, 1)]
        out["|corr| mean of 8 leads"] = float(np.abs(pairs).mean())
    explained = explained_variance(clean)
    out["components for 95 %"] = float(np.searchsorted(explained, 0.95) + 1)
    out["components for 99 %"] = float(np.searchsorted(explained, 0.99) + 1)
    out["outside 3 components"] = float(100 * (1 - explained[2]))
    return out


def explained_variance(part: Array) -> Array:
    """Share of the variance of (lead, time) that the first components hold, one after the other."""
    values = np.linalg.eigvalsh(np.cov(part))[::-1].clip(0)
    return np.cumsum(values) / max(values.sum(), 1e-30)


def _rhythm(rr_s: Array) -> dict[str, float]:
    usual = float(np.median(rr_s))
    regular = bool(np.all(np.abs(rr_s / usual - 1) < 0.2)) and len(rr_s) >= 4
    out = {
        "heart rate": 60 / usual,
        "irregular": 100.0 * (not regular),
        "RR variation": 100 * float(rr_s.std() / rr_s.mean()),
    }
    if regular:
        out["SDNN"] = 1000 * float(rr_s.std(ddof=1))
        out["RMSSD"] = 1000 * float(np.sqrt(np.mean(np.diff(rr_s) ** 2)))
    return out


def _intervals(marks: dict[str, int], fs: float, rr_s: float) -> dict[str, float]:
    def between(first: str, second: str) -> float:
        if first in marks and second in marks:
            return 1000 * (marks[second] - marks[first]) / fs
        return np.nan

    qt = between("qrs_on", "t_end")
    return {
        "P found": 100.0 * ("p_on" in marks),
        "P duration": between("p_on", "p_off"),
        "PR": between("p_on", "qrs_on"),
        "PQ segment": between("p_off", "qrs_on"),
        "QRS duration": between("qrs_on", "qrs_off"),
        "QT": qt,
        "QTc Bazett": qt / np.sqrt(rr_s),
        "QTc Fridericia": qt / np.cbrt(rr_s),
        "J to T peak": between("qrs_off", "t_peak"),
        "T peak to T end": between("t_peak", "t_end"),
    }


def _axis(lead_i: float, avf: float) -> float:
    """Angle in degrees, -120 to 240, from net areas of I and aVF (aVF is measured against 2/sqrt(3) of a lead)."""
    angle = float(np.degrees(np.arctan2(2 / np.sqrt(3) * avf, lead_i)))
    return angle + 360 if angle < -120 else angle


def _amplitudes(beat: Array, marks: dict[str, int], fs: float) -> dict[str, float]:
    on, off = marks["qrs_on"], marks["qrs_off"]
    level = beat[:, on - round(0.012 * fs) : on].mean(axis=1)
    centred = beat - level[:, None]
    qrs = centred[:, on : off + 1]
    out: dict[str, float] = {}
    r = qrs.max(axis=1).clip(0)
    top = qrs.argmax(axis=1)
    q = np.array([max(0.0, -lead[: t + 1].min()) for lead, t in zip(qrs, top)])
    s = np.array([max(0.0, -lead[t:].min()) for lead, t in zip(qrs, top)])
    for name in LEADS:
        out[f"R {name}"] = r[POSITION[name]]
    for name in ("I", "II", "V1", "V2", "V3", "V5", "V6"):
        out[f"S {name}"] = s[POSITION[name]]
    for name in ("I", "II", "aVF", "V5", "V6"):
        out[f"Q {name}"] = q[POSITION[name]]
    at = {name: r[POSITION[name]] - s[POSITION[name]] for name in ("V1", "V2", "V3", "V4", "V5", "V6")}
    out["transition"] = next((float(k) for k, v in enumerate(at.values(), 1) if v > 0), 7.0)
    deepest = max(s[POSITION["V1"]], q[POSITION["V1"]])
    out["Sokolow-Lyon"] = deepest + max(r[POSITION["V5"]], r[POSITION["V6"]])
    out["Cornell"] = r[POSITION["aVL"]] + max(s[POSITION["V3"]], q[POSITION["V3"]])
    out["QRS axis"] = _axis(qrs[POSITION["I"]].sum(), qrs[POSITION["aVF"]].sum())
    j = off
    for name in ("II", "V2", "V5"):
        out[f"J {name}"] = centred[POSITION[name], j]
        at_60 = j + round(0.06 * fs)
        if at_60 < beat.shape[1]:
            out[f"ST {name}"] = centred[POSITION[name], at_60]
    if "t_end" in marks:
        begin = off + round(0.06 * fs)
        wave = centred[:, begin : min(beat.shape[1], marks["t_end"] + 1)]
        if wave.shape[1] > 4:
            height = wave[np.arange(12), np.abs(wave).argmax(axis=1)]
            for name in ("I", "II", "aVF", "V1", "V2", "V3", "V5", "V6"):
                out[f"T {name}"] = height[POSITION[name]]
            out["T axis"] = _axis(wave[POSITION["I"]].sum(), wave[POSITION["aVF"]].sum())
            turn = abs(out["T axis"] - out["QRS axis"]) % 360
            out["frontal QRS-T angle"] = min(turn, 360 - turn)
            out["ST-T outside 3 components"] = float(
                100 * (1 - explained_variance(centred[EIGHT, off : marks["t_end"]])[2])
            )
    if "p_on" in marks:
        foot = beat[:, marks["p_on"] - 2 : marks["p_on"] + 3].mean(axis=1, keepdims=True)
        line = np.linspace(foot[:, 0], level, max(2, on - marks["p_on"])).T
        wave = beat[:, marks["p_on"] : marks["p_on"] + line.shape[1]] - line
        wave = wave[:, : max(2, marks["p_off"] - marks["p_on"])]
        height = wave[np.arange(12), np.abs(wave).argmax(axis=1)]
        for name in ("I", "II", "V1"):
            out[f"P {name}"] = height[POSITION[name]]
        out["P negative V1"] = max(0.0, -float(wave[POSITION["V1"]].min()))
        out["P axis"] = _axis(wave[POSITION["I"]].sum(), wave[POSITION["aVF"]].sum())
    out["QRS outside 3 components"] = float(100 * (1 - explained_variance(qrs[EIGHT])[2]))
    turns = [len(sp.find_peaks(np.abs(np.diff(np.sign(np.diff(lead)))))[0]) for lead in qrs[EIGHT]]
    out["turns in QRS"] = float(np.mean(turns))
    return out


def _variation(beats: Array, beat: Array, marks: dict[str, int]) -> dict[str, float]:
    on, off = marks["qrs_on"], marks["qrs_off"]
    height = np.ptp(beats[:, EIGHT, on : off + 1], axis=2)
    own = height.std(axis=0, ddof=1) / height.mean(axis=0).clip(1e-6)
    together = height.sum(axis=1)
    out = {
        "beat-to-beat QRS height": 100 * float(np.median(own)),
        "beat-to-beat QRS height, leads together": 100 * float(together.std(ddof=1) / together.mean()),
    }
    if "t_end" in marks:
        span = slice(off, min(marks["t_end"], beats.shape[2]))
        rest = (beats - beat)[:, EIGHT, span]
        rest = rest - rest.mean(axis=2, keepdims=True)
        out["beat-to-beat ST-T"] = 1000 * float(np.median(rest.std(axis=(0, 2))))
    return out


def _noise_between_beats(
    raw: Array, peaks: NDArray[np.intp], marks: dict[str, int], fs: float
) -> dict[str, float]:
    """Spread from the end of T to the start of P (of QRS, where there is no P or no time before it), by band, in uV."""
    middle = round(BEFORE_S * fs)
    margin = round(0.03 * fs)
    to_end = marks.get("t_end", marks["qrs_off"] + round(0.35 * fs)) - middle + margin
    for wave in ("p_on", "qrs_on"):
        to_on = middle - marks.get(wave, marks["qrs_on"]) + margin
        quiet = np.zeros(raw.shape[1], bool)
        for first, second in pairwise(peaks):
            if second - to_on > first + to_end:
                quiet[first + to_end : second - to_on] = True
        if quiet.sum() >= 0.3 * fs:
            break
    else:
        return {}
    out = {}
    fast = 1000 * filtered(raw, 20.0, 100.0, fs)[:, quiet]
    spread = 1.4826 * np.median(np.abs(fast), axis=1)
    out["noise 20-100 Hz"] = float(np.median(spread[EIGHT]))
    for name in ("I", "II", "V2", "V5"):
        out[f"noise 20-100 Hz {name}"] = float(spread[POSITION[name]])
    out["noise 20-100 Hz worst lead"] = float(spread.max())
    out["noise burstiness"] = float(np.median(fast.std(axis=1)[EIGHT] / spread[EIGHT].clip(1e-3)))
    if fs > 300:
        veryfast = 1000 * filtered(raw, 100.0, None, fs)[EIGHT][:, quiet]
        out["noise above 100 Hz"] = float(np.median(veryfast.std(axis=1)))
    middle_band = 1000 * filtered(raw, 5.0, 20.0, fs)[EIGHT][:, quiet]
    out["noise 5-20 Hz"] = float(np.median(1.4826 * np.median(np.abs(middle_band), axis=1)))
    if spread[EIGHT].min() > 0:
        r = np.corrcoef(fast[EIGHT])[np.triu_indices(8, 1)]
        out["noise |corr| between leads"] = float(np.abs(r).mean())
    return out


def _units() -> dict[str, str]:
    units = dict.fromkeys(["heart rate"], "1/min")
    units |= {
        "irregular": "%",
        "RR variation": "%",
        "beats of another shape": "",
        "SDNN": "ms",
        "RMSSD": "ms",
    }
    units |= {"P found": "%"}
    for name in ("P duration", "PR", "PQ segment", "QRS duration", "QT", "QTc Bazett", "QTc Fridericia"):
        units[name] = "ms"
    units |= {"J to T peak": "ms", "T peak to T end": "ms"}
    units |= dict.fromkeys(["QRS axis", "T axis", "P axis", "frontal QRS-T angle"], "deg")
    for wave, names in (
        ("P", ("I", "II", "V1")),
        ("P negative", ("V1",)),
        ("Q", ("I", "II", "aVF", "V5", "V6")),
        ("R", LEADS),
        ("S", ("I", "II", "V1", "V2", "V3", "V5", "V6")),
        ("J", ("II", "V2", "V5")),
        ("ST", ("II", "V2", "V5")),
        ("T", ("I", "II", "aVF", "V1", "V2", "V3", "V5", "V6")),
    ):
        units |= {f"{wave} {name}": "mV" for name in names}
    units |= {"Sokolow-Lyon": "mV", "Cornell": "mV", "transition": "chest lead", "turns in QRS": "a lead"}
    units |= {"beat-to-beat QRS height": "%", "beat-to-beat QRS height, leads together": "%"}
    units |= {"beat-to-beat ST-T": "uV"}
    units |= {f"noise 20-100 Hz{where}": "uV" for where in ("", " I", " II", " V2", " V5", " worst lead")}
    units |= {"noise burstiness": "SD/MAD", "noise above 100 Hz": "uV", "noise 5-20 Hz": "uV"}
    units |= {"noise |corr| between leads": "", "baseline wander": "uV", "baseline wander worst": "uV"}
    units |= {f"mains {mains:g} Hz": "uV" for mains in MAINS_HZ}
    units |= {
        "quantisation step": "uV",
        "unchanged samples": "%",
        "Einthoven residual": "uV",
        "still at start": "ms",
        "still at end": "ms",
    }
    for pair in ("I-II", "I-V6", "II-V5", "V1-V6", "V1-V2", "V5-V6", "mean of 8 leads"):
        units[f"|corr| {pair}"] = ""
    units |= {"components for 95 %": "", "components for 99 %": "", "outside 3 components": "%"}
    units |= {"QRS outside 3 components": "%", "ST-T outside 3 components": "%"}
    for band in BANDS_HZ:
        units |= {f"share {band} Hz {name}": "%" for name in ("median", *LEADS)}
    return units


UNITS: dict[str, str] = _units()
"""Every quantity and its unit, in the order of the tables."""
