"""The page as a whole: what it says, what it refuses, and how Chromium shows it."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

import openclef
from openclef import cli

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)


def test_the_page_is_whole_safe_and_small(page) -> None:
    text = page.read_text()
    assert page.stat().st_size < 3.5e6
    body = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert "<script>alert" not in text
    assert "Tiny &lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert body.count("Research use, not a medical device") == 1
    assert not re.search(r"(?:src|href)=.https?:", body)
    assert body.count("<h1>") == 1
    assert body.count("<section") == 7
    assert "simulated" not in body, "the badge stands only where a store is so"
    assert not list(page.parent.glob(".*.tmp"))


def test_a_store_alone_and_results_alone_are_reported(reported, tmp_path) -> None:
    shutil.copytree(reported / "results", tmp_path / "results")
    text = openclef.report(tmp_path / "results").read_text()
    assert "No run is among the folders" in text
    assert "small/old" in text
    assert (tmp_path / "results" / "report.html").is_file()
    text = openclef.report(reported / "store", tmp_path / "new" / "store.html").read_text()
    assert "age_sex" in text
    assert "pass a run folder" in text


def test_runs_without_store_or_encoder_keep_their_curves(reported, tmp_path) -> None:
    shutil.copytree(reported / "clef", tmp_path / "clef")
    config = tmp_path / "clef" / "config.json"
    settings = json.loads(config.read_text())
    settings["stores"][0] |= {"path": "gone", "name": "sim"}
    config.write_text(json.dumps(settings))
    text = openclef.report(tmp_path / "clef").read_text()
    assert "is not at gone" in text
    assert "Effective rank" in text
    assert '<span class="badge">simulated</span>' in text
    settings["stores"][0]["path"] = str(reported / "store")
    config.write_text(json.dumps(settings))
    text = openclef.report(tmp_path / "clef").read_text()
    assert "cannot be embedded" in text, "config.json is not the one that the run was finished with"
    assert 'class="strip wide"' in text


def test_what_cannot_be_written_or_read_is_refused(reported, tmp_path, monkeypatch) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder"):
        openclef.report(reported, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        openclef.report(reported, tmp_path / "file" / "a.html")
    for name in ("dataset.json", "page", "page.html.gz"):
        (tmp_path / name).write_text("kept")
        with pytest.raises(ValueError, match=r"\.html or \.htm"):
            openclef.report(reported, tmp_path / name)
        assert (tmp_path / name).read_text() == "kept"
    with pytest.raises(ValueError, match="no folder is given"):
        openclef.report([])
    with pytest.raises(ValueError, match="windows is 0"):
        openclef.report(reported, windows=0)
    with pytest.raises(FileNotFoundError, match="holds no dataset"):
        openclef.report(reported, stores=tmp_path / "nowhere")
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ImportError, match=r"openclef\[report\]"):
        openclef.report(reported, tmp_path / "a.html")


@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_a_damaged_risk_leaves_the_rest(reported, tmp_path, suffix) -> None:
    shutil.copytree(reported / "store", tmp_path / "all" / "store")
    shutil.copytree(reported / "clef", tmp_path / "all" / "clef")
    file = tmp_path / "all" / "store" / "risk" / f"age_sex.{suffix}"
    file.write_bytes(file.read_bytes()[:40])
    text = openclef.report(tmp_path / "all", stores=tmp_path / "all" / "store").read_text()
    assert f"age_sex.{suffix}" in text
    assert "compute it again" in text or "restore it" in text
    assert "age_sex unknown" in text, "under the strips"
    assert "Effective rank" in text
    assert 'class="strip wide"' in text
    assert 'data-map="map-0"' in text, "the map needs no risk"


def test_settings_that_this_store_or_version_lacks_leave_the_rest(reported, tmp_path) -> None:
    shutil.copytree(reported / "clef", tmp_path / "clef")
    config = json.loads((tmp_path / "clef" / "config.json").read_text())
    config |= {"lead": "V9", "normalisation": "layer"}
    (tmp_path / "clef" / "config.json").write_text(json.dumps(config))
    history = tmp_path / "clef" / "metrics.csv"
    lines = history.read_text().splitlines()
    place = lines[0].split(",").index("loss")
    for number in (1, 2):
        cells = lines[number].split(",")
        cells[place] = ("inf", "nan")[number - 1]
        lines[number] = ",".join(cells)
    history.write_text("\n".join(lines))
    text = openclef.report(tmp_path / "clef", stores=reported / "store").read_text()
    assert "lead &#x27;V9&#x27; is not in store" in text
    assert "its loss is a finite number in no epoch" in text
    assert "Effective rank" in text
    assert "age_sex" in text


def test_a_split_without_windows_is_said(reported, tmp_path) -> None:
    text = openclef.report(reported / "clef", tmp_path / "a.html", split="nowhere").read_text()
    assert "no window has split &#x27;nowhere&#x27;" in text


def test_the_command_takes_several_folders(reported, tmp_path, capsys) -> None:
    out = tmp_path / "page.html"
    given = [str(reported / "results" / "clef"), str(reported / "results" / "simclr"), "--out", str(out)]
    assert cli.main(["report", *given]) == 0
    assert str(out) in capsys.readouterr().out
    assert out.is_file()
    assert cli.main(["report", str(tmp_path / "nowhere")]) == 1
    assert "there is no folder" in capsys.readouterr().err


@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if BROWSER is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the path")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=list(FLAGS))
        yield browser
        browser.close()


def _opened(chromium, page: Path, width: int, scheme: str = "light"):
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    tab.said = []
    tab.on("console", lambda message: tab.said.append(message.text))
    tab.on("pageerror", lambda error: tab.said.append(str(error)))
    tab.on("request", lambda request: tab.said.append(request.url) if request.url != page.as_uri() else None)
    tab.on("dialog", lambda dialog: tab.said.append(dialog.message))
    tab.goto(page.as_uri())
    tab.wait_for_selector("body[data-drawn]", timeout=20_000)
    return tab


def _colours(tab, selector: str) -> list[str]:
    return tab.evaluate(
        "name => [...document.querySelectorAll(name)].map(each => getComputedStyle(each).fill)", selector
    )


def test_chromium_draws_everything_and_asks_for_nothing(chromium, page) -> None:
    tab = _opened(chromium, page, 390)
    assert tab.said == []
    plots = tab.locator(".plot").count()
    assert plots >= 12
    assert tab.locator(".plot .main-svg").count() >= plots
    assert int(tab.evaluate("document.body.dataset.drawn")) == plots
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    wide = (
        "[...document.querySelectorAll('.plot')].filter("
        "p => p.querySelector('.main-svg').width.baseVal.value > p.clientWidth + 1).length"
    )
    assert tab.evaluate(wide) == 0
    lines = (
        "[...document.querySelectorAll('.runs tbody th[scope=row]')].map(each => { const range = "
        "document.createRange(); range.selectNodeContents(each); return [each.textContent, "
        "range.getClientRects().length]; }).filter(([name, lines]) => lines > name.split(' ').length)"
    )
    assert tab.evaluate(lines) == [], "names of settings break between words only"
    boxes = tab.evaluate(
        "(() => { const s = document.querySelector('.strip.narrow'), m = s.getScreenCTM(); return [m.a, m.d]; })()"
    )
    assert boxes[0] == pytest.approx(boxes[1]), "boxes of the paper are square"
    before = _colours(tab, ".maps .point")
    tab.select_option(".colour-menu", label="old")
    assert _colours(tab, ".maps .point") != before
    assert "without old" in tab.inner_text(".map-key")
    assert "are so too; by chance" in tab.inner_text(".maps figcaption >> nth=0")
    tab.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chromium_switches_themes_without_overflow(chromium, page, width, scheme) -> None:
    tab = _opened(chromium, page, width, scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate("document.documentElement.dataset.theme") == scheme
    text = "text => [...document.querySelectorAll('.xtick text')].map(each => each.style.fill)"
    line = "() => [...document.querySelectorAll('.js-line')].map(each => each.style.stroke)"
    before, lines = tab.evaluate(text), tab.evaluate(line)
    panel = tab.evaluate("getComputedStyle(document.querySelector('section')).backgroundColor")
    tab.click("#theme")
    tab.wait_for_timeout(500)
    after = tab.evaluate(text)
    assert before
    assert len(after) == len(before)
    assert not set(before) & set(after)
    assert tab.evaluate(line) != lines
    assert tab.evaluate("getComputedStyle(document.querySelector('section')).backgroundColor") != panel
    for option in range(tab.locator(".colour-menu option").count()):
        tab.select_option(".colour-menu", index=option)
    assert tab.said == []
    tab.context.close()


@pytest.mark.slow
def test_chromium_prints_light_and_comes_back(chromium, page, tmp_path) -> None:
    tab = _opened(chromium, page, 1400, "dark")
    tab.pdf(path=str(tmp_path / "page.pdf"))
    assert (tmp_path / "page.pdf").stat().st_size > 20_000
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    assert tab.said == []
    tab.context.close()


def test_chromium_says_so_where_a_browser_is_too_old_to_unpack(chromium, page) -> None:
    tab = chromium.new_page()
    said: list[str] = []
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.add_init_script("delete window.DecompressionStream")
    tab.goto(page.as_uri())
    assert "need a browser of 2023 or later" in tab.inner_text("main > p.missing")
    assert tab.locator("main table").count() > 3
    assert said == []
    tab.close()
