"""The report's first section: what was run, and on what."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from openclef.pool import NoWindows, Pool
from openclef.reporting.contents import Contents, FoundRun, origin
from openclef.reporting.markup import Html, Section, element, escaped, fact_table, join, number, table


def heading_section(contents: Contents) -> Section:
    """Return the tables of the runs and of the stores.

    Args:
        contents: What was found.

    Example:
        >>> import pandas as pd
        >>> heading_section(Contents([], [], pd.DataFrame(), [], [])).title
        'What was run'
    """
    parts: list[Html] = []
    if contents.runs:
        parts.append(_run_table(contents.runs))
    elif not contents.benchmarks:
        parts.append(element("p", "No run is among the folders: only what the other files say is shown."))
    if contents.stores:
        parts.append(_store_table(contents))
    parts += [element("p", note, class_="missing") for note in contents.notes]
    return Section("runs", "What was run", join(parts))


def badges(contents: Contents, tasks: Iterable[str] = ()) -> list[str]:
    """Say once each whether stores or tasks of the report are simulated or semi-synthetic.

    Args:
        contents: What was found.
        tasks: Those of benchmarks; where others stand among them, the page is partly so.

    Example:
        >>> import pandas as pd
        >>> badges(Contents([], [], pd.DataFrame(), [], []))
        []
    """
    kinds = [origin(store.name, store.info) for store in contents.stores]
    for run in contents.runs:
        entries = run.config.get("stores")
        if isinstance(entries, list):
            kinds += [origin(str(entry.get("name", ""))) for entry in entries if isinstance(entry, dict)]
    of_tasks = [origin(task.split("/")[0]) for task in tasks]
    said = []
    for kind in ("simulated", "semi-synthetic"):
        if kind in kinds or kind in of_tasks:
            whole = kind in kinds or set(of_tasks) == {kind}
            said.append(kind if whole else f"partly {kind}")
    return said


def _run_table(runs: list[FoundRun]) -> Html:
    rows: list[tuple[str, Callable[[FoundRun], object]]] = [
        ("state", _state),
        ("method", lambda run: run.config.get("method", "")),
        ("backbone", lambda run: run.config.get("backbone", "")),
        ("parameters", lambda run: number(parameters_of(run))),
        ("pretrained on", _stores),
        ("epochs", _epochs),
        ("batch", lambda run: run.config.get("batch_size", "")),
        ("steps", _steps),
        ("seed", lambda run: run.config.get("seed", "")),
        ("guidance", guidance_words),
        ("views", views_words),
        ("preprocessing", preprocessing_words),
        ("optimisation", _optimisation),
        ("openclef", lambda run: run.config.get("openclef_version", "not stated")),
    ]
    said = [(name, [escaped(say(run)) for run in runs]) for name, say in rows]
    if len(runs) == 1:
        return fact_table(f"The run {runs[0].label}", [], said)
    shared = [(name, cells[:1]) for name, cells in said if len(set(cells)) == 1]
    own = [(name, cells) for name, cells in said if len(set(cells)) > 1]
    labels = [run.label for run in runs]
    return join(
        [
            fact_table("What differs between the runs", labels, own),
            fact_table(f"What is the same for {', '.join(labels)}", [], shared),
        ]
    )


def _state(run: FoundRun) -> Html:
    if run.finished:
        return element("span", "finished", class_="state done")
    done = int(run.history["epoch"].max()) if len(run.history) else 0
    return element(
        "span", f"unfinished: {done} of {run.config.get('epochs')} epochs", class_="state unfinished"
    )


def parameters_of(run: FoundRun) -> float:
    """Count the parameters of a run's backbone; NaN where this openclef does not know it.

    Example:
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> config = {"backbone": "resnext1d_small"}
        >>> parameters_of(FoundRun(Path("x"), "x", config, True, pd.DataFrame())) > 1e6
        False
    """
    import torch

    from openclef.backbone import BACKBONES

    build = BACKBONES.get(str(run.config.get("backbone")))
    if build is None:
        return float("nan")
    try:
        with torch.device("meta"):  # counts parameters without making them
            given = {"leads": 1, "normalisation": run.config.get("normalisation", "none")}
            accepted = inspect.signature(build).parameters
            net = build(**{name: value for name, value in given.items() if name in accepted})
    except ValueError:  # a normalisation that this openclef does not know
        return float("nan")
    return sum(each.numel() for each in net.parameters())


def _stores(run: FoundRun) -> Html:
    entries = run.config.get("stores")
    entries = [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    split = run.config.get("split", "")
    pool, _ = _pool(run)
    said = []
    for place, entry in enumerate(entries):
        windows = f"{number(entry.get('windows'))} windows"
        if pool is not None:
            windows = f"{np.count_nonzero(pool.owner == place):,} of {windows}"
        said.append(f"{entry.get('name', '?')}: {windows}")
    what = split if pool is not None else f"of which split {split} was trained on"
    return escaped(("; ".join(said) or "not stated") + (f" ({what})" if split and said else ""))


def _pool(run: FoundRun) -> tuple[Pool | None, str]:
    """Return the windows that a run was trained on, or say why they are not known."""
    entries = run.config.get("stores")
    named = (
        [e.get("records_sha256") for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    )
    if run.missing or not named or [store.info["records_sha256"] for store in run.stores] != named:
        return None, "unknown without its store"
    split, lead = str(run.config.get("split", "train")), str(run.config.get("lead", "random"))
    try:
        return Pool(run.stores, split=split, risk=None, lead=lead), ""
    except NoWindows:
        return None, "unknown: the store has no such windows"
    except (ValueError, OSError) as error:  # a lead that the store lacks, or a damaged shard
        return None, f"unknown: {error}"


def _epochs(run: FoundRun) -> str:
    return str(run.config.get("epochs", ""))


def _steps(run: FoundRun) -> str:
    epochs, batch = run.config.get("epochs"), run.config.get("batch_size")
    pool, why = _pool(run)
    if pool is None or not isinstance(epochs, int) or not isinstance(batch, int):
        return why or "not stated"
    return f"{epochs * (len(pool) // batch):,} ({len(pool) // batch:,} an epoch, {len(pool):,} windows)"


def is_guided(run: FoundRun) -> bool:
    """Tell whether a run's method takes guidance.

    Example:
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> is_guided(FoundRun(Path("x"), "x", {"method": "simclr"}, True, pd.DataFrame()))
        False
    """
    from openclef.method import METHODS

    method = METHODS.get(str(run.config.get("method")))
    asked = getattr(method, "is_guided", None)
    if asked is not None:
        return bool(asked(run.settings("method_settings")))
    return method is not None and bool(
        {"guidance", "training_risk"} & set(inspect.signature(method).parameters)
    )


_DISCOUNT = {
    "paper": "discounted by missing inputs as in the paper",
    "shrink": "shrunk towards neutral by missing inputs",
    "sum": "discounted by the sum of missing shares",
    "none": "not discounted by missing inputs",
}


def guidance_words(run: FoundRun) -> str:
    """Say in words how a run was guided.

    Example:
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> guidance_words(FoundRun(Path("x"), "x", {"method": "simclr"}, True, pd.DataFrame()))
        'none'
    """
    if not is_guided(run) or run.risk is None:
        return "none"
    config, guidance = run.config, run.settings("guidance")
    named = f"risk {run.risk}" if len(run.risks) == 1 else f"risks {', '.join(run.risks)}"
    if config.get("method") != "clef":  # how it uses the risk is the method's own
        own = config.get("method_settings") or {}
        return "; ".join([named, *(f"{name} {value}" for name, value in own.items())])
    if config.get("recipe") == "official":
        words = [named, "recipe official"]
    else:
        scale = guidance.get("scale", "batch")
        words = [
            named,
            f"{guidance.get('difference', '?')} difference, scaled "
            + ("within the batch" if scale == "batch" else f"by {scale}"),
            f"margin {guidance.get('alpha', '?')}",
            _DISCOUNT.get(str(guidance.get("discount")), str(guidance.get("discount")))
            if config.get("use_completeness", True)
            else "missing inputs not used",
        ]
        if guidance.get("weighting", "raw") != "raw":
            words.append(f"weights {guidance['weighting']}".replace("mean_one", "of mean one"))
    words.append("negatives weighted" if config.get("weighted", True) else "negatives not weighted")
    factor = config.get("alignment_weight", 1.0)
    words.append(
        f"similarity aligned with risk (factor {factor:g})"
        if config.get("aligned", True) and isinstance(factor, int | float)
        else "no alignment term"
    )
    return "; ".join(words)


def views_words(run: FoundRun) -> str:
    """Say in words how a run made its two views.

    Example:
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> views = {"same_lead_probability": 0.8, "noise": "none", "crop_s": 8.0, "mask_probability": 0}
        >>> config = {"lead": "random", "views": views}
        >>> views_words(FoundRun(Path("x"), "x", config, True, pd.DataFrame()))
        'random lead, the same for both views with probability 0.8; 8 s crop'
    """
    views, lead = run.settings("views"), run.config.get("lead", "random")
    if not views:
        return "not stated"
    chance = views.get("same_lead_probability", 1.0)
    words = [
        f"random lead, the same for both views with probability {chance:g}"
        if lead == "random"
        else f"lead {lead}"
    ]
    if views.get("crop_s") is not None:
        words.append(f"{views['crop_s']:g} s crop")
    if views.get("shift_s"):
        words.append(f"shift of up to {views['shift_s']:g} s")
    if views.get("noise", "none") != "none" and views.get("noise_probability"):
        level = (
            f"at {views['noise_snr_db']:g} dB signal-to-noise ratio"
            if views.get("noise_snr_db") is not None
            else f"of {views.get('noise_level_mv', 0):g} mV"
        )
        words.append(f"{views['noise']} noise {level} with probability {views['noise_probability']:g}")
    if views.get("mask_probability"):
        low, high = views.get("mask_share", (0, 0))
        words.append(
            f"{100 * low:g} to {100 * high:g} % masked with probability {views['mask_probability']:g}"
        )
    return "; ".join(words)


def preprocessing_words(run: FoundRun) -> str:
    """Say in words what a run did to signals first.

    Example:
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> settings = {"fs": 125.0, "seconds": 10.0, "band": [0.67, 40.0], "normalise": "zscore"}
        >>> preprocessing_words(FoundRun(Path("x"), "x", {"preprocessing": settings}, True, pd.DataFrame()))
        '10 s at 125 Hz; band 0.67–40 Hz; z-score'
    """
    settings = run.settings("preprocessing")
    if not settings:
        return "not stated"
    words = [f"{settings.get('seconds', 0):g} s at {settings.get('fs', 0):g} Hz"]
    band = settings.get("band")
    if band:
        low, high = ("" if edge is None else f"{edge:g}" for edge in band)
        words.append(f"band {low}–{high} Hz")
    scaled = {"zscore": "z-score", "minmax": "from -1 to 1"}
    words.append(scaled.get(str(settings.get("normalise")), "not normalised"))
    return "; ".join(words)


def _optimisation(run: FoundRun) -> str:
    settings: dict[str, Any] = run.settings("optimisation")
    if not settings:
        return "not stated"
    words = [f"AdamW, learning rate {settings.get('learning_rate', 0):g}"]
    words.append(f"{settings.get('schedule', 'no')} schedule")
    if settings.get("warmup_epochs"):
        words.append(f"warm-up over epochs: {settings['warmup_epochs']:g}")
    temperature = run.config.get("temperature")
    if isinstance(temperature, int | float):
        words.append(f"temperature {temperature:g}")
    return "; ".join(words)


def _store_table(contents: Contents) -> Html:
    rows = []
    for store in contents.stores:
        subjects = store.subjects()
        splits = store.records["split"]
        share = ", ".join(f"{name or 'none'} {count:,}" for name, count in splits.value_counts().items())
        kind = origin(store.name, store.info)
        title = store.title if store.title != store.name else ""
        named = join(
            [
                escaped(store.name),
                Html(" ") if kind else "",
                element("span", kind, class_="badge") if kind else "",
                element("span", title, class_="sub") if title else "",
            ]
        )
        rows.append(
            [
                named,
                f"{len(store):,}",
                f"{len(set(subjects)):,}",
                f"{store.fs:g} Hz",
                f"{store.seconds:g} s",
                f"{len(store.leads)}",
                share,
                store.info.get("licence", "") or "not stated",
            ]
        )
    headings = ["store", "windows", "subjects", "rate", "window", "leads", "windows by split", "licence"]
    return table(headings, rows, caption="Stores")
