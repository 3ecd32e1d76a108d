"""SCP-ECG, MFER, Philips XML and KardiaMobile: what independent writers write is read back, damage is refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given

from openclef.formats import FORMATS, format_of, read_record
from openclef.signal import LEADS
from tests.formats.mutation import FUZZ, MUTATIONS, assert_record_or_refusal, damage, twelve_leads
from tests.formats.writers.kardia_json import write_kardia_json
from tests.formats.writers.mfer import write_mfer
from tests.formats.writers.philips_xml import write_philips_xml
from tests.formats.writers.scp_ecg import write_scp_ecg

pytest.importorskip("ecgdatakit")
pytest.importorskip("defusedxml")

SIX = tuple(LEADS[:6])
WRITERS = {
    "scp_ecg": (write_scp_ecg, LEADS, {}),
    "mfer": (write_mfer, LEADS, {}),
    "philips_xml": (write_philips_xml, LEADS, {}),
    "kardia_json": (write_kardia_json, SIX, {"step_nv": 5000}),
}
VARIANTS = [
    ("scp_ecg", {"checksums": False}),
    ("scp_ecg", {"difference": 1}),
    ("scp_ecg", {"difference": 2, "huffman": True}),
    ("mfer", {"little": False}),
    ("philips_xml", {"compressed": False, "version": "1.03"}),
    ("philips_xml", {"encoding": "UTF-16"}),
    *((name, {}) for name in WRITERS),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "about"), VARIANTS)
@pytest.mark.parametrize("fs", [250.0, 500.0])
def test_what_is_written_is_read_back(tmp_path, name, about, fs):
    writer, leads, given_ = WRITERS[name]
    signal = twelve_leads(fs)[: len(leads)]
    path = writer(tmp_path / f"a.{name}", signal, fs, leads, **(given_ | about))
    assert format_of(path) == name
    record = read_record(path)
    assert (record.fs, record.leads, record.unit, record.record_id) == (fs, tuple(leads), "mV", "a")
    np.testing.assert_allclose(record.signal, signal, atol=0.0025 + 1e-5)  # half a step of 5 uV
    assert record.subject_id == "PID-7"
    assert str(record.metadata["recorded_at"]).startswith("2017-11-22T09:10:11")
    if name != "kardia_json":
        assert (record.metadata["age_years"], record.metadata["sex"]) == (64.0, "female")


def test_missing_samples_of_mfer_are_missing(tmp_path):
    signal = twelve_leads(250.0)[:2]
    signal[1, 100:300] = np.nan
    record = read_record(write_mfer(tmp_path / "a.mwf", signal, 250.0, ["I", "II"]))
    np.testing.assert_array_equal(np.isnan(record.signal), np.isnan(signal))


def test_what_contradicts_a_file_is_refused(tmp_path):
    path = write_scp_ecg(tmp_path / "a.scp", twelve_leads(500.0), 500.0, LEADS)
    for asked, message in (
        ({"fs": 250}, "a.scp states 500 Hz and fs=250 is passed"),
        ({"leads": ["I"]}, "a.scp states the leads I, II"),
        ({"unit": "V"}, "states the unit uV and unit='V' is passed"),
    ):
        with pytest.raises(ValueError, match=message):
            FORMATS["scp_ecg"].read(path, **asked)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"a.scp is damaged, or no SCP-ECG that can be read"):
        read_record(path)


def test_entities_in_philips_xml_are_refused(tmp_path):
    path = write_philips_xml(tmp_path / "a.xml", twelve_leads(500.0), 500.0, LEADS)
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]>\n<restingecgdata'
    path.write_text(path.read_text().replace("<restingecgdata", bomb, 1).replace("PID-7", "&c;"))
    with pytest.raises(ValueError, match=r"a.xml has an entity or refers to another file"):
        read_record(path)


def test_kardia_without_resolution_asks_for_the_unit(tmp_path):
    path = write_kardia_json(tmp_path / "a.json", twelve_leads(300.0)[:1], 300.0, ["I"])
    path.write_text(path.read_text().replace("amplitudeResolution", "other"))
    with (
        pytest.warns(UserWarning, match=r"a.json: Kardia data.raw has no amplitudeResolution"),
        pytest.raises(ValueError, match=r"unit is missing for a\.json, lead I"),
    ):
        read_record(path)


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_without_the_package_the_error_names_the_extra(tmp_path, name, monkeypatch):
    writer, leads, about = WRITERS[name]
    path = writer(tmp_path / f"a.{name}", twelve_leads(250.0)[: len(leads)], 250.0, leads, **about)
    for module in [module for module in sys.modules if module.startswith("ecgdatakit")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "ecgdatakit", None)
    with pytest.raises(ImportError, match=r"openclef\[formats\]"):
        read_record(path)


@pytest.mark.parametrize("name", sorted(WRITERS))
@FUZZ
@given(mutations=MUTATIONS)
def test_damaged_files_are_refused_or_read(tmp_path, name, mutations):
    writer, leads, about = WRITERS[name]
    source = tmp_path / f"source.{name}"
    if not source.exists():
        writer(source, twelve_leads(100.0, 1.5)[: len(leads)], 100.0, leads, **about)
    content = damage(source.read_bytes(), mutations)
    assert_record_or_refusal(FORMATS[name].read, tmp_path / f"damaged.{name}", content)
