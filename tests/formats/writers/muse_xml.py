"""GE MUSE XML exports, written field by field after restecg.dtd and exported files."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def write_muse_xml(
    path: Path,
    signal_mv: np.ndarray,
    fs: float,
    leads: Sequence[str],
    *,
    step: float = 4.88,
    unit: str = "MICROVOLTS",
    sample_base: int | None = None,
    sample_exponent: int = 0,
    checksums: bool = True,
    median: bool = True,
    doctype: bool = True,
    encoding: str = "ISO-8859-1",
    wrap: int = 76,
    patient_id: str = "PID-7",
    age: str = "64",
    age_units: str = "YEARS",
    born: str = "05-08-1953",
    gender: str = "FEMALE",
    recorded: tuple[str, str] = ("11-22-2017", "09:10:11"),
) -> Path:
    """Write the given leads as a rhythm, after a median beat of the same leads."""
    per_mv = {"MICROVOLTS": 1000.0, "MILLIVOLTS": 1.0}.get(unit, 1000.0)
    counts = np.round(np.asarray(signal_mv) * per_mv / step).astype("<i2")
    base = sample_base if sample_base is not None else round(fs)
    waveforms = _waveform("Rhythm", counts, leads, base, sample_exponent, step, unit, checksums, wrap)
    if median:
        beats = np.arange(600 * len(leads)).reshape(len(leads), 600).astype("<i2")
        waveforms = (
            _waveform("Median", beats, leads, base, sample_exponent, step, unit, checksums, wrap) + waveforms
        )
    text = f"""<?xml version="1.0" encoding="{encoding}"?>
{'<!DOCTYPE RestingECG SYSTEM "restecg.dtd">' if doctype else ""}
<RestingECG>
   <MuseInfo><MuseVersion>9.0.9.18167</MuseVersion></MuseInfo>
   <PatientDemographics>
      <PatientID>{patient_id}</PatientID>
      <PatientAge>{age}</PatientAge>
      <AgeUnits>{age_units}</AgeUnits>
      <DateofBirth>{born}</DateofBirth>
      <Gender>{gender}</Gender>
      <PatientLastName>Größe</PatientLastName>
   </PatientDemographics>
   <TestDemographics>
      <DataType>RESTING</DataType>
      <AcquisitionTime>{recorded[1]}</AcquisitionTime>
      <AcquisitionDate>{recorded[0]}</AcquisitionDate>
   </TestDemographics>
   <RestingECGMeasurements><VentricularRate>60</VentricularRate></RestingECGMeasurements>
{waveforms}</RestingECG>
"""
    path.write_bytes(text.encode(encoding))
    return path


def _waveform(
    kind: str,
    counts: np.ndarray,
    leads: Sequence[str],
    base: int,
    exponent: int,
    step: float,
    unit: str,
    checksums: bool,
    wrap: int,
) -> str:
    parts = [_lead(lead, row, step, unit, checksums, wrap) for lead, row in zip(leads, counts)]
    return f"""   <Waveform>
      <WaveformType>{kind}</WaveformType>
      <WaveformStartTime>0</WaveformStartTime>
      <NumberofLeads>{len(leads)}</NumberofLeads>
      <SampleType>CONTINUOUS_SAMPLES</SampleType>
      <SampleBase>{base}</SampleBase>
      <SampleExponent>{exponent}</SampleExponent>
      <HighPassFilter>16</HighPassFilter>
      <LowPassFilter>150</LowPassFilter>
      <ACFilter>50</ACFilter>
{"".join(parts)}   </Waveform>
"""


def _lead(lead: str, counts: np.ndarray, step: float, unit: str, checksums: bool, wrap: int) -> str:
    content = counts.tobytes()
    encoded = base64.b64encode(content).decode()
    lines = "\n".join(encoded[at : at + wrap] for at in range(0, len(encoded), wrap))
    return f"""      <LeadData>
         <LeadByteCountTotal>{len(content)}</LeadByteCountTotal>
         <LeadTimeOffset>0</LeadTimeOffset>
         <LeadSampleCountTotal>{len(counts)}</LeadSampleCountTotal>
         <LeadAmplitudeUnitsPerBit>{step}</LeadAmplitudeUnitsPerBit>
         <LeadAmplitudeUnits>{unit}</LeadAmplitudeUnits>
         <LeadHighLimit>32767</LeadHighLimit>
         <LeadLowLimit>-32768</LeadLowLimit>
         <LeadID>{lead}</LeadID>
         <LeadOffsetFirstSample>0</LeadOffsetFirstSample>
         <FirstSampleBaseline>0</FirstSampleBaseline>
         <LeadSampleSize>2</LeadSampleSize>
         <LeadOff>FALSE</LeadOff>
         <BaselineSway>FALSE</BaselineSway>
         <LeadDataCRC32>{zlib.crc32(content) if checksums else 0}</LeadDataCRC32>
         <WaveFormData>
{lines}
         </WaveFormData>
      </LeadData>
"""
