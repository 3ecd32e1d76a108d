"""The report: one self-contained HTML page about runs, their results and their stores."""

# torch, and plotly, are imported inside: a command's help reads this file.
from __future__ import annotations

import base64
import gzip
import re
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import openclef
from openclef.statistics import check_counts
from openclef.store import Store, open_store, write_atomically

__all__ = ["report"]

OF_RECORDS = "This page holds ECGs, ages and risks of single records: share it as the stores’ licences allow."
OF_GROUPS = "This page holds results over groups of records and no single one."


def report(
    folders: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    stores: str | Path | Store | Sequence[str | Path | Store] | None = None,
    title: str | None = None,
    split: str = "val",
    windows: int = 1000,
    seed: int = 0,
) -> Path:
    """Write one self-contained HTML page about runs, or about a benchmark.

    Of runs it shows what was run, results, curves, risks, embeddings and ECGs; of a benchmark its tables and figures
    (`openclef.reporting.benchmark`), and nothing of runs where there are none. The page needs no network, and for
    its figures a browser of 2023 or later. What is not at hand (a store, an encoder of an unfinished run) is named in
    one line, and the rest stands. With runs the page holds ECG strips and risks of single records: share it as the
    stores' licences allow.

    Args:
        folders: A run folder, a folder of results (`Result.save`), the folder of a benchmark, a folder above several of
            these, or a list.
        out: HTML file to write, with a name that ends in .html or .htm; report.html in the first folder by default.
        stores: Stores to use instead of those that the runs' config.json name, for example because they were moved.
        title: Heading of the page.
        split: Windows that are embedded and shown; "val" is what neither pretraining nor a probe is fitted on.
        windows: At most so many are embedded, drawn at random.
        seed: Of that draw, of the random encoder, of intervals and of t-SNE.

    Returns:
        The file.

    Raises:
        ImportError: plotly is not installed.
        FileNotFoundError: A folder or a store is not there.
        ValueError: There is nothing to report, a file is damaged (the message names it), or out is no name of a page.
        OSError: The page cannot be written there.

    Example:
        >>> report("no/such/folder")
        Traceback (most recent call last):
        ...
        FileNotFoundError: there is no folder no/such/folder; pass run folders, results, or a folder above them.
    """
    from openclef.reporting.contents import find_contents

    places = [Path(folders)] if isinstance(folders, str | Path) else [Path(each) for each in folders]
    if not places:
        raise ValueError('no folder is given; pass at least one, for example "runs/demo".')
    check_counts(windows=windows, seed=seed)
    target = places[0] / "report.html" if out is None else Path(out)
    check_target(target)
    plotly_script = _plotly_script()
    given = None
    if stores is not None:
        several = [stores] if isinstance(stores, str | Path | Store) else list(stores)
        given = [each if isinstance(each, Store) else open_store(each) for each in several]
    contents = find_contents(places, given)
    names = ", ".join(path.resolve().name for path in places)
    alone = bool(contents.benchmarks) and not contents.runs
    heading = title if title is not None else f"{'Benchmark' if alone else 'Report'}: {names}"
    marks, sections = _sections(contents, split=split, windows=windows, seed=seed)
    _write(target, heading, marks, sections, plotly_script, OF_GROUPS if alone else OF_RECORDS)
    return target


def write_sections(target: Path, heading: str, sections: Sequence[Any], footer: str = OF_RECORDS) -> None:
    """Write a page of some sections.

    Args:
        target: HTML file.
        heading: Of the page.
        sections: `openclef.reporting.markup.Section`s.
        footer: `OF_RECORDS` or `OF_GROUPS`: whom the page shows.

    Raises:
        ImportError: plotly is not installed.
        ValueError: The file's name does not end in .html or .htm.
        OSError: The page cannot be written there.

    Example:
        >>> write_sections(Path("dataset.json"), "Risk", [])
        Traceback (most recent call last):
        ...
        ValueError: dataset.json is no name of a page; pass one that ends in .html or .htm, for example ...
    """
    check_target(target)
    _write(target, heading, [], sections, _plotly_script(), footer)


def _plotly_script() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError('the report needs plotly; pip install "openclef[report]".') from error
    return str(get_plotlyjs())


def check_target(target: Path) -> None:
    """Refuse a file that is no page's: another kind of file might stand there.

    Raises:
        ValueError: Its name does not end in .html or .htm.
        IsADirectoryError: It is a folder.
        NotADirectoryError: A file stands where its folder would be.

    Example:
        >>> check_target(Path("page.html"))
    """
    if target.is_dir():
        raise IsADirectoryError(
            f"{target} is a folder; pass an HTML file, for example {target / 'report.html'}."
        )
    for place in target.parents:
        if place.exists() and not place.is_dir():
            raise NotADirectoryError(f"{place} is a file; pass a place for the report in a folder.")
    if target.suffix.lower() not in (".html", ".htm"):
        raise ValueError(
            f"{target} is no name of a page; pass one that ends in .html or .htm, for example "
            f"{target.with_name('report.html')}."
        )


