"""Snakemake's report, as a reader meets it: ordered, labelled, with captions that say how to read each result."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from pipeline.report_order import ALL_SUBJECTS, FIGURES, TABLES
from tests.report.browser.chromium import asked_for, chromium, missing, said, set_width
from tiny_dataset import REPOSITORY, SUBJECT

ORDER = ["start", "checks", "evidence", "figures and tables of the paper", "controls", "browser"]
CAPTIONS = REPOSITORY / "workflow" / "report"
LABELS = ("what", "subject", "experiment")
PARTS = ("What it shows.", "What is good.", "What not to conclude.")
WAIT_S = 120
PLACES = {("figures", name): place for name, place in FIGURES.items()} | {
    ("tables", name): place for name, place in TABLES.items()
}
without_chromium = pytest.mark.skipif(missing() is not None, reason=f"no Chromium here: {missing()}")


@pytest.fixture(scope="module")
def report(tiny, tmp_path_factory) -> Path:
    """The report of a finished run, beside the pages of its latents."""
    folder = tmp_path_factory.mktemp("report")
    made = tiny.snakemake("--report", folder / "report.html", scratch=folder)
    assert made.returncode == 0, made.stdout[-3000:]
    (folder / "browser").symlink_to(tiny.results / "browser")
    return folder / "report.html"


def held(report: Path, name: str) -> Any:
    """What the report holds for its scripts: categories (category -> folder -> paths), results, workflow_desc."""
    scripts = re.search(
        rf'<script id="[a-z-]+">\s+var {name} = (.*);\s+</script>', report.read_text(encoding="utf-8")
    )
    return json.loads(scripts[1])


def by_name(names) -> list[str]:
    """As the report's scripts sort them: capitals do not count."""
    return sorted(names, key=str.lower)


def test_categories_are_in_the_order_of_reading(report):
    in_order = by_name(held(report, "categories"))
    assert [re.sub(r"^\d+ ", "", name).lower() for name in in_order] == ORDER
    assert in_order == by_name({place.category for place in PLACES.values()})


def test_a_category_has_a_folder_for_each_subject(report):
    for folders in held(report, "categories").values():
        for folder, paths in folders.items():
            whose = [f"/{SUBJECT}/" in path for path in paths]
            assert all(whose) if folder == SUBJECT else folder == ALL_SUBJECTS and not any(whose)


def test_every_result_has_the_labels_that_apply_and_a_name_of_its_own(report):
    results = held(report, "results")
    for folders in held(report, "categories").values():
        for folder, paths in folders.items():
            labels = [results[path]["labels"] for path in paths]
            assert len({of["what"] for of in labels}) == len(paths)
            for of in labels:
                assert list(of) == [name for name in LABELS if name in of]
                assert of.get("subject", ALL_SUBJECTS) == folder


def test_no_label_becomes_a_switch_that_hides_results():
    """Snakemake makes one of a label that all entries of a folder have with one of two values, half of them each;
    a combination that is not there leaves its page blank."""
    assert {place.experiment for place in PLACES.values()} == {None, "matched"}
    assert "subject" not in PLACES["tables", "checks"].labels(ALL_SUBJECTS)


def test_every_caption_says_how_to_read_its_result(report):
    for path, result in held(report, "results").items():
        heads = re.findall(r"<strong>(.*?)</strong>", result["caption"])
        assert [head for head in heads if head in PARTS] == list(PARTS), path
        assert "problematic" not in result["caption"] and "system-message" not in result["caption"], path


def test_every_caption_has_a_result_and_every_result_a_caption():
    written = {(path.parent.name, path.stem) for path in CAPTIONS.glob("*/*.rst")}
    assert written == set(PLACES)
    assert [path.name for path in CAPTIONS.glob("*.rst")] == ["workflow.rst"]
    rules = "".join(
        path.read_text(encoding="utf-8") for path in (REPOSITORY / "workflow" / "rules").glob("*")
    )
    used = {(f"{kind}s", name) for kind, name in re.findall(r'\b(figure|table)_files\(\s*"(\w+)"', rules)}
    # Those that one rule makes together.
    collected = re.findall(r"^(?:GROUP|COLLECTED)_TABLES = \[(.*)\]$", rules, re.MULTILINE)
    used |= {("tables", name) for names in collected for name in re.findall(r'"(\w+)"', names)}
    used |= {("tables", "planted")}
    assert used == set(PLACES)
    # Nothing else is marked for the report.
    assert len(re.findall(r"\breport\(", rules)) == 1


