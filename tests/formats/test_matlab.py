"""MATLAB files of versions 4 to 7.3: one array, and what lies beside it."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given

from openclef.formats.matlab import is_matlab, read_matlab
from openclef.formats.stated import NotStated
from openclef.signal import LEADS
from tests.formats.mutation import FUZZ, MUTATIONS, assert_record_or_refusal, damage, twelve_leads
from tests.formats.writers.matlab import write_matlab

pytest.importorskip("h5py")

SIGNAL = twelve_leads(100.0, 3.0)[[0, 1, 6]]
NAMES = ["I", "II", "V1"]


@pytest.mark.parametrize(
    ("version", "packed"), [("4", False), ("5", False), ("5", True), ("7.3", False), ("7.3", True)]
)
@pytest.mark.parametrize("turned", [False, True])
def test_the_recording_comes_back(tmp_path, version, packed, turned, recwarn):
    values = {
        "Fs": 100.0,
        "units": "uV",
        "leads": NAMES,
        "val": (SIGNAL.T if turned else SIGNAL) * 1000,
        "other": np.arange(600.0).reshape(2, 300),
    }
    path = write_matlab(tmp_path / "a.mat", values, version, packed)
    record = read_matlab(path)
    assert is_matlab(path.read_bytes()[:4096])
    assert (record.fs, record.leads, record.unit, record.record_id) == (100, tuple(NAMES), "mV", "a")
    np.testing.assert_allclose(record.signal, SIGNAL, rtol=1e-6)
    assert not [warning for warning in recwarn.list if issubclass(warning.category, UserWarning)]


@pytest.mark.parametrize("version", ["4", "5", "7.3"])
def test_the_only_array_and_what_the_caller_gives(tmp_path, version):
    samples = np.round(SIGNAL * 1000).astype(np.int16)
    samples[0, 5] = -32768
    path = write_matlab(tmp_path / "a.mat", {"anything": samples}, version)
    for missing, what in (({}, "fs"), ({"fs": 100}, "leads"), ({"fs": 100, "leads": NAMES}, "unit")):
        with pytest.raises(NotStated, match=rf"{what} .* missing for a\.mat; pass") as error:
            read_matlab(path, **missing)
        assert (error.value.what, error.value.rows) == (what, 3)
    record = read_matlab(path, fs=100, leads=NAMES, unit="uV", record_id="b")
    np.testing.assert_allclose(record.signal[:, 6:], SIGNAL[:, 6:], rtol=1e-5)
    assert (record.record_id, np.isnan(record.signal).sum()) == ("b", 1)
    assert read_matlab(path, fs=100, leads=NAMES, unit="zscore").unit == "zscore"
    with pytest.raises(
        ValueError, match=r"a\.mat holds 3 leads of 300 samples, and 2 names are stated or passed"
    ):
        read_matlab(path, fs=100, leads=["I", "II"], unit="mV")


def test_what_is_stated_is_not_replaced(tmp_path):
    path = write_matlab(tmp_path / "a.mat", {"ecg": SIGNAL, "fs": 100, "unit": "mV", "lead_names": NAMES})
    for wrong in ({"fs": 250}, {"leads": ["I", "II", "V2"]}, {"unit": "V"}, {"unit": "zscore"}):
        with pytest.raises(ValueError, match=r"a\.mat states .* is passed; pass no"):
            read_matlab(path, **wrong)


def _big_endian(version: str) -> bytes:
    """Array val, 2 by 3 of int16, as machines of the other byte order wrote it."""
    values = struct.pack(">6h", 1, 4, 2, 5, 3, 6)
    if version == "4":
        return struct.pack(">5i", 1030, 2, 3, 0, 4) + b"val\0" + values
    parts = [(6, struct.pack(">2I", 10, 0)), (5, struct.pack(">2i", 2, 3)), (1, b"val"), (3, values)]
    content = b"".join(
        struct.pack(">2I", kind, len(part)) + part + bytes(-len(part) % 8) for kind, part in parts
    )
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    return head + struct.pack(">2I", 14, len(content)) + content


@pytest.mark.parametrize("version", ["4", "5"])
def test_the_other_byte_order(tmp_path, version):
    (tmp_path / "a.mat").write_bytes(_big_endian(version))
    assert is_matlab(_big_endian(version))
    record = read_matlab(tmp_path / "a.mat", fs=100, leads=["I", "II"], unit="mV")
    np.testing.assert_array_equal(record.signal, [[1, 2, 3], [4, 5, 6]])


def test_which_axis_is_time(tmp_path):
    square = np.arange(9.0).reshape(3, 3)
    path = write_matlab(tmp_path / "a.mat", {"val": square, "fs": 100, "unit": "mV"})
    with pytest.warns(
        UserWarning, match=r"a\.mat: array val is 3 by 3; its rows are taken for leads: if that is"
    ):
        np.testing.assert_array_equal(read_matlab(path, leads=NAMES).signal, square)
    short = np.arange(60.0).reshape(12, 5)  # the names tell that the shorter axis is time
    path = write_matlab(tmp_path / "a.mat", {"val": short, "fs": 100, "unit": "mV"})
    with pytest.warns(UserWarning, match=r"a\.mat: array val is 12 by 5; its rows are taken for leads"):
        np.testing.assert_array_equal(read_matlab(path, leads=LEADS).signal, short)


@pytest.mark.parametrize("version", ["5", "7.3"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"a": SIGNAL, "b": SIGNAL},
            r"a\.mat holds a \(double, 3 by 300\), b \(double, 3 by 300\); accepted is one",
        ),
        (
            {"text": "hello"},
            r"a\.mat holds text \(char, 1.*\); accepted is one array of numbers, leads by time",
        ),
        (
            {"val": SIGNAL, "fs": np.array([1.0, 2.0])},
            r"a\.mat: fs is no single number; accepted is the rate in Hz",
        ),
        ({"val": SIGNAL, "fs": 0}, r"a\.mat states a sampling rate of 0.0 Hz"),
        ({"val": SIGNAL, "fs": 100, "unit": "mmHg", "leads": NAMES}, r"a\.mat: unit 'mmHg'; accepted are mV"),
        ({"val": SIGNAL, "fs": 100, "unit": "mV", "leads": ["I", "i", "V1"]}, r"a\.mat: .*same lead twice"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, version, values, message):
    path = write_matlab(tmp_path / "a.mat", values, version)
    with pytest.raises(ValueError, match=message):
        read_matlab(path)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.mat is no MATLAB file; accepted are versions 4 to 7\.3"):
        read_matlab(tmp_path / "a.mat")
    with pytest.raises(FileNotFoundError, match=r"b\.mat is missing in .*; check the path"):
        read_matlab(tmp_path / "b.mat")
    whole = write_matlab(tmp_path / "c.mat", {"val": SIGNAL}).read_bytes()
    (tmp_path / "c.mat").write_bytes(whole[:-100])
    with pytest.raises(ValueError, match=r"c\.mat is damaged \(.*\); copy it again or save it anew"):
        read_matlab(tmp_path / "c.mat")


def test_sizes_that_cannot_be_are_refused_before_anything_is_allocated(tmp_path):
    import h5py
    from scipy.io import savemat

    stream = io.BytesIO()
    savemat(stream, {"val": np.zeros((3, 4))})
    content = bytearray(stream.getvalue())
    place = content.index(struct.pack("<2I2i", 5, 8, 3, 4)) + 8
    content[place : place + 8] = struct.pack("<2i", 30_000, 40_000)
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"a\.mat: array val of 30,000 by 40,000 cannot be in .* or is over 1 GB"
    ):
        read_matlab(tmp_path / "a.mat")
    with h5py.File(tmp_path / "b.mat", "w", userblock_size=512) as file:
        file.create_dataset("val", shape=(10_000_000, 12), dtype="f8", chunks=(1000, 12))
    with (tmp_path / "b.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    with pytest.raises(ValueError, match=r"b\.mat: array val of 12 by 10,000,000 cannot be in 0 bytes"):
        read_matlab(tmp_path / "b.mat")


def test_other_files_are_not_read_through_links(tmp_path):
    import h5py

    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["val"] = SIGNAL
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file["val"] = h5py.ExternalLink("secret.h5", "/val")
    with (tmp_path / "a.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    with pytest.raises(ValueError, match=r"a\.mat holds no variable; accepted is one array of numbers"):
        read_matlab(tmp_path / "a.mat")


@pytest.mark.parametrize(
    "head",
    [b"", b"MATLAB", b"\x89HDF\r\n\x1a\n" + bytes(600), b"ISHNE1.0" + bytes(600), bytes(4096), b"PAR1" * 99],
)
def test_other_beginnings_are_not_claimed(head):
    assert not is_matlab(head)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    values = {"fs": 100.0, "unit": "mV", "leads": NAMES, "val": SIGNAL[:, :50]}
    kinds = [("4", False), ("5", False), ("5", True), ("7.3", False), ("7.3", True)]
    return [write_matlab(folder / "whole.mat", values, *kind).read_bytes() for kind in kinds]


@pytest.mark.parametrize("kind", range(5))
@FUZZ
@given(mutations=MUTATIONS)
def test_damaged_files_are_refused_or_read(small, tmp_path, kind, mutations):
    content = damage(small[kind], mutations)
    is_matlab(content[:4096])
    assert_record_or_refusal(read_matlab, tmp_path / "damaged.mat", content)
