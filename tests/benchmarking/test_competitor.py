from __future__ import annotations

import pytest
import torch

from openclef.benchmarking.competitor import name_models
from openclef.benchmarking.identity import source_sha256
from openclef.model import save_encoder
from openclef.protocol.baselines import random_encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A saved encoder."""
    encoder = random_encoder(seed=3)
    encoder.name = "mine"
    return save_encoder(encoder, tmp_path_factory.mktemp("models") / "saved")


def test_names_are_those_of_the_encoders_made_unique(folder, planted):
    found, baselines, architecture = name_models(
        [folder, str(folder), planted(), "age_sex", random_encoder()]
    )
    assert [each.name for each in found] == ["mine", "mine (2)", "planted", "random_encoder (2)"]
    assert baselines == ["age_sex"]
    assert found[0].weights == found[1].weights != found[2].weights
    assert found[0].about["parameters"] == 443184
    assert found[0].about["sources"] == [str(folder)]
    assert (architecture.backbone, architecture.settings) == ("resnext1d_small", {"leads": 1})
    assert name_models(folder)[0][0].name == "mine"
    seeds = name_models({"method": [folder, random_encoder(seed=4)]})[0][0]
    assert len(seeds.weights) == 2
    assert seeds.weights[0] == found[0].weights[0] != seeds.weights[1]


def test_random_encoders_follow_the_first_encoder(folder, planted):
    first = random_encoder("resnext1d_small", preprocessing=planted().preprocessing, leads=1)
    _, _, architecture = name_models([first, folder])
    made = architecture.encoder(5)
    assert made.preprocessing == planted().preprocessing
    assert source_sha256(made) == source_sha256(random_encoder(preprocessing=planted().preprocessing, seed=5))
    _, _, of_own = name_models([planted()])
    assert (of_own.backbone, of_own.preprocessing) == ("resnext1d_small", planted().preprocessing)


def test_hashes_tell_weights_and_settings_apart(planted):
    assert source_sha256(planted(0.1)) == source_sha256(planted(0.1))
    assert source_sha256(planted(0.1)) != source_sha256(planted(0.2))
    encoder = random_encoder(seed=0)
    before = source_sha256(encoder)
    with torch.no_grad():
        next(encoder.parameters()).view(-1)[0] += 1e-3
    assert source_sha256(encoder) != before


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"scratch": "f"}, "are baselines"),
        ({"clef + age_sex": "f"}, "age and sex appended"),
        ({" ": "f"}, "another name"),
        ({"Clef": "f", "clef": "f"}, "are the same"),
        ({"rand": "random_encoder"}, "pass baselines by name"),
        ({"none": []}, "No model is given"),
        ([3], "of type int"),
        ([torch.nn.Identity()], "no .dim"),
    ],
)
def test_models_that_are_none(models, message, folder):
    if isinstance(models, dict):
        models = {name: folder if model == "f" else model for name, model in models.items()}
    with pytest.raises(ValueError, match=message):
        name_models(models)


def test_a_folder_that_is_not_there():
    with pytest.raises(FileNotFoundError, match="runs/none"):
        name_models(["runs/none"])
