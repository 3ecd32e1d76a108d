"""HTML of a report: escaped text, tables, and figures as plain plotly dictionaries that the page's script draws.

Colours in figures are names such as "@series-0" or "@ink/0.3": `page.js` replaces them by the theme's, so that a
figure follows the switch from light to dark.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

SERIES = 7  # colours that follow each other; page.css has their values


class Html(str):
    """Markup that is escaped already; any other string is escaped where it is put in.

    Example:
        >>> escaped("<b>"), escaped(Html("<b>"))
        ('&lt;b&gt;', '<b>')
    """

    __slots__ = ()


class Section(NamedTuple):
    """A part of the page.

    Args:
        anchor: Its id.
        title: Its heading, plain text.
        body: Its content.

    Example:
        >>> Section("runs", "Runs", Html("<p>none</p>")).anchor
        'runs'
    """

    anchor: str
    title: str
    body: Html


def escaped(value: object) -> Html:
    """Return a value as markup.

    Args:
        value: `Html` stays as it is; all else is turned into text and escaped.

    Example:
        >>> escaped("AF & <script>")
        'AF &amp; &lt;script&gt;'
    """
    return value if isinstance(value, Html) else Html(html.escape(str(value), quote=True))


def join(parts: Iterable[object], between: str = "") -> Html:
    """Join values as markup.

    Example:
        >>> join(["<", Html("<br>")])
        '&lt;<br>'
    """
    return Html(between.join(escaped(part) for part in parts))


def element(name: str, *content: object, **attributes: object) -> Html:
    """Return an element; attributes that end in an underscore lose it, others have theirs turned into hyphens.

    Example:
        >>> element("p", "a < b", class_="note", aria_label='"x"')
        '<p class="note" aria-label="&quot;x&quot;">a &lt; b</p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>{join(content)}</{name}>")


def missing(sentence: str) -> Html:
    """Return the line that says what a section lacks and how to give it.

    Example:
        >>> missing("no store")
        '<p class="missing">no store</p>'
    """
    return element("p", sentence, class_="missing")


