"""How models are drawn: each one's colour, marker and line in every figure, and its intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from openclef.reporting.markup import SERIES, Html, element, join, label, series
from openclef.reporting.values import BASELINES, WITH_AGE_SEX, base_of, fixed, is_baseline, model_order

_BASELINE_LOOKS = dict(
    zip(
        BASELINES, [("triangle-up", "dot"), ("square", "dash"), ("diamond", "dashdot"), ("cross", "longdash")]
    )
)
_ENCODER_SYMBOLS = ("circle", "diamond", "square", "triangle-up")
_DASHES = {"solid": "", "dash": "5 3", "dot": "1.5 3", "dashdot": "5 2 1.5 2", "longdash": "9 3"}
_MARKS = {
    "circle": "M13 2a4 4 0 1 0 .01 0z",
    "square": "M9.5 2.5h7v7h-7z",
    "diamond": "M13 1.2l4.8 4.8l-4.8 4.8l-4.8 -4.8z",
    "triangle-up": "M13 1.5l4.8 8.5h-9.6z",
    "cross": "M11.5 1.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
}


class Style(NamedTuple):
    """How a model is drawn.

    Args:
        colour: Name of its colour, as "series-0".
        symbol: Plotly's name of its marker.
        dash: Plotly's name of its line.
        hollow: Whether the marker is open, as it is where age and sex are appended.

    Example:
        >>> Style("series-0", "circle", "solid", False).symbol
        'circle'
    """

    colour: str
    symbol: str
    dash: str
    hollow: bool


def model_styles(names: Iterable[str], colours: Mapping[str, str] | None = None) -> dict[str, Style]:
    """Give every model its look: baselines grey and told apart by marker, encoders in colours.

    Args:
        names: Models, with and without "+ age_sex"; both forms of one share a colour.
        colours: Colours of encoders that have one already; the others have one by their place.

    Returns:
        A style for each name, in `model_order`.

    Example:
        >>> styles = model_styles(["clef", "clef + age_sex", "random_encoder"])
        >>> styles["clef"].colour == styles["clef + age_sex"].colour, styles["random_encoder"].colour
        (True, 'muted')
    """
    ordered = model_order(names)
    encoders = list(dict.fromkeys(base_of(name) for name in ordered if not is_baseline(name)))
    place = {name: i for i, name in enumerate(encoders)}
    styles = {}
    for name in ordered:
        base, hollow = base_of(name), name.endswith(WITH_AGE_SEX)
        if is_baseline(name):
            styles[name] = Style("muted", *_BASELINE_LOOKS[base], hollow)
            continue
        symbol = _ENCODER_SYMBOLS[place[base] // SERIES % len(_ENCODER_SYMBOLS)]
        styles[name] = Style((colours or {}).get(base, series(place[base])), symbol, "solid", hollow)
    return styles


def with_key(styles: Mapping[str, Style], *figures: Html, line: bool = False) -> Html:
    """Put the legend of models above their figures; a model that is picked there stands out in them.

    Args:
        styles: Of the models that are drawn.
        *figures: The figures, and what stands between them.
        line: Whether they are drawn as lines too.

    Example:
        >>> with_key(model_styles(["clef", "age_sex"]), Html("<figure></figure>")).count("<li>")
        2
    """
    return element("div", _model_key(styles, line), *figures, class_="models")


def _model_key(styles: Mapping[str, Style], line: bool) -> Html:
    items = []
    for name, style in styles.items():
        ink = f"var(--{style.colour})"
        dash = element("path", d="M0 6H26", stroke=ink, stroke_width=2, stroke_dasharray=_DASHES[style.dash])
        fill = "var(--panel)" if style.hollow else ink
        mark = element("path", d=_MARKS[style.symbol], fill=fill, stroke=ink, stroke_width=1.6)
        drawing = element(
            "svg", dash if line else "", mark, viewBox="0 0 26 12", class_="mark", aria_hidden="true"
        )
        pick = element(
            "button", drawing, name, type="button", class_="pick", aria_pressed="false", data_name=label(name)
        )
        items.append(element("li", pick))
    return element("ul", *items, class_="key")


def dots(
    style: Style,
    name: str,
    place: ArrayLike,
    value: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    size: int = 10,
) -> dict[str, Any]:
    """Return a trace of values along the horizontal axis with their intervals.

    Args:
        style: Of the model.
        name: What the reader sees over a point.
        place: (points,) where they stand on the vertical axis.
        value: (points,), NaN = not drawn.
        low: (points,) lower ends; NaN = no interval.
        high: (points,) upper ends.
        size: Of the markers in pixels.

    Example:
        >>> trace = dots(Style("series-0", "circle", "solid", False), "clef", [0], [0.8], [0.7], [0.9])
        >>> trace["error_x"]["array"].round(3).tolist()
        [0.1]
    """
    middle, lower, upper = (np.asarray(each, float) for each in (value, low, high))
    known = np.isfinite(lower) & np.isfinite(upper)
    colour = f"@{style.colour}"
    digits = 3 if not np.isfinite(middle).any() or np.nanmax(np.abs(middle)) < 10 else 1
    said = [
        fixed(v, digits) + (f" [{fixed(a, digits)}, {fixed(b, digits)}]" if ends else "")
        for v, a, b, ends in zip(middle, lower, upper, known)
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": middle,
        "y": np.asarray(place, float),
        "name": label(name),
        "marker": {
            "color": "@panel" if style.hollow else colour,
            "size": size,
            "symbol": style.symbol,
            "line": {"color": colour, "width": 2 if size > 8 else 1.5},
        },
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": np.where(known, upper - middle, 0.0),
            "arrayminus": np.where(known, middle - lower, 0.0),
            "color": colour,
            "thickness": 2 if size > 8 else 1.5,
            "width": 0,
        },
        "text": said,
        "hovertemplate": f"{label(name)}: %{{text}}<extra></extra>",
    }


def line_with_band(
    style: Style,
    name: str,
    place: ArrayLike,
    value: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    strength: float = 0.1,
) -> list[dict[str, Any]]:
    """Return the traces of a line with the band of its interval.

    Args:
        style: Of the model.
        name: What the reader sees over a point.
        place: (points,) along the horizontal axis.
        value: (points,) along the vertical one.
        low: (points,) lower ends.
        high: (points,) upper ends.
        strength: Of the band's colour, 0 to 1.

    Example:
        >>> len(line_with_band(Style("series-0", "circle", "solid", False), "clef", [1, 2], [3, 4], [2, 3], [4, 5]))
        3
    """
    across = np.asarray(place, float)
    middle, lower, upper = (np.asarray(each, float) for each in (value, low, high))
    edge: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "x": across,
    }
    edge["name"] = label(name)
    digits = 3 if not np.isfinite(middle).any() or np.nanmax(np.abs(middle)) < 10 else 1
    said = [
        f"{fixed(v, digits)} [{fixed(a, digits)}, {fixed(b, digits)}]"
        for v, a, b in zip(middle, lower, upper)
    ]
    return [
        {**edge, "y": lower},
        {**edge, "y": upper, "fill": "tonexty", "fillcolor": f"@{style.colour}/{strength:g}"},
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": across,
            "y": middle,
            "name": label(name),
            "line": {"color": f"@{style.colour}", "width": 2, "dash": style.dash},
            "marker": {
                "size": 7,
                "symbol": style.symbol,
                "color": "@panel" if style.hollow else f"@{style.colour}",
                "line": {"color": f"@{style.colour}", "width": 1.5},
            },
            "text": said,
            "hovertemplate": f"{label(name)}: %{{text}}<extra></extra>",
        },
    ]


def line_at(value: float, *, dash: str = "dot") -> dict[str, Any]:
    """Return a vertical line through a figure, such as the value of chance.

    Example:
        >>> line_at(0.5)["x0"]
        0.5
    """
    return {
        "type": "line",
        "layer": "below",
        "x0": value,
        "x1": value,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": "@muted", "width": 1, "dash": dash},
    }


def row_axis(names: Sequence[object], places: Sequence[float] | None = None) -> dict[str, Any]:
    """Return a vertical axis whose rows have names, the first on top.

    Args:
        names: One a row, escaped as plotly takes them (`markup.label`).
        places: Where they stand; 0, 1, 2 ... by default.

    Example:
        >>> row_axis(["clef", "simclr"])["tickvals"]
        [0, 1]
    """
    return {
        "autorange": "reversed",
        "tickvals": list(range(len(names)) if places is None else places),
        "ticktext": list(names),
        "showgrid": False,
        "ticklabelstandoff": 8,
        "zeroline": False,
    }


def among(styles: Mapping[str, Style], names: Iterable[str], *, hollow: bool) -> dict[str, Style]:
    """Return the styles of some models: of those alone, or of those with age and sex appended.

    Args:
        styles: Of all models.
        names: The models asked for.
        hollow: Whether those with age and sex appended are meant.

    Example:
        >>> list(among(model_styles(["clef", "clef + age_sex"]), ["clef", "clef + age_sex"], hollow=True))
        ['clef + age_sex']
    """
    wanted = set(names)
    return {name: style for name, style in styles.items() if name in wanted and style.hollow == hollow}


def several(figures: Sequence[Html]) -> Html:
    """Put figures beside each other, as many as the screen is wide.

    Example:
        >>> several([Html("<figure></figure>")])
        '<div class="grid"><figure></figure></div>'
    """
    return element("div", join(figures), class_="grid")
