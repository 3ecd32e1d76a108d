"""Beats of a 12-lead ECG: where they are, their median shape, and where its P, QRS and T begin and end."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal as sp

from openclef.signal import LEADS

Array = NDArray[np.floating]

INDEPENDENT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
POSITION = {name: number for number, name in enumerate(LEADS)}
EIGHT = [POSITION[name] for name in INDEPENDENT]
BEFORE_S, AFTER_S = 0.36, 0.64
SAME_SHAPE = 0.85  # correlation with the median beat from which a beat counts as dominant


@cache
def _sos(low: float | None, high: float | None, fs: float, order: int = 2) -> Array:
    if low is None:
        return sp.butter(order, high, "lowpass", fs=fs, output="sos")
    if high is None:
        return sp.butter(order, low, "highpass", fs=fs, output="sos")
    return sp.butter(order, (low, high), "bandpass", fs=fs, output="sos")


def filtered(ecg: Array, low: float | None, high: float | None, fs: float, order: int = 2) -> Array:
    """Filter along time without phase: Butterworth from `low` to `high` Hz, None for no limit."""
    if high is not None and high >= 0.49 * fs:
        high = None
    return sp.sosfiltfilt(_sos(low, high, fs, order), ecg, axis=-1)


def find_beats(clean: Array, fs: float) -> NDArray[np.intp]:
    """Find the QRS complexes on the energy of the eight independent leads between 8 and 25 Hz.

    Args:
        clean: (12, time) in mV without baseline.
        fs: sampling rate in Hz.

    Returns:
        Sample of the middle of each QRS whose window lies inside the record.
    """
    energy = np.sqrt((filtered(clean[EIGHT], 8.0, 25.0, fs) ** 2).sum(axis=0))
    width = max(1, round(0.09 * fs))
    smooth = np.convolve(energy, np.ones(width) / width, mode="same")
    pieces = np.array_split(smooth, max(2, round(len(smooth) / fs / 1.5)))
    usual = float(np.median([piece.max() for piece in pieces]))
    peaks, _ = sp.find_peaks(smooth, height=0.4 * usual, distance=max(1, round(0.28 * fs)))
    return peaks


def aligned_beats(
    clean: Array, peaks: NDArray[np.intp], fs: float
) -> tuple[NDArray[np.intp], Array, NDArray[np.bool_], int]:
    """Beats (beat, 12, time) shifted to fit their median best, which have its shape, how many have another."""
    before, after = round(BEFORE_S * fs), round(AFTER_S * fs)
    reach = round(0.05 * fs)
    inside = (peaks >= before + reach) & (peaks < clean.shape[1] - after - reach)
    if inside.sum() < 3:
        inside = np.zeros(len(peaks), bool)
        return peaks, np.zeros((len(peaks), 12, before + after)), inside, 0
    peaks = peaks.copy()
    middle = slice(before - round(0.1 * fs), before + round(0.1 * fs))
    shape_span = slice(before - round(0.08 * fs), before + round(0.35 * fs))
    for _ in range(2):
        beats = np.stack([clean[:, p - before : p + after] for p in peaks[inside]])
        template = np.median(beats, axis=0)[EIGHT, middle]
        for number in np.flatnonzero(inside):
            start = peaks[number] - before + middle.start - reach
            window = clean[EIGHT, start : start + template.shape[1] + 2 * reach]
            fit = sum(np.correlate(w, t, mode="valid") for w, t in zip(window, template))
            peaks[number] += int(np.argmax(fit)) - reach
        inside &= (peaks >= before + reach) & (peaks < clean.shape[1] - after - reach)
    beats = np.zeros((len(peaks), 12, before + after))
    beats[inside] = np.stack([clean[:, p - before : p + after] for p in peaks[inside]])
    about = beats[:, EIGHT, shape_span].reshape(len(peaks), -1)
    usual = np.median(about[inside], axis=0)
    scale = np.linalg.norm(about, axis=1) * np.linalg.norm(usual)
    alike = np.divide(about @ usual, scale, out=np.zeros(len(peaks)), where=scale > 0)
    dominant = inside & (alike > SAME_SHAPE)
    return peaks, beats, dominant, int((inside & ~dominant).sum())


def delineate(beat: Array, fs: float, rr_s: float) -> dict[str, int]:
    """Find P, QRS and T on a median beat, all leads together.

    QRS by the spatial velocity (5 % of its greatest value), P by 15 % of the height of the spatial magnitude on
    either side, the end of T by the tangent at its steepest descent.

    Args:
        beat: (12, time) in mV from 0.36 s before the QRS to 0.64 s after it.
        fs: sampling rate in Hz.
        rr_s: usual distance of two beats in s.

    Returns:
        Samples by name: qrs_on, qrs_off, and where found p_on, p_peak, p_off, t_peak, t_end.
    """
    eight = beat[EIGHT]
    middle = round(BEFORE_S * fs)
    velocity = np.sqrt((np.gradient(eight, axis=1) ** 2).sum(axis=0)) * fs
    velocity = np.convolve(velocity, np.ones(3) / 3, mode="same")
    reach = round(0.11 * fs)
    core = velocity[middle - reach : middle + reach]
    top = float(core.max())
    steep = np.flatnonzero(core > 0.3 * top) + middle - reach
    limit = max(0.05 * top, 1.5 * float(np.percentile(velocity, 15)))
    calm = max(2, round(0.008 * fs))
    on, off = int(steep[0]), int(steep[-1])
    while on > middle - 2 * reach and not (velocity[on - calm : on] < limit).all():
        on -= 1
    while off < middle + 2 * reach and not (velocity[off + 1 : off + 1 + calm] < limit).all():
        off += 1
    marks = {"qrs_on": on, "qrs_off": off}

    level = beat[:, on - round(0.012 * fs) : on].mean(axis=1)
    magnitude = np.sqrt(((eight - level[EIGHT, None]) ** 2).sum(axis=0))
    smooth_width = max(1, round(0.016 * fs))
    magnitude = np.convolve(magnitude, np.ones(smooth_width) / smooth_width, mode="same")

    first = off + round(0.06 * fs)
    last = min(beat.shape[1] - 2, middle + round(min(0.62, 0.75 * rr_s) * fs))
    if last - first > 0.06 * fs:
        peak = first + int(np.argmax(magnitude[first:last]))
        after = magnitude[peak : min(last, peak + round(0.2 * fs))]
        if first < peak < last - 5 and len(after) > 8 and magnitude[peak] > 0.06:
            slope = np.gradient(after)
            steepest = int(np.argmin(slope))
            floor = float(np.min(magnitude[peak : min(len(magnitude), last + round(0.06 * fs))]))
            floor = min(floor, 0.3 * float(magnitude[peak]))
            if slope[steepest] < 0:
                end = peak + steepest + (after[steepest] - floor) / -slope[steepest]
                if end < beat.shape[1]:
                    marks |= {"t_peak": peak, "t_end": round(float(end))}

    # P, about the level just before the QRS
    begin = max(round(0.02 * fs), on - round(0.30 * fs))
    if "t_end" in marks:  # the T wave of the beat before
        begin = max(begin, marks["t_end"] - round(rr_s * fs) + round(0.01 * fs))
    end = on - round(0.01 * fs)
    if end - begin > 0.08 * fs:
        piece = eight[:, begin:end]
        level = piece[:, -round(0.012 * fs) :].mean(axis=1)
        atrial = np.sqrt(((piece - level[:, None]) ** 2).sum(axis=0))
        width = max(1, round(0.012 * fs))
        atrial = np.convolve(np.pad(atrial, width, mode="edge"), np.ones(width) / width, "same")[width:-width]
        tops, about = sp.find_peaks(atrial, prominence=0.03)
        if len(tops):
            best = int(np.argmax(about["prominences"]))
            peak = int(tops[best])
            sides = []
            for step in (-1, 1):
                line = atrial[peak::step][: round(0.1 * fs)]
                foot = float(line.min())
                below = np.flatnonzero(line < foot + 0.15 * (atrial[peak] - foot))
                sides.append(peak + step * int(below[0]))
            marks |= {"p_on": begin + sides[0], "p_peak": begin + peak, "p_off": begin + sides[1]}
    return marks