def number(value: float | None, digits: int = 3) -> str:
    """Return a number for people: a few significant digits, thousands apart, a dash for an unknown one.

    Example:
        >>> number(1234567), number(0.12345), number(float("nan")), number(12.0)
        ('1,234,567', '0.123', '–', '12')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def table(
    headings: Sequence[object], rows: Iterable[Sequence[object]], *, caption: str, numeric: int = 1
) -> Html:
    """Return a table in a box of its own, in which it scrolls where the screen is narrow.

    Args:
        headings: One a column.
        rows: Cells; the first of each row is its heading.
        caption: What the table holds.
        numeric: Columns from this one on are numbers, aligned to the right.

    Example:
        >>> '<th scope="row">clef</th>' in table(["model", "n"], [["clef", 5]], caption="AUROC")
        True
    """
    return grouped_table(headings, [("", rows)], caption=caption, numeric=numeric)


def grouped_table(
    headings: Sequence[object],
    groups: Iterable[tuple[object, Iterable[Sequence[object]]]],
    *,
    caption: str,
    numeric: int = 1,
    class_: str | None = None,
) -> Html:
    """Return a table whose rows stand in groups, each under its name.

    Args:
        headings: One a column.
        groups: Name (an empty one is not shown) and rows of each; the first cell of a row is its heading.
        caption: What the table holds.
        numeric: Columns from this one on are numbers, aligned to the right.
        class_: Of the table; in a "wide" one the first column stays in sight when it is scrolled sideways.

    Example:
        >>> grouped_table(["model", "n"], [("probe", [["clef", 5]])], caption="AUROC").count("<tbody>")
        1
    """
    kinds = ["" if i < numeric else ' class="number"' for i in range(len(headings))]
    head = "".join(f'<th scope="col"{kind}>{escaped(h)}</th>' for h, kind in zip(headings, kinds))
    bodies = []
    for group, rows in groups:
        lines = []
        if group:
            across = f'<th scope="rowgroup" colspan="{len(headings)}"><span>{escaped(group)}</span></th>'
            lines.append(f'<tr class="group">{across}</tr>')
        for row in rows:
            first, *rest = row
            cells = "".join(f"<td{kind}>{escaped(cell)}</td>" for cell, kind in zip(rest, kinds[1:]))
            lines.append(f'<tr><th scope="row">{breakable(first)}</th>{cells}</tr>')
        bodies.append(f"<tbody>{''.join(lines)}</tbody>")
    inside = (
        f"<caption><span>{escaped(caption)}</span></caption><thead><tr>{head}</tr></thead>{''.join(bodies)}"
    )
    return scrolling(element("table", Html(inside), class_=class_), caption)


def breakable(name: object) -> Html:
    """Return a name that may break after underscores and slashes; markup stays as it is.

    Example:
        >>> breakable("ptb_xl/form")
        'ptb_<wbr>xl/<wbr>form'
    """
    if isinstance(name, Html):
        return name
    return Html(escaped(name).replace("_", "_<wbr>").replace("/", "/<wbr>"))


def fact_table(
    caption: str, labels: Sequence[object], rows: Iterable[tuple[object, Sequence[object]]]
) -> Html:
    """Return a table of one row a fact, one column a thing; without labels there is one unnamed column.

    Args:
        caption: What the table holds.
        labels: Names of the things.
        rows: Name of each fact, and its words for each thing.

    Example:
        >>> "<td>probe</td>" in fact_table("Settings", [], [("protocol", ["probe"])])
        True
    """
    lines = [
        element("tr", element("th", name, scope="row"), *(element("td", cell) for cell in cells))
        for name, cells in rows
    ]
    if not lines and not labels:
        return Html()
    head = element("tr", element("td", ""), *(element("th", each, scope="col") for each in labels))
    body = element("tbody", *([head] if labels else []), *lines)
    return scrolling(element("table", element("caption", caption), body, class_="runs"), caption)


def folded(summary: object, *content: object) -> Html:
    """Return what the reader opens by its first line.

    Example:
        >>> folded("All rows", Html("<table></table>"))
        '<details><summary>All rows</summary><table></table></details>'
    """
    return element("details", element("summary", summary), *content)


def scrolling(content: Html, name: str) -> Html:
    """Put wide content into a box in which it scrolls, by keyboard too.

    Example:
        >>> scrolling(Html("<table></table>"), "models")
        '<div class="scroll" role="region" tabindex="0" aria-label="models"><table></table></div>'
    """
    return element("div", content, class_="scroll", role="region", tabindex="0", aria_label=name)


def plain(value: Any) -> Any:
    """Turn arrays and numbers into what JSON has: NaN becomes null, floats keep five significant digits.

    Example:
        >>> plain({"y": np.array([1.0, np.nan, 0.1234567])})
        {'y': [1, None, 0.12346]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        short = float(f"{value:.5g}")
        return int(short) if short.is_integer() and abs(short) < 1e9 else short
    return value


def embedded(value: Any, **attributes: object) -> Html:
    """Return values for the page's script, as JSON that nothing in it can break out of.

    Example:
        >>> "</script>" in embedded({"name": "</script>"}).removesuffix("</script>")
        False
    """
    content = json.dumps(plain(value), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return element("script", Html(content), type="application/json", **attributes)


def label(value: object) -> str:
    """Return a text as plotly takes it, which reads some markup in names.

    Example:
        >>> label("<b>AF</b>")
        '&lt;b&gt;AF&lt;/b&gt;'
    """
    return html.escape(str(value), quote=False)


def figure(
    data: list[dict[str, Any]],
    layout: dict[str, Any],
    *,
    alt: str,
    caption: object = "",
    title: object = "",
    height: int = 300,
    **attributes: object,
) -> Html:
    """Return a figure: its title, its plot (drawn by `page.js`), and its caption.

    Args:
        data: Plotly traces; names of colours start with "@".
        layout: Plotly layout, put over the page's own.
        alt: What the plot shows, for who cannot see it.
        caption: What it means.
        title: Heading above it.
        height: Of the plot in pixels.
        **attributes: More attributes of the plot's element.

    Example:
        >>> 'aria-label="losses"' in figure([{"y": [1, 2]}], {}, alt="losses")
        True
    """
    plot = element(
        "div",
        embedded({"data": data, "layout": layout}),
        class_="plot",
        role="img",
        aria_label=alt,
        style=f"height:{height}px",
        **attributes,
    )
    head = element("p", title, class_="figure-title") if title else ""
    return element("figure", head, plot, element("figcaption", caption) if caption else "")


def key(entries: Iterable[tuple[str, str, str]]) -> Html:
    """Return the legend of one or several figures.

    Args:
        entries: Name, colour ("series-0") and kind ("line", "dash", "dot", "box") of each.

    Example:
        >>> key([("clef", "series-0", "line")]).count("<li>")
        1
    """
    items = [
        element(
            "li",
            element("span", class_=f"swatch {kind}", style=f"--swatch:var(--{colour})", aria_hidden="true"),
            name,
        )
        for name, colour, kind in entries
    ]
    return element("ul", *items, class_="key")


def series(position: int) -> str:
    """Return the name of a colour for the run or model at a position.

    Example:
        >>> series(0), series(7)
        ('series-0', 'series-0')
    """
    return f"series-{position % SERIES}"
