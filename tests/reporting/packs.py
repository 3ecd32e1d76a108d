"""Unpacking what a page holds compressed."""

from __future__ import annotations

import base64
import gzip
import re


def packs_of(page: str) -> dict[str, str]:
    """The script and the JSON of the figures of a page, by their ids."""
    found = re.findall(r'<script type="text/plain" id="(\w+)">(.*?)</script>', page, re.S)
    return {name: gzip.decompress(base64.b64decode(content)).decode() for name, content in found}
