"""What the pages say, and that they are whole."""

import re
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from brainlm.errors import InputError
from brainlm.report.browser.maps import Partner
from brainlm.report.browser.run import Recordings
from brainlm.report.browser.site import write_contents
from brainlm.report.browser.verdict_words import SENTENCES, sentence
from brainlm.scores.evidence.verdict import LABELS
from tests.report.browser.example import (
    DEAD,
    N_TRS,
    SILENT,
    VERDICTS,
    evidence,
    example,
    found_in_seeds,
)
from tests.report.browser.html_pages import Page
from tests.report.browser.pictured import cortex_example

LIVE = [latent for latent in VERDICTS if latent != DEAD]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Pages of a run without a cortex."""
    return example().write(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def with_maps(tmp_path_factory):
    """Pages of a run with a cortex, and partners in another seed and in another subject."""
    return cortex_example().write(tmp_path_factory.mktemp("maps"))


@pytest.fixture(params=["site", "with_maps"])
def folder(request):
    return request.getfixturevalue(request.param)


def pages(folder):
    return [Page(path) for path in sorted(folder.glob("*.html"))]


def section(page: Page, question: str) -> str:
    """What follows a question."""
    return page.text.partition(question)[2][:400]


def test_every_live_latent_has_a_page(folder):
    assert {path.name for path in folder.glob("*.html")} == {"index.html", *(f"{n}.html" for n in LIVE)}


def test_all_that_a_page_points_to_is_in_the_folder(folder):
    for page in pages(folder):
        for link in page.links():
            assert not re.match(r"[a-z]+:|/", link), link
            assert (folder / link).is_file(), (page.path.name, link)


def test_no_page_asks_the_network_for_anything(folder):
    for path in [*folder.glob("*.html"), *folder.glob("*.css")]:
        text = path.read_text()
        assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//""", text.partition("<script>")[0])
        assert not re.search(r"@import|url\((?!data:)", text.partition("<script>")[0])


def test_every_picture_has_a_text_for_those_who_do_not_see_it(folder):
    for page in pages(folder):
        pictures = [of["alt"] for of in page.all("img")]
        drawings = [of["aria-label"] for of in page.all("svg") if of.get("role") == "img"]
        assert len(drawings) == len(page.all("svg"))
        assert all(text.strip() for text in pictures + drawings)
    assert pages(folder)[0].all("img") or pages(folder)[0].all("svg")


def test_pages_say_whose_they_are_and_that_data_are_simulated(folder, tmp_path):
    for page in pages(folder):
        assert "SIM01 · seed 0" in page.text
        assert "simulated data" in page.text
    real = example().with_titles(simulated=False).write(tmp_path)
    assert all("simulated" not in page.text for page in pages(real))


def test_a_page_reads_in_order(folder):
    order = ["Latent 0", "Brain and LM agree about it", "Does it hold?", "What was said", "Its course over"]
    order += ["Areas", "Nearest latents", "Its weights"]
    text = Page(folder / "0.html").text
    assert sorted(order, key=text.index) == order


def test_neighbours_in_number_skip_dead_latents(site):
    links = [of for of in Page(site / "5.html").all("a") if of.get("rel") in ("prev", "next")]
    assert {of["rel"]: of["href"] for of in links} == {"prev": "4.html", "next": f"{SILENT}.html"}
    assert DEAD == 6
    assert [of["rel"] for of in Page(site / "0.html").all("a") if "rel" in of] == ["next"]


@pytest.mark.parametrize(
    ("latent", "expected"),
    [
        (0, ["river, boat, water", "tell on test stories", "AUC 0.71", "below 0.58", "3 training stories"]),
        (1, ["and, then", "do not tell on test stories"]),
        (2, ["no name", "no word is key"]),
        (3, ["hill", "is not known"]),
        (4, ["no name", "too few, or too short, to tell"]),
    ],
)
def test_a_name_stands_with_how_far_it_holds(site, latent, expected):
    beginning = Page(site / f"{latent}.html").text.partition("Does it hold?")[0]
    assert [text for text in expected if text not in beginning] == []


def test_every_verdict_has_a_sentence():
    assert set(SENTENCES) == set(LABELS)
    assert sentence("agreeing", "does not contribute to the LM").endswith(
        "stories: does not contribute to the LM."
    )
    assert sentence("unclear", "").endswith(".")


