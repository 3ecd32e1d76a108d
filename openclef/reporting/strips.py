"""ECG strips on paper: a few records as recorded, and beneath each the two views that a run makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclef.augment import Views, draw_leads, make_view
from openclef.data import seeded
from openclef.noise import load_noise_bank
from openclef.preprocessing import Preprocessing
from openclef.reporting.contents import FoundRun, read_risk
from openclef.reporting.embeddings import label_columns, lead_of
from openclef.reporting.heading import views_words
from openclef.reporting.markup import Html, Section, element, escaped, join, missing, number
from openclef.store import Store
from openclef.task import Task

SPEED = 25.0  # mm/s
GAIN = 10.0  # mm/mV
RECORDS = 4
_CALIBRATION = 10.0  # mm before the trace, for the 1 mV pulse
_NARROW_S = 4.0  # what a narrow screen shows


def strips_section(runs: list[FoundRun], absent: list[str], *, split: str, seed: int) -> Section:
    """Return strips of a few records with different labels, for each way in which the runs make views.

    Args:
        runs: The runs.
        absent: Runs whose store is not there, and how to give it.
        split: Records of this split.
        seed: Of the choice of records.

    Example:
        >>> strips_section([], ["no store"], split="val", seed=0).anchor
        'strips'
    """
    groups: dict[str, list[FoundRun]] = {}
    for run in runs:
        if run.stores and not run.missing and lead_of(run) is not None:
            same = [run.settings("views"), run.settings("preprocessing"), run.config.get("lead")]
            same += [run.config.get("seed"), *(str(store.path) for store in run.stores)]
            groups.setdefault(repr(same), []).append(run)
    parts = [_group(together, split, seed) for together in groups.values()]
    parts += [missing(sentence) for sentence in absent]
    return Section("strips", "Records and their views", join(parts))


def _group(runs: list[FoundRun], split: str, seed: int) -> Html:
    run, names = runs[0], ", ".join(run.label for run in runs)
    store = run.stores[0]
    chosen = choose_records(store, split, seed=seed)
    if not chosen:
        return missing(f"{names}: {store.name} has no record of split {split!r} without a flag to show.")
    try:
        preprocessing = Preprocessing.from_dict(run.settings("preprocessing"))
        views = Views(**_plain_views(run))
        made = make_views(
            store, chosen, preprocessing, views, own_lead(run), seed=int(run.config.get("seed", 0))
        )
        recorded = [store.read([row], [views_of[0][0]])[0, 0] for row, views_of in zip(chosen, made)]
    except (ValueError, TypeError, OSError) as error:
        return missing(f"{names}: its views cannot be made here: {error}")
    unit = "mV" if store.unit == "mV" else "standard deviation"
    parts = [
        element("h3", names, element("span", f"{store.name}, {split} split", class_="sub")),
        element("p", f"Views: {views_words(run)}.", class_="caption"),
        element(
            "p",
            f"{SPEED:g} mm/s, {GAIN:g} mm/{unit}; small boxes 1 mm, large boxes 5 mm (0.2 s). Narrow screens show the "
            f"first {_NARROW_S:g} s. Views are drawn before the z-score that the encoder gets them with.",
            class_="caption",
        ),
    ]
    for place, row in enumerate(chosen):
        paper_s = max(store.seconds, preprocessing.seconds)
        lead = made[place][0][0]
        strips = [strip(recorded[place], store.fs, f"Recorded, lead {lead}", seconds=paper_s)]
        for number_, (of_view, signal) in enumerate(made[place], start=1):
            strips.append(
                strip(signal, preprocessing.fs, f"View {number_}, lead {of_view}", view=True, seconds=paper_s)
            )
        parts.append(
            element("article", element("h4", _about(store, row, run.risk)), *strips, class_="record")
        )
    return join(parts)


def _plain_views(run: FoundRun) -> dict[str, Any]:
    settings = dict(run.settings("views"))
    if isinstance(settings.get("mask_share"), list):
        settings["mask_share"] = tuple(settings["mask_share"])
    return settings


def own_lead(run: FoundRun) -> str | None:
    """Return the one lead that a run takes, or None where it draws leads.

    Example:
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> own_lead(FoundRun(Path("x"), "x", {"lead": "random"}, True, pd.DataFrame())) is None
        True
    """
    lead = run.config.get("lead", "random")
    return None if lead == "random" else str(lead)


def choose_records(store: Store, split: str, *, seed: int = 0, count: int = RECORDS) -> list[int]:
    """Choose rows with different labels, each of another subject: one without any, then one for each label.

    Args:
        store: The store.
        split: Rows of this split.
        seed: Of the choice among equals.
        count: At most so many.

    Returns:
        Rows of the store; windows with a flag are left out.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.cohort import simulate
        >>> store = simulate(tempfile.mkdtemp() + "/sim", patients=12, workers=1)
        >>> len(choose_records(store, "train", count=2))
        2
    """
    records = store.records
    able = np.flatnonzero((records["split"] == split).to_numpy() & (records["flags"] == "").to_numpy())
    able = np.random.default_rng(seed).permutation(able)
    if not len(able):
        return []
    labels, having = _label_matrix(store)
    order = [np.flatnonzero(~having[able].any(1))] + [
        np.flatnonzero(having[able, each]) for each in range(len(labels))
    ]
    order.append(np.arange(len(able)))
    subjects = records["subject_id"].to_numpy(object)
    chosen: list[int] = []
    shown: set[int] = set()
    for each, places in enumerate(order):
        if 0 < each <= len(labels) and each - 1 in shown:
            continue
        for row in able[places]:
            if len(chosen) == count:
                return chosen
            if subjects[row] not in {subjects[other] for other in chosen}:
                chosen.append(int(row))
                shown |= set(np.flatnonzero(having[row]).tolist())
                if each <= len(labels):
                    break
    return chosen


def _label_matrix(store: Store) -> tuple[list[str], NDArray[np.bool_]]:
    """Names of all labels of the store's classification tasks, and (rows, labels) who has them."""
    names: list[str] = []
    columns: list[NDArray[np.bool_]] = []
    for task in store.tasks.values():
        for name, has in _labels_of(store, task):
            names.append(name)
            columns.append(has)
    return names, np.stack(columns, 1) if columns else np.zeros((len(store), 0), bool)


