"""A benchmark's folder, its tables, and its sections, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from openclef.reporting.benchmark import benchmark_sections
from openclef.reporting.benchmark.tables import Tables, read_tables
from tests.reporting.benchmark_folder import write_benchmark


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole benchmark; not to be changed."""
    return write_benchmark(tmp_path_factory.mktemp("benchmark") / "whole")


@pytest.fixture(scope="session")
def sections(folder: Path) -> dict[str, str]:
    """Its sections' bodies by anchor."""
    return {section.anchor: str(section.body) for section in benchmark_sections(folder)}


@pytest.fixture(scope="session")
def tables(folder: Path) -> Tables:
    """Its tables."""
    return read_tables(folder)


@pytest.fixture(scope="session")
def _little(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("benchmark") / "little"
    return write_benchmark(place, models={"age_sex": 0.3, "clef": 0.8}, tasks=2, leads=("I",))


@pytest.fixture
def little(tmp_path: Path, _little: Path) -> Path:
    """The folder of a small benchmark, to be changed: two models, two tasks, one lead."""
    shutil.copytree(_little, tmp_path / "little")
    return tmp_path / "little"