def test_the_verdict_and_its_reason_are_told(site):
    assert "does not contribute to the LM" in Page(site / "4.html").text
    assert "shared, mostly nuisance" in Page(site / "1.html").text
    assert "speech rate" in Page(site / "1.html").text.partition("Does it hold?")[0]


def test_numbers_of_the_evidence_stand_on_the_page(site):
    page = Page(site / "0.html")
    assert "r = −0.20" in section(page, "Whose energy is it?")
    assert "r0 = 0.27" in section(page, "Whose energy is it?")
    agreement = section(page, "Do brain and LM say the same of it?")
    assert agreement.startswith(" 0.40")
    assert "beyond circular shifts p = 0.01, beyond story swaps p = 0.001" in agreement
    assert "one shift in a hundred reaches 0.21" in agreement
    assert section(page, "Is it more than speech rate?").startswith(" 12.0 % of its plain agreement 0.50")
    needed = section(page, "Which source needs it?")
    assert needed.startswith(" brain and LM")
    assert "brain 1.5 % (0.9 to 2.1), LM 0.7 % (0.2 to 1.2)" in needed
    assert section(page, "Does the story drive its brain half?").startswith(" 0.55")
    assert section(page, "Is its map an artefact of slices?").startswith(" 15.0 %")
    again = section(page, "Is it found again?")
    assert again.startswith(
        " 2 of 2 other seeds with the same verdict in 1; in 1 of 1 model of other subjects"
    )
    assert section(page, "How often is it active?").startswith(" 5.0 %")


def unknown(*names: str) -> dict:
    return dict.fromkeys(names, np.nan)


@pytest.mark.parametrize(
    ("question", "changes", "expected"),
    [
        (
            "Is it more than speech rate?",
            unknown("nuisance_loss"),
            "not known asked only where plain agreement",
        ),
        (
            "Does the story drive its brain half?",
            {
                **unknown("partialled_reliability", "partialled_reliability_p", "agreement_at_ceiling"),
                "partialled_reliability_known": False,
            },
            "not known no held-out story was heard more than once",
        ),
        (
            "Is its map an artefact of slices?",
            unknown("slice_share", "slice_jumps"),
            "not known where voxels lie is not known",
        ),
        (
            "Do brain and LM say the same of it?",
            unknown("agreement", "agreement_p_shift", "agreement_p_swap"),
            "not known one of its halves does not vary",
        ),
        (
            "Which source needs it?",
            unknown(
                *(
                    f"contribution_{source}{end}"
                    for source in ("brain", "lm")
                    for end in ("", "_low", "_high")
                )
            ),
            "not known",
        ),
    ],
)
def test_what_is_not_known_says_so(tmp_path, question, changes, expected):
    site = example().with_tables(evidence=evidence(**changes)).write(tmp_path)
    assert section(Page(site / "0.html"), question).strip().startswith(expected)


def test_swaps_that_are_not_known_are_told_apart(tmp_path):
    table = evidence(swaps_known=False, agreement_p_swap=np.nan)
    site = example().with_tables(evidence=table).write(tmp_path)
    agreement = section(Page(site / "0.html"), "Do brain and LM say the same of it?")
    assert agreement.startswith(" 0.40")
    assert "too few stories to swap" in agreement


def test_one_seed_and_one_subject_leave_open_whether_it_is_found_again(tmp_path):
    again = example().tables.found_again.iloc[:0]
    site = example().with_tables(found_again=again, found_in_seeds=found_in_seeds().iloc[:0], r0=np.nan)
    page = Page(site.write(tmp_path) / "0.html")
    assert section(page, "Is it found again?").startswith(
        " not known looked for in no other seed; looked for in no other subject"
    )
    assert "r0 of white noise is not known" in page.text
    assert Page(tmp_path / "index.html").text.count("not known") == len(LIVE)


def test_a_silent_latent_has_a_page_without_passages(site):
    text = Page(site / f"{SILENT}.html").text
    assert "It is active in no test row." in text
    assert "Strongest, one a story" not in text
    assert "Its course over" not in text


def test_passages_come_from_all_strengths_and_from_silence(site):
    text = Page(site / "0.html").text
    titles = [
        "Strongest, one a story",
        "From the highest third",
        "From the middle third",
        "From the lowest third",
    ]
    titles.append("Near misses")
    assert sorted(titles, key=text.index) == titles


