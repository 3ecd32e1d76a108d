"""Similarity of embeddings against difference in risk: what guidance is meant to shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

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

    Example:
        >>> none = np.empty(0)
        >>> SimilarityCurve(none, none, none, none, none, (0.0, 0.0, 0.0)).rho[0]
        0.0
    """

    difference: NDArray[np.floating]
    pairs: NDArray[np.floating]
    mean: NDArray[np.floating]
    low: NDArray[np.floating]
    high: NDArray[np.floating]
    rho: tuple[float, float, float]


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
    return SimilarityCurve(
        np.bincount(place, gap) / count,
        count,
        np.bincount(place, cosine) / count,
        low,
        high,
        _spearman(gap, cosine, i, j, weight),
    )


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
) -> tuple[float, float, float]:
    ranks = [rankdata(each) / len(gap) - 0.5 for each in (gap, cosine)]
    first, second = ((rank - rank.mean()).astype(np.float32) for rank in ranks)
    if not first.any() or not second.any():
        return (float("nan"),) * 3
    value = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    n, a, b, aa, bb, ab = (
        _bilinear(i, j, each, weight)
        for each in (np.ones_like(first), first, second, first**2, second**2, first * second)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = (ab / n - a * b / n**2) / np.sqrt((aa / n - (a / n) ** 2) * (bb / n - (b / n) ** 2))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return value, float(low), float(high)


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
        caption=f"{_reading(curves)} Spearman’s ρ of similarity and |difference| over all pairs: "
        f"{'; '.join(said)}. Bands: 95 % intervals over subjects.",
        height=340,
    )
    legend = key([(name, colour, "dash" if colour == "muted" else "line") for name, _, colour in curves])
    return join([heading, legend, picture])


def _traces(name: str, curve: SimilarityCurve, colour: str) -> list[dict[str, Any]]:
    band = {
        "type": "scatter",
        "mode": "lines",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "x": curve.difference,
    }
    return [
        {**band, "y": curve.low},
        {**band, "y": curve.high, "fill": "tonexty", "fillcolor": f"@{colour}/0.13"},
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": curve.difference,
            "y": curve.mean,
            "name": label(name),
            "line": {"color": f"@{colour}", "width": 2, "dash": "dash" if colour == "muted" else "solid"},
            "marker": {"size": 6},
            "customdata": np.stack([curve.low, curve.high, curve.pairs], 1),
            "hovertemplate": f"{label(name)}<br>%{{y:.3f}} [%{{customdata[0]:.3f}}, %{{customdata[1]:.3f}}]"
            "<br>%{customdata[2]:,.0f} pairs<extra></extra>",
        },
    ]


def _rho(rho: tuple[float, float, float]) -> str:
    if not np.isfinite(rho[0]):
        return "not defined"
    return f"{rho[0]:+.2f} [{rho[1]:+.2f}, {rho[2]:+.2f}]".replace("-", "−")


def _reading(curves: list[tuple[str, SimilarityCurve, str]]) -> str:
    """Say of each line whether similarity falls with difference, as far as its interval tells."""
    falls = [name for name, curve, _ in curves if curve.rho[2] < 0]
    rises = [name for name, curve, _ in curves if curve.rho[1] > 0]
    rest = [name for name, *_ in curves if name not in falls and name not in rises]
    said = []
    for names, what in (
        (falls, "the more two patients differ in risk, the less similar their embeddings"),
        (rises, "the more two patients differ in risk, the more similar their embeddings"),
        (rest, "no trend that the interval tells from none"),
    ):
        if names:
            said.append(f"{' and '.join(names)}: {what}")
    text = "; ".join(said)
    return text[:1].upper() + text[1:] + "." if text else ""
