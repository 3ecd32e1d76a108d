from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import openclef
from openclef import cli
from openclef.speed import Speed, measure
from openclef.speed.profiling import KINDS, OTHER, Profile, kind_of, profiled
from openclef.speed.timing import Timing, Work, interleave


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the command prints for the small encoder, and the file that it writes."""
    import contextlib
    import io

    torch.set_num_threads(1)  # as each test has it
    out = tmp_path_factory.mktemp("speed") / "of" / "speed.json"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert cli.main(["speed", "--sizes", '["small"]', "--quick", "true", "--out", str(out)]) == 0
    return printed.getvalue(), out


def test_the_command_writes_everything(quick: tuple[str, Path]) -> None:
    facts = json.loads(quick[1].read_text())
    assert set(facts) == {
        *("format", "machine", "settings", "limits", "input", "training", "embedding", "agreement")
    }
    assert facts["machine"]["torch"] == torch.__version__
    assert facts["machine"]["threads"] == torch.get_num_threads()
    assert set(facts["limits"]["matrix_product_gflops"]) == {"float32", "bf16"}
    assert [row["way"] for row in facts["input"]] == ["resident", "memory-mapped", "reference"]
    assert [row["precision"] for row in facts["training"]] == ["float32", "bf16", "float32, reference"]
    assert [row["precision"] for row in facts["embedding"]] == [
        *("float32", "float32, from a store", "bf16", "bf16, from a store", "float32, reference")
    ]
    for row in [*facts["input"], *facts["training"], *facts["embedding"]]:
        assert row["per_s_low"] <= row["per_s"] <= row["per_s_high"]
        assert row["ms"] == pytest.approx(1000 / row["per_s"])
        assert len(row["seconds"]) == facts["settings"]["repeats"] == 1
    assert facts["agreement"]["median_cosine"] > 0.99


def test_figures_follow_from_each_other(quick: tuple[str, Path]) -> None:
    facts = json.loads(quick[1].read_text())
    limits = {p: max(rates.values()) for p, rates in facts["limits"]["matrix_product_gflops"].items()}
    for work in ("training", "embedding"):
        *ours, reference = facts[work]
        for row in ours:
            assert row["ratio"] == pytest.approx(row["per_s"] / reference["per_s"])
            assert row["gflops"] == pytest.approx(row["per_s"] * row["gflop_each"])
            limit = limits[row["precision"].split(",")[0]]
            assert row["share_of_limit"] == pytest.approx(row["gflops"] / limit)
            assert sum(row["profile"]["shares"].values()) == pytest.approx(1)
            assert row["profile"]["shares"]["convolutions"] > 0.02
            assert "%" in row["profile"]["sentence"]
    record_s = 1 / facts["input"][0]["per_s"]
    step_s = 2 / facts["training"][0]["per_s"]
    assert facts["training"][0]["input_share"] == pytest.approx(record_s / (record_s + step_s))


def test_the_table_shows_what_the_file_holds(quick: tuple[str, Path]) -> None:
    printed, out = quick
    speed = openclef.Speed.read(out)
    assert printed == speed.table() + "\n"
    for word in (
        "GFLOP/s",
        "memory-mapped",
        "small, bf16",
        "× reference",
        "what binds",
        "openclef-small-sim",
    ):
        assert word in printed
        assert word in speed.markdown()
    for block in speed.markdown().split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = measure(sizes="small", precisions="float32", quick=True)
    assert not list(tmp_path.iterdir())
    assert "agreement" not in found.facts


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sizes": "tiny"}, "sizes has 'tiny'; pass one or more of small, medium, large"),
        ({"sizes": []}, "sizes is empty"),
        ({"precisions": ["float32", "fp8"]}, "precisions has 'fp8'; pass one or more of float32, bf16"),
        ({"repeats": 0}, "repeats is 0; accepted are whole numbers from 1"),
        ({"batch_size": 1}, "batch_size is 1; pass at least 2 records"),
        ({"device": "tpu"}, "device is 'tpu'; pass one of auto, cpu, cuda"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        measure(**settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="PyTorch sees no GPU"):
        measure(device="cuda")


def test_the_command_refuses_a_folder_to_write_to(tmp_path: Path, capsys) -> None:
    assert cli.main(["speed", "--out", str(tmp_path)]) == 1
    assert "a folder; pass the file to write" in capsys.readouterr().err


def test_other_files_are_refused(tmp_path: Path) -> None:
    for text in ("{}", "not json", "[1]"):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(ValueError, match="no result of `openclef speed`"):
            Speed.read(tmp_path / "a.json")


def test_works_take_turns_and_the_median_counts() -> None:
    calls: list[str] = []
    works = {name: Work(lambda name=name: calls.append(name), 4) for name in "ab"}
    timings = interleave(works, 3, torch.device("cpu"), lambda name: None)
    assert "".join(calls) == "abababab"
    assert len(timings["a"].seconds) == 3
    timing = Timing((0.5, 4.0, 1.0), items=8)
    assert (timing.per_s, timing.ms) == (8.0, 125.0)
    facts = timing.facts(Timing((1.0, 12.0, 4.0), items=8))
    assert (facts["ratio"], facts["ratio_low"], facts["ratio_high"]) == (4.0, 2.0, 4.0)


def test_kinds_of_operations() -> None:
    expected = {
        "aten::convolution_backward": "convolutions",
        "aten::mkldnn_convolution": "convolutions",
        "aten::addmm": "matrix products",
        "aten::bmm": "matrix products",
        "aten::_fft_r2c": "FFT",
        "aten::_foreach_add_": "optimiser",
        "aten::copy_": "copies",
        "aten::constant_pad_nd": "copies",
        "aten::empty_strided": "allocation",
        "aten::normal_": "random numbers",
        "aten::mean": "sums and pooling",
        "aten::max_pool2d_with_indices": "sums and pooling",
        "aten::addcmul": "elementwise",
        "aten::silu_backward": "elementwise",
        "aten::mul": "elementwise",
        "aten::sum": "sums and pooling",
        "aten::tan": OTHER,
    }
    assert {name: kind_of(name) for name in expected} == expected
    assert set(expected.values()) - {OTHER} == set(KINDS)


def test_a_profile_tells_products_from_waiting(capfd) -> None:
    import time

    matrix = torch.ones(400, 400)
    busy = profiled(lambda: [matrix @ matrix for _ in range(20)], torch.device("cpu"))
    assert max(busy.shares, key=busy.shares.get) == "matrix products"
    idle = profiled(lambda: time.sleep(0.05), torch.device("cpu"))
    assert idle.shares["Python and waiting"] > 0.9
    assert capfd.readouterr().err == ""


def test_a_profile_sees_other_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from openclef.speed import profiling

    if profiling._every_thread() is None:
        pytest.skip("this PyTorch profiles one thread only")
    matrix = torch.ones(500, 500)
    with ThreadPoolExecutor(1) as other:
        work = lambda: other.submit(lambda: [matrix @ matrix for _ in range(20)]).result()  # noqa: E731
        assert profiled(work, torch.device("cpu")).shares["matrix products"] > 0.5


def test_the_sentence_names_the_kernel_where_it_counts() -> None:
    shares = {"convolutions": 0.5, "elementwise": 0.3, "copies": 0.15, "FFT": 0.05}
    said = Profile(shares, {}, 1.0, 10**6, 0.21).sentence
    assert (
        said == "convolutions 50 %, elementwise 30 %, copies 15 %; 21 % of it in page faults and the kernel"
    )
