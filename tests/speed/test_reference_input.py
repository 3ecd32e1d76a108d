from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from openclef.preprocessing import Preprocessing
from openclef.speed.recordings import noise_of_level_1, write_recordings
from openclef.speed.reference_input import filtered_lead, pairs, write_records


def test_store_and_files_hold_the_same_samples(tmp_path: Path) -> None:
    made = write_recordings(tmp_path, records=5, seconds=2, wfdb_records=3)
    assert len(made.store) == 5
    assert made.store.fs == 500
    import wfdb

    for row, path in enumerate(made.wfdb_paths):
        record = wfdb.rdrecord(path)
        assert tuple(record.sig_name) == tuple(made.store.leads)
        assert np.abs(record.p_signal.T - made.store.read(row)).max() < 1e-6
        assert record.p_signal.std() == pytest.approx(0.2, rel=0.05)


def test_the_reference_filters_as_openclef_does(tmp_path: Path) -> None:
    """Within a few per cent of the spread away from the ends, where scipy's padding is another."""
    time_s = np.arange(5000) / 500
    rng = np.random.default_rng(0)
    beats = 800 * np.exp(-(((time_s * 1.2) % 1 - 0.5) ** 2) / 0.0008)
    signal = beats + 300 * np.sin(2 * np.pi * 0.2 * time_s) + rng.normal(0, 30, 5000)
    signals = np.stack([signal, -0.5 * signal])[None].astype(np.int16)
    path = write_records(tmp_path, signals, ["I", "II"])[0]
    for lead in (0, 1):
        found = filtered_lead(path, lead)
        given = torch.from_numpy(signals[0, lead] / 1000.0).float()[None, None]
        expected = Preprocessing().filter(given, 500)[0, 0].numpy()
        inside = slice(1000, -1000)
        assert np.abs(found - expected)[inside].max() < 0.05 * expected.std()


def test_views_of_the_reference(tmp_path: Path) -> None:
    signals = np.random.default_rng(1).integers(-500, 500, (60, 3, 1000)).astype(np.int16)
    paths = write_records(tmp_path, signals, ["I", "II", "III"])
    made = list(pairs(paths, 3, noise_of_level_1(3, 2000)))
    assert len(made) == 60
    for first, second in made:
        assert first.shape == second.shape == (1000,)
        assert first.dtype == np.float32
        assert first.mean() == pytest.approx(0, abs=1e-5)
        assert second.std() == pytest.approx(1, abs=1e-4)
    # A masked block is flat: one value over a tenth of the view at least, in about a fifth of the views.
    flat = [bool((np.diff(view) == 0).sum() >= 98) for pair in made for view in pair]
    assert 0.08 < np.mean(flat) < 0.35