def _labels_of(store: Store, task: Task) -> list[tuple[str, NDArray[np.bool_]]]:
    records = store.records
    if task.kind == "regression" or not all(column in records for column in task.columns):
        return []
    if task.kind == "multiclass":
        return [(name, (records[task.columns[0]] == name).to_numpy()) for name in task.labels]
    return [(name, (records[column].to_numpy(float) > 0.5)) for name, column in label_columns(task)]


def _about(store: Store, row: int, risk: str | None) -> Html:
    record = store.records.iloc[row]
    labels, having = _label_matrix(store)
    words = list(dict.fromkeys(name for name, has in zip(labels, having[row]) if has)) or ["no label"]
    rest = [f"record {record['record_id']}"]
    age, sex = record.get("age_years"), record.get("sex")
    if age is not None and np.isfinite(float(age)):
        rest.append(f"{float(age):.0f} years")
    if isinstance(sex, str) and sex:
        rest.append(sex)
    if risk is not None and risk in store.risks:
        try:
            rest.append(f"{risk} {number(float(read_risk(store, risk)[0]['value'].iloc[row]))}")
        except ValueError:  # damaged; the section about risks says how
            rest.append(f"{risk} unknown")
    return join([", ".join(words), element("span", ", ".join(rest), class_="sub")])


def make_views(
    store: Store,
    rows: list[int],
    preprocessing: Preprocessing,
    views: Views,
    lead: str | None,
    *,
    seed: int,
) -> list[list[tuple[str, NDArray[np.float32]]]]:
    """Make two views of each row as pretraining does, but for the z-score.

    Args:
        store: The store.
        rows: Its rows.
        preprocessing: The run's.
        views: The run's.
        lead: The lead of both views; None = drawn.
        seed: Of everything drawn.

    Returns:
        For each row two pairs of lead and signal, at the rate of the preprocessing.

    Raises:
        ValueError: The store has no such lead.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.cohort import simulate
        >>> store = simulate(tempfile.mkdtemp() + "/sim", patients=5, workers=1)
        >>> made = make_views(store, [0, 3], Preprocessing(fs=125), Views(crop_s=8.0), None, seed=0)
        >>> len(made), len(made[0]), made[0][0][1].shape
        (2, 2, (1000,))
    """
    import torch

    generator = seeded("cpu", seed)
    if lead is not None and lead not in store.leads:
        raise ValueError(f"lead {lead!r} is not in store {store.path}; pass one of {', '.join(store.leads)}.")
    fixed = None if lead is None else store.leads.index(lead)
    first, second = draw_leads(
        len(rows),
        len(store.leads),
        generator=generator,
        lead_index=fixed,
        same_lead_probability=views.same_lead_probability,
    )
    bank = None
    if views.noise == "recorded" and views.noise_file is not None:
        bank = load_noise_bank(views.noise_file, fs=preprocessing.fs)
    every = torch.from_numpy(store.read(rows))
    made: list[list[tuple[str, NDArray[np.float32]]]] = [[] for _ in rows]
    for chosen in (first, second):
        signal = every[torch.arange(len(rows)), chosen][:, None]
        filtered, valid = preprocessing.filter(signal, store.fs), preprocessing.valid(signal, store.fs)
        view, _ = make_view(filtered, preprocessing.fs, views, generator, bank=bank, valid=valid)
        for place, index in enumerate(chosen.tolist()):
            made[place].append((store.leads[index], view[place, 0].numpy()))
    return made


