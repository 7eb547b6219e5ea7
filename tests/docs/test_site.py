"""The site that `make docs` has made: it needs no network, its links lead somewhere, and it fits any screen."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import lxml.html
import pytest

from tests.docs.pages import DOCS
from tests.report.browser.chromium import asked_for, chromium, missing, said, set_width

SITE = DOCS / "_build" / "html"
PAGES = sorted(SITE.rglob("*.html"))
SHOWN = (
    "index",
    "methods",
    "reference/settings",
    "reference/files",
    "reference/library/scores",
    "howto/score",
    "demo",
)
SOURCES = [*DOCS.parent.glob("*.md"), DOCS.parent / "config" / "README.md", *DOCS.rglob("*.md")]
# What an older site says is not what the pages say.
UP_TO_DATE = bool(PAGES) and all(
    page.stat().st_mtime <= (SITE / "index.html").stat().st_mtime for page in SOURCES
)
pytestmark = pytest.mark.skipif(not UP_TO_DATE, reason="no site of these pages here: `make docs` makes it")
REASON = missing()


@pytest.fixture(scope="module")
def trees() -> dict[Path, lxml.html.HtmlElement]:
    return {page: lxml.html.fromstring(page.read_bytes()) for page in PAGES}


def test_pages_load_nothing_from_elsewhere(trees):
    loaded = {
        address
        for tree in trees.values()
        for address in tree.xpath(
            "//script/@src | //img/@src | //iframe/@src | //link[@rel='stylesheet']/@href"
        )
    }
    assert loaded
    assert [address for address in sorted(loaded) if urlsplit(address).netloc] == []
    styles = [style.read_text(encoding="utf-8") for style in SITE.rglob("*.css")]
    assert styles and not any("url(http" in style or "url(//" in style for style in styles)


def test_links_lead_to_pages_and_headings_that_are_there(trees):
    names = {page: {*tree.xpath("//@id"), *tree.xpath("//a/@name")} for page, tree in trees.items()}
    lost, n_links = [], 0
    for page, tree in trees.items():
        for address in tree.xpath("//a/@href"):
            target = urlsplit(address)
            if target.scheme or target.netloc:
                continue
            n_links += 1
            file = (page.parent / unquote(target.path)).resolve() if target.path else page
            if not file.exists() or (target.fragment and unquote(target.fragment) not in names.get(file, ())):
                lost.append(f"{page.relative_to(SITE)}: {address}")
    assert n_links > 500 and lost == []


def test_formulas_are_drawn_and_none_is_left_as_text(trees):
    methods = trees[SITE / "methods.html"]
    assert len(methods.xpath("//math")) > 100 and not methods.xpath("//merror")
    for element in methods.xpath("//pre | //code | //math"):
        element.drop_tree()
    assert "$" not in methods.text_content() and "\\frac" not in methods.text_content()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if REASON:
        pytest.skip(f"no Chromium here: {REASON}")
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("name", SHOWN)
def test_a_page_fits_the_screen_and_asks_for_files_of_the_site_alone(browser, name, width):
    set_width(browser, width)
    said(browser), asked_for(browser)
    browser.get((SITE / f"{name}.html").as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert all(address.startswith(SITE.as_uri()) for address in asked_for(browser))
    assert said(browser) == []
