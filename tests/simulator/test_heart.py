"""One person's heart: anatomy that stays, and disease, age and pressure that change its shape by degrees."""

from __future__ import annotations

import numpy as np
import pytest

from openclef.simulator import Condition, Physiology, draw_heart
from openclef.simulator.waves import NAMES, NORMAL

P = [NAMES.index("P right"), NAMES.index("P left")]


def heart_of(seed: int, **changes):
    ordinary = {"age_years": 55.0, "female": False, "sbp_mmhg": 125.0}
    return draw_heart(np.random.default_rng(seed), Condition(**(ordinary | changes)))


def test_the_same_seed_is_the_same_person_in_another_condition() -> None:
    now, later = heart_of(1), heart_of(1, age_years=75.0, dysfunction=0.8, af=True, preexcitation=True)
    np.testing.assert_array_equal(now.lead_vectors, later.lead_vectors)
    generators = [np.random.default_rng(1) for _ in range(2)]
    draw_heart(generators[0], Condition(30, female=True, sbp_mmhg=110))
    draw_heart(generators[1], Condition(80, female=False, sbp_mmhg=180, hypertrophy=1.0, af=True))
    assert generators[0].random() == generators[1].random()  # as many draws
    np.testing.assert_array_equal(heart_of(1).vector_mv, now.vector_mv)
    assert not np.allclose(heart_of(2).vector_mv, now.vector_mv)


@pytest.mark.parametrize("name", ["hypertrophy", "dysfunction", "atrial"])
def test_grades_act_without_a_jump(name: str) -> None:
    before, after = (heart_of(3, **{name: 0.5 + step}) for step in (-0.001, 0.001))
    assert np.abs(after.vector_mv - before.vector_mv).max() < 0.02
    assert np.abs(after.centre_s - before.centre_s).max() < 0.002


def test_intervals_are_those_of_people_and_move_as_they_should() -> None:
    def mean(attribute: str, **changes) -> float:
        return float(np.mean([getattr(heart_of(seed, **changes), attribute) for seed in range(200)]))

    assert 0.080 < mean("qrs_s") < 0.095
    assert mean("qrs_s", dysfunction=0.9) > mean("qrs_s") + 0.015
    assert mean("qrs_s", preexcitation=True) > mean("qrs_s") + 0.025
    assert mean("qrs_s", female=True) < mean("qrs_s") - 0.004
    assert 62 < mean("rate_bpm") < 75
    assert mean("rate_bpm", dysfunction=0.9) > mean("rate_bpm") + 6
    for name in ("respiratory_hrv", "pressure_hrv", "slow_hrv"):
        assert mean(name, age_years=25) > 1.3 * mean(name, age_years=75)
        assert mean(name, dysfunction=0.9) < 0.7 * mean(name)
    assert mean("atrial_ectopic_share", atrial=0.9) > 3 * mean("atrial_ectopic_share")
    assert mean("ventricular_ectopic_share", dysfunction=0.9) > 3 * mean("ventricular_ectopic_share")


def test_p_is_gone_in_af_and_close_to_the_qrs_in_preexcitation() -> None:
    assert not heart_of(0, af=True).vector_mv[:, P].any()
    for seed in range(20):
        pr = [-heart_of(seed, preexcitation=pre).centre_s[NORMAL, P[0]] for pre in (False, True)]
        assert pr[1] < pr[0] + 0.005


def test_extremes_are_finite() -> None:
    for age in (18, 105):
        for sbp in (60, 260):
            heart = heart_of(7, age_years=age, sbp_mmhg=sbp, hypertrophy=1.0, dysfunction=1.0, atrial=1.0)
            for values in (heart.centre_s, heart.width_s, heart.vector_mv, heart.local_mv):
                assert np.isfinite(values).all()
            assert (heart.width_s > 0).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"age_years": 5}, "age_years is 5; accepted are 16 to 110"),
        ({"sbp_mmhg": float("nan")}, "sbp_mmhg is nan"),
        ({"hypertrophy": 1.5}, "hypertrophy is 1.5; accepted are 0 to 1"),
    ],
)
def test_wrong_conditions_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        heart_of(0, **wrong)


def test_physiology_is_finite() -> None:
    with pytest.raises(ValueError, match="strain is inf"):
        Physiology(strain=float("inf"))
