from __future__ import annotations

import json

import numpy as np
import pytest

from openclef.record import Record
from openclef.store import StoreWriter, Task, open_store

TASK = Task("t/old", "binary", ("old",), ("old",))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fs", "x"),
        ("fs", 0),
        ("fs", True),
        ("scale", None),
        ("seconds", [10]),
        ("name", 3),
        ("unit", {}),
        ("leads", "I"),
        ("leads", []),
        ("leads", [1]),
        ("shards", {}),
        ("shards", [{"file": "signals-00000.npy", "rows": "1", "sha256": ""}]),
        ("shards", ["signals-00000.npy"]),
        ("tasks", []),
        ("tasks", {"t/old": {"name": "t/old"}}),
        ("tasks", {"t/old": TASK.as_json() | {"kind": "guess"}}),
        ("records_sha256", 5),
    ],
)
def test_values_of_a_wrong_type_are_refused(tmp_path, key, value):
    writer = StoreWriter(
        tmp_path, name="toy", scale=0.001, fs=100, leads=("I",), seconds=1, tasks=[TASK], resume_key="k"
    )
    writer.write_part(0, [Record(np.ones((1, 100)), 100, ("I",), "a")], [{"old": 1}])
    file = writer.finish().path / "dataset.json"
    about = json.loads(file.read_text())
    file.write_text(json.dumps(about | {key: value}))
    with pytest.raises(ValueError, match=rf"dataset.json holds {key}=.* copy it again"):
        open_store(tmp_path)
    del about[key]
    file.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=rf"dataset.json lacks {key}; copy it again"):
        open_store(tmp_path)