def _sections(contents: Any, *, split: str, windows: int, seed: int) -> tuple[list[Any], list[Any]]:
    """Return the badges and the sections; the encoders are run here."""
    from openclef.reporting.benchmark import benchmark_sections
    from openclef.reporting.benchmark.tables import read_tables
    from openclef.reporting.curves import curves_section
    from openclef.reporting.embedding_map import map_section
    from openclef.reporting.embeddings import embed_runs
    from openclef.reporting.heading import badges, heading_section
    from openclef.reporting.markup import element, series
    from openclef.reporting.results import results_section
    from openclef.reporting.risk import risk_section
    from openclef.reporting.similarity import similarity_section
    from openclef.reporting.strips import strips_section

    tasks = [task for folder in contents.benchmarks for task in read_tables(folder).metrics["task"].unique()]
    marks = [element("span", kind, class_="badge") for kind in badges(contents, tasks)]
    of_benchmarks = [
        _told_apart(section, folder, place)
        for place, folder in enumerate(contents.benchmarks)
        for section in benchmark_sections(folder)
    ]
    results = [] if of_benchmarks and contents.metrics.empty else [results_section(contents)]
    if of_benchmarks and not contents.runs:
        about = [heading_section(contents)] if contents.stores or contents.notes else []
        return marks, [*of_benchmarks, *results, *about]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        groups, absent = embed_runs(contents.runs, split=split, windows=windows, seed=seed)
    if not contents.runs:
        absent = ["No run is among the folders, so nothing is embedded; pass a run folder."]
    storeless = [f"{run.label}: {each}" for run in contents.runs for each in run.missing]
    if not contents.runs:
        storeless = ["No run is among the folders, so there are no views to show; pass a run folder."]
    colours = {run.label: series(place) for place, run in enumerate(contents.runs)}
    sections = [
        heading_section(contents),
        *of_benchmarks,
        *results,
        curves_section(contents),
        risk_section(contents),
        similarity_section(groups, absent, colours, seed=seed),
        map_section(groups, absent, seed=seed),
        strips_section(contents.runs, storeless, split=split, seed=seed),
    ]
    return marks, sections


def _told_apart(section: Any, folder: Path, place: int) -> Any:
    """Name the sections of a second benchmark after its folder."""
    if not place:
        return section
    return section._replace(
        anchor=f"{section.anchor}-{place + 1}", title=f"{section.title}: {folder.resolve().name}"
    )


def _write(
    target: Path, heading: str, marks: Sequence[Any], sections: Sequence[Any], plotly_script: str, footer: str
) -> None:
    from openclef.reporting.markup import Html, element, escaped, join

    body, figures = pack_figures(
        join(element("section", element("h2", each.title), each.body, id=each.anchor) for each in sections)
    )
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    here = files("openclef.reporting")
    content = {
        "title": escaped(heading),
        "style": here.joinpath("page.css").read_text(encoding="utf-8"),
        "plotly": packed(plotly_script),
        "figures": packed(figures),
        "script": here.joinpath("page.js").read_text(encoding="utf-8"),
        "badges": join(marks, " "),
        "about": escaped(f"openclef {openclef.__version__}, written {written}"),
        "footer": escaped(footer),
        "links": join(element("a", each.title, href=f"#{each.anchor}") for each in sections),
        "sections": body,
    }
    template = here.joinpath("page.html").read_text(encoding="utf-8")
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: Html(content[found[1]]), template)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, lambda temporary: temporary.write_text(page, encoding="utf-8"))


def pack_figures(body: str) -> tuple[str, str]:
    """Take the figures out of a page's body: they repeat much, and are a tenth as long when they are packed together.

    Args:
        body: With the JSON of each figure in it, as `openclef.reporting.markup.figure` makes it.

    Returns:
        The body with each figure's number in that place, and the JSON of all figures.

    Example:
        >>> pack_figures('<p></p><script type="application/json">{"data":[]}</script>')
        ('<p></p><script type="application/json">0</script>', '[{"data":[]}]')
    """
    figures: list[str] = []

    def number(found: re.Match[str]) -> str:
        figures.append(found[2])
        return f"{found[1]}{len(figures) - 1}{found[3]}"

    numbered = re.sub(r'(<script type="application/json">)(.*?)(</script>)', number, body, flags=re.S)
    return numbered, f"[{','.join(figures)}]"


def packed(text: str) -> str:
    """Compress text for the page, whose script unpacks it (`page.js`): gzip, in letters of base64.

    Example:
        >>> gzip.decompress(base64.b64decode(packed("AF"))).decode()
        'AF'
    """
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