def test_words_are_text_whatever_they_look_like(tmp_path):
    odd = ["</td>", "<b>bold</b>", "&amp;", "</script>", '"quoted"', "{{ 7 * 7 }}"]
    words = tuple((odd * 40)[:220] for _ in range(2))
    site = example(words, story_names=("<script>alert(1)</script>", "oldcamera"))
    names = site.tables.names.assign(name=["</script><script>alert(2)</script>", "</td>", "", "hill"])
    folder = site.with_tables(names=names).write(tmp_path)
    for page in pages(folder):
        if page.path.name not in ("index.html", f"{SILENT}.html"):
            assert "<script>alert(1)</script>" in page.text
            assert page.all("script") == []
            assert "</td> <b>bold</b> &amp; </script>" in page.text
            assert "{{ 7 * 7 }}" in page.text
    index = Page(folder / "index.html")
    assert "</script><script>alert(2)</script>" in index.text
    # The chart's library, the chart, the table.
    assert len(index.all("script")) == 3
    assert len(index.all("tr")) == 1 + len(LIVE)


def test_the_table_can_be_searched_for_every_word_of_the_strongest_passages(site):
    rows = (site / "index.html").read_text().partition("<tbody>")[2].split("<tr>")[1:]
    html = (
        (site / "0.html").read_text().partition("Strongest, one a story")[2].partition("From the highest")[0]
    )
    words = set(re.findall(r"word\d+", " ".join(re.findall(r"<mark[^>]*>([^<]*)<", html))))
    assert words and set(re.findall(r"word\d+", rows[0])) == words
    assert "<b>river, boat, water</b>" in rows[0]


def test_the_index_counts_verdicts(site):
    text = Page(site / "index.html").text
    assert "1 shared, mostly nuisance" in text
    assert f"{len(LIVE)} live latents; 1 dead ones have no page" in text
    assert f"{2 * N_TRS} test TRs of 2 stories" in text


def test_the_scatter_knows_every_latents_page(site):
    chart = (site / "index.html").read_text().rpartition("vegaEmbed(")[2]
    assert re.findall(r'"page": "(\d+)\.html"', chart) == [str(latent) for latent in LIVE]


def test_maps_are_shown_with_partners_where_the_verdict_says_most(with_maps):
    shared, agreeing = Page(with_maps / "0.html"), Page(with_maps / "4.html")
    assert [of["src"] for of in shared.all("img")] == [
        "maps/0.png",
        "maps/0-SIM01-seed1.png",
        "maps/0-SIM02-seed1.png",
    ]
    assert "found again as latent 3 there, shared; activations correlate at 0.80" in shared.text
    assert [of["src"] for of in agreeing.all("img")] == ["maps/4.png"]
    assert "not found again" in Page(with_maps / "2.html").text


def test_what_is_to_be_said_of_a_flatmap_stands_below_each(with_maps, tmp_path):
    note, case = "Approximate flatmap: a test.", cortex_example()
    brain = replace(case.brain, anatomy=replace(case.brain.anatomy, note=note))
    partners = tuple(replace(partner, brain=brain) for partner in case.partners)
    pages = replace(case, brain=brain, partners=partners).write(tmp_path)
    n_maps = sum("maps/" in image["src"] for image in Page(pages / "0.html").all("img"))
    assert n_maps > 1 and Page(pages / "0.html").text.count(note) == n_maps
    assert "pproximate" not in Page(with_maps / "0.html").text


def test_areas_stand_on_both_sides_of_a_cortex(with_maps):
    text = Page(with_maps / "0.html").text
    assert "voxels L R mean weight (10⁻³) L R share of energy L R" in text
    assert "V1" in text.partition("Areas")[2]
    assert "Most of its energy: " in Page(with_maps / "0.html").all("img")[0]["alt"]


def test_without_a_cortex_a_partner_has_a_plot_of_its_own(tmp_path):
    case = example()
    site = replace(case, partners=(Partner("SIM02", 1, case.brain),)).write(tmp_path)
    page = Page(site / "0.html")
    assert page.all("img") == []
    assert [of["aria-label"] for of in page.all("svg")][:2] == [
        "Decoder map of latent 0 of SIM01. Most of its energy: all voxels 100.0 %.",
        "Decoder map of latent 3 of SIM02, seed 1, in which latent 0 is found again.",
    ]


