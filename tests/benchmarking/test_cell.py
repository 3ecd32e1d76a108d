from __future__ import annotations

from dataclasses import replace

import pytest

import openclef
from openclef.augment import Views
from openclef.benchmarking.cell import Cell, Grid
from openclef.benchmarking.competitor import Competitor
from openclef.benchmarking.judging import _hash_of_training
from openclef.benchmarking.kept import hash_of
from openclef.protocol.network import Finetuning
from openclef.task import Task

CELL = Cell(Task("a/af", "binary", ("af",), ("af",)), "I", "probe", 1.0, Competitor("clef"), ())


def test_folders_of_ordinary_cells():
    assert CELL.place.as_posix() == "a/af/I/probe/1/clef"
    assert replace(CELL, label_share=0.1).place.as_posix() == "a/af/I/probe/0.1/clef"
    assert replace(CELL, label_share=1e-5).place.parts[4] == "1e-05"
    assert replace(CELL, competitor=Competitor("clef (2)")).place.name.startswith("clef__2_-")


def test_shares_that_agree_to_six_digits_have_folders_of_their_own():
    shares = (0.1, 0.1000001, 0.10000011, 1 / 3, 0.333333)
    cells = [replace(CELL, label_share=share) for share in shares]
    assert len({cell.place for cell in cells}) == len(shares)
    assert "0.1000001 of the labels" in str(cells[1])
    assert [float(cell.place.parts[4]) for cell in cells] == list(shares)


@pytest.mark.parametrize("name", ["m" * 300, "é" * 200, "m" * 99 + "é", "..", "a/" * 200])
def test_names_are_cut_to_what_a_folder_may_be_called(name, tmp_path):
    place = replace(CELL, competitor=Competitor(name)).place
    other = replace(CELL, competitor=Competitor(name + "x")).place
    assert len(place.name.encode()) <= 100 + 7
    assert place != other
    (tmp_path / place).mkdir(parents=True)
    assert (tmp_path / place).resolve().is_relative_to(tmp_path.resolve() / "a" / "af")


def test_a_name_of_just_so_many_bytes_is_kept():
    assert replace(CELL, competitor=Competitor("é" * 50)).place.name == "é" * 50


def test_other_recorded_noise_trains_in_a_folder_beside_and_none_leaves_the_name(tmp_path):
    names = []
    for content in (b"one", b"other", b"one"):
        (tmp_path / "noise.npz").write_bytes(content)
        views = Views(noise_file=str(tmp_path / "noise.npz"))
        key = replace(CELL, protocol="finetune").key(Grid(finetuning=Finetuning(views=views)))
        names.append(_hash_of_training(key, "cpu"))
    assert names[0] == names[2] != names[1]
    key = replace(CELL, protocol="finetune").key(Grid())
    decisive = ("task", "label_share", "weights", "architecture", "stores", "seeds", "seed", "finetuning")
    before = {name: key[name] for name in decisive} | {"openclef": openclef.__version__, "device": "cpu"}
    assert _hash_of_training(key, "cpu") == hash_of(before)[:12]
