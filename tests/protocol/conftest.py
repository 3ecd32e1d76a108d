"""A store that several tests of the protocol judge on."""

from __future__ import annotations

import pytest

from tests.protocol.planted import people, write


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A store of 600 records with planted features; its ledger of looks may grow."""
    return write(tmp_path_factory.mktemp("stores") / "tiny", *people(600))
