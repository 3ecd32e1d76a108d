from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from openclef.backbone import BACKBONES
from openclef.head import Head
from openclef.model import Encoder, load_encoder, save_encoder
from openclef.preprocessing import Preprocessing


def encoder(head: Head | None) -> Encoder:
    torch.manual_seed(0)
    return Encoder(
        BACKBONES["resnext1d_small"](),
        Preprocessing(fs=100, seconds=2),
        name="tuned",
        backbone_name="resnext1d_small",
        backbone_settings={},
        head=head,
    ).eval()


def test_a_start_predicts_the_prevalence_of_each_label_and_the_mean() -> None:
    features = np.random.default_rng(0).normal(5, 3, (10, 4))
    nan = np.nan
    target = np.array([[1, nan]] * 3 + [[0, 1]] * 2 + [[0, 0]] * 5, dtype=float)
    head = Head(4, ["a", "b"], "multilabel")
    head.start_at(features, target)
    known = torch.from_numpy(features).float()
    np.testing.assert_allclose(head.predict(known).detach()[0], [3.5 / 11, 2.5 / 8], rtol=1e-6)
    np.testing.assert_allclose(head.centre, features.mean(0), rtol=1e-6)
    np.testing.assert_allclose(head.spread, features.std(0), rtol=1e-6)
    classes = Head(4, ["N", "AF", "O"], "multiclass")
    classes.start_at(features, np.eye(3)[[0] * 7 + [1] * 2 + [2]])
    np.testing.assert_allclose(
        classes.predict(known).detach()[0], np.array([7.5, 2.5, 1.5]) / 11.5, rtol=1e-5
    )
    value = Head(4, ["sbp"], "regression", unit="mmHg")
    pressure = np.array([[110.0], [130.0], [nan]] + [[120.0]] * 7)
    value.start_at(features, pressure)
    assert value.predict(known).detach()[0].item() == pytest.approx(np.nanmean(pressure))
    assert value.target_spread == pytest.approx(np.nanstd(pressure))


def test_a_constant_feature_and_a_constant_target_divide_by_one() -> None:
    head = Head(2, ["v"], "regression")
    head.start_at(np.array([[1.0, 7.0], [3.0, 7.0]]), np.array([[4.0], [4.0]]))
    assert head.spread.tolist() == [1.0, 1.0]
    assert head.target_spread == 1.0


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_the_temperature_divides_the_logits(kind: str) -> None:
    head = Head(3, ["a", "b"], kind, temperature=2.0)
    features = torch.randn(5, 3)
    logits = head(features) / 2
    expected = logits.sigmoid() if kind == "multilabel" else logits.softmax(1)
    torch.testing.assert_close(head.predict(features), expected)


def test_predictions_keep_their_digits_under_autocast() -> None:
    head = Head(64, ["sbp"], "regression", target_mean=120.0, target_spread=15.0)
    features = torch.randn(3, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(head.predict(features), head.predict(features.clone()))
        inside = head.predict(features)
    torch.testing.assert_close(inside, head.predict(features), rtol=0, atol=0)


def test_an_encoder_with_a_head_is_saved_whole(tmp_path) -> None:
    head = Head(256, ["sbp"], "regression", task="a/sbp", unit="mmHg", target_mean=131.5, target_spread=17.25)
    tuned = encoder(head)
    signal = np.random.default_rng(0).normal(size=(2, 1, 200))
    loaded = load_encoder(save_encoder(tuned, tmp_path))
    assert loaded.labels == ("sbp",)
    assert loaded.head.to_config() == head.to_config()
    torch.testing.assert_close(loaded.predict(signal, fs=100), tuned.predict(signal, fs=100))
    assert loaded.embed(signal, fs=100).shape == (2, 256), "features stay features"
    assert tuned.predict(signal, fs=100).abs().max() > 50, "mmHg, not standard deviations"


def test_models_of_before_heads_still_load(tmp_path) -> None:
    save_encoder(encoder(None), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["head"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = load_encoder(tmp_path)
    assert loaded.head is None
    with pytest.raises(ValueError, match=r"tuned has no head, so it predicts nothing; fine-tune it"):
        loaded.predict(np.zeros((1, 1, 200)), fs=100)
    config["head"] = {"dim": 256, "colour": "red"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="damaged head"):
        load_encoder(tmp_path)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="kind is 'ordinal'"):
        Head(2, ["a"], "ordinal")
    with pytest.raises(ValueError, match=r"labels are \['a', 'a'\]"):
        Head(2, ["a", "a"], "multilabel")
    with pytest.raises(ValueError, match="both must be above 0"):
        Head(2, ["a"], "binary", temperature=0.0)
    with pytest.raises(ValueError, match="a head of 2 features was given for 256 outputs"):
        encoder(Head(2, ["a"], "binary"))
