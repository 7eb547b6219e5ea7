from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.files import (
    check_downloaded,
    read_tsv,
    whole_file,
    whole_folder,
    write_atomically,
    write_tsv,
)


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("old")
    with whole_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "table.tsv"
    path.write_text("old")
    with pytest.raises(error), whole_file(path) as partial:
        partial.write_text("half")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "new" / "x.tsv"
    write_atomically(path, b"a long first version")
    write_atomically(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "folder"
    for names in (["a", "b"], ["c"]):
        with whole_folder(path) as partial:
            assert list(partial.iterdir()) == []
            for name in names:
                (partial / name).touch()
        assert sorted(file.name for file in path.iterdir()) == names
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path, error):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    # What a process that was killed has left.
    (tmp_path / "folder.partial").mkdir()
    (tmp_path / "folder.partial" / "half").touch()
    with pytest.raises(error), whole_folder(path) as partial:
        assert list(partial.iterdir()) == []
        (partial / "half").touch()
        raise error
    assert list(path.iterdir()) == [path / "old"] and list(tmp_path.iterdir()) == [path]


# Tables


def test_tsv_holds_the_data_and_reads_back(tmp_path):
    frame = pd.DataFrame(
        {
            "latent": pd.array([3, None], "Int64"),
            "r": [1 / 3, np.nan],
            "mixed": pd.Series([4, 0.25], dtype=object),
            "alive": [True, False],
            "passage": ['say "a\tb"', "naïve – 😀"],
        }
    )
    write_tsv(frame, tmp_path / "a.b.tsv")
    lines = (tmp_path / "a.b.tsv").read_text().splitlines()
    assert lines[2] == "n/a\tn/a\t0.25\tFalse\tnaïve – 😀"
    assert lines[1].startswith("3\t0.3333333\t4\tTrue\t")
    back = pd.read_csv(tmp_path / "a.b.tsv", sep="\t")
    assert back["passage"].tolist() == frame["passage"].tolist()
    assert np.isnan(back["r"].iloc[1])


NAMES = st.one_of(
    st.sampled_from(["NA", "null", "None", "nan", "NaN", "inf", "true", "007", "1e5", "n-a", "0x1", "1_000"]),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True),
)


ROWS = st.tuples(NAMES, NAMES, st.sampled_from(["", "n/a and NA", 'say "a\tb"', "naïve"]), st.booleans())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(rows=st.lists(ROWS, min_size=1, max_size=5), data=st.data())
def test_names_come_back_as_they_were_and_missing_numbers_are_missing(tmp_path_factory, rows, data):
    floats = st.one_of(st.just(np.nan), st.sampled_from([-0.25, 0.0, 1.0, 2.5, np.inf]))
    value = np.array(data.draw(st.lists(floats, min_size=len(rows), max_size=len(rows))))
    frame = pd.DataFrame(rows, columns=["subject", "story", "passage", "alive"])
    frame = frame.assign(seed=range(len(rows)), r=value, source=frame["subject"].to_numpy())
    folder = tmp_path_factory.mktemp("tables")
    frame.to_csv(folder / "of_a_script.tsv", sep="\t", index=False)
    write_tsv(frame, folder / "of_a_run.tsv")
    write_tsv(frame, folder / "exact.tsv", digits=None)
    for name in ("of_a_script", "of_a_run", "exact"):
        back = read_tsv(folder / f"{name}.tsv")
        for column in ("subject", "story", "passage", "source", "alive", "seed"):
            assert back[column].tolist() == frame[column].tolist()
        np.testing.assert_array_equal(back["r"].to_numpy(float), value)
        assert len(list(back.groupby("source"))) == frame["source"].nunique()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    wide=st.lists(st.floats(), min_size=1, max_size=20),
    narrow=st.floats(width=32),
    count=st.integers(-(2**53), 2**53),
)
def test_a_table_with_all_digits_comes_back_as_it_was(tmp_path_factory, wide, narrow, count):
    path = tmp_path_factory.mktemp("tables") / "a.b.tsv"
    frame = pd.DataFrame({"wide": wide, "count": count, "story": "007", "done": True})
    write_tsv(frame.assign(narrow=np.float32(narrow)), path, digits=None)
    back = read_tsv(path)
    for column in frame:
        np.testing.assert_array_equal(back[column].to_numpy(), frame[column].to_numpy())
    np.testing.assert_array_equal(back["narrow"].to_numpy(np.float32), np.float32(narrow))
    assert path.read_text().count("n/a") == np.isnan(wide).sum() + len(wide) * np.isnan(narrow)


@pytest.mark.parametrize("digits", [7, None])
def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path, digits):
    path = tmp_path / "table.tsv"
    write_tsv(pd.DataFrame({"r": [0.5]}), path, digits=digits)
    with pytest.raises(UnicodeEncodeError):
        write_tsv(pd.DataFrame({"word": ["\ud800"]}), path, digits=digits)
    assert path.read_text() == "r\n0.5\n" and list(tmp_path.iterdir()) == [path]


# Files that are not here


KEY = "annex/objects/MD5E-s872355--24e95f7dd974af6644c139b55a0d8f35.TextGrid"


def test_a_file_that_is_here_passes(tmp_path):
    (tmp_path / "story.hf5").write_bytes(b"\x89HDF")
    check_downloaded(tmp_path / "story.hf5")
    (tmp_path / "link.hf5").symlink_to(tmp_path / "story.hf5")
    check_downloaded(tmp_path / "link.hf5")


def test_a_missing_file_does_not_exist(tmp_path):
    with pytest.raises(InputError, match=r"story\.hf5 does not exist"):
        check_downloaded(tmp_path / "story.hf5")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        check_downloaded(tmp_path)


def test_a_dangling_link_has_not_been_downloaded(tmp_path):
    (tmp_path / "story.hf5").symlink_to(Path("../.git") / KEY)
    with pytest.raises(InputError, match=r"story\.hf5 has not been downloaded.*`datalad get`"):
        check_downloaded(tmp_path / "story.hf5")


@pytest.mark.parametrize("content", [f"/{KEY}\n", f"../../.git/{KEY}"])
def test_a_pointer_file_has_not_been_downloaded(tmp_path, content):
    (tmp_path / "story.hf5").write_text(content)
    with pytest.raises(InputError, match=r"story\.hf5 has not been downloaded"):
        check_downloaded(tmp_path / "story.hf5")


def test_a_real_file_may_mention_the_annex(tmp_path):
    (tmp_path / "story.TextGrid").write_text(f"! fetched from {KEY}\n" + "x" * 2000)
    check_downloaded(tmp_path / "story.TextGrid")
