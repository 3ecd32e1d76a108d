"""The demo refuses what it cannot finish before it writes anything."""

from __future__ import annotations

import pytest

from openclef.demonstration import run_demo


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patients": 149}, "patients is 149; the demo needs at least 150"),
        ({"patients": 0}, "patients is 0"),
        ({"epochs": 0}, "epochs is 0; accepted are whole numbers from 1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_finished_is_not_begun(tmp_path, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        run_demo(tmp_path / "demo", **settings)
    assert not (tmp_path / "demo").exists()