def test_the_first_page_says_what_was_run_and_leads_to_each_category(report):
    start = held(report, "workflow_desc")
    assert "problematic" not in start and "system-message" not in start
    for words in ("tiny", "simulated", SUBJECT, "tiny-llama", "first-block", "shuffled"):
        assert words in start
    assert re.findall(r"javascript:app\.showCategory\('(\d)", start) == list("123456")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def opened(browser, report):
    """The report as it is opened from the disk."""
    set_width(browser, 1600)
    said(browser), asked_for(browser)
    browser.get(report.as_uri())
    wait(browser, lambda: entry(browser, "Workflow"))
    return browser


def wait(browser, condition) -> None:
    WebDriverWait(browser, WAIT_S).until(lambda _: condition())


def entry(browser, text: str):
    """The entry of the menu on the left that has a text; None if there is none."""
    links = browser.find_elements(By.CSS_SELECTOR, "nav li a")
    return next((link for link in links if link.text.strip() == text), None)


def rows(browser) -> list:
    return browser.find_elements(By.CSS_SELECTOR, "nav tbody tr")


def open_folder(browser, category: str, folder: str, n_folders: int) -> None:
    browser.execute_script("app.setView({navbarMode: 'menu'})")
    wait(browser, lambda: entry(browser, category))
    entry(browser, category).click()
    if n_folders > 1:
        wait(browser, lambda: entry(browser, folder))
        entry(browser, folder).click()
    wait(browser, lambda: rows(browser))


@without_chromium
def test_every_result_opens_and_tells_how_to_read_it(opened, report):
    results = held(report, "results")
    for category, folders in held(report, "categories").items():
        for folder, paths in folders.items():
            open_folder(opened, category, folder, len(folders))
            assert sorted(row.find_element(By.CSS_SELECTOR, "td").text for row in rows(opened)) == sorted(
                results[path]["labels"]["what"] for path in paths
            )
            for number in range(len(paths)):
                open_folder(opened, category, folder, len(folders))
                what = rows(opened)[number].find_element(By.CSS_SELECTOR, "td").text
                (path,) = [of for of in paths if results[of]["labels"]["what"] == what]
                view, tell = rows(opened)[number].find_elements(By.CSS_SELECTOR, "a")
                view.click()
                tag = "img" if path.endswith(".png") else "iframe"
                wait(
                    opened,
                    lambda tag=tag, path=path: (
                        opened.find_element(By.CSS_SELECTOR, f"div.grow {tag}").get_attribute("src")
                        == results[path]["data_uri"]
                    ),
                )
                tell.click()
                wait(opened, lambda: PARTS[0] in opened.find_element(By.TAG_NAME, "nav").text)
                assert all(part in opened.find_element(By.TAG_NAME, "nav").text for part in PARTS)
    assert [message for message in said(opened) if "SEVERE" in message or "rror" in message] == []
    strangers = [address for address in asked_for(opened) if address != report.as_uri()]
    assert [address for address in strangers if not address.startswith(("blob:", "about:"))] == []


@without_chromium
def test_the_first_page_leads_to_a_category_and_a_caption_to_the_pages_of_latents(opened, report):
    opened.find_element(By.PARTIAL_LINK_TEXT, "6 Browser").click()
    wait(opened, lambda: rows(opened))
    rows(opened)[0].find_elements(By.CSS_SELECTOR, "a")[1].click()
    wait(opened, lambda: opened.find_elements(By.LINK_TEXT, "Open them"))
    opened.find_element(By.LINK_TEXT, "Open them").click()
    wait(opened, lambda: opened.current_url.endswith(f"/browser/{SUBJECT}/index.html"))
    assert "latents" in opened.find_element(By.TAG_NAME, "body").text
