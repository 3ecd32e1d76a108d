"""Maps of embeddings: PCA, then t-SNE; one a run, coloured by risk, age and labels through a menu."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclef.reporting.embeddings import Embedded, label_columns, unit
from openclef.reporting.markup import Html, Section, element, embedded, figure, join, missing, number
from openclef.task import Task

NEIGHBOURS = 10
SHOWN_CLASSES = 6
LEAST = 5  # windows below which there is no map
COMPONENTS = 30  # of the PCA before t-SNE


def map_positions(vectors: NDArray[np.floating], *, seed: int = 0) -> NDArray[np.float32]:
    """Lay embeddings out in two dimensions: length 1 each, PCA, then t-SNE from a fixed start.

    Args:
        vectors: (n, dim), n at least 5.
        seed: Of t-SNE.

    Returns:
        (n, 2).

    Example:
        >>> map_positions(np.random.default_rng(0).normal(size=(12, 4))).shape
        (12, 2)
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    near = unit(vectors)
    if not np.ptp(near, axis=0).any():  # everything in one point: collapsed
        return np.zeros((len(near), 2), np.float32)
    components = min(COMPONENTS, *near.shape)
    reduced = PCA(components, svd_solver="full").fit_transform(near)
    scaled = reduced / reduced[:, 0].std()  # t-SNE's starting point is relative to the data's size
    perplexity = min(30.0, (len(near) - 1) / 3)
    layout = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    return layout.fit_transform(scaled)


def neighbours(vectors: NDArray[np.floating], subject: NDArray[Any]) -> NDArray[np.integer]:
    """Return for each window the nearest windows of other subjects by cosine similarity; -1 where there are none.

    Args:
        vectors: (n, dim) embeddings.
        subject: (n,) whose window each is.

    Returns:
        (n, 10) or fewer columns.

    Example:
        >>> neighbours(np.array([[1.0, 0], [1, 0.1], [0, 1]]), np.array([0, 1, 2]))[:, 0].tolist()
        [1, 0, 1]
    """
    near = unit(vectors)
    cosine = near @ near.T
    cosine[subject[:, None] == subject[None, :]] = -np.inf
    order = np.argsort(-cosine, axis=1, kind="stable")[:, :NEIGHBOURS]
    return np.where(np.isfinite(np.take_along_axis(cosine, order, 1)), order, -1)


def map_section(groups: list[Embedded], absent: list[str], *, seed: int) -> Section:
    """Return the maps, with a menu for the colours of all maps of a group.

    Args:
        groups: From `embed_runs`.
        absent: What could not be embedded, and why.
        seed: Of t-SNE.

    Example:
        >>> map_section([], ["no store"], seed=0).anchor
        'map'
    """
    parts = [_group(group, f"map-{place}", seed) for place, group in enumerate(groups)]
    parts += [missing(sentence) for sentence in absent]
    return Section("map", "Map of embeddings", join(parts))


def _group(group: Embedded, name: str, seed: int) -> Html:
    if len(group.row) < LEAST:
        return missing(f"{', '.join(group.vectors)}: {len(group.row)} windows are too few for a map.")
    near = {run: neighbours(vectors, group.subject) for run, vectors in group.vectors.items()}
    kinds = colourings(group)
    for kind in kinds:
        kind["readings"] = [_reading(kind, order, group.subject) for order in near.values()]
    by_group: dict[str, list[Html]] = {}
    for place, kind in enumerate(kinds):
        by_group.setdefault(kind["group"], []).append(element("option", kind["name"], value=place))
    options = [element("optgroup", *each, label=title) for title, each in by_group.items()]
    menu = element(
        "p",
        element("label", "Colour by ", for_=name),
        element("select", *options, id=name, class_="colour-menu"),
        class_="menu",
    )
    where = ", ".join(store.name for store in group.stores)
    figures = []
    for run, vectors in group.vectors.items():
        position = map_positions(vectors, seed=seed)
        figures.append(
            figure(
                [],
                {},
                title=run,
                alt=f"Map of {len(position):,} embeddings of {run}; near points have similar embeddings",
                caption=Html("&nbsp;"),
                height=360,
                data_map=name,
                data_positions=_positions(position),
            )
        )
    about = (
        f"{len(group.row):,} windows of {len(np.unique(group.subject)):,} subjects of {where}, {group.split} split, "
        f"lead {group.lead}. Distances between far groups, sizes and axes of t-SNE mean nothing; only who is near "
        f"whom does. Neighbours, in the lines under the maps, are those of the whole embedding: "
        f"the {NEIGHBOURS} nearest windows of other subjects."
    )
    shared = [{each: kind[each] for each in kind if each not in ("group",)} for kind in kinds]
    return element(
        "div",
        menu,
        element("div", class_="map-key"),
        element("div", *figures, class_="grid maps-grid"),
        element("p", about, class_="caption"),
        embedded(shared, class_="colourings"),
        class_="maps",
    )


def _positions(position: NDArray[np.floating]) -> str:
    centred = position - position.mean(0)
    scale = np.abs(centred).max() or 1.0
    whole = np.round(centred / scale * 1000).astype(int)
    return ";".join(f"{a},{b}" for a, b in whole.tolist())


