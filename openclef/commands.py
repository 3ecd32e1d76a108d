"""What each command of the command line does: call one public function and print what it returns.

The signatures are the commands' options and the docstrings their help, so nothing heavy is imported up here.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

__all__ = [
    "check",
    "convert",
    "demo",
    "embed",
    "evaluate",
    "list_things",
    "predict",
    "risk",
    "score",
    "simulate",
    "simulate_metadata",
]


def demo(out: str = "runs/demo", *, patients: int = 2000, epochs: int = 15, seed: int = 0) -> int:
    """Run the main job offline: simulate patients, pretrain with and without guidance, judge on held-out patients.

    Args:
        out: folder for the store, the runs and the results.
        patients: simulated patients.
        epochs: passes over the training patients, for each of the two methods.
        seed: of everything.
    """
    from openclef.demonstration import run_demo

    run_demo(Path(out), patients=patients, epochs=epochs, seed=seed)
    return 0


KINDS = ("databases", "risks", "backbones", "methods", "protocols", "tasks", "models", "formats")


def list_things(arguments: list[str]) -> int:
    """List what can be named elsewhere on the command line.

    Args:
        arguments: one of KINDS, and "--json true" for JSON instead of lines.

    Example:
        >>> list_things(["methods"])
        clef: CLEF: ...
    """
    import argparse

    parser = argparse.ArgumentParser(prog="openclef list", description="List what can be named elsewhere.")
    parser.add_argument("kind", nargs="?", choices=KINDS, default="databases")
    parser.add_argument("--json", choices=("true", "false"), default="false", help="print JSON")
    given = parser.parse_args(arguments)
    rows = _rows(given.kind)
    if given.json == "true":
        _print_json(rows)
        return 0
    for row in rows:
        rest = dict(row)
        name = rest.pop("name")
        words = [
            f"{value:,} {key}" if isinstance(value, int) else str(value)
            for key, value in rest.items()
            if value
        ]
        print(f"{name}: {'; '.join(words)}")
    return 0


def _rows(kind: str) -> list[dict[str, Any]]:
    if kind == "databases":
        from openclef.database import DATABASES

        return [
            {
                "name": n,
                "title": d.title,
                "access": d.access,
                "size": d.size,
                "licence": d.licence,
                "url": d.url,
            }
            for n, d in DATABASES.items()
        ]
    if kind == "risks":
        from openclef.risk import SCORES

        return [
            {
                "name": n,
                "title": s.title,
                "inputs": ", ".join(s.inputs),
                "unit": s.unit,
                "validity": s.validity,
            }
            for n, s in SCORES.items()
        ]
    if kind == "tasks":
        from openclef.database import DATABASES
        from openclef.simulator.cohort import TASKS

        found = [{"name": task, "database": n} for n, d in DATABASES.items() for task in d.tasks]
        return found + [{"name": task.name, "database": "openclef simulate"} for task in TASKS]
    if kind == "formats":
        from openclef.formats import FORMATS

        return [{"name": name, "what": each.title} for name, each in FORMATS.items()]
    import torch

    from openclef.backbone import BACKBONES
    from openclef.method import METHODS
    from openclef.protocol import NETWORK_PROTOCOLS, PROTOCOLS

    if kind == "models":
        return _shipped() + _published()
    if kind == "backbones":
        with torch.device("meta"):  # counts parameters without making them
            nets = {name: build(leads=1) for name, build in BACKBONES.items()}
        return [
            {"name": name, "dim": net.dim, "parameters": sum(p.numel() for p in net.parameters())}
            for name, net in nets.items()
        ]
    if kind == "protocols":
        protocols = PROTOCOLS | NETWORK_PROTOCOLS
        return [
            {"name": name, "what": (each.__doc__ or "").split("\n")[0]} for name, each in protocols.items()
        ]
    return [
        {"name": name, "what": (import_module(each.__module__).__doc__ or "").split("\n")[0]}
        for name, each in METHODS.items()
    ]


def _published() -> list[dict[str, Any]]:
    import torch

    from openclef.backbone import BACKBONES
    from openclef.published import CHECKPOINTS, LICENCE, PREPROCESSING, SOURCE

    rows = []
    for name, (file, backbone) in CHECKPOINTS.items():
        with torch.device("meta"):
            net = BACKBONES[backbone](leads=1)
        rows.append(
            {
                "name": name,
                "file": file,
                "backbone": backbone,
                "dim": net.dim,
                "parameters": sum(p.numel() for p in net.parameters()),
                "signal": f"one lead at {PREPROCESSING.fs:g} Hz",
                "licence": LICENCE,
                "url": SOURCE,
                "load": f"openclef.load_official({file!r})",
            }
        )
    return rows


def _shipped() -> list[dict[str, Any]]:
    from openclef.checkpoint import load
    from openclef.shipped import SHIPPED

    rows = []
    for name, what in SHIPPED.items():
        encoder = load(name)
        rows.append(
            {
                "name": name,
                "what": what,
                "backbone": encoder.backbone_name,
                "dim": encoder.dim,
                "parameters": sum(p.numel() for p in encoder.parameters()),
                "signal": f"one lead at {encoder.preprocessing.fs:g} Hz",
                "load": f"openclef.load({name!r})",
            }
        )
    return rows


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, default=str))


def score(arguments: list[str]) -> int:
    """Compute one patient's score, in its validated range only, and print it as JSON.

    Args:
        arguments: the score's name and its inputs, for example ["score2", "--age_years", "50", "--sex", "male"].

    Example:
        >>> score(["age", "--age_years", "50"])
        {
         "score": "age",
        ...
    """
    import jsonargparse

    from openclef.risk import SCORES, patient_arguments, score_patient

    if not arguments or arguments[0].startswith("-"):
        print(f"usage: openclef score NAME [inputs]\n\nNAME is one of {', '.join(SCORES)};")
        print("openclef score NAME --help shows its inputs. An input that is left out counts as unknown.")
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    name, *rest = arguments
    if name not in SCORES:
        raise ValueError(f"score {name!r} is unknown; pass one of {', '.join(SCORES)}.")
    parser = jsonargparse.ArgumentParser(prog=f"openclef score {name}", description=SCORES[name].title)
    parser.add_argument("--config", action="config", help="YAML file with any of the inputs below")
    for argument, (kind, line) in patient_arguments(name).items():
        default = {"default": "low"} if argument == "region" else {"default": None}
        parser.add_argument(f"--{argument}", type=kind, help=line, **default)
    inputs = parser.parse_args(rest).as_dict()
    inputs.pop("config", None)
    _print_json(score_patient(name, **inputs))
    return 0


def simulate(
    dst: str,
    *,
    patients: int = 2000,
    seed: int = 0,
    configuration: Literal["A", "B"] = "A",
    rho: float = 0.4,
    records_per_patient: float = 1.0,
    missing_share: float | dict[str, float] = 0.3,
    missing_kind: Literal["at_random", "healthy"] = "at_random",
    seconds: float = 10.0,
    fs: float = 250.0,
    workers: int | None = None,
    overwrite: bool = False,
) -> int:
    """Write a store of simulated patients with metadata, 12-lead ECGs and known labels.

    Args:
        dst: folder of the store.
        patients: how many.
        seed: the same seed gives the same bytes.
        configuration: frozen parameters; choose on A, test on B once.
        rho: share of the liability to disease that risk factors explain, 0 to 0.75.
        records_per_patient: mean number of ECGs of a patient, over years.
        missing_share: share of unknown metadata; one for all, or by group: '{"lipids": 0.6, "smoker": 0.2}'.
        missing_kind: at_random, or healthy: more often unknown in the healthy.
        seconds: length of an ECG in s.
        fs: sampling rate in Hz.
        workers: processes; the number of cores by default.
        overwrite: replace a store that stands there.
    """
    from openclef.simulator.cohort import simulate as run

    store = run(
        dst,
        patients=patients,
        seed=seed,
        configuration=configuration,
        rho=rho,
        records_per_patient=records_per_patient,
        missing_share=missing_share,
        missing_kind=missing_kind,
        seconds=seconds,
        fs=fs,
        workers=workers,
        overwrite=overwrite,
    )
    print(store)
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
    return 0


def risk(
    store: str,
    name: str,
    *,
    label: str | None = None,
    region: Literal["low", "moderate", "high", "very_high"] | None = None,
    figure: str | None = None,
) -> int:
    """Add a risk score to a store and print its distribution by completeness.

    Args:
        store: folder of a store.
        name: one of `openclef list risks`.
        label: name to keep it under; the score's own by default.
        region: SCORE2 risk region, for scores that have one; low by default.
        figure: HTML file for the distribution as a figure (needs the extra "report").
    """
    from openclef.store import open_store

    opened = open_store(store)
    settings = {"region": region} if region is not None else {}
    opened.add_risk(name, label=label, **settings)
    from openclef.reporting.risk import print_risk, write_risk_figure

    print_risk(opened, label or name)
    if figure is not None:
        write_risk_figure(opened, label or name, figure)
        print(f"figure: {figure}")
    return 0


def check(store: str, *, linkage: bool = False, seed: int = 0) -> int:
    """Verify a store: name every broken invariant; exit status 1 if there is one.

    Args:
        store: folder of a store.
        linkage: test as well whether the metadata belong to the ECGs that they stand beside.
        seed: of the linkage test's permutations.
    """
    from openclef.checking import check as run

    report = run(store, linkage=linkage, seed=seed)
    print(report)
    return 0 if report.ok else 1


def embed(
    model: str,
    sources: str | list[str],
    *,
    out: str | None = None,
    lead: str = "I",
    leads: str | list[str] | None = None,
    fs: float | None = None,
    unit: str | None = None,
    batch_size: int = 256,
) -> int:
    """Embed a store or files with an encoder, one row a window, and write parquet.

    Args:
        model: a run folder, a model folder, or openclef-small-sim, which comes with openclef (simulated ECGs only).
        sources: a store, a file in a format of `openclef list formats`, or several: '["a.npy", "b.hea"]'.
        out: parquet file to write; always needed.
        lead: lead to embed, by name; the name of the row, where an array has only one.
        leads: names of an array's rows, where its file does not state them: '["I", "II"]'.
        fs: sampling rate in Hz, for files that do not state it.
        unit: mV, uV, V or zscore, for files that do not state it; mV by default.
        batch_size: windows at a time.
    """
    target = _parquet_file(out, "embeddings.parquet", sources)
    from openclef.checkpoint import load
    from openclef.embedding import embed as run

    encoder = load(model)
    frame = run(encoder, sources, fs=fs, lead=lead, leads=leads, unit=unit, batch_size=batch_size)
    _write_parquet(frame, target)
    print(f"{out}: {len(frame):,} windows, {encoder.dim} dimensions")
    return 0


def predict(
    model: str,
    sources: str | list[str],
    *,
    out: str | None = None,
    lead: str = "I",
    leads: str | list[str] | None = None,
    fs: float | None = None,
    unit: str | None = None,
    batch_size: int = 256,
) -> int:
    """Predict a task's labels for a store or files with a fine-tuned encoder, one row a window, and write parquet.

    Args:
        model: run folder of `openclef finetune`.
        sources: a store, a file in a format of `openclef list formats`, or several: '["a.npy", "b.hea"]'.
        out: parquet file to write; always needed.
        lead: lead to predict from, by name; the name of the row, where an array has only one.
        leads: names of an array's rows, where its file does not state them: '["I", "II"]'.
        fs: sampling rate in Hz, for files that do not state it.
        unit: mV, uV, V or zscore, for files that do not state it; mV by default.
        batch_size: windows at a time.
    """
    target = _parquet_file(out, "predictions.parquet", sources)
    from openclef.checkpoint import load
    from openclef.prediction import predict as run

    encoder = load(model)
    frame = run(encoder, sources, fs=fs, lead=lead, leads=leads, unit=unit, batch_size=batch_size)
    _write_parquet(frame, target)
    head = encoder.required_head()
    what = head.unit or "calibrated probability"
    print(f"{out}: {len(frame):,} windows, {head.task} ({what}): {', '.join(head.labels)}")
    return 0


def _parquet_file(out: str | None, example: str, sources: str | list[str]) -> Path:
    """Refuse a missing source or output before a model is loaded."""
    if out is None:
        raise ValueError(f"out is missing; pass the parquet file to write, for example --out {example}.")
    if not sources:
        raise ValueError("No source is given; pass a store, a file, or a list of these.")
    target = Path(out)
    if target.is_dir():
        raise ValueError(f"out is {out}, a folder; pass the parquet file to write, as {target / example}.")
    from openclef.protocol.result import check_folder

    check_folder(target.parent)
    return target


def _write_parquet(frame: Any, target: Path) -> None:
    from openclef.store import write_atomically

    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, lambda path: frame.to_parquet(path))


def evaluate(
    model: str | list[str],
    stores: str | list[str],
    task: str,
    *,
    protocol: str = "probe",
    lead: str = "I",
    split: Literal["val", "test"] = "test",
    label_share: float = 1.0,
    baselines: bool = True,
    full: bool = False,
    out: str | None = None,
    draws: int = 1000,
    seeds: tuple[int, ...] | list[int] = (0, 1, 2, 3, 4),
    finetuning: dict[str, Any] | None = None,
) -> int:
    """Judge an encoder on a task, beside random encoders and age and sex, with 95 % intervals.

    Args:
        model: run folder, several (seeds of one method), or random_encoder, age_sex or scratch.
        stores: store, or several that declare the task.
        task: for example ptb_xl/superdiagnostic.
        protocol: one of `openclef list protocols`.
        lead: lead by name.
        split: where to judge; choose on val, and look at test once (looks are noted in the stores).
        label_share: share of training subjects whose labels are used, above 0 and at most 1.
        baselines: put random encoders and age and sex beside the model, and beside finetune training from scratch.
        full: print every metric, of every label too, and not only the first two over all labels.
        out: folder for metrics.json, predictions.parquet and evaluation.json; fine-tuned runs are kept in its "runs",
            and an interrupted evaluation goes on with them.
        draws: bootstrap draws over subjects and seeds.
        seeds: of random encoders, and of finetune and scratch, which train once a seed.
        finetuning: settings of finetune and scratch, as `openclef finetune --help` has them: '{"epochs": 10}'.
    """
    from openclef.protocol.evaluation import evaluate as run
    from openclef.protocol.result import check_folder

    if out is not None:
        check_folder(out)
    opened = [stores] if isinstance(stores, str) else stores
    beside = ("random_encoder", "age_sex", "scratch")[: 3 if protocol == "finetune" else 2]
    result = run(
        model,
        opened,
        task,
        protocol=protocol,
        lead=lead,
        split=split,
        label_share=label_share,
        baselines=beside if baselines else (),
        draws=draws,
        seeds=seeds,
        finetuning=_finetuning(finetuning or {}),
        runs=None if out is None else Path(out) / "runs",
    )
    if full:
        print(result.metrics.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    print(result)
    if out is not None:
        result.save(out)
        print(f"saved in {out}")
    return 0


def _finetuning(given: dict[str, Any]) -> Any:
    """Settings of fine-tuning from those given; the others stay as they are."""
    import jsonargparse

    from openclef.protocol.network import Finetuning

    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Finetuning, "finetuning", sub_configs=True)
    try:
        return parser.instantiate(parser.parse_object({"finetuning": given})).finetuning
    except jsonargparse.ArgumentError as error:
        raise ValueError(
            f"finetuning is {given}, which cannot be used ({error}); `openclef finetune --help` has its settings."
        ) from error


def report(arguments: list[str]) -> int:
    """Write one self-contained HTML page about runs, their results and their stores.

    Args:
        arguments: folders, and the options of `openclef.report`, for example ["runs/demo", "--out", "report.html"].
    """
    import jsonargparse

    parser = jsonargparse.ArgumentParser(
        prog="openclef report", description="Write one self-contained HTML page about runs."
    )
    parser.add_argument("--config", action="config", help="YAML file with any of the options below")
    parser.add_argument(
        "folders", nargs="+", type=str, help="runs, results, or a folder above several of these"
    )
    parser.add_argument(
        "--out",
        type=str | None,
        default=None,
        help="a name that ends in .html or .htm; report.html in the first folder by default",
    )
    parser.add_argument(
        "--stores", nargs="*", type=str, default=None, help="stores in place of those that the runs name"
    )
    parser.add_argument("--title", type=str | None, default=None, help="heading of the page")
    parser.add_argument("--split", type=str, default="val", help="windows that are embedded and shown")
    parser.add_argument("--windows", type=int, default=1000, help="at most so many are embedded")
    parser.add_argument("--seed", type=int, default=0, help="of every draw")
    given = parser.parse_args(arguments).as_dict()
    given.pop("config", None)
    from openclef.reporting.page import report as run

    given["stores"] = given["stores"] or None
    print(f"report: {run(given.pop('folders'), **given)}")
    return 0
