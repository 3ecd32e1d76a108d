"""Configurations A and B are frozen: a change of a parameter or of the model must change these hashes knowingly."""

from __future__ import annotations

import dataclasses

import pytest

from openclef.simulator import CONFIGURATIONS, Disease, Hospital
from openclef.simulator.configuration import chosen_configuration

HASHES = {
    "A": "7d840403a8451ca9385c666b48804e21534b7a44355e7d229640f8a667e94192",
    "B": "e1ca3d6f967fbcfac724da1b89a6195e824aa1734e2f80fcc8a57de6ae3d00dc",
}


@pytest.mark.parametrize("name", ["A", "B"])
def test_parameters_are_frozen(name: str) -> None:
    assert CONFIGURATIONS[name].sha256 == HASHES[name]


def test_any_parameter_changes_the_hash() -> None:
    a = CONFIGURATIONS["A"]
    physiology = dataclasses.replace(a.physiology, strain=a.physiology.strain + 0.01)
    recorder = dataclasses.replace(a.hospitals[0].equipment, step_uv=2.0)
    hospital = dataclasses.replace(a.hospitals[0], equipment=recorder)
    others = [
        dataclasses.replace(a, physiology=physiology),
        dataclasses.replace(a, hospitals=(hospital, *a.hospitals[1:])),
        dataclasses.replace(a, atrial=dataclasses.replace(a.atrial, male=0.41)),
        dataclasses.replace(a, name="mine"),
    ]
    assert len({a.sha256, *(each.sha256 for each in others)}) == 5


def test_a_and_b_differ_in_people_disease_heart_and_recorder() -> None:
    a, b = CONFIGURATIONS["A"], CONFIGURATIONS["B"]
    assert a.physiology != b.physiology
    assert not {h.equipment for h in a.hospitals} & {h.equipment for h in b.hospitals}
    assert all(a.diseases[name] != b.diseases[name] for name in a.diseases)


def test_an_unknown_configuration_is_named() -> None:
    with pytest.raises(ValueError, match="configuration is 'C'; accepted are A, B and a Configuration"):
        chosen_configuration("C")


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (Disease, {"prevalence": 0.1}, "at least one"),
        (Disease, {"prevalence": 1.5, "male": 1.0}, "prevalence is 1.5"),
        (Disease, {"prevalence": 0.1, "male": float("nan")}, "male is nan"),
        (Hospital, {"name": "a", "share": 0}, "share is 0"),
        (Hospital, {"name": "a", "share": 1, "male_share": 7}, "male_share is 7"),
    ],
)
def test_parameters_that_cannot_be_are_named(kind: type, wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**wrong)


def test_configurations_need_hospitals_with_names_of_their_own() -> None:
    a = CONFIGURATIONS["A"]
    for hospitals in ((), (a.hospitals[0], a.hospitals[0])):
        with pytest.raises(ValueError, match="hospitals are"):
            dataclasses.replace(a, hospitals=hospitals)
    with pytest.raises(ValueError, match="shared_frailty is 2"):
        dataclasses.replace(a, shared_frailty=2)
