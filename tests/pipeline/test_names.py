"""Names: what is accepted goes unharmed through files, a cluster's commands and tables; the rest is refused."""

import re
import shlex
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.target_jobs import parse_target_jobs_cli_args
from snakemake_interface_executor_plugins.utils import (
    TargetSpec,
    encode_target_jobs_cli_args,
    format_cli_arg,
)

from pipeline.names import LONGEST_NAME, RESULT_FOLDERS, SUBJECT_RESULTS, folded, look_alikes, name_fault

RULES = Path(__file__).parents[2] / "workflow" / "rules"
ODD_NAMES = ["NA", "null", "None", "nan", "inf", "true", "007", "1e5", "a.b", "no", "x-", "x_", "n-a"]
LETTERS = st.characters(categories=["L", "M", "Nd"], include_characters="-_.")
STORY_NAMES = st.text(LETTERS, min_size=1).filter(lambda name: name_fault(name, any_alphabet=True) is None)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_that_look_like_something_else_are_accepted(name):
    assert name_fault(name) is None
    assert name_fault(name, any_alphabet=True) is None


@pytest.mark.parametrize("name", ["forêt", "Ωdyssey", "猫", "कहानी", "дом1", "٣"])
def test_letters_of_all_alphabets_are_accepted_where_nothing_draws_them(name):
    assert name_fault(name, any_alphabet=True) is None
    assert "must consist of letters from a to z, digits" in name_fault(name)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "consist of letters"),
        *(
            (f"x{character}y", "consist of letters")
            for character in "/\\{}'\"$`;,=: \t\n\r&|<>()[]*?!#%^~+@\0\u00a0\u200b\u2028½²—’"
        ),
        ("../x", "consist of letters"),
        ("x\n", "consist of letters"),
        (".x", "begin with a letter or a digit"),
        ("..", "begin with a letter or a digit"),
        ("-x", "begin with a letter or a digit"),
        ("_x", "begin with a letter or a digit"),
        ("x.", "not end with a dot"),
        ("fore\u0302t", "composed"),
        ("x" * (LONGEST_NAME + 1), f"{LONGEST_NAME} bytes"),
        ("猫" * (LONGEST_NAME // 3 + 1), f"{LONGEST_NAME} bytes"),
    ],
)
def test_other_names_are_refused(name, fault):
    found = name_fault(name, any_alphabet=True)
    assert found.startswith("must ") and fault in found
    assert found.isprintable()


def test_the_longest_name_is_accepted():
    assert name_fault("x" * LONGEST_NAME) is None


@settings(max_examples=200, deadline=None)
@given(story=STORY_NAMES, subject=NAMES)
def test_accepted_names_reach_a_job_on_a_cluster_as_they_are(story, subject):
    # As Snakemake hands a job to a shell, and as the job's own Snakemake reads it.
    wildcards = {"subject": subject, "story": story}
    words = format_cli_arg("--target-jobs", encode_target_jobs_cli_args([TargetSpec("rule", wildcards)]))
    within_quotes = shlex.split(f'"{words}"')[0]
    for command in (words, within_quotes):
        (target,) = parse_target_jobs_cli_args(shlex.split(command)[1:])
        assert target.wildcards_dict == wildcards


@settings(max_examples=100, deadline=None)
@given(name=STORY_NAMES)
def test_the_file_of_an_accepted_name_lies_in_its_folder_under_its_name(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("names")
    (folder / f"{name}.zarr").write_text("")
    assert [path.stem for path in folder.iterdir()] == [name]


def test_names_are_alike_if_capitals_or_accents_alone_tell_them_apart():
    assert look_alikes(["forest", "harbour", "Forest"]) == ("forest", "Forest")
    composed = "for\u00eat"
    assert look_alikes([composed, unicodedata.normalize("NFD", composed)]) is not None
    assert look_alikes(["forest", "forest", "forêt", "foret"]) is None
    assert folded("STRASSE") == folded("straße")


def test_no_subject_can_be_called_like_what_lies_beside_the_subjects_results():
    text = "".join(file.read_text(encoding="utf-8") for file in sorted(RULES.glob("*.smk")))
    beside = set(re.findall(r"(?:\{RESULTS\}|<results>)/(\w+)", text))
    assert {"figures", "tables", "words", "simulation"} <= beside
    # And what no rule names: records, models that are shared, and a dataset that is made or downloaded.
    assert beside | {"provenance", "shared", "ds003020"} == RESULT_FOLDERS
    assert set(re.findall(r"<results>/\{subject\}/([\w.]+)", text)) == SUBJECT_RESULTS
