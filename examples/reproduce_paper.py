r"""From MIMIC-IV's tables to pretrained encoders and the eighteen tasks: the commands of docs/reproduce-paper.md.

    python examples/reproduce_paper.py --hosp mimiciv/3.1/hosp --ecgs mimic-iv-ecg-1.0 \
        --lvef_table LVEF.csv --databases databases.yaml --out runs/paper

Each command is printed before it runs. What is finished is not done again, so that the same call goes on after an
interruption; with other options it stops where they would have made something else. `--dry_run` only prints.
Without `--databases` it ends with the pretrained encoders.
"""

from __future__ import annotations

import argparse
import inspect
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from openclef.cli import main as openclef
from openclef.database import DATABASES

PAPER = Path(__file__).resolve().parents[1] / "configs" / "paper.yaml"
METHODS = ("clef", "simclr")
RISKS = ("score2", "age_sex")


STEPS = "steps.json"
"""File in the folder `--out` that holds the command of each finished step, by the file that it makes."""


class Step(NamedTuple):
    """One command, and the file that is there when it has been done; None: it is done each time."""

    command: list[str]
    done: Path | None


def steps(given: argparse.Namespace) -> Iterator[Step]:
    """Yield the commands in their order.

    Args:
        given: the arguments of the script.
    """
    out = Path(given.out)
    metadata, store = out / "metadata", out / "stores" / "mimic_iv_ecg"
    ecgs = Path(given.ecgs)
    yield Step(
        ["extract_metadata", "mimic_iv", given.hosp, str(metadata), "--ecgs", str(ecgs / "record_list.csv")]
        + ["--risks", json.dumps(RISKS), "--region", given.region]
        + (["--concepts", given.concepts] if given.concepts else []),
        metadata / "metadata.parquet",
    )
    options = {"metadata": str(metadata.resolve()), "records": given.records}
    if given.lvef_table:
        options["lvef_table"] = str(Path(given.lvef_table).resolve())
    yield Step(
        ["convert", "mimic_iv_ecg", str(ecgs), str(store), "--options", json.dumps(options)]
        + ["--max_skipped_share", str(given.max_skipped_share)],
        store / "dataset.json",
    )
    yield Step(["check", str(store), "--linkage", "true", "--metadata", "true"], None)
    for risk in RISKS:
        region = ["--region", given.region] if risk == "score2" else []
        yield Step(["risk", str(store), risk, *region], store / "risk" / f"{risk}.parquet")
    runs = {}
    for method in METHODS:
        for seed in range(given.seeds):
            run = out / "runs" / f"{method}-{seed}"
            runs.setdefault(method, []).append(str(run))
            command = ["pretrain", str(store), str(run), "--config", str(PAPER), "--method", method]
            yield Step([*command, "--seed", str(seed), *given.pretrain], run / "run.json")
    if not given.databases:
        return
    stores = []
    for name, each in read_databases(Path(given.databases)).items():
        stores.append(out / "stores" / name)
        command = ["convert", name, str(each["src"]), str(stores[-1])]
        command += ["--options", json.dumps(each.get("options") or {})]
        yield Step(command, stores[-1] / "dataset.json")
    models = [f"{method}={','.join(folders)}" for method, folders in runs.items()]
    command = ["benchmark", *models, "--stores", *map(str, stores), "--out", str(out / "benchmark")]
    yield Step([*command, *given.benchmark], None)


def read_databases(path: Path) -> dict[str, dict[str, Any]]:
    """Read where the data sets of the tasks are, and see that they are there.

    Args:
        path: YAML: database -> {src: FOLDER, options: {...}}.

    Raises:
        ValueError: the file is missing or no such YAML, or a database, an option or a folder is not there.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing; docs/reproduce-paper.md shows what it holds")
    try:
        databases = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML ({error})") from error
    if not isinstance(databases, dict) or not databases:
        raise ValueError(f"{path} holds no databases; accepted is: name: {{src: FOLDER, options: {{...}}}}")
    for name, each in databases.items():
        if name not in DATABASES:
            raise ValueError(f"{path} names {name!r}; accepted are {', '.join(DATABASES)}")
        if not isinstance(each, dict) or "src" not in each or set(each) - {"src", "options"}:
            raise ValueError(f"{name} in {path} is {each!r}; accepted is {{src: FOLDER, options: {{...}}}}")
        if not Path(str(each["src"])).exists():
            raise ValueError(
                f"{name} in {path}: {each['src']} is not there; its src is the folder as downloaded"
            )
        accepted = [
            option for option in inspect.signature(DATABASES[name].plan).parameters if option != "src"
        ]
        options = each.get("options") or {}
        if not isinstance(options, dict) or set(options) - set(accepted):
            raise ValueError(
                f"{name} in {path} has the options {options!r}; accepted are {', '.join(accepted)}"
            )
    return databases


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps; the exit status of the first that fails, else 0.

    Args:
        arguments: of the command line; None takes the process's.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosp", required=True, help="MIMIC-IV's folder hosp, with its .csv.gz files")
    parser.add_argument("--ecgs", required=True, help="MIMIC-IV-ECG's folder, with record_list.csv and files")
    parser.add_argument("--lvef_table", help="LVEF.csv, whose patients are held out of pretraining")
    parser.add_argument("--records", choices=("first", "last", "random", "all"), default="first")
    parser.add_argument(
        "--region", choices=("low", "moderate", "high", "very_high"), default="low", help="of SCORE2"
    )
    parser.add_argument("--concepts", help="a changed copy of concepts.toml, the rules of the metadata")
    parser.add_argument("--databases", help="YAML: database -> {src: FOLDER, options: {...}}, for the tasks")
    parser.add_argument("--out", default="runs/paper", help="folder of everything that is made")
    parser.add_argument("--seeds", type=int, default=1, help="encoders of each method")
    parser.add_argument("--max_skipped_share", type=float, default=0.05, help="of the conversion of the ECGs")
    parser.add_argument("--pretrain", type=shlex.split, default=[], help="more options of openclef pretrain")
    parser.add_argument(
        "--benchmark", type=shlex.split, default=[], help="more options of openclef benchmark"
    )
    parser.add_argument("--dry_run", action="store_true", help="print the commands only")
    given = parser.parse_args(arguments)
    try:
        planned = list(steps(given))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    record = Path(given.out) / STEPS
    finished = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    for step in planned:
        done = step.done is not None and step.done.exists()
        print(f"$ openclef {shlex.join(step.command)}" + ("   # done" if done else ""), flush=True)
        if done and finished.get(str(step.done), step.command) != step.command:
            was = shlex.join(finished[str(step.done)])
            print(f"error: {step.done} was made by: openclef {was}\nPass another --out.", file=sys.stderr)
            return 2
        if done or given.dry_run:
            continue
        if status := openclef(step.command):
            return status
        if step.done is not None:
            finished[str(step.done)] = step.command
            record.write_text(json.dumps(finished, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
