"""Fixtures shared by all tests: where real data and golden numbers are, and one profile for hypothesis."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "openclef",
    deadline=None,
    derandomize=True,
    max_examples=30,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("openclef")

_SHARED = Path(__file__).resolve().parents[2] / "shared"


def _folder(variable: str, default: Path, what: str) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"{what} not found: set {variable} to its folder to run this test")
    return folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of real ECGs (ptb-xl, ptb-xl-z, cinc2017, mitdb, nhanes); skips where it is absent."""
    return _folder("OPENCLEF_DATA", _SHARED / "data", "real ECGs")


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    """Folder of the published reference code's numbers; skips where it is absent."""
    return _folder("OPENCLEF_GOLDEN", _SHARED / "golden", "reference numbers")


@pytest.fixture(autouse=True)
def _few_threads() -> None:
    """Keep tests deterministic and fair on small machines."""
    import sys

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    warnings.simplefilter("default")


def _make_store(folder: Path, *, one_subject: bool = False, subjects: int = 96, seed: int = 0):
    """Write a store of synthetic beats at 100 Hz with age, sex and a task; the heart rate rises with age."""
    import numpy as np

    from openclef.record import Record
    from openclef.store import StoreWriter, Task

    leads = ("I", "II", "V5")
    rng = np.random.default_rng(seed)
    time_s = np.arange(1000) / 100
    task = Task("small/old", "binary", ("old",), ("old",))
    writer = StoreWriter(folder, name="small", scale=0.001, fs=100, leads=leads, seconds=10, tasks=[task])
    records, columns = [], []
    for number in range(subjects):
        age = float(rng.integers(30, 85))
        beat = 0.5 + age / 60
        shape = np.exp(-(((time_s * beat) % 1 - 0.5) ** 2) / 0.004)
        signal = np.stack([shape * scale for scale in np.linspace(1, 0.4, len(leads))])
        signal = (signal + rng.normal(0, 0.05, signal.shape)).astype(np.float32)
        split = ("train", "train", "val", "test")[number % 4]
        records.append(
            Record(
                signal, 100.0, leads, f"r{number:03d}", subject_id="s" if one_subject else f"s{number:03d}"
            )
        )
        sex = "female" if number % 3 else "male"
        columns.append({"split": split, "age_years": age, "sex": sex, "old": float(age > 60)})
    writer.write_part(0, records, columns)
    return writer.finish()


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory):
    """A store of 96 synthetic subjects at 100 Hz with age_sex risk; read it, do not change it."""
    store = _make_store(tmp_path_factory.mktemp("stores") / "small")
    return store.add_risk("age_sex")


@pytest.fixture(scope="session")
def make_store():
    """The function that writes such a store into a folder."""
    return _make_store
