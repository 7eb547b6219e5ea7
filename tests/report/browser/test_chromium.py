"""The pages as a reader meets them: opened from the disk in a browser."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.report.browser.chromium import asked_for, chromium, missing, said, set_width
from tests.report.browser.example import DEAD, VERDICTS, example
from tests.report.browser.pictured import cortex_example

REASON = missing()
pytestmark = [
    pytest.mark.skipif(REASON is not None, reason=f"no Chromium here: {REASON}"),
    # Where others compute too, a browser takes its time.
    pytest.mark.timeout(1200),
]
LIVE = [latent for latent in VERDICTS if latent != DEAD]
WAIT_S = 120


def told(number: int) -> list[str]:
    """Words of a story that are in no other."""
    return [f"{'ab'[number]}{word}" for word in range(220)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    case = cortex_example()
    stories = example((told(0), told(1)))
    return replace(case, recordings=stories.recordings, tables=stories.tables).write(
        tmp_path_factory.mktemp("pages with blanks & signs")
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def opened(browser, folder) -> Callable[..., None]:
    """Open a page, and wait until it is drawn."""

    def open_page(name: str, width: int = 1280) -> None:
        set_width(browser, width)
        said(browser), asked_for(browser)
        browser.get((folder / name).as_uri())
        if name == "index.html":
            wait(
                browser,
                lambda: points(browser) and browser.find_elements(By.CSS_SELECTOR, ".dt-search input"),
            )

    return open_page


def wait(browser, condition: Callable[[], object]) -> None:
    WebDriverWait(browser, WAIT_S).until(lambda _: condition())


def points(browser) -> list:
    return browser.find_elements(By.CSS_SELECTOR, "#scatter path[aria-label*='latent: ']")


def rows(browser) -> list[int]:
    """Latents that the table shows, in order."""
    links = browser.find_elements(By.CSS_SELECTOR, "#latents tbody td:first-child a")
    return [int(link.text) for link in links]


@pytest.mark.parametrize("name", ["index.html", *(f"{latent}.html" for latent in LIVE)])
def test_a_page_opens_from_the_disk_and_asks_for_nothing_else(opened, browser, folder, name):
    opened(name)
    assert said(browser) == []
    addresses = asked_for(browser)
    assert (folder / name).as_uri() in addresses
    assert [address for address in addresses if not address.startswith(f"{folder.as_uri()}/")] == []


@pytest.mark.parametrize("latent", [0, 4])
def test_a_click_on_a_point_opens_its_page(opened, browser, folder, latent):
    opened("index.html")
    (point,) = [of for of in points(browser) if f"latent: {latent};" in of.get_attribute("aria-label")]
    ActionChains(browser).scroll_to_element(point).move_to_element(point).click().perform()
    wait(browser, lambda: browser.current_url == (folder / f"{latent}.html").as_uri())
    assert len(browser.window_handles) == 1


def test_every_live_latent_is_a_point_and_a_row(opened, browser):
    opened("index.html")
    assert len(points(browser)) == len(LIVE)
    assert rows(browser) == LIVE


def test_search_finds_a_word_of_a_passage(opened, browser, folder):
    opened("index.html")
    cells = browser.find_elements(By.CSS_SELECTOR, "#latents tbody td:nth-child(3)")
    words = {
        latent: set(cell.get_attribute("textContent").split())
        for latent, cell in zip(LIVE, cells, strict=True)
    }
    word = min(words[3].difference(*(others for latent, others in words.items() if latent != 3)))
    browser.find_element(By.CSS_SELECTOR, ".dt-search input").send_keys(f'"{word}"')
    wait(browser, lambda: len(rows(browser)) < len(LIVE))
    assert 3 in rows(browser)
    browser.find_element(By.CSS_SELECTOR, "#latents tbody td:first-child a").click()
    wait(browser, lambda: word in browser.find_element(By.TAG_NAME, "main").text)


def test_a_column_sorts_by_its_numbers(opened, browser):
    opened("index.html")
    (header,) = [
        of
        for of in browser.find_elements(By.CSS_SELECTOR, "#latents thead th")
        if of.text.strip().startswith("agreement")
    ]
    header.find_element(By.CSS_SELECTOR, ".dt-column-title").click()
    # Agreement falls with the latents' numbers.
    wait(browser, lambda: rows(browser) == LIVE[::-1])


def test_the_table_shows_the_latents_of_a_verdict(opened, browser):
    opened("index.html")
    (header,) = [
        of
        for of in browser.find_elements(By.CSS_SELECTOR, "#latents thead th")
        if of.text.strip().startswith("verdict")
    ]
    header.find_element(By.CSS_SELECTOR, "button").click()
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".dtcc-list-buttons button"))
    buttons = browser.find_elements(By.CSS_SELECTOR, ".dtcc-list-buttons button")
    assert sorted(button.text for button in buttons) == sorted(
        ", ".join(filter(None, VERDICTS[latent])) for latent in LIVE
    )
    next(button for button in buttons if button.text == "artefact").click()
    wait(browser, lambda: rows(browser) == [2])


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", ["index.html", "0.html", "4.html"])
def test_pages_fit_into_a_screen(opened, browser, name, width):
    opened(name, width)
    assert browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]") == [
        width,
        width,
    ]
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('main p, main td, main li, main figcaption')]"
        ".map(element => parseFloat(getComputedStyle(element).fontSize))"
    )
    assert min(sizes) >= 12


def test_maps_are_shown(opened, browser):
    opened("0.html")
    widths = browser.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert widths == [512, 256, 256]


def test_nothing_that_was_said_is_run(browser, tmp_path):
    odd = ["<script>window.ran=1</script>", "</td>", "<img/src=x>", '"onload="window.ran=1']
    case = example(tuple((odd * 60)[:220] for _ in range(2)), story_names=("<script>", "oldcamera"))
    names = case.tables.names.assign(name=["</script><script>window.ran=1</script>"] * len(case.tables.names))
    folder = case.with_tables(names=names).write(tmp_path)
    for name in ("index.html", "0.html"):
        browser.get((folder / name).as_uri())
        wait(browser, lambda: "window.ran=1" in browser.find_element(By.TAG_NAME, "main").text)
        assert browser.execute_script("return window.ran === undefined")
        assert said(browser) == []
    text = browser.find_element(By.TAG_NAME, "main").text
    assert "</td>" in text and "<script>, " in text
