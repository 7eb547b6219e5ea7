"""The list of pages names each page that there is, and what its latent is."""

from pathlib import Path

from brainlm.report.browser.page_list import page_list
from brainlm.report.browser.verdict_words import name_of
from tests.report.browser.example import DEAD, VERDICTS, example


def test_every_page_is_listed_with_what_its_latent_is(tmp_path):
    case = example()
    folder = case.write(tmp_path / "browser" / "S1")
    listed = page_list(case.tables, folder.relative_to(tmp_path))
    pages = {path.relative_to(tmp_path).as_posix() for path in folder.glob("*.html")}
    assert set(listed["page"]) == pages - {"browser/S1/index.html"}
    assert listed["latent"].tolist() == [latent for latent in VERDICTS if latent != DEAD]
    for row in listed.itertuples():
        assert row.page == f"browser/S1/{row.latent}.html"
        assert row.verdict == ", ".join(filter(None, VERDICTS[row.latent]))
        assert row.name == (name_of(case.tables.names, row.latent)[0] or "no name")
    evidence = case.tables.live.set_index("latent")
    assert listed["r"].tolist() == evidence["r"].tolist()


def test_without_live_latents_the_list_is_empty(tmp_path):
    case = example()
    dead = case.with_tables(evidence=case.tables.evidence.assign(alive=False))
    listed = page_list(dead.tables, Path("browser/S1"))
    assert listed.empty and "page" in listed
