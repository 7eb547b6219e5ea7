"""An atlas that a config names: for volumes alone, and its files must be there."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.datasets.local import Source
from pipeline.errors import ConfigError


class Volumes(Source):
    """Stands for a source that reads volumes."""

    def cortex_kind(self, subject: str) -> str:
        return "mni"

    def _faults(self, stories: Any, segments: Any) -> list[str]:
        return []


def dataset(atlas: Path | str | None, kind: type[Source] = Volumes) -> Source:
    settings = {"source": "local", "stories": "stories.tsv", "atlas": atlas and str(atlas)}
    return kind({"dataset": settings, "subjects": ["sub-01", "sub-02"], "themes": {"night": ["at night"]}})


def test_an_atlas_is_an_image_and_a_table_beside_it(tmp_path):
    files = [tmp_path / "aal_dseg.nii.gz", tmp_path / "aal_dseg.tsv"]
    for file in files:
        file.touch()
    volumes = dataset(files[0])
    assert volumes.faults({}, {}) == [] and volumes.atlas("sub-02") == list(map(str, files))
    assert dataset(None).faults({}, {}) == [] and dataset(None).atlas("sub-01") == []


@pytest.mark.parametrize(
    ("name", "there", "message"),
    [
        ("aal.nii.gz", [], r"dataset\.atlas needs .*aal\.nii\.gz, which does not exist\."),
        ("aal.nii.gz", ["aal.nii.gz"], r"dataset\.atlas needs .*aal\.tsv, which does not exist\."),
        ("aal.tsv", ["aal.tsv"], r"dataset\.atlas names .*aal\.tsv, but an image \.nii\.gz is needed\."),
    ],
)
def test_what_an_atlas_lacks_is_named(tmp_path, name, there, message):
    for file in there:
        (tmp_path / file).touch()
    with pytest.raises(ConfigError, match=message):
        dataset(tmp_path / name).faults({}, {})


def test_only_volumes_have_an_atlas(tmp_path):
    with pytest.raises(ConfigError, match="dataset.atlas is for volumes .*: leave it out"):
        dataset(tmp_path / "aal.nii.gz", kind=Source).faults({}, {})
