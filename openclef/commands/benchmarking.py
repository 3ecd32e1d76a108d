"""The command `openclef benchmark`: it reads its own arguments, since a model may be NAME=FOLDER."""

# What takes long to import is imported inside: the help reads this file.
from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import NoneType
from typing import Any

from openclef.commands.judging import read_conditions

__all__ = ["benchmark", "parse_models", "read_config"]


_LISTS = (
    "models", "stores", "tasks", "protocols", "leads", "label_shares", "baselines", "seeds", "training_seeds", "by",
)  # fmt: skip


def benchmark(arguments: list[str]) -> int:
    """Judge models and baselines on tasks, leads, protocols and label budgets; write tables and a page.

    Args:
        arguments: Models, and the options of `openclef.benchmark`, for example ["runs/clef", "--stores",
            "stores/ptb_xl", "--out", "runs/benchmark"].

    Returns:
        Exit status.

    Raises:
        ValueError: As `openclef.benchmark` says.

    Example:
        >>> benchmark(["a=", "--stores", "stores/a", "--out", "runs/b"])
        Traceback (most recent call last):
        ...
        ValueError: model 'a=' has no name or no folder; pass NAME=FOLDER, or NAME=FOLDER,FOLDER.
    """
    arguments, of_file = _with_config(arguments)
    given = _parser().parse_args(arguments)
    given = _parser().instantiate(given).as_dict()
    given.pop("config", None)
    models: Any = parse_models(given.pop("models")) or of_file
    page = given.pop("report")
    conditions = read_conditions(given.pop("conditions"))
    from openclef.benchmarking.grid import benchmark as run

    found = run(models, given.pop("stores"), given.pop("out"), conditions=conditions, **given)
    print(found)
    said: dict[str, list[str]] = {}
    for each in found.about["notes"]:
        said.setdefault(each["note"], []).append(each["model"])
    for note, names in said.items():
        print(f"note: {', '.join(dict.fromkeys(names))}: {note}")
    if len(found.skipped):
        print(f"{len(found.skipped)} cells could not be judged: {found.folder / 'skipped.csv'}")
    print(f"tables: {found.folder}/*.csv")
    if not page:
        return 0
    if find_spec("plotly") is None:
        print(f'for the page: pip install "openclef[report]", then openclef report {found.folder}')
        return 0
    from openclef.reporting.page import report

    print(f"report: {report(found.folder)}")
    return 0


def parse_models(given: list[str]) -> dict[str, list[str]] | list[str]:
    """Read models as the command line names them.

    Args:
        given: Folders, names of encoders that come with openclef, or "NAME=FOLDER[,FOLDER...]" (seeds of one method).

    Returns:
        A mapping from name to folders where names are given, else the list as it is.

    Raises:
        ValueError: Some are named and others not, a name is given twice, or no folder follows a name.

    Example:
        >>> parse_models(["clef=runs/a,runs/b", "simclr=runs/c"])
        {'clef': ['runs/a', 'runs/b'], 'simclr': ['runs/c']}
    """
    named: dict[str, list[str]] = {}
    plain = [each for each in given if "=" not in each or Path(each).exists()]
    for each in given:
        if each in plain:
            continue
        name, _, folders = each.partition("=")
        sources = [folder for folder in folders.split(",") if folder]
        if not name or not sources:
            raise ValueError(
                f"model {each!r} has no name or no folder; pass NAME=FOLDER, or NAME=FOLDER,FOLDER."
            )
        if name in named:
            raise ValueError(
                f"the model {name!r} is given twice; give each its own name, and seeds as NAME=A,B."
            )
        named[name] = sources
    if named and plain:
        raise ValueError(
            f"{plain[0]!r} has no name and {next(iter(named))!r} has one; name all models as NAME=FOLDER, or none."
        )
    return named or plain


def read_config(file: Path) -> tuple[dict[str, Any], Any]:
    """Read a YAML file of options.

    Args:
        file: The file. Where a list is meant one value may stand alone; models are a list as on the command line, or a
            mapping from name to a folder or a list of folders.

    Returns:
        The options without the models, and the models as `openclef.benchmark` takes them.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is no YAML, holds no options, or its models are neither.

    Example:
        >>> read_config(Path("nowhere.yaml"))
        Traceback (most recent call last):
        ...
        FileNotFoundError: nowhere.yaml is missing; pass the YAML file of options after --config.
    """
    import yaml

    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing; pass the YAML file of options after --config.")
    try:
        options = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no YAML ({' '.join(str(error).split())}); correct it.") from error
    if not isinstance(options, dict) or not options:
        raise ValueError(f"{file} holds no options; write them as lines NAME: VALUE, for example draws: 100.")
    for name in _LISTS:
        value = options.get(name)
        if isinstance(value, (str, int, float)):
            options[name] = [value]
        elif name != "models" and not isinstance(value, (list, NoneType)):
            raise ValueError(f"{file} has {name} {value!r}; accepted is a list, or one value alone.")
    if isinstance(options.get("finetuning"), str) and (file.parent / options["finetuning"]).is_file():
        options["finetuning"] = str((file.parent / options["finetuning"]).resolve())
    return options, _models_of(file, options.pop("models", None) or [])


