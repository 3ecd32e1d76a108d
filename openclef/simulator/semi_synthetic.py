"""A semi-synthetic cohort: real ECGs, with the risk factors that nobody recorded drawn for their patients.

Age, sex and labels are real. Diabetes, smoking, SBP, lipids, BMI and treatment are drawn given age and sex as in
NHANES, and given the labels at a chosen strength rho: the labels become a liability U (normal, above a threshold
in the ill and below it in the others; the threshold is that of the label's frequency at this age and sex), and a
patient's risk factors are those at the quantile Phi(sqrt(rho) U + sqrt(1 - rho) e) of the lifetime's damage
among candidates of the same age and sex. So given age and sex the risk factors keep NHANES's distribution whatever
rho is, and rho alone says how much they tell about the labels beyond age and sex: nothing at 0. Risk factors that the
store does know stay, and the candidates share them; what is drawn is then drawn given them too. Whatever is shown on
such a store is semi-synthetic; its name, title, tasks and columns say so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from openclef.shards import hold_folder
from openclef.simulator.configuration import Configuration, chosen_configuration
from openclef.simulator.disease import MOST_RHO, damage
from openclef.simulator.missingness import GROUPS, KINDS, hide, shares_of
from openclef.simulator.population import draw_history, measure
from openclef.statistics import check_counts
from openclef.store import Store, StoreWriter, Task, open_store

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]

__all__ = ["PREFIX", "simulate_metadata"]

PREFIX = "semi_synthetic"
CANDIDATES = 64  # people of the same age and sex that a patient's risk factors are chosen from
_AT_ONCE = 500  # subjects


def simulate_metadata(
    store: Store | str | Path,
    dst: str | Path,
    *,
    task: str,
    healthy: str | Sequence[str] = (),
    rho: float = 0.4,
    configuration: str | Configuration = "A",
    missing_share: float | Mapping[str, float] = 0.3,
    missing_kind: str = "at_random",
    seed: int = 0,
    overwrite: bool = False,
) -> Store:
    """Write a semi-synthetic store: a store's real ECGs, ages, sexes and labels, with simulated risk factors.

    Args:
        store: Real ECGs with age_years and sex.
        dst: Folder of the new store; the signals are linked, not copied, where the disk allows it.
        task: A binary or multilabel task of the store: whom the risk factors shall know as ill.
        healthy: Labels of it that do not count as ill, as "NORM".
        rho: How much the risk factors tell about the labels beyond age and sex, 0 (nothing) to 0.75: the share of
            the variance of a liability behind the labels.
        configuration: "A", "B" or a `Configuration`: whose damage to the ventricle counts.
        missing_share: Share of drawn values that stay unknown, as in `openclef.simulate`.
        missing_kind: "at_random", or "healthy": more often unknown in the healthy. Which values are known then
            tells the labels, at rho 0 too.
        seed: Seed of everything drawn.
        overwrite: Replace a store that is already there.

    Returns:
        The store, named "semi_synthetic_" and the real one's name. Real values stay where there are any; the
        drawn ones fill in what is unknown. Truth in columns "semi_synthetic_...". Tasks are the real one's
        under "semi_synthetic/"; subjects keep their identity, so that evaluation still refuses those of a
        pretraining on the real store.

    Raises:
        ValueError: An argument out of range, or a store without age, sex or such a task.
        FileExistsError: The folder holds a store and overwrite is False.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.cohort import simulate
        >>> folder = tempfile.mkdtemp()
        >>> real = simulate(folder + "/real", patients=20, seconds=2, workers=1)  # stands for real ECGs here
        >>> made = simulate_metadata(real, folder + "/made", task="sim/af", rho=0.5)
        >>> made.name, sorted(made.tasks)[0], "semi_synthetic_sbp_mmhg" in made.records
        ('semi_synthetic_sim', 'semi_synthetic/af', True)
    """
    opened = store if isinstance(store, Store) else open_store(store)
    labels = (healthy,) if isinstance(healthy, str) else tuple(healthy)
    chosen = _check(opened, Path(dst), task, labels, rho, configuration, missing_kind, seed)
    shares = shares_of(missing_share)
    settings = {
        "store": opened.info["records_sha256"],
        "task": task,
        "healthy": labels,
        "rho": float(rho),
        "configuration": chosen.name,
        "sha256": chosen.sha256,
        "missing_share": shares,
        "missing_kind": missing_kind,
        "seed": int(seed),
    }
    text = json.dumps(settings, sort_keys=True)
    info = opened.info
    ends = [name.rsplit("/", 1)[-1] for name in opened.tasks]
    if len(set(ends)) < len(ends):  # tasks of several families
        ends = [name.replace("/", "_") for name in opened.tasks]
    tasks = [
        Task(f"{PREFIX}/{end}", each.kind, each.labels, each.columns, each.unit)
        for end, each in zip(ends, opened.tasks.values())
    ]
    # All that can be refused is refused before a folder is touched.
    records = _with_factors(opened, opened.tasks[task], labels, chosen, rho, shares, missing_kind, seed)
    for shard in range(len(info["shards"])):
        opened.signals(shard)
    with hold_folder(Path(dst).absolute()):
        return _written(opened, records, dst, tasks, rho, task, seed, text, overwrite)


def _written(
    opened: Store,
    records: pd.DataFrame,
    dst: str | Path,
    tasks: list[Task],
    rho: float,
    task: str,
    seed: int,
    text: str,
    overwrite: bool,
) -> Store:
    info = opened.info
    writer = StoreWriter(
        dst,
        name=f"{PREFIX}_{opened.name}",
        title=f"Semi-synthetic: ECGs of {opened.title}, simulated risk factors (rho {rho:g} with {task}, seed {seed})",
        unit=opened.unit,
        scale=opened.scale,
        fs=opened.fs,
        leads=opened.leads,
        seconds=opened.seconds,
        subject_namespace=opened.subject_namespace,
        tasks=tasks,
        licence=info.get("licence", ""),
        source=f"{info.get('source', '')}; risk factors by openclef.simulate_metadata with {text}",
        citation=info.get("citation", ""),
        resume_key=hashlib.sha256(text.encode()).hexdigest(),
        overwrite=overwrite,
    )
    return writer.adopt(opened, records)


def _check(
    store: Store,
    dst: Path,
    task: str,
    healthy: tuple[str, ...],
    rho: float,
    configuration: str | Configuration,
    missing_kind: str,
    seed: int,
) -> Configuration:
    """Refuse what cannot be drawn, before a folder is touched; return the configuration."""
    check_counts(seed=seed)
    if isinstance(rho, (bool, str)) or not 0 <= rho <= MOST_RHO:
        raise ValueError(f"rho is {rho!r}; accepted are 0 to {MOST_RHO:g}; pass another rho.")
    if missing_kind not in KINDS:
        raise ValueError(
            f"missing_kind is {missing_kind!r}; accepted are {', '.join(KINDS)}; pass one of these."
        )
    if dst.resolve() == store.path.resolve():
        raise ValueError(
            f"dst is {dst}, the store itself; pass another folder: the real store stays as it is."
        )
    absent = [name for name in ("age_years", "sex") if name not in store.records]
    if absent:
        raise ValueError(
            f"{store.path} has no {' and no '.join(absent)}; risk factors are drawn given age and sex: "
            "pass a store that has both."
        )
    if task not in store.tasks or store.tasks[task].kind not in ("binary", "multilabel"):
        fit = [name for name, each in store.tasks.items() if each.kind in ("binary", "multilabel")]
        raise ValueError(
            f"task is {task!r}; accepted are {', '.join(fit) or 'none of this store'}; pass one of these."
        )
    labels = store.tasks[task].labels
    unknown = [name for name in healthy if name not in labels]
    if unknown:
        raise ValueError(
            f"healthy names {', '.join(unknown)}; accepted are {', '.join(labels)}; pass labels of {task}."
        )
    records = store.records[_can_draw(store.records)]
    if records.empty:
        raise ValueError(
            f"{store.path} knows no adult's age and sex together; risk factors are drawn given both: "
            "pass a store that has them."
        )
    ill = _ill(records, store.tasks[task], healthy)
    if not {0.0, 1.0} <= set(ill[~np.isnan(ill)]):
        raise ValueError(
            f"by {task} with healthy={list(healthy)} {'everyone' if (ill == 1).any() else 'nobody'} is ill; "
            f"risk factors cannot follow that: pass as healthy the labels that are not ill, of {', '.join(labels)}."
        )
    return chosen_configuration(configuration)


def _can_draw(records: pd.DataFrame) -> pd.Series:
    """Records of adults whose age and sex are known; NHANES says nothing about children."""
    return records["age_years"].between(18, 125) & records["sex"].isin(["female", "male"])


def _with_factors(
    store: Store,
    task: Task,
    healthy: tuple[str, ...],
    configuration: Configuration,
    rho: float,
    shares: Mapping[str, float],
    kind: str,
    seed: int,
) -> pd.DataFrame:
    """The store's records with risk factors; children and records without age or sex get none."""
    import pandas as pd

    records = store.records.reset_index(drop=True)
    known = records[_can_draw(records)].sort_values(["subject_id", "age_years"], kind="stable")
    subject, first = np.unique(known["subject_id"].to_numpy(str), return_inverse=True)
    firsts = np.searchsorted(first, np.arange(len(subject)))
    people = known.iloc[firsts]
    ill = pd.Series(_ill(known, task, healthy)).groupby(first).max().to_numpy()
    liability = _liability(people, ill, seed)
    exposure = np.sqrt(rho) * liability + np.sqrt(1 - rho) * _normal(seed, 1, len(subject))
    history, chance = _choose(people, exposure, configuration, seed)

    since = known["age_years"].to_numpy(float) - people["age_years"].to_numpy(float)[first]
    record, names = pd.factorize(known["record_id"])  # the windows of a record are one visit
    drawing = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(4, 2)))
    of_visit = drawing.random((len(names), 24))[record]
    drawn = measure(
        history.iloc[first].reset_index(drop=True), chance[first], of_visit.clip(1e-9, 1 - 1e-9), since
    )
    of_subject = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(4, 3)))
    hidden = hide(
        drawn[[name for names in GROUPS.values() for name in names]],
        shares=shares,
        kind=kind,
        illness=liability[first],
        of_patients=of_subject.random((len(subject), len(GROUPS)))[first],
        of_visits=of_visit[:, 12 : 12 + len(GROUPS)],
    )
    for name in hidden:
        real = known[name].to_numpy(float) if name in known else np.full(len(known), np.nan)
        records[f"{PREFIX}_{name}"] = _placed(
            np.where(np.isnan(real), drawn[name], real), known.index, len(records)
        )
        filled = _placed(np.where(np.isnan(real), hidden[name], real), known.index, len(records))
        records[name] = records[name].fillna(pd.Series(filled)) if name in records else filled
    records[f"{PREFIX}_exposure"] = _placed(exposure[first], known.index, len(records))
    return records


