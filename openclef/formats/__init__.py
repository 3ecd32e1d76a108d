"""File formats: one file a format, each reading one recording into a ``Record``.

A new format is one file here and one line in ``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclef.formats.apple_watch import is_apple_watch, read_apple_watch
from openclef.formats.arrays import read_array
from openclef.formats.csv import read_csv
from openclef.formats.dicom import is_dicom, read_dicom
from openclef.formats.edf import edf_seconds, is_edf, read_edf
from openclef.formats.hl7_aecg import is_hl7_aecg, read_hl7_aecg
from openclef.formats.ishne import is_ishne, ishne_seconds, read_ishne
from openclef.formats.kardia_json import is_kardia_json, read_kardia_json
from openclef.formats.matlab import is_matlab, read_matlab
from openclef.formats.mfer import is_mfer, read_mfer
from openclef.formats.muse_xml import is_muse_xml, read_muse_xml
from openclef.formats.parquet import is_parquet, read_parquet
from openclef.formats.philips_xml import is_philips_xml, read_philips_xml
from openclef.formats.pickled import refuse_pickled
from openclef.formats.polar import is_polar, read_polar
from openclef.formats.rate import check_rate
from openclef.formats.scp_ecg import is_scp_ecg, read_scp_ecg
from openclef.formats.stated import NotStated
from openclef.formats.wfdb import read_wfdb, wfdb_seconds
from openclef.record import Record

__all__ = ["FORMATS", "Format", "NotStated", "format_of", "read_parts", "read_record"]

HEAD_BYTES = 4096
"""Bytes at the beginning of a file that tell its format."""


@dataclass(frozen=True)
class Format:
    """A file format.

    Args:
        title: what it is, in words.
        suffixes: file name endings, in lower case, with the dot.
        read: the function that reads a file into a ``Record``.
        self_describing: True where the file states rate, leads and unit itself, so that ``read`` takes none.
        recognises: tells by a file's first bytes whether it is of this format; None where its ending must tell.
        seconds: says how long a recording is without reading it, where ``read`` takes ``start_s`` and ``seconds``;
            it gives None for a file that can only be read whole. None where no file can be read in parts.

    Example:
        >>> FORMATS["wfdb"].suffixes
        ('.hea', '.dat', '.mat')
    """

    title: str
    suffixes: tuple[str, ...]
    read: Callable[..., Record]
    self_describing: bool = False
    recognises: Callable[[bytes], bool] | None = None
    seconds: Callable[[Path], float | None] | None = None


FORMATS: dict[str, Format] = {
    "wfdb": Format(
        "WFDB record (PhysioNet)",
        (".hea", ".dat", ".mat"),
        read_wfdb,
        self_describing=True,
        seconds=wfdb_seconds,
    ),
    "edf": Format("EDF, EDF+ and BDF", (".edf", ".bdf"), read_edf, recognises=is_edf, seconds=edf_seconds),
    "dicom": Format("DICOM waveform", (".dcm",), read_dicom, recognises=is_dicom),
    "hl7_aecg": Format("HL7 annotated ECG", (".xml",), read_hl7_aecg, recognises=is_hl7_aecg),
    "muse_xml": Format("GE MUSE XML", (".xml",), read_muse_xml, recognises=is_muse_xml),
    "philips_xml": Format("Philips Sierra XML", (".xml",), read_philips_xml, recognises=is_philips_xml),
    "scp_ecg": Format("SCP-ECG", (".scp",), read_scp_ecg, recognises=is_scp_ecg),
    "mfer": Format("MFER", (".mwf",), read_mfer, recognises=is_mfer),
    "kardia_json": Format("KardiaMobile JSON", (".json",), read_kardia_json, recognises=is_kardia_json),
    "ishne": Format("ISHNE Holter", (".ecg",), read_ishne, recognises=is_ishne, seconds=ishne_seconds),
    "apple_watch": Format("Apple Watch export", (".csv",), read_apple_watch, recognises=is_apple_watch),
    "polar": Format("Polar Sensor Logger text", (".txt",), read_polar, recognises=is_polar),
    "matlab": Format("MATLAB file of one recording", (".mat",), read_matlab, recognises=is_matlab),
    "parquet": Format("parquet table, a column a lead", (".parquet",), read_parquet, recognises=is_parquet),
    "array": Format("NumPy or HDF5 array of one recording", (".npy", ".npz", ".h5", ".hdf5"), read_array),
    "csv": Format("text table, a column a lead", (".csv", ".tsv", ".txt"), read_csv),
}


def format_of(path: str | Path) -> str | None:
    """Name a file's format: by its content where that tells, else by its name's ending.

    Args:
        path: the file; a WFDB record may be named without an ending.

    Returns:
        A name of ``FORMATS``; None where neither tells.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is a pickle.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.txt").write_text('<AnnotatedECG xmlns="urn:hl7-org:v3">')
        ...     format_of(Path(folder, "a.txt"))
        'hl7_aecg'
    """
    path = Path(path)
    suffix = path.suffix.lower()
    header = path.with_suffix(".hea")
    if suffix == ".hea" or (suffix in FORMATS["wfdb"].suffixes and header.is_file()):
        return "wfdb"
    if not path.is_file():
        if Path(f"{path}.hea").is_file():
            return "wfdb"
        raise FileNotFoundError(f"{path} is missing, or no file; check the path")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    refuse_pickled(path.name, head)
    for name, kind in FORMATS.items():
        if kind.recognises is not None and kind.recognises(head):
            return name
    if suffix == ".dat":  # of a record whose header is not there
        return "wfdb"
    # An ending alone tells where no content does: XML of another root and the like are none of these.
    return next(
        (name for name, kind in FORMATS.items() if suffix in kind.suffixes and _by_ending(kind)), None
    )


def _by_ending(kind: Format) -> bool:
    """Whether a file of this format's ending may be one although its content is not recognised: a damaged one is."""
    shared = {".xml", ".json", ".mat", ".csv", ".txt", ".ecg"}
    return kind.recognises is None or not shared.issuperset(kind.suffixes)


