"""What judges an encoder on the command line."""

# The signatures are the options and the docstrings their help, so nothing heavy is imported up here.
from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

__all__ = ["evaluate"]


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
    by: str | list[str] | None = None,
    conditions: list[dict[str, Any]] | None = None,
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
        by: parts that are judged too: store, sex, age_band, or several: '["sex", "age_band"]'.
        conditions: changed recordings that are judged too: '[{"noise_snr_db": 10}, {"lead": "II"}, {"fs": 100}]'.
        finetuning: settings of finetune and scratch, as `openclef finetune --help` has them: '{"epochs": 10}'.
    """
    from openclef.protocol.evaluation import evaluate as run
    from openclef.protocol.result import check_folder

    if out is not None:
        check_folder(out)
    changed = read_conditions(conditions or [])
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
        by=by,
        conditions=changed,
        runs=None if out is None else Path(out) / "runs",
    )
    if full:
        print(result.metrics.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    else:
        _print_parts(result.metrics)
    print(result)
    if out is not None:
        result.save(out)
        print(f"saved in {out}")
    return 0


def _print_parts(metrics: Any) -> None:
    """Print the first metric of parts and conditions, which stand beside the whole."""
    rows = metrics[(metrics["part"] != "") | (metrics["condition"] != "")]
    rows = rows[rows["metric"].isin(("auroc", "mae"))]
    if len(rows):
        columns = ["model", "part", "condition", "metric", "value", "low", "high", "n"]
        print(rows[columns].to_string(index=False, float_format=lambda value: f"{value:.3f}"))


def read_conditions(given: list[dict[str, Any]]) -> list[Any]:
    """Make conditions of what the command line was given.

    Args:
        given: Settings of `openclef.Condition`, by name.

    Returns:
        The conditions.

    Raises:
        ValueError: A setting is unknown or out of range.
    """
    from openclef.condition import Condition

    accepted = tuple(Condition.__dataclass_fields__)
    for each in given:
        unknown = [name for name in each if name not in accepted]
        if unknown:
            raise ValueError(
                f"a condition has {', '.join(map(repr, unknown))}; accepted are {', '.join(accepted)}, for example "
                """'[{"noise_snr_db": 10}, {"lead": "II"}]'."""
            )
    return [Condition(**each) for each in given]


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
