from __future__ import annotations

import numpy as np
import pytest

import openclef
from openclef.benchmarking import judging
from openclef.benchmarking.call import leads_by_name, seed_list, share_list


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("protocols", "label_shares", "baselines", "seeds", "conditions", "by", "stores")
            for value in (None, {"a": 1}, 3.5 if name != "label_shares" else b"1")
        ),
        *((name, 3) for name in ("leads", "training_seeds", "seeds", "protocols", "by", "stores")),
        *((name, [3]) for name in ("leads", "protocols", "baselines", "by", "stores", "conditions")),
        *((name, np.array(1)) for name in ("seeds", "label_shares", "tasks")),
        ("by", "age"),
        ("by", ("sex", "task")),
        ("by", "age_years"),
        ("seeds", (0, 0)),
        ("seeds", (0.5,)),
        ("seeds", (1.0,)),
        ("seeds", (True,)),
        ("seeds", (-1,)),
        ("seeds", (2**32,)),
        ("seeds", ("0",)),
        ("seeds", "012"),
        ("seeds", ()),
        ("training_seeds", (1, 1)),
        ("training_seeds", ()),
        ("label_shares", ("0.1",)),
        ("label_shares", "half"),
        ("label_shares", (None,)),
        ("label_shares", (float("nan"),)),
        ("label_shares", (True,)),
        ("label_shares", ()),
        ("leads", ("I", "")),
        ("leads", "  "),
        ("leads", (None,)),
        ("device", "warp"),
        ("device", ""),
        ("device", 0),
        ("device", "cuda:99"),
        ("device", "meta"),
        ("finetuning", None),
        ("finetuning", {"epochs": 3}),
        ("out", None),
        ("out", ""),
        ("out", 3),
        ("split", None),
        ("reference", None),
        ("reference", ["age_sex"]),
        ("draws", None),
        ("seed", -1),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_name(store, tmp_path, monkeypatch, name, value):
    monkeypatch.setattr(judging, "evaluate", lambda *given, **settings: pytest.fail("judged"))
    given = {"models": [], "stores": store, "out": tmp_path / "out", "baselines": "age_sex", "quiet": True}
    with pytest.raises(ValueError, match=rf"^{name.removesuffix('s')}") as caught:
        openclef.benchmark(**{**given, name: value})
    assert any(word in str(caught.value) for word in ("accepted", "pass"))
    assert not (tmp_path / "out" / "cells").exists()


def test_arrays_and_ranges_are_lists():
    assert seed_list("seeds", np.arange(3)) == (0, 1, 2)
    assert {type(one) for one in seed_list("seeds", np.arange(3))} == {int}
    assert seed_list("seeds", [0, 2**32 - 1]) == (0, 2**32 - 1)
    assert share_list(np.array([0.5, 1, 0.5])) == share_list((0.5, 1)) == [0.5, 1.0]
    assert share_list(0.1) == [0.1]
    assert leads_by_name(("i", "I", "mlii")) == ["I", "mlii"]
