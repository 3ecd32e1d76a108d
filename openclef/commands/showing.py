"""What shows on the command line: the demo and the report."""

# The signatures are the options and the docstrings their help, so nothing heavy is imported up here.
from __future__ import annotations

from pathlib import Path

__all__ = ["demo", "report"]


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
