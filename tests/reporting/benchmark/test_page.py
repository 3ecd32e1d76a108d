"""The page of a benchmark as a whole, alone and beside runs, and how Chromium shows it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import openclef
from openclef.reporting.benchmark import benchmark_sections
from openclef.reporting.contents import find_contents
from tests.reporting.benchmark_folder import write_benchmark
from tests.reporting.packs import packs_of

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)
SHORT = {"model": "of_a_cell", "task": "t", "metric": "auroc", "value": 0.7}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a benchmark with many labels, on one lead."""
    folder = write_benchmark(tmp_path_factory.mktemp("page") / "bench", tasks=5, leads=("I",))
    cell = folder / "cells" / "t" / "I" / "probe" / "1.0" / "m"
    cell.mkdir(parents=True)
    (cell / "metrics.json").write_text(json.dumps([SHORT]))
    return openclef.report(folder)


def test_a_benchmark_alone_says_nothing_of_runs(page) -> None:
    text = page.read_text()
    body = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert body.count("<section") == 11
    assert "<title>Benchmark: bench</title>" in text
    assert "of_a_cell" not in text, "cells are summed up by the tables"
    assert "No run is among" not in text
    assert 'id="map"' not in text
    assert "single records" not in body
    assert "over groups of records" in body
    assert '<span class="badge">partly simulated</span>' in body.split("</header>")[0]
    assert body.count("Research use, not a medical device") == 1
    assert not re.search(r"(?:src|href)=.https?:", body)
    anchors = re.findall(r'<section id="([^"]+)"', body)
    assert re.findall(r'<a href="#([^"]+)">', body.split("</nav>")[0]) == anchors
    ids = re.findall(r'\sid="([^"]+)"', body)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', body)) <= set(ids)


def test_the_page_holds_every_figure_packed_and_is_small(page) -> None:
    text = page.read_text()
    given = [json.dumps(spec) for each in benchmark_sections(page.parent) for spec in _specs(str(each.body))]
    packs = packs_of(text)
    assert list(packs) == ["plotly", "figures"]
    assert [json.dumps(spec) for spec in json.loads(packs["figures"])] == given
    assert _specs(text) == list(range(len(given)))
    assert len(given) > 50
    assert text.count('class="plot"') == len(given)
    assert "Plotly" in packs["plotly"]
    assert len(text) < 2.5e6 + len("".join(str(each.body) for each in benchmark_sections(page.parent))) / 2


def _specs(body: str) -> list[object]:
    return [
        json.loads(each) for each in re.findall(r'<script type="application/json">(.*?)</script>', body, re.S)
    ]


def test_plain_results_and_a_second_benchmark_stand_beside_it(little, tmp_path) -> None:
    shutil.copytree(little, tmp_path / "all" / "first")
    shutil.copytree(little, tmp_path / "all" / "second")
    (tmp_path / "all" / "plain").mkdir()
    (tmp_path / "all" / "plain" / "metrics.json").write_text(json.dumps([SHORT]))
    found = find_contents([tmp_path / "all"])
    assert [folder.name for folder in found.benchmarks] == ["first", "second"]
    text = openclef.report(tmp_path / "all").read_text()
    assert "of_a_cell" in text
    assert "Summary: second" in text
    ids = re.findall(r'<section id="([^"]+)"', text)
    assert ids.count("summary") == ids.count("summary-2") == 1
    assert len(ids) == 23


def test_runs_keep_their_sections_beside_a_benchmark(little, reported, tmp_path) -> None:
    shutil.copytree(reported / "clef", tmp_path / "all" / "clef")
    shutil.copytree(little, tmp_path / "all" / "bench")
    (tmp_path / "all" / "bench" / "runs").mkdir()
    shutil.copytree(reported / "simclr", tmp_path / "all" / "bench" / "runs" / "tuned")
    found = find_contents([tmp_path / "all"])
    assert [run.label for run in found.runs] == ["clef"], "those of the benchmark are summed up by its tables"
    text = openclef.report(tmp_path / "all", stores=reported / "store").read_text()
    ids = re.findall(r'<section id="([^"]+)"', text)
    assert ids[0] == "runs"
    assert {"summary", "ranks", "curves", "map"} <= set(ids)
    assert "results" not in ids, "there are none but the benchmark's"
    assert "single records" in text