def read_record(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
) -> Record:
    """Read one recording; its content tells the format, or else its file name's ending.

    Args:
        path: the file; a WFDB record may be named without an ending.
        fs: sampling rate in Hz, for files that do not state one.
        leads: lead names, for files that do not state them.
        unit: ``mV``, ``uV``, ``V`` or ``zscore``, for files that do not state one.

    Returns:
        The record in mV (or ``zscore``), float32, (lead, time).

    Raises:
        FileNotFoundError: if there is no such file.
        NotStated: a ``ValueError``, if the file lacks something that no argument gives.
        ValueError: if the format is unknown, the file is damaged, or states a rate outside 10 to 50,000 Hz.

    Warns:
        UserWarning: if the rate is outside 50 to 5,000 Hz, or the reader leaves something out.

    Example:
        >>> import tempfile, numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder, "a.npy"), np.zeros((1, 5000), np.float32))
        ...     read_record(Path(folder, "a.npy"), fs=500, leads=["I"], unit="mV").seconds
        10.0
    """
    path = Path(path)
    kind = _required_format(path)
    return _checked(kind.read(path, **_given(kind, fs, leads, unit)), path.name)


def read_parts(
    path: str | Path,
    *,
    seconds: float = 600.0,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
) -> Iterator[Record]:
    """Read one recording in parts that follow each other, so that a recording of days is never held whole.

    WFDB, EDF and ISHNE files are read in parts; files of other formats, and interrupted EDF recordings, give one part.

    Args:
        path: the file.
        seconds: length of a part.
        fs: sampling rate in Hz, for files that do not state one.
        leads: lead names, for files that do not state them.
        unit: unit, for files that do not state one.

    Yields:
        Records in the order of time, each with its ``start_s``; the last one may be shorter.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: what ``read_record`` refuses.

    Example:
        >>> import tempfile, wfdb, numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wfdb.wrsamp("a", fs=100, units=["mV"], sig_name=["I"], p_signal=np.zeros((2500, 1)), fmt=["16"],
        ...                 adc_gain=[1000.0], baseline=[0], write_dir=folder)
        ...     parts = list(read_parts(Path(folder, "a.hea"), seconds=10))
        >>> [(part.start_s, part.seconds) for part in parts]
        [(0.0, 10.0), (10.0, 10.0), (20.0, 5.0)]
    """
    path = Path(path)
    kind = _required_format(path)
    length_s = kind.seconds(path) if kind.seconds is not None else None
    given = _given(kind, fs, leads, unit)
    if length_s is None or length_s <= seconds:
        yield _checked(kind.read(path, **given), path.name)
        return
    end_s = 0.0
    while True:
        part = _checked(kind.read(path, **given, start_s=end_s, seconds=seconds), path.name)
        yield part
        end_s = part.start_s + part.seconds
        if end_s > length_s - 0.5 / part.fs:
            return


def _required_format(path: Path) -> Format:
    name = format_of(path)
    if name is None:
        known = sorted({ending for kind in FORMATS.values() for ending in kind.suffixes})
        raise ValueError(
            f"{path.name} is of no known format; accepted are {', '.join(kind.title for kind in FORMATS.values())} "
            f"(endings {', '.join(known)}): convert the file to one of them"
        )
    return FORMATS[name]


def _given(kind: Format, fs: float | None, leads: Sequence[str] | None, unit: str | None) -> dict[str, Any]:
    return {} if kind.self_describing else {"fs": fs, "leads": leads, "unit": unit}


def _checked(record: Record, name: str) -> Record:
    check_rate(record.fs, name)
    if not all(record.leads):
        raise ValueError(f"{name}: leads={record.leads!r} holds an empty name; name each lead")
    return record