def _placed(values: Array, rows: pd.Index, length: int) -> Array:
    """Values at some rows of a column that is unknown elsewhere."""
    whole = np.full(length, np.nan)
    whole[rows] = values
    return whole


def _ill(records: pd.DataFrame, task: Task, healthy: tuple[str, ...]) -> Array:
    """1 ill, 0 not, NaN where no label says."""
    names = dict(zip(task.labels, task.columns))
    columns = [column for label, column in names.items() if label not in healthy]
    values = records[columns].to_numpy(float)
    unknown = np.isnan(records[list(task.columns)].to_numpy(float)).all(axis=1)
    return np.where(unknown, np.nan, (np.nan_to_num(values) > 0).any(axis=1))


def _liability(people: pd.DataFrame, ill: Array, seed: int) -> Array:
    """Standard normal given age and sex; above a threshold in the ill, which follows their frequency there."""
    from sklearn.linear_model import LogisticRegression

    known = ~np.isnan(ill)
    frequency = np.full(len(ill), np.nan)
    if len(np.unique(ill[known])) == 2:
        decades = (people["age_years"].to_numpy(float) - 55) / 10
        male = (people["sex"] == "male").to_numpy(float)
        given = np.stack([decades, decades**2, male, male * decades], axis=1)
        frequency = (
            LogisticRegression(C=1e6, max_iter=1000).fit(given[known], ill[known]).predict_proba(given)[:, 1]
        )
    uniform = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(4, 0))).random(len(ill))
    below = np.where(ill == 1, 1 - frequency + frequency * uniform, (1 - frequency) * uniform)
    return ndtri(np.where(known & ~np.isnan(frequency), below, uniform).clip(1e-9, 1 - 1e-9))