def test_a_damaged_benchmark_is_refused_and_no_page_written(little) -> None:
    (little / "ranks.csv").write_text("model\nclef\n")
    with pytest.raises(ValueError, match=r"ranks\.csv is damaged \(it has no column protocol"):
        openclef.report(little)
    assert not (little / "report.html").exists()


@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if BROWSER is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the path")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=list(FLAGS))
        yield browser
        browser.close()


OVERFLOWING = """
() => [...document.querySelectorAll('.plot')].filter(plot => {
  const drawn = plot.querySelector('.main-svg');
  return drawn && plot.clientWidth && drawn.width.baseVal.value > plot.clientWidth + 1;
}).length
"""
WIDER = """
() => [...document.querySelectorAll('section *')].filter(each => {
  if (each.closest('.scroll') || each.closest('.plot')) return false;
  const box = each.getBoundingClientRect();
  return box.width > 0 && box.right > document.documentElement.clientWidth + 1;
}).map(each => each.outerHTML.slice(0, 120))
"""
OUTSIDE = """
() => [...document.querySelectorAll('.plot')].flatMap(plot => {
  const box = plot.getBoundingClientRect();
  return [...plot.querySelectorAll('.xtick text, .ytick text, .annotation-text')].filter(text => {
    const place = text.getBoundingClientRect();
    return box.width && place.width && (place.left < box.left - 2 || place.right > box.right + 2);
  }).map(text => text.textContent);
})
"""


@pytest.mark.parametrize(
    ("width", "scheme"), [(390, "dark"), pytest.param(1400, "light", marks=pytest.mark.slow)]
)
def test_chromium_shows_all_of_it_without_overflow(chromium, page, width, scheme) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: said.append(request.url) if request.url != page.as_uri() else None)
    tab.goto(page.as_uri())
    tab.wait_for_selector("body[data-drawn]", timeout=60_000)
    drawn, every = tab.locator(".plot .main-svg").count(), tab.locator(".plot").count()
    assert int(tab.evaluate("document.body.dataset.drawn")) < every, "what is folded waits"
    assert drawn >= 15
    for place in ("labels", "calibration", "robustness"):
        tab.evaluate(
            f"document.querySelectorAll('#{place} details').forEach(each => {{ each.open = true; }})"
        )
    tab.evaluate(
        "document.querySelectorAll('#summary details, #everything details').forEach(e => { e.open = true; })"
    )
    tab.wait_for_function(
        "[...document.querySelectorAll('#labels .plot, #calibration .plot, #robustness .plot')]"
        ".every(each => each.querySelector('.main-svg'))",
        timeout=60_000,
    )
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(OVERFLOWING) == 0
    assert tab.evaluate(WIDER) == []
    assert tab.evaluate(OUTSIDE) == []
    stays = tab.evaluate(
        "() => { const box = document.querySelector('#side-by-side .scroll'); box.scrollLeft = 200; "
        "return box.querySelector('tbody th[scope=row]').getBoundingClientRect().left - "
        "box.getBoundingClientRect().left; }"
    )
    assert abs(stays) < 1, "names of models stay in sight"
    lines = "() => [...document.querySelectorAll('#efficiency .js-line')].map(each => each.style.stroke)"
    every = set(tab.evaluate(lines))
    tab.click("#efficiency .models >> nth=0 >> .pick >> text=clef")
    assert len(set(tab.evaluate(lines))) < len(every), "the others fall back"
    tab.click("#efficiency .models >> nth=0 >> .pick >> text=clef")
    assert set(tab.evaluate(lines)) == every
    colours = "() => [...document.querySelectorAll('#labels .xtick text')].map(each => each.style.fill)"
    before = tab.evaluate(colours)
    tab.click("#theme")
    assert not set(before) & set(tab.evaluate(colours)), "what was opened follows the theme"
    assert said == []
    context.close()
