"""The row that an error names."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclef.database.metadata_table import numbers
from openclef.database.table_rows import TableRows


@given(st.lists(st.sampled_from(["1", "2.5", "", "x"]), min_size=1, max_size=20))
def test_the_first_row_that_fails_alone_is_named(cells):
    rows = TableRows("a.csv", pd.DataFrame({"n": cells}))
    if "x" not in cells:
        assert len(rows.call(lambda frame: numbers(frame["n"]))) == len(cells)
        return
    with pytest.raises(ValueError, match=f"^a.csv, row {cells.index('x') + 2}: column n holds 'x'"):
        rows.call(lambda frame: numbers(frame["n"]))


def test_what_no_row_is_to_blame_for_is_left_as_it_is():
    def fails(frame):
        raise ValueError("the table as a whole")

    def doubled(frame):
        if frame["n"].duplicated().any():
            raise ValueError("doubled")

    rows = TableRows("a.csv", pd.DataFrame({"n": ["1", "1"]}))
    with pytest.raises(ValueError, match=r"^the table as a whole"):
        rows.call(fails)
    with pytest.raises(ValueError, match=r"^doubled"):
        rows.call(doubled)
