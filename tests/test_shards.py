from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openclef.shards import from_steps, to_steps, write_atomically


@given(
    steps=hnp.arrays(np.int64, (2, 20), elements=st.integers(-32767, 32767)),
    scale=st.sampled_from([0.001, 0.005, 0.00488, 0.0023456, 1.5]),
)
def test_whole_steps_survive_float32_and_int16(steps, scale):
    signal = (steps * scale).astype(np.float32)
    np.testing.assert_array_equal(to_steps(signal, scale), steps)
    np.testing.assert_allclose(from_steps(to_steps(signal, scale), scale), signal, rtol=2e-7)


@given(hnp.arrays(np.float64, (1, 20), elements=st.floats(-32.7, 32.7)))
def test_quantising_errs_by_half_a_step_at_most(signal):
    error = np.abs(to_steps(signal, 0.001) * 0.001 - signal)
    assert error.max() <= 0.0005 + 1e-9


@pytest.mark.parametrize("value", [32.768, -32.768, 1000, np.inf])
def test_a_value_that_does_not_fit_is_refused_not_clipped(value):
    with pytest.raises(ValueError, match=rf"value {value:g} is outside .*32\.767"):
        to_steps(np.array([[0.0, value]]), 0.001)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("new, half")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
