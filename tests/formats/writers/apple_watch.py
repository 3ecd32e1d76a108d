"""Apple Watch ECGs as an export of Apple Health holds them, in English, German and French."""

from __future__ import annotations

from pathlib import Path

import numpy as np

WORDS = {
    "en": (
        "Name",
        "Date of Birth",
        "Recorded Date",
        "Classification",
        "Symptoms",
        "Software Version",
        "Device",
    ),
    "de": (
        "Name",
        "Geburtstag",
        "Aufzeichnungsdatum",
        "Klassifizierung",
        "Symptome",
        "Softwareversion",
        "Gerät",
    ),
    "fr": (
        "Nom",
        "Date de naissance",
        "Date d’enregistrement",
        "Classification",
        "Symptômes",
        "Version",
        "Appareil",
    ),
}
LATER = {
    "en": ("Sample Rate", "Lead", "Unit", "Lead I"),
    "de": ("Messrate", "Ableitung", "Einheit", "Ableitung I"),
    "fr": ("Fréquence d’échantillonnage", "Dérivation", "Unité", "Dérivation I"),
}


def write_apple_watch(
    path: Path,
    signal_mv: np.ndarray,
    *,
    language: str = "en",
    rate: str = "512 hertz",
    name: str = ",Ada Lovelace V",
    born: str = '"Aug 5, 1953"',
    recorded: str = "2017-11-22 09:10:11 +0200",
    unit: str = "µV",
    comma: bool = False,
    encoding: str = "utf-8",
    line_end: str = "\n",
) -> Path:
    """Write one lead."""
    person, birth, date, kind, symptoms, version, device = WORDS[language]
    word_rate, word_lead, word_unit, lead = LATER[language]
    per_mv = 1000.0 if unit == "µV" else 1.0
    samples = [f"{value * per_mv:.3f}".rstrip("0").rstrip(".") for value in np.asarray(signal_mv)]
    lines = [
        person + name,
        f"{birth},{born}",
        f"{date},{recorded}",
        f"{kind},Sinus",
        f"{symptoms},",
        f"{version},1.90",
        f'{device},"Watch7,12"',
        f"{word_rate},{rate}",
        "",
        "",
        f"{word_lead},{lead}",
        f"{word_unit},{unit}",
        "",
        *(sample.replace(".", ",") if comma else sample for sample in samples),
        "",
    ]
    path.write_bytes(line_end.join(lines).encode(encoding))
    return path
