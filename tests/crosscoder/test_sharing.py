"""A shared folder is all that another lab needs, and whatever is wrong with one is said in a sentence."""

import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from brainlm import Crosscoder
from brainlm.crosscoder.sharing import describe, save_pretrained
from brainlm.errors import InputError
from tests.hub_server import COMMIT, NAME, Hub

MODELS = sorted((Path(__file__).parent / "models").glob("*.safetensors"))
CARD = "---\nlicense: mit\n---\n\n# A crosscoder\n"


@pytest.fixture
def model() -> Crosscoder:
    """4 voxels, the third left out of the model, 2 hidden dimensions, 3 latents, 2 of them active."""
    return Crosscoder.load(MODELS[0].with_name("format2.safetensors"))


@pytest.fixture
def shared(model, tmp_path) -> Path:
    save_pretrained(
        model, tmp_path / "shared", card=CARD, trained_on={"subject": "S1", "tr_s": np.float64(2)}
    )
    return tmp_path / "shared"


@pytest.fixture
def rows() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {"brain": random.normal(1, 2, (50, 4)), "lm": random.normal(0, 3, (50, 2))}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def config_of(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def change_config(folder: Path, **changed) -> None:
    (folder / "config.json").write_text(json.dumps({**config_of(folder), **changed}), encoding="utf-8")


def refused(source: str | Path, **options) -> str:
    with pytest.raises(InputError) as error:
        Crosscoder.from_pretrained(source, **options)
    assert error.value.__cause__ is None and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_another_process_encodes_to_the_same_numbers_with_the_folder_alone(file, rows, tmp_path):
    model = Crosscoder.load(file)
    save_pretrained(model, tmp_path / "shared", card=CARD, trained_on=model.provenance)
    np.savez(tmp_path / "rows.npz", **rows)
    (tmp_path / "empty").mkdir()
    program = (
        "import sys, numpy as np; from brainlm import Crosscoder; "
        "model = Crosscoder.from_pretrained(sys.argv[1]); z = model.encode(dict(np.load(sys.argv[2]))); "
        "np.savez(sys.argv[3], z=z, **model.decode(z))"
    )
    arguments = [str(tmp_path / name) for name in ("shared", "rows.npz", "z.npz")]
    subprocess.run([sys.executable, "-c", program, *arguments], cwd=tmp_path / "empty", check=True)
    z = model.encode(rows)
    # On one machine, from the same bytes: not a bit may differ.
    with np.load(tmp_path / "z.npz") as found:
        np.testing.assert_array_equal(found["z"], z, strict=True)
        for source, decoded in model.decode(z).items():
            np.testing.assert_array_equal(found[source], decoded, strict=True)


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_config_and_arrays_are_enough_without_brainlm(file, rows, tmp_path):
    model = Crosscoder.load(file)
    save_pretrained(model, tmp_path / "shared", card=CARD, trained_on={})
    config, arrays = config_of(tmp_path / "shared"), load_file(tmp_path / "shared" / "model.safetensors")
    p, norms = arrays["bias"].astype(float), 0
    for s in config["sources"]:
        x = (rows[s][:, arrays[f"kept.{s}"]] - arrays[f"offset.{s}"]) / arrays[f"scale.{s}"]
        encoder = arrays[f"weights.{s}" if config["tied"] else f"encoder.{s}"]
        p = p + x / config["normalization"][s]["mean_norm"] @ encoder
        norms = norms + np.square(arrays[f"weights.{s}"]).sum(axis=0)
    activation = config["activation"]
    compared = p * np.sqrt(norms) if activation["select_by"] == "contribution" else p
    if activation["kind"] == "top k":
        kept = compared >= np.sort(compared, axis=1)[:, [-config["k"]]]
    else:
        kept = compared > activation["threshold"]
    z = np.where(kept, p, 0)
    np.testing.assert_allclose(model.encode(rows), np.maximum(z, 0) if activation["relu"] else z, rtol=1e-4)


def test_the_folder_holds_the_models_own_file_a_config_and_the_card(model, shared, tmp_path):
    model.save(tmp_path / "own.safetensors")
    assert sorted(contents(shared)) == ["README.md", "config.json", "model.safetensors"]
    assert (shared / "model.safetensors").read_bytes() == (tmp_path / "own.safetensors").read_bytes()
    assert (shared / "README.md").read_text() == CARD
    config = config_of(shared)
    assert config["trained_on"] == {"subject": "S1", "tr_s": 2.0}
    assert config["widths"] == {"brain": 4, "lm": 2} and config["kept"] == {"brain": 3, "lm": 2}
    assert (config["n_latents"], config["k"], config["live_latents"]) == (3, 2, 2)
    assert config["normalization"]["brain"] == {"standardize": "zscore", "mean_norm": 0.5}
    with safe_open(shared / "model.safetensors", "np") as file:
        assert {f"weights.{source}" for source in config["sources"]} <= set(file.keys())


def test_what_is_read_is_what_was_shared(model, shared):
    again = Crosscoder.from_pretrained(str(shared))
    assert describe(again) == describe(model) and again.provenance == model.provenance
    np.testing.assert_array_equal(again.alive, model.alive)


def test_the_card_is_not_needed_and_other_files_do_no_harm(shared):
    (shared / "README.md").unlink()
    (shared / ".gitattributes").touch()
    (shared / "figures").mkdir()
    Crosscoder.from_pretrained(shared)


def test_a_folder_is_replaced_by_a_whole_one_or_stays(model, shared, monkeypatch):
    before = contents(shared)
    with pytest.raises(TypeError):
        save_pretrained(model, shared, card=CARD, trained_on={"x": {1, 2}})
    assert contents(shared) == before and list(shared.parent.iterdir()) == [shared]
    save_pretrained(replace(model, k=1), shared, card="# Another\n", trained_on={})
    assert Crosscoder.from_pretrained(shared).k == 1
    assert (shared / "README.md").read_text() == "# Another\n" and list(shared.parent.iterdir()) == [shared]


def test_parent_folders_are_made_and_an_empty_one_is_taken(model, tmp_path):
    for folder in (tmp_path / "a" / "b", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        save_pretrained(model, folder, card=CARD, trained_on={})
        assert Crosscoder.from_pretrained(folder).n_latents == 3


@pytest.mark.parametrize(
    "there",
    [
        {"notes.txt": "mine"},
        {"README.md": "mine"},
        {"model.safetensors": "", "config.json": '{"model_type": "llama"}', "README.md": ""},
        {"model.safetensors": "", "config.json": "no JSON"},
    ],
    ids=["notes", "a card alone", "another model", "a damaged config"],
)
def test_nobody_elses_folder_is_replaced(model, tmp_path, there):
    (tmp_path / "folder").mkdir()
    for name, text in there.items():
        (tmp_path / "folder" / name).write_text(text)
    before = contents(tmp_path / "folder")
    with pytest.raises(InputError, match="there is something else: move it away"):
        save_pretrained(model, tmp_path / "folder", card=CARD, trained_on={})
    assert contents(tmp_path / "folder") == before


def test_a_file_is_not_replaced_by_a_folder(model, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="there is something else"):
        save_pretrained(model, tmp_path / "file", card=CARD, trained_on={})
    assert (tmp_path / "file").read_text() == "mine"


# What cannot be read


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_an_incomplete_folder_tells_what_it_lacks(shared, name):
    (shared / name).unlink()
    assert f"{shared} lacks {name}" in refused(shared)


def test_an_empty_folder_and_a_run_s_folder_are_told_what_to_do(tmp_path, model):
    model.save(tmp_path / "seed0" / "crosscoder.safetensors")
    assert "lacks config.json" in refused(tmp_path / "seed0") and "Crosscoder.load" in refused(tmp_path)
    message = refused(tmp_path / "seed0" / "crosscoder.safetensors")
    assert "is a file" in message and "Crosscoder.load" in message


@pytest.mark.parametrize(
    "source",
    ["./nothing", "~/no/such/folder", "/no/such", "a/b/c", "gone.safetensors", Path("gone")],
    ids=str,
)
def test_a_path_of_nothing_is_not_looked_for_on_the_hub(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused(source) == f"The crosscoder {source} does not exist: no such file or folder."


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"no JSON"])
def test_a_config_that_is_no_json(shared, content):
    (shared / "config.json").write_bytes(content)
    assert "config.json cannot be read as JSON" in refused(shared)


@pytest.mark.parametrize(
    ("content", "said"),
    [("[]", "does not say which"), ("{}", "does not say which"), ('{"model_type": "llama"}', "llama")],
)
def test_the_folder_of_another_kind_of_model(shared, content, said):
    (shared / "config.json").write_text(content)
    message = refused(shared)
    assert "another kind of model" in message and said in message


def test_a_later_format_tells_to_install_the_version_that_wrote_it(shared):
    change_config(shared, format="brainlm crosscoder 99")
    message = refused(shared)
    assert "'brainlm crosscoder 99'" in message and "install the version" in message


@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_a_damaged_file_of_weights(shared, place):
    content = bytearray((shared / "model.safetensors").read_bytes())
    content[int(place * (len(content) - 1))] ^= 0xFF
    (shared / "model.safetensors").write_bytes(content)
    assert "model.safetensors is damaged, or does not belong" in refused(shared)


@pytest.mark.parametrize("kept_bytes", [0, 10, -1])
def test_a_truncated_file_of_weights(shared, kept_bytes):
    path = shared / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept_bytes])
    assert "is damaged" in refused(shared)


