"""Pages of real and simulated ECGs on paper, in random order, with the key at the bottom of the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openclef.signal import LEADS

MM_PER_S, MM_PER_MV = 25.0, 10.0
LAYOUT = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
ROW_MM, RECORD_MM, WIDTH_MM = 24.0, 105.0, 255.0
EDGE_S = 0.2  # cut from both ends, so that a picture is not told by PTB-XL's last 0.1 s, which stand still


def draw_pages(
    real: tuple[NDArray[np.float32], float],
    simulated: tuple[NDArray[np.float32], float],
    out: Path,
    *,
    pages: int = 4,
    records_a_page: int = 3,
    seed: int = 0,
) -> list[Path]:
    """Draw 12-lead pages, 25 mm/s and 10 mm/mV: three rows of four leads for 2.5 s, and lead II for 10 s.

    Args:
        real: signal (record, 12, time) in mV and fs in Hz.
        simulated: the same.
        out: folder of the pictures.
        pages: how many.
        records_a_page: records on each.
        seed: of the choice and the order.

    Returns:
        The files.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure

    generator = np.random.default_rng(seed)
    count = pages * records_a_page
    source = generator.permutation(np.arange(count) % 2)
    rows = [generator.permutation(len(side[0]))[:count] for side in (real, simulated)]
    files = []
    for page in range(pages):
        height = records_a_page * RECORD_MM + 8
        figure = Figure(figsize=(WIDTH_MM / 25.4, height / 25.4), dpi=110)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, WIDTH_MM)
        axes.set_ylim(-height, 0)
        axes.axis("off")
        for step, colour, width in ((1, "#f7dcdc", 0.3), (5, "#eeb0b0", 0.6)):
            axes.vlines(np.arange(0, WIDTH_MM, step), -height + 8, 0, color=colour, linewidth=width)
            axes.hlines(-np.arange(0, height - 8, step), 0, WIDTH_MM, color=colour, linewidth=width)
        key = []
        for place in range(records_a_page):
            number = page * records_a_page + place
            signal, fs = (real, simulated)[source[number]]
            _draw_record(axes, signal[rows[source[number]][number]], fs, -place * RECORD_MM, str(number + 1))
            key.append(f"{number + 1} {('real', 'simulated')[source[number]]}")
        axes.text(4, -height + 2, "key: " + ", ".join(key), fontsize=5, color="#999999")
        file = out / f"page_{page + 1}.png"
        figure.savefig(file)
        files.append(file)
    return files


def _draw_record(axes: object, ecg: NDArray[np.float32], fs: float, top_mm: float, label: str) -> None:
    edge = round(EDGE_S * fs)
    ecg = ecg[:, edge : ecg.shape[1] - edge]
    ecg = ecg - np.median(ecg, axis=1, keepdims=True)
    axes.text(1, top_mm - 4, label, fontsize=9, weight="bold")
    quarter = ecg.shape[1] // 4
    for row, names in enumerate((*LAYOUT, ("II",))):
        middle = top_mm - 18 - row * ROW_MM
        for column, name in enumerate(names):
            first, last = (column * quarter, (column + 1) * quarter) if len(names) > 1 else (0, ecg.shape[1])
            at = 6 + MM_PER_S * np.arange(first, last) / fs
            part = ecg[LEADS.index(name), first:last]
            axes.plot(at, middle + MM_PER_MV * part, color="black", linewidth=0.55)
            axes.text(at[0] + 1, middle + 7, name, fontsize=6)
