"""Similarity of embeddings against difference in risk: what guidance is meant to shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from openclef.reporting.drawing import Style, line_with_band
from openclef.reporting.embeddings import Embedded, unit
from openclef.reporting.markup import Section, element, figure, join, key, label, missing, number
from openclef.statistics import subject_counts

BINS = 8
DRAWS = 200


@dataclass(frozen=True)
class SimilarityCurve:
    """Mean cosine similarity of pairs by bin of their difference in risk.

    Args:
        difference: (bins,) mean |difference| of each bin's pairs.
        pairs: (bins,) number of pairs.
        mean: (bins,) mean similarity.
        low: (bins,) lower end of its 95 % interval over subjects.
        high: (bins,) upper end.
        rho: Spearman's correlation of similarity and |difference| over all pairs, with its interval.
        drawn_rho: (draws,) the same in each draw; draws are those of any curve of the same subjects and seed.

    Example:
        >>> none = np.empty(0)
        >>> SimilarityCurve(none, none, none, none, none, (0.0, 0.0, 0.0), none).rho[0]
        0.0
    """

    difference: NDArray[np.floating]
    pairs: NDArray[np.floating]
    mean: NDArray[np.floating]
    low: NDArray[np.floating]
    high: NDArray[np.floating]
    rho: tuple[float, float, float]
    drawn_rho: NDArray[np.floating]


def similarity_curve(
    vectors: NDArray[np.floating],
    risk: ArrayLike,
    subject: ArrayLike,
    *,
    bins: int = BINS,
    draws: int = DRAWS,
    seed: int = 0,
) -> SimilarityCurve:
    """Return the mean cosine similarity of pairs of different subjects by bin of |difference in risk|.

    Bins hold about the same number of pairs each. In the intervals subjects are drawn with replacement; a pair
    counts as often as both its subjects were drawn. Ranks for rho are those of all pairs, in each draw too.

    Args:
        vectors: (n, dim) embeddings.
        risk: (n,), NaN where unknown: such windows are left out.
        subject: (n,) whose window it is.
        bins: Number of bins; fewer where differences are tied.
        draws: Bootstrap draws.
        seed: Of the draws.

    Raises:
        ValueError: Fewer than three subjects of known risk.

    Example:
        >>> turn = np.linspace(0, 1, 20)
        >>> curve = similarity_curve(np.stack([np.cos(turn), np.sin(turn)], 1), turn, np.arange(20), draws=20)
        >>> round(curve.rho[0], 2), bool((np.diff(curve.mean) < 0).all())
        (-1.0, True)
    """
    known = np.isfinite(np.asarray(risk, float))
    value, who = np.asarray(risk, float)[known], np.asarray(subject)[known]
    if len(np.unique(who)) < 3:
        raise ValueError(
            f"{len(np.unique(who))} subjects have a known risk; similarity needs at least 3 of them."
        )
    near = unit(np.asarray(vectors)[known])
    i, j = np.triu_indices(len(value), 1)
    different = who[i] != who[j]
    i, j = i[different], j[different]
    gap = np.abs(value[i] - value[j])
    cosine = np.einsum("pd,pd->p", near[i], near[j]) if len(i) < 20_000 else (near @ near.T)[i, j]
    inner = np.unique(np.quantile(gap, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(inner, gap, side="right")
    used, place = np.unique(place, return_inverse=True)
    count = np.bincount(place).astype(float)
    weight = subject_counts(who, draws=draws, seed=seed).astype(np.float32)
    drawn_n, drawn_sum = np.empty((2, len(used), draws))
    for each in range(len(used)):
        at = place == each
        drawn_n[each] = _bilinear(i[at], j[at], np.ones(at.sum(), np.float32), weight)
        drawn_sum[each] = _bilinear(i[at], j[at], cosine[at], weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = np.nanquantile(np.where(drawn_n > 0, drawn_sum / drawn_n, np.nan), [0.025, 0.975], axis=1)
    rho, drawn_rho = _spearman(gap, cosine, i, j, weight)
    return SimilarityCurve(
        np.bincount(place, gap) / count,
        count,
        np.bincount(place, cosine) / count,
        low,
        high,
        (rho, *_interval(drawn_rho)),
        drawn_rho,
    )


def rho_difference(curve: SimilarityCurve, other: SimilarityCurve) -> tuple[float, float, float]:
    """Return by how much Spearman's rho of one curve is above another's, with its interval over the same draws.

    Args:
        curve: Of the embeddings asked about.
        other: Of others of the same windows, with the same draws and seed.

    Raises:
        ValueError: The curves have another number of draws.

    Example:
        >>> turn, who = np.linspace(0, 1, 20), np.arange(20)
        >>> curve = similarity_curve(np.stack([np.cos(turn), np.sin(turn)], 1), turn, who, draws=20)
        >>> rho_difference(curve, curve)
        (0.0, 0.0, 0.0)
    """
    if len(curve.drawn_rho) != len(other.drawn_rho):
        raise ValueError(
            f"the curves have {len(curve.drawn_rho)} and {len(other.drawn_rho)} draws; pass two with the same draws."
        )
    return (curve.rho[0] - other.rho[0], *_interval(curve.drawn_rho - other.drawn_rho))


def _interval(drawn: NDArray[np.floating]) -> tuple[float, float]:
    """Ends of the 95 % interval of what was drawn; NaN where nothing is finite."""
    if not np.isfinite(drawn).any():
        return float("nan"), float("nan")
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _bilinear(
    i: NDArray[np.integer], j: NDArray[np.integer], each: NDArray[np.floating], weight: NDArray[np.float32]
) -> NDArray[np.floating]:
    """Return for each draw the sum over pairs of each * weight_i * weight_j."""
    n = len(weight)
    full = np.zeros((n, n), np.float32)
    full[i, j] = each
    return np.einsum("nd,nd->d", weight, full @ weight, dtype=np.float64)


def _spearman(
    gap: NDArray[np.floating],
    cosine: NDArray[np.floating],
    i: NDArray[np.integer],
    j: NDArray[np.integer],
    weight: NDArray[np.float32],
) -> tuple[float, NDArray[np.floating]]:
    """Return rho over all pairs, and in each draw."""
    ranks = [rankdata(each) / len(gap) - 0.5 for each in (gap, cosine)]
    first, second = ((rank - rank.mean()).astype(np.float32) for rank in ranks)
    if not first.any() or not second.any():
        return float("nan"), np.full(weight.shape[1], np.nan)
    value = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    n, a, b, aa, bb, ab = (
        _bilinear(i, j, each, weight)
        for each in (np.ones_like(first), first, second, first**2, second**2, first * second)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = (ab / n - a * b / n**2) / np.sqrt((aa / n - (a / n) ** 2) * (bb / n - (b / n) ** 2))
    return value, drawn


def similarity_section(
    groups: list[Embedded], absent: list[str], colours: dict[str, str], *, seed: int
) -> Section:
    """Return a figure a group of runs: one line a run, and one for a random encoder of the same backbone.

    Args:
        groups: From `embed_runs`.
        absent: What could not be embedded, and why.
        colours: Of the runs, by label.
        seed: Of the intervals' draws.

    Example:
        >>> similarity_section([], ["the store is not there"], {}, seed=0).body
        '<p class="missing">the store is not there</p>'
    """
    parts = [_figure(group, colours, seed) for group in groups]
    parts += [missing(sentence) for sentence in absent]
    return Section("similarity", "Similarity against difference in risk", join(parts))


def _figure(group: Embedded, colours: dict[str, str], seed: int) -> object:
    names = ", ".join(group.vectors)
    if group.risk is None:
        return missing(f"{names}: no risk is named in config.json, so there is none to compare with.")
    lines = [(name, each, colours[name]) for name, each in group.vectors.items()]
    lines += [(name, each, "muted") for name, each in group.random.items()]
    try:
        curves = [
            (name, similarity_curve(each, group.value, group.subject, seed=seed), colour)
            for name, each, colour in lines
        ]
    except ValueError as error:
        return missing(f"{names}: {error}")
    subjects = len(np.unique(group.subject[np.isfinite(group.value)]))
    where = ", ".join(store.name for store in group.stores)
    said = [f"{name} {_rho(curve.rho)}" for name, curve, _ in curves]
    by_name = {name: curve for name, curve, _ in curves}
    beside = [
        against_random(name, rho_difference(by_name[name], by_name[group.random_of[name]]))
        for name in group.vectors
        if group.random_of.get(name) in by_name
    ]
    heading = element(
        "h3",
        f"{group.risk}",
        element(
            "span",
            f"{where}, {group.split} split, lead {group.lead}: {number(int(curves[0][1].pairs.sum()))} pairs "
            f"of {subjects:,} subjects",
            class_="sub",
        ),
    )
    picture = figure(
        [trace for name, curve, colour in curves for trace in _traces(name, curve, colour)],
        {
            "xaxis": {"title": {"text": label(f"mean |difference in {group.risk}| of the bin")}},
            "yaxis": {"title": {"text": "mean cosine similarity"}},
            "hovermode": "closest",
        },
        alt=f"Mean cosine similarity of pairs by difference in {group.risk}. Spearman's rho: {'; '.join(said)}",
        caption=f"Spearman’s ρ of similarity and |difference| over all pairs: {'; '.join(said)}. "
        + (f"Over the same draws of subjects: {'; '.join(beside)}. " if beside else "")
        + "Brackets and bands: 95 % intervals over subjects.",
        height=340,
    )
    legend = key([(name, colour, "dash" if colour == "muted" else "line") for name, _, colour in curves])
    return join([heading, legend, picture])


def _traces(name: str, curve: SimilarityCurve, colour: str) -> list[dict[str, Any]]:
    style = Style(colour, "circle", "dash" if colour == "muted" else "solid", False)
    *band, line = line_with_band(style, name, curve.difference, curve.mean, curve.low, curve.high)
    line["customdata"] = curve.pairs
    line["hovertemplate"] = f"{label(name)}<br>%{{text}}<br>%{{customdata:,.0f}} pairs<extra></extra>"
    return [*band, line]


def _rho(rho: tuple[float, float, float]) -> str:
    if not np.isfinite(rho[0]):
        return "not defined"
    value, low, high = (f"{round(each, 3) + 0.0:+.3f}" for each in rho)
    return f"{value} [{low}, {high}]".replace("-", "−")


def against_random(name: str, difference: tuple[float, float, float]) -> str:
    """Say by how much a run's rho is above that of the random encoder, and whether the interval shows it.

    Args:
        name: The run.
        difference: From `rho_difference`. Its ends count as they are printed, so one that is printed as 0 is 0.

    Example:
        >>> against_random("clef", (0.012, -0.02, 0.04))
        'clef minus random +0.012 [−0.020, +0.040], no difference from the random encoder that the interval shows'
    """
    low, high = round(difference[1], 3), round(difference[2], 3)
    verdict = (
        "differs from the random encoder"
        if low > 0 or high < 0
        else "no difference from the random encoder that the interval shows"
    )
    return f"{name} minus random {_rho(difference)}" + (f", {verdict}" if np.isfinite(difference[0]) else "")
