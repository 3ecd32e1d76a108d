"""Fixtures shared by all tests: where real data and golden numbers are, and one profile for hypothesis."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "openclef", deadline=None, derandomize=True, max_examples=30, suppress_health_check=list(hypothesis.HealthCheck)
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
        sys.modules["torch"].set_num_threads(2)
    warnings.simplefilter("default")
