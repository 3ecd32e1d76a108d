from __future__ import annotations

import pytest

from openclef.benchmarking.sources import find_tasks, open_sources
from openclef.task import Task


@pytest.mark.parametrize("name", ["...csv", "..csv", ".csv", ".tsv", "....CSV", " .csv"])
def test_a_table_has_a_name(tmp_path, name):
    (tmp_path / name).write_text("path,subject_id,af\n")
    with pytest.raises(ValueError, match="has no name before its ending"):
        open_sources([tmp_path / name], tmp_path / "out", quiet=True)
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_task_has_a_name(write_store, tmp_path):
    tasks = (Task("", "binary", ("af",), ("l/A",)), Task("tiny/af", "binary", ("af",), ("l/A",)))
    store = write_store(tmp_path / "store", tasks=tasks)
    for asked in (None, "", ["", "tiny/af"]):
        with pytest.raises(ValueError, match="a store declares a task without a name"):
            find_tasks([store], asked)
    assert list(find_tasks([store], "tiny/af")) == ["tiny/af"]
