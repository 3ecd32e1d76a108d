"""Reading a page's tables and figures back."""

from __future__ import annotations

import html
import json
import re
from typing import Any


def text_of(markup: str) -> str:
    """Words of some markup."""
    return html.unescape(re.sub(r"<[^>]+>", " ", markup.replace("<wbr>", ""))).strip()


def rows_of_table(body: str, caption: str) -> list[tuple[str, list[list[str]]]]:
    """Groups of the first table whose caption begins so: name, and for each row its cells, the name first."""
    found = next(each for each in re.findall(r"<table.*?</table>", body, re.S) if f"<span>{caption}" in each)
    groups = []
    for part in re.findall(r"<tbody>(.*?)</tbody>", found, re.S):
        name = re.search(r'<tr class="group">.*?</tr>', part)
        lines = re.findall(r"<tr>(.*?)</tr>", part, re.S)
        cells = [
            [text_of(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.S)] for line in lines
        ]
        groups.append((text_of(name[0]) if name else "", cells))
    return groups


def figures_of(body: str) -> list[dict[str, Any]]:
    """Every figure: its title, what it says, and the plotly data and layout."""
    found = []
    for each in re.findall(r"<figure>(.*?)</figure>", body, re.S):
        spec = json.loads(re.search(r'<script type="application/json">(.*?)</script>', each, re.S)[1])
        title = re.search(r'<p class="figure-title">(.*?)</p>', each, re.S)
        found.append(
            {
                "title": text_of(title[1]) if title else "",
                "alt": html.unescape(re.search(r'aria-label="([^"]*)"', each)[1]),
                "caption": text_of(re.search(r"<figcaption>(.*?)</figcaption>", each, re.S)[1]),
                **spec,
            }
        )
    return found


def numbers_in(words: str) -> list[float]:
    """Numbers of some words, with true minus signs."""
    return [
        float(each.replace("−", "-")) for each in re.findall(r"[−+]?\d+(?:\.\d+)?", words.replace(",", ""))
    ]
