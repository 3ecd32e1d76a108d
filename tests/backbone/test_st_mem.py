"""ST-MEM's encoder: tokens by hand, leads that are absent, positions, lengths, errors."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor

from openclef.backbone import BACKBONES
from openclef.backbone.st_mem import STMEM

SMALL = {"leads": 4, "samples": 60, "patch": 10, "width": 16, "depth": 2, "heads": 4}


@pytest.fixture
def net() -> STMEM:
    torch.manual_seed(0)
    net = STMEM(**SMALL)
    with torch.no_grad():  # nothing stays at 0 or 1, so that every tensor shows
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return net.eval()


def by_hand(net: STMEM, leads: dict[int, Tensor]) -> Tensor:
    """Features of one record, token by token, in plain arithmetic."""
    weights = {name: tensor.detach() for name, tensor in net.state_dict().items()}

    def norm(tokens: Tensor, name: str) -> Tensor:
        spread = (tokens.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        scaled = (tokens - tokens.mean(-1, keepdim=True)) / spread
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(tokens: Tensor, name: str) -> Tensor:
        return tokens @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    tokens, kept = [], []
    for lead, signal in leads.items():
        separator, last = weights["sep_embedding"], net.samples // net.patch + 1
        patches = [
            norm(linear(norm(signal[start : start + net.patch], "to_patch_embedding.1"), "to_patch_embedding.2"),
                 "to_patch_embedding.3")
            for start in range(0, len(signal), net.patch)
        ]  # fmt: skip
        placed = [(separator, 0)] + [(p, i + 1) for i, p in enumerate(patches)] + [(separator, last)]
        for token, place in placed:
            kept.append(token is not separator)
            tokens.append(token + weights["pos_embedding"][0, place] + weights[f"lead_embeddings.{lead}"])
    hidden = torch.stack(tokens)
    size = net.dim // 4
    for block in ("block0", "block1"):
        queries, keys, values = linear(norm(hidden, f"{block}.attn.norm"), f"{block}.attn.fn.to_qkv").chunk(
            3, 1
        )
        heads = []
        for start in range(0, net.dim, size):
            part = slice(start, start + size)
            heads.append(
                torch.softmax(queries[:, part] @ keys[:, part].T / math.sqrt(size), 1) @ values[:, part]
            )
        hidden = hidden + linear(torch.cat(heads, 1), f"{block}.attn.fn.to_out.0")
        inner = linear(norm(hidden, f"{block}.ff.norm"), f"{block}.ff.fn.net.0")
        inner = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
        hidden = hidden + linear(inner, f"{block}.ff.fn.net.3")
    return norm(hidden[torch.tensor(kept)].mean(0), "norm")


def test_features_are_those_of_plain_arithmetic(net: STMEM) -> None:
    signal = torch.randn(2, 4, 60)
    with torch.no_grad():
        features = net(signal)
    for row in range(2):
        expected = by_hand(net, dict(enumerate(signal[row])))
        torch.testing.assert_close(features[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("present", [[0], [2], [1, 3]])
def test_a_lead_of_zeros_gives_no_tokens(net: STMEM, present: list[int]) -> None:
    signal = torch.zeros(1, 4, 40)
    signal[0, present] = torch.randn(len(present), 40)
    with torch.no_grad():
        features = net(signal)[0]
    expected = by_hand(net, {lead: signal[0, lead] for lead in present})
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_one_lead_is_what_a_network_of_one_lead_with_its_embedding_sees(net: STMEM) -> None:
    alone = STMEM(**SMALL | {"leads": 1}).eval()
    weights = {name: t for name, t in net.state_dict().items() if not name.startswith("lead_embeddings")}
    signal = torch.zeros(3, 4, 60)
    signal[:, 2] = torch.randn(3, 60)
    with torch.no_grad():
        alone.load_state_dict(weights | {"lead_embeddings.0": net.lead_embeddings[2]})
        torch.testing.assert_close(net(signal), alone(signal[:, 2:3]), rtol=1e-5, atol=1e-6)
        alone.load_state_dict(weights | {"lead_embeddings.0": net.lead_embeddings[1]})
        assert (net(signal) - alone(signal[:, 2:3])).abs().max() > 0.01  # which lead it is counts


def test_a_row_does_not_depend_on_the_other_rows_or_their_leads(net: STMEM) -> None:
    signal = torch.randn(6, 4, 60)
    signal[0, 1:] = 0
    signal[1, [0, 2]] = 0
    signal[3, 1:] = 0
    signal[4] = 0
    with torch.no_grad():
        together = net(signal)
        for row in range(6):
            torch.testing.assert_close(together[row], net(signal[row : row + 1])[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            together[4], by_hand(net, dict(enumerate(signal[4]))), rtol=1e-4, atol=1e-5
        )


def test_what_is_left_of_a_patch_is_not_seen(net: STMEM) -> None:
    signal = torch.randn(2, 4, 59)
    with torch.no_grad():
        assert torch.equal(net(signal), net(signal[..., :50]))
        assert net(signal[..., :10]).shape == (2, 16)


def test_positions_are_sines_and_cosines_and_zero_at_the_separators() -> None:
    positions = STMEM(**SMALL).pos_embedding.detach()[0]
    assert positions.shape == (8, 16)
    assert not positions[0].any()
    assert not positions[-1].any()
    for patch in range(6):
        for pair in range(8):
            angle = patch / 10000 ** (pair / 8)
            assert float(positions[patch + 1, pair]) == pytest.approx(math.sin(angle), abs=1e-5)
            assert float(positions[patch + 1, 8 + pair]) == pytest.approx(math.cos(angle), abs=1e-5)


def test_every_parameter_learns_even_from_one_lead(net: STMEM) -> None:
    signal = torch.randn(2, 4, 60)
    net(signal).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())
    net.zero_grad()
    signal[:, 1:] = 0
    net(signal).square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert net.lead_embeddings[0].grad.any()
    assert not net.lead_embeddings[3].grad.any()


def test_works_in_bfloat16(net: STMEM) -> None:
    signal = torch.randn(3, 4, 60)
    signal[0, 1:] = 0
    with torch.no_grad():
        exact = net(signal)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = net(signal)
    assert (rounded.float() - exact).abs().max() < 0.1


def test_errors_say_what_to_do(net: STMEM) -> None:
    with pytest.raises(ValueError, match=r"\(2, 3, 60\); this backbone takes \(batch, 4, time\)"):
        net(torch.zeros(2, 3, 60))
    with pytest.raises(ValueError, match="9 samples; this backbone takes 10 or more"):
        net(torch.zeros(2, 4, 9))
    with pytest.raises(ValueError, match="61 samples; this backbone takes 60 or fewer"):
        net(torch.zeros(2, 4, 61))
    with pytest.raises(ValueError, match="leads=0"):
        STMEM(leads=0)
    with pytest.raises(ValueError, match="samples=100 holds no whole number of patches of 75"):
        STMEM(samples=100)
    with pytest.raises(ValueError, match="width=30 is not divisible"):
        STMEM(width=30, heads=4)


def test_the_published_size() -> None:
    with torch.device("meta"):
        net = BACKBONES["st_mem_base"](**json.loads(json.dumps({"leads": 12})))
    assert (net.dim, net.leads) == (768, 12)
    assert sum(parameter.numel() for parameter in net.parameters()) == 85_150_614