def strip(
    signal: NDArray[np.floating], fs: float, name: str, *, seconds: float | None = None, view: bool = False
) -> Html:
    """Draw a signal on ECG paper, as an SVG whose unit is the millimetre.

    Args:
        signal: (time,) in mV, NaN where missing.
        fs: Its sampling rate in Hz.
        name: What it is.
        seconds: Length of the paper; the signal's by default.
        view: Whether it is a view, drawn in another colour than a recording.

    Example:
        >>> drawn = strip(np.zeros(250), 25.0, "Recorded, lead I")
        >>> 'viewBox="-10 -15 260 25"' in drawn, "M0 0l1 0" in drawn
        (True, True)
    """
    length = (len(signal) / fs if seconds is None else seconds) * SPEED
    known = signal[np.isfinite(signal)]
    middle = float(np.median(known)) if len(known) else 0.0
    height_mm = (middle - signal) * GAIN
    top = -5 * max(3, int(np.ceil((-np.nanmin(height_mm) + 1) / 5))) if len(known) else -15
    bottom = 5 * max(2, int(np.ceil((np.nanmax(height_mm) + 1) / 5))) if len(known) else 10
    top, bottom = max(top, -40), min(bottom, 40)
    along, down = np.arange(len(signal)) / fs * SPEED, np.clip(height_mm, top, bottom)
    pulse = f"M{-_CALIBRATION + 1:g} 0h2v{-GAIN:g}h4v{GAIN:g}h2"
    drawings = []
    for width, end in (("wide", length), ("narrow", min(length, _NARROW_S * SPEED))):
        whole = 5 * np.ceil(end / 5)
        path = _path(along[along <= end], down[along <= end])
        box = f"{-_CALIBRATION:g} {top:g} {whole + _CALIBRATION:g} {bottom - top:g}"
        drawings.append(
            f'<svg class="strip {width}" viewBox="{box}" role="img" aria-label="{escaped(name)}">'
            f"{_grid(-_CALIBRATION, top, whole + _CALIBRATION, bottom - top)}"
            f'<path class="pulse" d="{pulse}"/><path class="trace{" view" if view else ""}" d="{path}"/></svg>'
        )
    title = element("p", name, element("span", f"{len(signal) / fs:g} s", class_="sub"), class_="strip-name")
    return element("div", title, Html("".join(drawings)))


def _grid(left: float, top: float, width: float, height: float) -> str:
    """Lines every 1 mm and every 5 mm, in the coordinates of the strip."""
    parts = []
    for kind, step in (("small", 1), ("large", 5)):
        columns = range(int(np.ceil(left / step)) * step, int(left + width) + 1, step)
        rows = range(int(np.ceil(top / step)) * step, int(top + height) + 1, step)
        drawn = "".join(f"M{at} {top:g}v{height:g}" for at in columns if kind == "large" or at % 5)
        drawn += "".join(f"M{left:g} {at}h{width:g}" for at in rows if kind == "large" or at % 5)
        parts.append(f'<path class="{kind}" d="{drawn}"/>')
    return "".join(parts)


def _path(along: NDArray[np.floating], down: NDArray[np.floating]) -> str:
    """SVG path of a line in hundredths of a millimetre, broken where a value is missing."""
    known = np.isfinite(down)
    at = np.round(np.stack([along, np.where(known, down, 0)], 1) * 100).astype(int)
    parts: list[str] = []
    pen = False
    for place in range(len(at)):
        if not known[place]:
            pen = False
            continue
        if pen:
            step = at[place] - at[place - 1]
            parts.append(f"{'' if parts[-1][0] != 'M' else 'l'}{step[0] / 100:g} {step[1] / 100:g} ")
        else:
            parts.append(f"M{at[place][0] / 100:g} {at[place][1] / 100:g}")
        pen = True
    return "".join(parts).strip()
