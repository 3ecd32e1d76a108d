from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from openclef import ranking

# Demsar, JMLR 2006, table 6: AUC of C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 data sets.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.975, 0.973],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_demsars_worked_example():
    found = ranking.rank_models(DEMSAR)
    np.testing.assert_allclose(found.mean_ranks, [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    assert found.critical_difference == pytest.approx(1.25, abs=5e-3)
    assert ranking.critical_difference(4, 14, alpha=0.10) == pytest.approx(1.12, abs=5e-3)
    # The paper leaves ties out of the variance; scipy corrects for them.
    chi_square = 12 * 14 / (4 * 5) * ((found.mean_ranks**2).sum() - 4 * 25 / 4)
    assert chi_square == pytest.approx(9.28, abs=0.01)
    assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*DEMSAR.T).pvalue)
    assert 0.01 < found.friedman_p < stats.chi2.sf(chi_square, 3)
    assert found.cliques == ((3, 1, 2, 0),)  # 3.143 - 1.964 = 1.179 < 1.25
    assert ranking.rank_models(DEMSAR, alpha=0.10).cliques == ((3, 1, 2), (2, 0))


@pytest.mark.parametrize(("models", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_nemenyis_quantiles(models, q):
    """Demsar, JMLR 2006, table 5 (a)."""
    assert ranking.critical_difference(models, 7) / np.sqrt(models * (models + 1) / 42) == pytest.approx(
        q, abs=1e-3
    )


def test_two_models_are_the_sign_test():
    first, second = np.array([1, 2, 3, 4, 5, 6.0]), np.array([0, 1, 4, 3, 5, 5.0])
    assert ranking.friedman_p(np.stack([first, second], 1)) == stats.binomtest(4, 5).pvalue
    assert ranking.friedman_p(np.ones((4, 3))) == 1
    assert ranking.rank_models(np.ones((4, 2))).mean_ranks.tolist() == [1.5, 1.5]


@given(
    arrays.arrays(
        float, st.tuples(st.integers(2, 8), st.integers(2, 6)), elements=st.integers(0, 9).map(float)
    )
)
def test_ranks_add_up_and_cliques_hold_what_lies_together(values):
    found = ranking.rank_models(values)
    models = values.shape[1]
    assert found.mean_ranks.sum() == pytest.approx(models * (models + 1) / 2)
    assert 0 <= found.friedman_p <= 1
    for a, b in np.ndindex(models, models):
        together = any({a, b} <= set(group) for group in found.cliques)
        assert together == (
            a != b and abs(found.mean_ranks[a] - found.mean_ranks[b]) < found.critical_difference
        ) or (a == b)
    assert not any(set(one) < set(other) for one in found.cliques for other in found.cliques)


@pytest.mark.parametrize("values", [[[1, 2]], [[1], [2]], [1, 2], [[1, 2], [np.nan, 1]]])
def test_what_cannot_be_ranked(values):
    with pytest.raises(ValueError, match="at least two of each"):
        ranking.rank_models(values)


@pytest.mark.parametrize("values", [[[1, 2], [1]], [["a", "b"], ["c", "d"]], [[1, 2]], [[1], [2]], None, 3])
def test_values_that_are_none(values):
    for call in (ranking.rank_models, ranking.friedman_p):
        with pytest.raises(ValueError, match="at least two of each"):
            call(values)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 5, float("nan"), None, "0.05", True])
def test_a_level_lies_between_0_and_1(alpha):
    with pytest.raises(ValueError, match=r"alpha is .*; accepted is a level between 0 and 1"):
        ranking.critical_difference(3, 5, alpha=alpha)
    with pytest.raises(ValueError, match="alpha is "):
        ranking.rank_models(DEMSAR, alpha=alpha)


@pytest.mark.parametrize(
    ("models", "tasks", "name"), [(1, 5, "models"), (3, 1, "tasks"), (2.5, 5, "models"), (3, 0, "tasks")]
)
def test_at_least_two_models_and_tasks(models, tasks, name):
    with pytest.raises(ValueError, match=f"{name} is .*; accepted are whole numbers from 2"):
        ranking.critical_difference(models, tasks)


def test_groups_of_what_is_no_list_of_ranks():
    for ranks in ([[1, 2], [3]], [[1.0, 2.0]], [1, np.nan], 3):
        with pytest.raises(ValueError, match=r"mean_ranks .*; pass finite ones as \(models,\)"):
            ranking.find_cliques(ranks, 1.0)
    with pytest.raises(ValueError, match="distance is nan"):
        ranking.find_cliques([1, 2], np.nan)
