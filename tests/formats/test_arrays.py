"""Array files: what they state, what they lack, and what is never loaded."""

from __future__ import annotations

import numpy as np
import pytest

from openclef.formats.arrays import describe_array, load_array, read_array, to_physical, verify_array


def test_npy_npz_and_hdf5_hold_the_same(tmp_path):
    h5py = pytest.importorskip("h5py")
    signal = np.arange(-6, 6, dtype=np.int16).reshape(2, 6)
    beside = {"fs": 250, "leads": ["I", "AVF"], "scale": 5.0, "unit": "uV"}
    np.save(tmp_path / "a.npy", signal)
    np.savez_compressed(tmp_path / "a.npz", signal=signal, **beside)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["signal"] = signal
        file["signal"].attrs["leads"] = beside["leads"]
        file.attrs["fs"] = 250
        file.attrs["unit"] = "uV"
        file["scale"] = 5.0
    bare = read_array(tmp_path / "a.npy", fs=250, leads=["I", "AVF"], unit="uV", scale=5.0)
    for name in ("a.npz", "a.h5"):
        record = read_array(tmp_path / name)
        assert (record.fs, record.leads, record.unit) == (250, ("I", "aVF"), "mV")
        np.testing.assert_array_equal(record.signal, bare.signal)
    np.testing.assert_allclose(bare.signal, signal * 0.005, rtol=1e-6)


def test_objects_are_never_loaded(tmp_path):
    objects = np.array([np.zeros(3), np.zeros(4)], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", signal=objects)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ValueError, match="Python objects, and loading those would run code"):
            describe_array(tmp_path / name)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5"])
@pytest.mark.parametrize("content", [b"", b"nonsense" * 20])
def test_damaged_files_say_so(tmp_path, name, content):
    if name.endswith("h5"):
        pytest.importorskip("h5py")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} is .*damaged .*make it anew|{name} is .* save it anew"):
        describe_array(tmp_path / name)


def test_a_file_that_is_cut_short_is_one_error(tmp_path):
    h5py = pytest.importorskip("h5py")
    signal = np.random.default_rng(0).normal(size=(20, 1, 100))
    np.save(tmp_path / "a.npy", signal)
    np.savez(tmp_path / "a.npz", signal)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["signal"] = signal
    for name in ("a.npy", "a.npz", "a.h5"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-3000])
        with pytest.raises(ValueError, match=rf"{name} is .*(cut short|damaged).*copy it again"):
            describe_array(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_corrupt_body_of_npz_is_found(tmp_path, save):
    path = tmp_path / "a.npz"
    save(path, signal=np.random.default_rng(0).normal(size=(20, 1, 100)))
    content = bytearray(path.read_bytes())
    content[5000:5100] = bytes(100)
    path.write_bytes(content)
    found = describe_array(path)
    for read in (verify_array, load_array):
        with pytest.raises(ValueError, match=r"a.npz is damaged .*; copy it again"):
            read(found)


def test_hdf5_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    (tmp_path / "a.h5").write_bytes(b"")
    with pytest.raises(ImportError, match=r"pip install 'openclef\[hdf5\]'"):
        describe_array(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("array", "settings", "message"),
    [
        (
            np.zeros((1, 9), np.float32),
            {"leads": ["I"], "unit": "mV"},
            "fs is missing for a.npy; pass fs=<Hz>",
        ),
        (np.zeros((1, 9), np.float32), {"fs": 100, "unit": "mV"}, "leads are missing"),
        (np.zeros((1, 9), np.float32), {"fs": 100, "leads": ["I"]}, "unit is missing"),
        (
            np.zeros((1, 9), np.int16),
            {"fs": 100, "leads": ["I"], "unit": "mV"},
            "holds integers; pass scale=",
        ),
        (np.zeros((3, 1, 9), np.float32), {"fs": 100, "leads": ["I"], "unit": "mV"}, "many recordings"),
        (np.zeros((9, 2), np.float32), {"fs": 100, "leads": ["I", "II"], "unit": "mV"}, "save its transpose"),
        (
            np.zeros((1, 9), np.float32),
            {"fs": 100, "leads": ["I"], "unit": "mmHg"},
            "accepted are mV, uV and V",
        ),
        (np.array([["a", "b"]]), {"fs": 100, "leads": ["I"], "unit": "mV"}, "accepted are real numbers"),
    ],
)
def test_what_is_unknown_is_asked_for(tmp_path, array, settings, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=message):
        read_array(tmp_path / "a.npy", **settings)


def test_one_dimension_is_one_lead(tmp_path):
    np.save(tmp_path / "a.npy", np.linspace(-1, 1, 50))
    assert read_array(tmp_path / "a.npy", fs=10, leads=["I"], unit="zscore").signal.shape == (1, 50)


def test_several_arrays_need_a_key(tmp_path):
    np.savez(tmp_path / "a.npz", left=np.zeros(3), right=np.ones(3), fs=10)
    with pytest.raises(ValueError, match="holds no array 'signal' but fs, left, right; pass key="):
        describe_array(tmp_path / "a.npz")
    assert load_array(describe_array(tmp_path / "a.npz", "right")).sum() == 3


def test_missing_int16_is_nan_and_others_are_not():
    assert np.isnan(to_physical(np.array([-32768], np.int16), 1.0, "mV")).all()
    assert to_physical(np.array([-32768], np.int32), 1.0, "mV")[0] == -32768