def _models_of(file: Path, models: Any) -> Any:
    accepted = "a list as on the command line, or a mapping from name to a folder or a list of folders"
    of_names = models.values() if isinstance(models, dict) else [models]
    several = [each if isinstance(each, list) else [each] for each in of_names]
    if not all(each and all(isinstance(one, str) and one for one in each) for each in several if models):
        raise ValueError(f"{file} has models {models!r}; accepted is {accepted}.")
    if isinstance(models, dict):
        return dict(zip(map(str, models), several))
    return parse_models(several[0] if models else [])


def _with_config(arguments: list[str]) -> tuple[list[str], Any]:
    """The arguments with the options of files in the files' place, and the models of the last file that names any."""
    import json

    found: list[str] = []
    models: Any = []
    rest = iter(arguments)
    for each in rest:
        name, _, place = each.partition("=")
        if name != "--config":
            found.append(each)
            continue
        file = place or next(rest, "")
        options, named = read_config(Path(file))
        models = named or models
        found.append(f"--config={json.dumps(options, default=str)}")
    return found, models


def _parser() -> Any:
    import jsonargparse

    from openclef.protocol.network import Finetuning

    parser = jsonargparse.ArgumentParser(
        prog="openclef benchmark",
        description="Judge models and baselines on tasks, leads, protocols and label budgets; interrupted, it goes on.",
    )
    parser.add_argument(
        "--config", action="config", help="YAML file with models and any of the options below"
    )
    add = parser.add_argument
    add(
        "models",
        nargs="*",
        type=str,
        default=[],
        help="run folders, openclef-small-sim, or NAME=FOLDER[,FOLDER...] (seeds of one method); none: baselines alone",
    )
    add(
        "--stores",
        nargs="+",
        type=str,
        required=True,
        help="stores, or .csv files that list files of your own",
    )
    add("--out", type=str, required=True, help="folder for cells, tables and report.html")
    add("--tasks", nargs="*", type=str, default=None, help="all that the stores declare by default")
    add("--protocols", nargs="+", type=str, default=["probe"], help="of probe, knn, finetune, scratch")
    add(
        "--leads",
        nargs="+",
        type=str,
        default=None,
        help="leads by name; by default one a task: I, or where its stores lack that their first",
    )
    add(
        "--label_shares",
        nargs="+",
        type=float,
        default=[1.0],
        help="shares of the training subjects, as 0.01 0.1 1",
    )
    add(
        "--baselines",
        nargs="*",
        type=str,
        default=["random_encoder", "age_sex", "features"],
        help="of random_encoder, age_sex, features (needs neurokit2), scratch",
    )
    add(
        "--seeds",
        nargs="+",
        type=int,
        default=[0, 1, 2, 3, 4],
        help="of random encoders, training and budgets",
    )
    add("--training_seeds", nargs="+", type=int, default=None, help="of finetune and scratch, where fewer")
    add(
        "--conditions",
        type=list[dict[str, Any]],
        default=[],
        help="""changed recordings judged too: '[{"noise_snr_db": 10}, {"lead": "II"}, {"fs": 100}, {"seconds": 5}]'""",
    )
    add(
        "--by",
        nargs="*",
        type=str,
        default=["sex", "age_band"],
        help="parts judged too: sex, age_band, store",
    )
    add("--split", type=str, default="test", help="test, or val while you choose anything")
    add(
        "--reference",
        type=str,
        default="random_encoder",
        help="model that changes in percent are relative to",
    )
    add("--pairs", type=str, default="all", help="models compared with each other: all, or reference")
    add("--draws", type=int, default=1000, help="bootstrap draws over subjects and seeds")
    add("--permutations", type=int, default=1000, help="of each comparison")
    add("--batch_size", type=int, default=256, help="windows embedded at a time")
    add("--device", type=str | None, default=None, help="where to compute, as cuda")
    add(
        "--min_positives",
        type=int,
        default=10,
        help="fewest positives and negatives of a label in a mean, and records of a regression",
    )
    add("--seed", type=int, default=0, help="of label budgets, draws and permutations")
    add("--quiet", type=bool, default=False, help="print tables only")
    add("--report", type=bool, default=True, help="write report.html too (needs plotly)")
    parser.add_class_arguments(Finetuning, "finetuning", sub_configs=True)
    return parser
