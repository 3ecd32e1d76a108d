"""Each published database has a page that says what a user must know, and says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from openclef.database import DATABASES

DOCS = Path(__file__).resolve().parents[2] / "docs"
PUBLISHED = [name for name, database in DATABASES.items() if database.url]


@pytest.fixture(params=PUBLISHED)
def named(request):
    return DATABASES[request.param], (DOCS / "databases" / f"{request.param}.md").read_text()


def plain(text: str) -> str:
    return " ".join(text.replace("`", "").split())


def test_a_page_has_every_part(named):
    database, page = named
    assert page.startswith("# ")
    assert f"`{database.name}`" in page.splitlines()[0]
    assert f"openclef convert {database.name} " in page
    for part in ("Access: ", "icence: ", "- Layout: ", "- Splits: ", "- Metadata: ", "\nCite: "):
        assert part in page, part
    assert re.search(r"\b(mV|uV)\b", page)  # units
    assert re.search(r"\b\d+ Hz\b", page)
    assert re.search(r"\blead(s)?\b", page)
    assert "released code" in page  # what is done otherwise, or that it has no such task


def test_a_page_states_the_codes_facts(named):
    database, page = named
    assert f"<{database.url}" in page
    size = re.search(r"[\d.]+ [GT]B", database.size)
    assert size is not None
    assert size[0] in page
    for licence in filter(None, re.split(r"; | \(.*?\)", database.licence)):
        assert licence in plain(page).replace("(ODbL)", "ODbL"), licence
    for task in database.tasks:
        assert f"`{task}`" in page
    work = database.citation.split(";")[0].split(", version")[0]
    authors = re.split(r" et al\.|,| and ", work)[0]
    assert authors in page[page.index("\nCite: ") :]


def test_the_list_links_every_page():
    listed = (DOCS / "databases.md").read_text()
    for name, database in DATABASES.items():
        assert f"| `{name}` |" in listed
        if database.url:
            assert f"([page](databases/{name}.md))" in listed
    pages = {path.stem for path in (DOCS / "databases").glob("*.md")}
    assert pages == set(PUBLISHED)
