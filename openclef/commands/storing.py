"""What makes, describes and verifies stores on the command line."""

# The signatures are the options and the docstrings their help, so nothing heavy is imported up here.
from __future__ import annotations

import json
import shlex
import sys
from typing import Any, Literal

__all__ = ["simulate", "simulate_metadata", "convert", "risk", "check"]


def simulate(
    dst: str,
    *,
    layout: Literal["store", "mimic_iv"] = "store",
    patients: int = 2000,
    seed: int = 0,
    configuration: Literal["A", "B"] = "A",
    rho: float = 0.4,
    records_per_patient: float | None = None,
    missing_share: float | dict[str, float] = 0.3,
    missing_kind: Literal["at_random", "healthy"] = "at_random",
    seconds: float | None = None,
    fs: float | None = None,
    signals: int | None = None,
    labevents: int | None = None,
    damaged_share: float | None = None,
    workers: int | None = None,
    overwrite: bool = False,
) -> int:
    """Write a store of simulated patients with metadata, 12-lead ECGs and known labels, or a tree like MIMIC-IV's.

    Args:
        dst: folder of the store, or of the tree.
        layout: store, or mimic_iv: compressed hospital tables and WFDB files as in MIMIC-IV and MIMIC-IV-ECG.
        patients: how many.
        seed: the same seed gives the same bytes.
        configuration: frozen parameters; choose on A, test on B once.
        rho: share of the liability to disease that risk factors explain, 0 to 0.75.
        records_per_patient: mean number of ECGs of a patient, over years; 1 by default, 3 in the layout mimic_iv.
        missing_share: share of unknown metadata; one for all, or by group: '{"lipids": 0.6, "smoker": 0.2}'.
        missing_kind: at_random, or healthy: more often unknown in the healthy.
        seconds: length of an ECG in s; 10 by default, and always in the layout mimic_iv.
        fs: sampling rate in Hz; 250 by default, always 500 in the layout mimic_iv.
        signals: of the layout mimic_iv: how many ECGs have signals; all by default.
        labevents: of the layout mimic_iv: rows of the laboratory table; 30 an ECG by default.
        damaged_share: of the layout mimic_iv: share of the WFDB records that are damaged; none by default.
        workers: processes; the number of cores by default.
        overwrite: replace what stands there.
    """
    shared: dict[str, Any] = {
        "patients": patients,
        "seed": seed,
        "configuration": configuration,
        "rho": rho,
        "missing_share": missing_share,
        "missing_kind": missing_kind,
        "workers": workers,
        "overwrite": overwrite,
    }
    if records_per_patient is not None:
        shared["records_per_patient"] = records_per_patient
    of_store = {"seconds": seconds, "fs": fs}
    of_tree = {"signals": signals, "labevents": labevents, "damaged_share": damaged_share}
    own, others = (of_store, of_tree) if layout == "store" else (of_tree, of_store)
    wrong = [name for name, value in others.items() if value is not None]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} cannot be chosen in the layout {layout}; leave it out.")
    shared |= {name: value for name, value in own.items() if value is not None}
    if layout == "store":
        from openclef.simulator.cohort import simulate as run

        print(run(dst, **shared))
        return 0
    from openclef.simulator.mimic_iv_tree import simulate_mimic_iv

    print(simulate_mimic_iv(dst, **shared))
    return 0


def simulate_metadata(
    store: str,
    dst: str,
    task: str,
    *,
    healthy: str | list[str] | None = None,
    rho: float = 0.4,
    configuration: Literal["A", "B"] = "A",
    missing_share: float | dict[str, float] = 0.3,
    missing_kind: Literal["at_random", "healthy"] = "at_random",
    seed: int = 0,
    overwrite: bool = False,
) -> int:
    """Write a semi-synthetic store: a store's real ECGs and labels, with simulated risk factors for its patients.

    Args:
        store: folder of a store with age and sex.
        dst: folder of the new store.
        task: whose labels the risk factors shall know, a binary or multilabel task of the store.
        healthy: labels of it that do not count as ill, for example NORM.
        rho: how much the risk factors tell about the labels beyond age and sex, 0 (nothing) to 0.75.
        configuration: frozen parameters; choose on A, test on B once.
        missing_share: share of drawn values that stay unknown; one for all, or by group: '{"lipids": 0.6}'.
        missing_kind: at_random, or healthy: more often unknown in the healthy.
        seed: the same seed gives the same values.
        overwrite: replace a store that stands there.
    """
    from openclef.simulator.semi_synthetic import simulate_metadata as run

    made = run(
        store,
        dst,
        task=task,
        healthy=healthy or (),
        rho=rho,
        configuration=configuration,
        missing_share=missing_share,
        missing_kind=missing_kind,
        seed=seed,
        overwrite=overwrite,
    )
    print(made)
    return 0