def _normal(seed: int, key: int, size: int) -> Array:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(4, key))).standard_normal(size)


def _choose(
    people: pd.DataFrame, exposure: Array, configuration: Configuration, seed: int
) -> tuple[pd.DataFrame, Array]:
    """Of candidates of each one's age and sex the one whose damage stands at the exposure's quantile."""
    import pandas as pd

    ages, male = people["age_years"].to_numpy(float), (people["sex"] == "male").to_numpy(float)
    rank = np.floor(ndtr(exposure) * CANDIDATES).astype(int).clip(0, CANDIDATES - 1)
    histories, chances = [], []
    for start in range(0, len(people), _AT_ONCE):
        here = np.arange(start, min(start + _AT_ONCE, len(people)))
        generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(5, start)))
        uniform = generator.random((len(here) * CANDIDATES, 10)).clip(1e-9, 1 - 1e-9)
        history = draw_history(
            np.repeat(ages[here], CANDIDATES), np.repeat(male[here], CANDIDATES), uniform[:, :3]
        )
        real = people.iloc[np.repeat(here, CANDIDATES)].reset_index(drop=True)
        _share(history, real, {name: name for name in ("smoker", "diabetes", "age_at_diabetes_years")})
        history.loc[history["diabetes"] == 0, "age_at_diabetes_years"] = np.nan
        half = np.full((len(history), 24), 0.5)  # usual values: no visit's own variation
        visits = measure(history, uniform[:, 3:], half, np.zeros(len(history)))
        measured = ("sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l", "bmi")
        _share(visits, real, {f"usual_{name}": name for name in measured})
        order = damage(visits, configuration.dysfunction).reshape(-1, CANDIDATES).argsort(axis=1)
        chosen = order[np.arange(len(here)), rank[here]] + CANDIDATES * np.arange(len(here))
        histories.append(history.iloc[chosen])
        chances.append(uniform[chosen, 3:])
    return pd.concat(histories, ignore_index=True), np.concatenate(chances)


def _share(candidates: pd.DataFrame, real: pd.DataFrame, names: dict[str, str]) -> None:
    """Give the candidates what is really known of the patient, where anything is."""
    for column, name in names.items():
        if name in real:
            known = real[name].to_numpy(float)
            candidates[column] = np.where(np.isnan(known), candidates[column].to_numpy(float), known)
