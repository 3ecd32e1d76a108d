"""The demo refuses what it cannot finish before it writes anything."""

from __future__ import annotations

import pytest

from openclef.demonstration import run_demo


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patients": 599}, "patients is 599; the demo needs at least 600"),
        ({"patients": 0}, "patients is 0"),
        ({"epochs": 0}, "epochs is 0; accepted are whole numbers from 1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_finished_is_not_begun(tmp_path, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        run_demo(tmp_path / "demo", **settings)
    assert not (tmp_path / "demo").exists()


def test_a_folder_with_another_demo_or_something_else_is_refused(tmp_path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    with pytest.raises(FileExistsError, match="holds no demo"):
        run_demo(tmp_path / "other")
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "demo.json").write_text('{"patients": 600}')
    with pytest.raises(FileExistsError, match="holds a demo with other settings"):
        run_demo(tmp_path / "demo")
    assert (tmp_path / "other" / "thesis.tex").read_text() == "mine"