def test_a_pointer_in_place_of_the_weights(shared):
    # What a clone of a repository without Git LFS has.
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 12345\n"
    (shared / "model.safetensors").write_text(pointer)
    assert "is damaged" in refused(shared)


def test_weights_of_another_model_of_the_same_shape(model, shared, tmp_path):
    replace(model, bias=model.bias + 1).save(shared / "model.safetensors")
    assert "does not belong to the config.json beside it" in refused(shared)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"n_latents": 128}, "says n_latents 128, but the weights beside it have 3"),
        ({"widths": {"brain": 95_556, "lm": 2}}, 'says widths {"brain": 95556, "lm": 2}, but'),
        ({"sources": ["brain", "eeg"]}, 'says sources ["brain", "eeg"], but'),
        ({"k": None}, "says k null, but the weights beside it have 2"),
        ({"normalization": {}}, "says normalization {}, but"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_config_that_does_not_fit_the_weights(shared, changed, said):
    change_config(shared, **changed)
    assert said in refused(shared)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_must_not_be_read(shared, name, monkeypatch):
    is_open = io.open

    def may_open(file, *arguments, **settings):
        # Taking rights away would keep root, as whom continuous integration runs, from nothing.
        if str(file) == str(shared / name):
            raise PermissionError(13, "Permission denied", str(file))
        return is_open(file, *arguments, **settings)

    monkeypatch.setattr(io, "open", may_open)
    assert f"{name} cannot be read" in refused(shared)


# The hub


@pytest.fixture
def hub(shared, serve_as_hub) -> Hub:
    (shared / "figures").mkdir()
    (shared / "figures" / "large.png").write_bytes(b"not needed")
    (shared / "notes.pdf").write_bytes(b"not needed")
    return serve_as_hub(shared)


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_model_of_the_hub_is_downloaded_once_without_what_is_not_needed(hub, model, rows, revision):
    found = Crosscoder.from_pretrained(NAME, revision)
    np.testing.assert_array_equal(found.encode(rows), model.encode(rows))
    assert sorted(hub.downloads) == ["README.md", "config.json", "model.safetensors"]
    hub.downloads.clear()
    Crosscoder.from_pretrained(NAME, revision)
    assert hub.downloads == []


def test_what_was_downloaded_is_there_without_a_network(hub, model, rows, cut_off):
    Crosscoder.from_pretrained(NAME)
    cut_off()
    np.testing.assert_array_equal(Crosscoder.from_pretrained(NAME).encode(rows), model.encode(rows))


def test_without_a_network_it_is_said_what_to_do(hub_cache, cut_off):
    cut_off()
    message = refused(NAME)
    for advice in (f"The crosscoder '{NAME}'", str(hub_cache), f"hf download {NAME}", "local folder"):
        assert advice in message


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_model_tells_where_its_licence_is_and_how_to_log_in(hub, status):
    hub.refusal = (status, "GatedRepo")
    message = refused(NAME)
    for advice in (f"The crosscoder {NAME} is gated", f"https://huggingface.co/{NAME}", "hf auth login"):
        assert advice in message


def test_a_name_or_a_revision_that_the_hub_does_not_have(hub):
    assert "not on the Hugging Face hub" in refused("someone/nothing")
    assert re.search("no revision 'v9'", refused(NAME, revision="v9"))


def test_a_repository_of_another_kind_of_model(hub):
    (hub.folder / "config.json").unlink()
    (hub.folder / "model.safetensors").unlink()
    assert f"The crosscoder {NAME} lacks config.json" in refused(NAME)