def colourings(group: Embedded) -> list[dict[str, Any]]:
    """Return what the maps can be coloured by: risk, age, and each label of the stores' tasks.

    Args:
        group: Windows of stores.

    Returns:
        Dicts with group and name (for the menu), kind ("scale" or "classes"), values (numbers, or positions in
        classes; None = unknown) and classes.

    Example:
        >>> none = np.empty(0, int)
        >>> colourings(Embedded([], "score2", "I", "val", none, none, none, np.empty(0)))
        []
    """
    found: list[dict[str, Any]] = []
    if group.risk is not None and np.isfinite(group.value).any():
        found.append(_scale("Risk", group.risk, group.value))
    shown = set()
    if np.isfinite(age := _floats(group.column("age_years"))).any():
        found.append(_scale("Patient", "age in years", age))
        shown.add("age_years")
    tasks = {name: task for store in group.stores for name, task in store.tasks.items()}
    for task in tasks.values():
        if task.columns[0] not in shown:
            found += _of_task(group, task)
    return found


def _of_task(group: Embedded, task: Task) -> list[dict[str, Any]]:
    if task.kind == "regression":
        values = _floats(group.column(task.columns[0]))
        name = f"{task.labels[0] if task.labels else task.name}{f' ({task.unit})' if task.unit else ''}"
        return [_scale(task.name, name, values)] if np.isfinite(values).any() else []
    if task.kind == "multiclass":
        given = group.column(task.columns[0])
        present = [each for each in given if isinstance(each, str) and each]
        common = sorted(set(present), key=lambda each: (-present.count(each), each))
        classes = common[:SHOWN_CLASSES]
        if not classes:
            return []
        if len(common) > SHOWN_CLASSES:
            classes = [*classes, "other"]
        place = {each: min(i, SHOWN_CLASSES) for i, each in enumerate(common)}
        classed = [place.get(each) if isinstance(each, str) else None for each in given]
        return [
            {"group": task.name, "name": task.name, "kind": "classes", "values": classed, "classes": classes}
        ]
    found = []
    for name, column in label_columns(task):
        values = _floats(group.column(column))
        if np.isfinite(values).any():
            marked = [int(each > 0.5) if np.isfinite(each) else None for each in values]
            found.append(
                {
                    "group": task.name,
                    "name": name,
                    "kind": "classes",
                    "values": marked,
                    "classes": [f"without {name}", f"with {name}"],
                }
            )
    return found


def _floats(column: NDArray[Any]) -> NDArray[np.floating]:
    return np.array(
        [float(each) if isinstance(each, int | float | np.number) else np.nan for each in column], float
    )


def _scale(group: str, name: str, values: NDArray[np.floating]) -> dict[str, Any]:
    low, high = np.nanquantile(values, [0.02, 0.98])
    rounded = [float(f"{each:.4g}") if np.isfinite(each) else None for each in values]
    return {
        "group": group,
        "name": name,
        "kind": "scale",
        "values": rounded,
        "low": float(low),
        "high": float(high if high > low else low + 1),
    }


def _reading(kind: dict[str, Any], order: NDArray[np.integer], subject: NDArray[Any]) -> str:
    """Say how much more alike neighbours are than any two windows of different subjects, in the coloured value."""
    binary = kind["kind"] == "classes" and len(kind["classes"]) == 2
    ours, chance = neighbour_agreement(
        kind["values"], order, subject, scale=kind["kind"] == "scale", among=1 if binary else None
    )
    if not np.isfinite(ours) or not np.isfinite(chance):
        return "Not measurable: too few known values."
    if kind["kind"] == "scale":
        return f"Neighbours differ by {number(ours)} on average, any two subjects by {number(chance)}."
    if binary:
        return f"Of the neighbours of windows {kind['classes'][1]}, {ours:.0%} are so too; by chance {chance:.0%}."
    return f"{ours:.0%} of neighbours are of the same class, {chance:.0%} of any two subjects."


def neighbour_agreement(
    values: list[float | None],
    order: NDArray[np.integer],
    subject: NDArray[Any],
    *,
    scale: bool,
    among: float | None = None,
) -> tuple[float, float]:
    """Compare a value between neighbours and between all pairs of different subjects.

    Args:
        values: One a window; None = unknown.
        order: From `neighbours`.
        subject: (n,) whose window each is.
        scale: Whether the values are numbers on a scale, or classes.
        among: Neighbours of windows of this class only; None = of all.

    Returns:
        For a scale the mean absolute difference of neighbours, and of all pairs; for classes the share of the
        same class.

    Example:
        >>> order = np.array([[1], [0], [3], [2]])
        >>> neighbour_agreement([0, 0, 1, 1], order, np.arange(4), scale=False)
        (1.0, 0.333...)
    """
    value = np.array([np.nan if each is None else each for each in values], float)
    i = np.repeat(np.arange(len(value)), order.shape[1])
    j = order.ravel()
    asked = np.ones(len(value), bool) if among is None else value == among
    near = (j >= 0) & asked[i]
    gap = np.abs(value[i[near]] - value[j[near]])
    others = (subject[:, None] != subject[None, :]) & asked[:, None]
    every = np.abs(value[:, None] - value[None, :])[others]
    gap, every = gap[np.isfinite(gap)], every[np.isfinite(every)]
    if not gap.size or not every.size:
        return float("nan"), float("nan")
    if scale:
        return float(gap.mean()), float(every.mean())
    return float((gap == 0).mean()), float((every == 0).mean())
