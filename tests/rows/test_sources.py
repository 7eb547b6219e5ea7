"""A small file stands for the stores of all stories: it names them, and changes with what they hold."""

from pathlib import Path

from brainlm.rows.sources import Source, load_sources, missing_stores, save_sources


def example(folder: Path) -> dict[str, Source]:
    """Two sources of two stories, whose stores are empty folders."""
    sources = {
        name: Source(array, {story: folder / name / f"{story}.zarr" for story in ("forêt", "a.b")})
        for name, array in (("brain", "bold"), ("lm", "features"))
    }
    for store in stores_of(sources):
        store.mkdir(parents=True)
    return sources


def stores_of(sources: dict[str, Source]) -> list[Path]:
    return [store for source in sources.values() for store in source.stores.values()]


def save(sources: dict[str, Source], path: Path, digest: str = "sha256:0") -> bytes:
    save_sources(sources, dict.fromkeys(stores_of(sources), digest), path)
    return path.read_bytes()


def test_a_list_gives_back_what_it_was_made_of_in_order(tmp_path):
    sources = example(tmp_path / "stores")
    save(sources, tmp_path / "S1" / "list.json")
    read = load_sources(tmp_path / "S1" / "list.json")
    assert read == sources
    assert [list(source.stores) for source in read.values()] == [["forêt", "a.b"]] * 2


def test_stores_are_found_where_list_and_stores_were_moved_together(tmp_path, monkeypatch):
    sources = example(tmp_path / "here" / "stores")
    save(sources, tmp_path / "here" / "S1" / "list.json")
    (tmp_path / "here").rename(tmp_path / "there")
    monkeypatch.chdir(tmp_path)
    read = load_sources(Path("there", "S1", "list.json"))
    assert missing_stores(read) == []
    assert read["lm"].stores["a.b"] == Path("there", "stores", "lm", "a.b.zarr")


def test_a_list_changes_with_what_a_store_holds_and_with_nothing_else(tmp_path):
    sources = example(tmp_path / "stores")
    first = save(sources, tmp_path / "list.json")
    assert save(sources, tmp_path / "list.json") == first
    assert save(sources, tmp_path / "list.json", digest="sha256:1") != first


def test_stores_that_are_gone_are_named(tmp_path):
    sources = example(tmp_path)
    sources["brain"].stores["a.b"].rmdir()
    assert missing_stores(sources) == [sources["brain"].stores["a.b"]]
