"""`snakemake check_dataset` tells all that is wrong with a dataset's files at once, and what is odd about them."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from brainlm.files import read_tsv
from tests.workflow.test_local_dataset import N_ROWS, SUBJECT, example, write_dataset
from tiny_dataset import Workspace

WORDS = "word\tonset\toffset\n"


@pytest.fixture
def local(tmp_path) -> Workspace:
    """The local dataset of config/README.md, without a language model: no job here needs one."""
    config = example()
    config["language_model"]["path_or_hub_id"] = "org/model"
    write_dataset(tmp_path / config["dataset"]["root"], config)
    return Workspace(tmp_path, config)


def edit(hdf5: Path, change) -> None:
    with h5py.File(hdf5, "r+") as file:
        data = file["data"][:]
        del file["data"]
        file["data"] = change(data)


def test_all_faults_of_a_dataset_are_told_at_once(local):
    derivative = local.folder / "mydata" / "derivative"
    responses, transcripts = derivative / "preprocessed_data" / SUBJECT, derivative / "transcripts"
    sound = local.snakemake("check_dataset")
    assert sound.returncode == 0, sound.stdout[-3000:]
    assert "The dataset can be used (0 faults, 1 oddity)" in sound.stdout
    assert "1 of 15 voxels are constant or somewhere not finite" in sound.stdout

    edit(responses / "forest.hf5", lambda data: data[:-3])
    edit(responses / "harbour.hf5", lambda data: data[:, 1:])
    (responses / "null.hf5").write_bytes(b"")
    edit(responses / "NA.hf5", lambda data: 5 + 7 * data)
    (transcripts / "harbour.tsv").unlink()
    (transcripts / "forest.tsv").write_text(WORDS + "once\t0.5\t0.8\nupon\t0,9\t1\n")
    few = "".join(f"word\t{second}\t{second + 0.5}\n" for second in (1, 60, 100))
    (transcripts / "NA.tsv").write_text(WORDS + few)
    columns = derivative / "nuisances" / "null.tsv"
    columns.write_text(columns.read_text().replace("\t9\n", "\t9,5\n"))

    checked = local.snakemake("check_dataset")
    assert checked.returncode == 1 and "Traceback" not in checked.stdout
    expected = [
        f"{responses / 'forest.hf5'} has {N_ROWS['forest'] - 3} rows (TRs), but {N_ROWS['forest']} are expected",
        f"{responses / 'harbour.hf5'} has 14 voxels, but {responses / 'forest.hf5'} has 15",
        f"{responses / 'null.hf5'} is empty",
        "names the unknown story 'harbour'",
        f"{transcripts / 'forest.tsv'}, line 3: the onset '0,9' is no number",
        f"{columns}, story 'null': the column 'class' has no finite number in 1 of {N_ROWS['null']} rows (TRs): 9",
    ]
    impossible = checked.stdout[checked.stdout.index("A run is impossible:") :]
    assert [
        sentence for sentence in expected if sentence.replace(f"{local.folder}/", "") not in impossible
    ] == []
    odd = checked.stdout[checked.stdout.index("Odd, but") : checked.stdout.index("A run is impossible:")]
    assert "15 of 15 voxels are not z-scored" in odd and "it has 3 words for a recording of" in odd
    assert "the dataset cannot be used as it is (6 faults, " in checked.stdout

    table = read_tsv(local.results / "tables" / "dataset.tsv").set_index("story")
    assert set(table.index) == set(N_ROWS) and set(table["subject"]) == {SUBJECT}
    assert table.loc["NA", "words"] == 3 and table.loc["NA", "last word (s)"] == 100.5
    assert table.loc["forest", "TRs"] == N_ROWS["forest"] - 3 and table.loc["harbour", "voxels"] == 14
    assert table.loc["harbour", "missing"] == "transcript"
    for kind in ("md", "html"):
        assert "not z-scored" in (local.results / "tables" / f"dataset.{kind}").read_text()

    # A run that needs none of these files is not begun either: first what make_plan sees, then what the shapes tell.
    target = f"results/mydata/responses/{SUBJECT}/1e5.zarr"
    run = local.snakemake(target)
    assert run.returncode == 1 and "names the unknown story 'harbour'" in run.stdout
    (transcripts / "harbour.tsv").write_text(WORDS + few)
    run = local.snakemake(target)
    assert run.returncode == 1 and "Traceback" not in run.stdout
    assert [
        sentence for sentence in expected[:3] if sentence.replace(f"{local.folder}/", "") not in run.stdout
    ] == []
    assert not (local.folder / target).exists()


def test_what_the_lengths_of_recordings_make_impossible_stops_a_dry_run_too(local):
    run = local.changed(ridge__n_folds=4, scores__minimum_shift_s=100).snakemake("--dry-run")
    assert run.returncode == 1
    sentences = [line for line in run.stdout.splitlines() if line.startswith("Config: ")]
    assert [sentence.split(" is ")[0] for sentence in sentences] == [
        "Config: ridge.n_folds",
        "Config: scores.minimum_shift_s",
    ]
    (local.folder / "mydata" / "derivative" / "preprocessed_data" / SUBJECT / "null.hf5").unlink()
    run = local.snakemake("--dry-run")
    assert run.returncode == 1 and f"'{SUBJECT}' has 2 training stories" in run.stdout
    assert f"{SUBJECT} has no responses to 1 of 5 stories (1 train)" in run.stdout
    respdict = local.folder / "mydata" / "derivative" / "respdict.json"
    respdict.write_text(json.dumps(dict.fromkeys(N_ROWS, np.pi)))
    run = local.snakemake("--dry-run")
    assert run.returncode == 1 and run.stdout.count("but a whole number of volumes is needed") == len(N_ROWS)