def convert(
    database: str,
    src: str,
    dst: str,
    *,
    options: dict[str, Any] | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    max_skipped_share: float = 0.05,
) -> int:
    """Write a store from a database in its official layout, or from your own files.

    Args:
        database: one of `openclef list databases`.
        src: folder as downloaded; for files the CSV that lists them.
        dst: folder of the store.
        options: the database's own options, for example --options '{"fs": 500}'; docs/databases.md has them.
        workers: processes; the number of cores by default.
        overwrite: replace a store, or a conversion with other options, that stands there.
        max_skipped_share: fail above this share of unreadable records; below it they are listed in skipped.csv.
    """
    from openclef.database.conversion import convert as run

    try:
        store = run(
            database,
            src,
            dst,
            workers=workers,
            overwrite=overwrite,
            max_skipped_share=max_skipped_share,
            **(options or {}),
        )
    except TypeError as error:
        if not options:
            raise
        raise ValueError(
            f"--options {json.dumps(options)} holds a value of a wrong type ({error}); docs/databases.md has them."
        ) from error
    print(store)
    if "age_years" in store.records:
        print(
            f"next: openclef risk {shlex.quote(dst)} score2, then openclef check {shlex.quote(dst)} --linkage true"
        )
    return 0


def risk(
    store: str,
    name: str | list[str],
    *,
    label: str | None = None,
    region: Literal["low", "moderate", "high", "very_high"] | None = None,
    figure: str | None = None,
) -> int:
    """Add one or more risk scores to a store and print their distributions by completeness.

    The exit status is 1 where a score has a value for nobody.

    Args:
        store: folder of a store.
        name: one of `openclef list risks`, several as '["score2", "framingham"]', or all.
        label: name to keep a single score under; the score's own by default.
        region: SCORE2 risk region, for scores that have one; low by default.
        figure: HTML file for the distribution of a single score, with its values inside (needs the extra "report").
    """
    from openclef.risk import SCORES, unknown_inputs
    from openclef.store import open_store

    names = list(SCORES) if name == "all" else [name] if isinstance(name, str) else list(name)
    unknown = [each for each in names if each not in SCORES]
    if unknown or not names:
        raise ValueError(
            f"risk {', '.join(unknown) or '[]'} is unknown; pass one or more of {', '.join(SCORES)}, or all."
        )
    if len(names) > 1 and (label is not None or figure is not None):
        raise ValueError(f"label and figure are for one score; {len(names)} were given: add them one by one.")
    if region is not None and not any("region" in SCORES[each].settings for each in names):
        raise ValueError(f"{', '.join(names)} has no region; leave it out.")
    from openclef.reporting.risk import print_risk, write_risk_figure

    opened = open_store(store)
    nobody = False
    for each in names:
        settings = {"region": region or "low"} if "region" in SCORES[each].settings else {}
        kept_as = label or each
        before = opened.risk_settings(kept_as).get("region", "low") if kept_as in opened.risks else None
        opened.add_risk(each, label=label, **settings)
        print_risk(opened, kept_as)
        nobody = nobody or bool(opened.risk(kept_as)["value"].isna().all())
        if settings:
            instead = (
                f", instead of {before}, which stood there" if before not in (None, region or "low") else ""
            )
            print(f"{kept_as}: region {settings['region']}{instead}.")
        if unknown := unknown_inputs(opened.records, each):
            print(_lacking(kept_as, SCORES[each].inputs, unknown))
    if figure is not None:
        write_risk_figure(opened, label or names[0], figure)
        print(f"figure: {figure}")
    if nobody:
        print(
            "Nobody has a value of it: no guidance can come from it. Look at the store's age and sex.",
            file=sys.stderr,
        )
    return 1 if nobody else 0


def _lacking(label: str, inputs: tuple[str, ...], unknown: list[str]) -> str:
    rest = ": it rests on age and sex alone" if set(inputs) - set(unknown) == {"age_years", "sex"} else ""
    return f"{label}: no record has {', '.join(unknown)}{rest}."


def check(store: str, *, linkage: bool = False, metadata: bool = False, seed: int = 0) -> int:
    """Verify a store: name every broken invariant; exit status 1 if there is one.

    Args:
        store: folder of a store.
        linkage: test as well whether the metadata belong to the ECGs that they stand beside.
        metadata: show as well what risk scores from these metadata rest on, and what they add to age and sex.
        seed: of the linkage test's permutations.
    """
    from openclef.checking import check as run

    report = run(store, linkage=linkage, seed=seed)
    print(report)
    if metadata and report.ok:
        from openclef.integrity import judge_integrity
        from openclef.reporting.integrity import print_integrity
        from openclef.store import open_store

        print_integrity(judge_integrity(open_store(store).records))
    return 0 if report.ok else 1
