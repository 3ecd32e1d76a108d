"""The command line: each command is one function, imported only when it is called.

`openclef --help` imports nothing but this file; `openclef COMMAND --help` reads the signature of one function.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

from openclef import __version__

__all__ = ["COMMANDS", "main"]

# Command -> (module and function, what it does).
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": (
        "openclef.commands.showing:demo",
        "the main job in minutes, offline: simulate, pretrain, evaluate, report",
    ),
    "list": (
        "openclef.commands.listing:list_things",
        "what there is: databases, risks, methods, tasks, models and more",
    ),
    "score": ("openclef.commands.scoring:score", "a clinical risk score of one patient, as JSON"),
    "simulate": ("openclef.commands.storing:simulate", "write a store of simulated patients"),
    "simulate_metadata": (
        "openclef.commands.storing:simulate_metadata",
        "real ECGs with simulated risk factors: a semi-synthetic store",
    ),
    "extract_metadata": (
        "openclef.commands.extracting:extract_metadata",
        "clinical metadata and risks of MIMIC-IV's ECGs from its hospital tables",
    ),
    "convert": ("openclef.commands.storing:convert", "write a store from a database or your own files"),
    "risk": (
        "openclef.commands.storing:risk",
        "add a risk score to a store; its distribution by completeness",
    ),
    "check": (
        "openclef.commands.storing:check",
        "verify a store; --linkage true: metadata against ECGs; --metadata true: what risks rest on",
    ),
    "pretrain": ("openclef.pretraining:pretrain", "pretrain an encoder on stores"),
    "import_model": (
        "openclef.commands.using:import_model",
        "make a model folder of a foundation model's published weights",
    ),
    "convert_weights": (
        "openclef.commands.using:convert_weights",
        "take the tensors out of a checkpoint that holds more; nothing in it is run",
    ),
    "embed": ("openclef.commands.using:embed", "embeddings of files or of a store, as parquet"),
    "finetune": ("openclef.protocol.finetuning:finetune", "train an encoder and a head on a labelled task"),
    "predict": ("openclef.commands.using:predict", "predictions of a fine-tuned encoder, as parquet"),
    "evaluate": ("openclef.commands.judging:evaluate", "judge an encoder on a task, with intervals"),
    "benchmark": (
        "openclef.commands.benchmarking:benchmark",
        "judge models and baselines on many tasks, leads and budgets; tables and a page",
    ),
    "speed": (
        "openclef.commands.speed:measure_speed",
        "measure this machine: input, training, embedding, what binds",
    ),
    "report": (
        "openclef.commands.showing:report",
        "one HTML page of runs: results, curves, risks, embeddings, ECGs",
    ),
}


_OWN_OPTIONS = ("score", "list", "benchmark", "report")  # commands that read their own arguments


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; None takes those of the process.

    Returns:
        Exit status: 0, 1 for an error in what was given, 2 for a wrong call.

    Example:
        >>> main(["--version"])
        openclef 0.1.0
        0
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if not given or given[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if given[0] in ("-V", "--version"):
        print(f"openclef {__version__}")
        return 0
    name = given[0]
    if name not in COMMANDS:
        print(f"openclef: {name!r} is no command; pass one of {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    return _run(name, given[1:])


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items())
    return (
        "openclef: clinically guided contrastive learning for single-lead ECG encoders.\n\n"
        f"usage: openclef COMMAND [options]\n\ncommands:\n{lines}\n\n"
        "openclef COMMAND --help shows the options; --config FILE.yaml reads them, --print_config prints them.\n"
        "For research use; not a medical device."
    )


def _run(name: str, given: list[str]) -> int:
    module, function = COMMANDS[name][0].split(":")
    call: Callable[..., Any] = getattr(import_module(module), function)
    warnings.formatwarning = _one_line
    try:
        outcome = call(given) if name in _OWN_OPTIONS else call(**_settings(name, call, given))
    except KeyboardInterrupt:
        print(f"openclef {name}: interrupted; call the same command again", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has seen enough, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, KeyError, OSError, ImportError, FloatingPointError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"openclef {name}: {message}", file=sys.stderr)
        return 1
    return outcome if isinstance(outcome, int) and not isinstance(outcome, bool) else 0


def _one_line(message: Warning | str, *about: object, **more: object) -> str:
    """A warning as a user of the command line wants it: what is the matter, not where in the code."""
    return f"openclef: {message}\n"


def _settings(name: str, call: Callable[..., Any], given: list[str]) -> dict[str, Any]:
    import jsonargparse

    parser = jsonargparse.ArgumentParser(
        prog=f"openclef {name}", description=(call.__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--config", action="config", help="YAML file with any of the options below")
    parser.add_function_arguments(call, as_positional=True, fail_untyped=False, sub_configs=True)
    settings = dict(parser.instantiate(parser.parse_args(given)))
    settings.pop("config", None)
    return settings


if __name__ == "__main__":
    sys.exit(main())