def test_regions_are_drawn_where_there_is_no_cortex(tmp_path):
    case = example()
    table = case.voxels.assign(rois=["V1", "A1;<b>"] * 20)
    site = replace(case, voxels=table, brain=replace(case.brain, anatomy=table)).write(tmp_path)
    page = Page(site / "0.html")
    assert "A1 (20)" not in page.text
    assert {"V1", "A1", "<b>"} <= set(page.text.partition("Does it hold?")[0].split())
    assert "area voxels mean weight (10⁻³) share of energy" in page.text


def test_weights_of_shown_latents_can_be_downloaded(site):
    links = [of["href"] for of in Page(site / "0.html").all("a") if "download" in of]
    assert links == ["weights/0.npz"]
    case = example()
    with np.load(site / links[0]) as saved:
        np.testing.assert_array_equal(saved["brain"], case.brain.decoder[0])
        np.testing.assert_array_equal(saved["lm"], case.decoders["lm"][:, 0])
    assert [of for of in Page(site / "1.html").all("a") if "download" in of] == []


def test_the_code_of_a_page_loads_its_weights(site):
    text = Page(site / "3.html").text.partition("Its weights")[2]
    assert 'Crosscoder.load("results/demo/SIM01/matched/seed0/crosscoder.safetensors")' in text
    assert 'model.weights["brain"][:, 3]' in text


def test_weights_lie_in_the_volume_where_their_voxels_are(with_maps):
    case = cortex_example()
    assert [of["href"] for of in Page(with_maps / "0.html").all("a") if "download" in of][
        1
    ] == "weights/0.nii.gz"
    image = nibabel.load(with_maps / "weights" / "0.nii.gz")
    places = case.voxels[["i", "j", "k"]].to_numpy(int)
    np.testing.assert_array_equal(image.get_fdata()[tuple(places.T)], case.brain.decoder[0].astype(float))
    np.testing.assert_array_equal(image.affine, case.volume.affine)


def test_pages_are_the_same_bytes_each_time(with_maps, tmp_path):
    again = cortex_example().write(tmp_path)
    files = [path for path in with_maps.rglob("*") if path.is_file()]
    assert {".html", ".css", ".png", ".npz", ".gz"} == {path.suffix for path in files}
    different = [
        path.name for path in files if path.read_bytes() != (again / path.relative_to(with_maps)).read_bytes()
    ]
    assert different == []


def test_recordings_of_different_models_are_refused():
    recordings = example().recordings
    with pytest.raises(InputError, match="take all from one model"):
        Recordings(recordings.stories, recordings.activation[:-1], recordings.brain, recordings.lm)


def test_a_joint_models_first_page_leads_to_its_brains(tmp_path):
    for member in ("S1", "S2"):
        example().write(tmp_path / member)
    write_contents(tmp_path, "both & <all>", ["S1", "S2"])
    page = Page(tmp_path / "index.html")
    assert [link for link in page.links() if (tmp_path / link).is_file()] == [
        "S1/index.html",
        "S2/index.html",
    ]
    assert "Joint model both & <all>" in page.text


def test_a_run_with_nothing_alive_still_has_a_first_page(tmp_path):
    table = evidence()
    table["alive"], table["verdict"], table["qualifier"], table["reason"] = False, "dead", "", ""
    site = example().with_tables(evidence=table).write(tmp_path)
    assert [path.name for path in site.glob("*.html")] == ["index.html"]
    assert "0 live latents; 8 dead ones have no page" in Page(site / "index.html").text


def test_a_thousand_latents_fit_the_sizes_that_a_folder_may_have(site):
    # What a page and a row of the table take, beside what is there once.
    pages_bytes = max(path.stat().st_size for path in site.glob("[0-9]*.html"))
    index = (site / "index.html").read_text()
    rows = index.partition("<tbody>")[2].partition("</tbody>")[0]
    points = index.rpartition("vegaEmbed(")[2].partition("</script>")[0]
    assert pages_bytes <= 150_000
    of_latents = (len(rows.encode()) + len(points.encode())) / len(LIVE)
    assert len(index.encode()) + 1024 * of_latents <= 3_000_000
