"""A job does the same whoever starts it: variables, home, current folder and standard input decide nothing."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tokenizers
import transformers

from brainlm.data.words import save_words
from pipeline.surroundings import settle

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = REPOSITORY / "workflow" / "scripts"

# As Snakemake does, whose job a script finds as `snakemake`.
RUN = """
import sys
from types import SimpleNamespace
sys.path.insert(0, {scripts!r})
class Named(SimpleNamespace):
    get = lambda self, name, default=None: vars(self).get(name, default)
    items = lambda self: vars(self).items()
snakemake = SimpleNamespace(
    rule="a_rule", log=["job.log"], threads=1, input=Named(), output=Named(), wildcards=Named(), params=Named(),
    resources=Named(),
)
"""


def run(program: str, folder: Path, typed: str = "", **environment: str) -> subprocess.CompletedProcess:
    """Run a program in a folder with a home of its own, in the environment that a job has."""
    (folder / "home").mkdir(exist_ok=True)
    around = {
        name: value for name, value in os.environ.items() if not name.startswith(("MPL", "ZARR", "XDG"))
    }
    around |= {"HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"} | environment
    settle(around)
    return subprocess.run(
        [sys.executable, "-c", RUN.format(scripts=str(SCRIPTS)) + program],
        cwd=folder,
        env=around | {"PYTHONPATH": str(REPOSITORY)},
        input=typed,
        capture_output=True,
        text=True,
    )


def said(program: str, folder: Path, typed: str = "", **environment: str) -> str:
    """What a program prints."""
    finished = run(program, folder, typed, **environment)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


FIGURE = """
import hashlib
from pathlib import Path
import pandas as pd
from brainlm.report.style import journal_style, new_figure, publish_figure

@journal_style()
def draw():
    figure = new_figure(8, 5)
    axes = figure.add_subplot()
    axes.plot([1, 3, 2], label="a line")
    axes.imshow([[0, 1], [2, 3]], extent=(0, 1, 1, 2))
    axes.legend()
    return figure

publish_figure("figure.pdf", draw(), pd.DataFrame({"x": [1]}), simulated=True)
print(*(hashlib.md5(Path(f"figure.{kind}").read_bytes()).hexdigest() for kind in ("png", "pdf")))
"""
MATPLOTLIBRC = """
font.family: serif
lines.linewidth: 5
axes.grid: True
axes.prop_cycle: cycler('color', ['red'])
image.cmap: gray
image.interpolation: bilinear
savefig.dpi: 20
savefig.bbox: tight
savefig.transparent: True
figure.facecolor: yellow
pdf.fonttype: 3
path.simplify: False
text.antialiased: False
backend: svg
"""


@pytest.fixture(scope="module")
def figure(tmp_path_factory) -> str:
    """Digests of a figure drawn where nobody has settings."""
    return said(FIGURE, tmp_path_factory.mktemp("clean"))


@pytest.mark.parametrize("place", ["current folder", "home", "variables"])
def test_figures_do_not_depend_on_a_persons_matplotlib(tmp_path, figure, place):
    folders = {"current folder": ".", "home": "home/.config/matplotlib", "variables": "settings"}
    file = tmp_path / folders[place] / "matplotlibrc"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(MATPLOTLIBRC)
    values = {"MATPLOTLIBRC": str(file), "MPLCONFIGDIR": str(file.parent), "MPLBACKEND": "no such backend"}
    assert said(FIGURE, tmp_path, **values if place == "variables" else {}) == figure


STORE = """
import hashlib
from pathlib import Path
import numpy as np
from brainlm.store import add_array, add_strings, new_store, open_store
with new_store("a.zarr", {"a": 1}) as store:
    add_array(store, "numbers", np.zeros((30, 40), np.float32), ("row", "column"))
    add_strings(store, "names", ["a", "b"], "name")
assert open_store("a.zarr")["numbers"].shape == (30, 40)
for file in sorted(Path("a.zarr").rglob("*")):
    if file.is_file():
        print(file, hashlib.md5(file.read_bytes()).hexdigest())
"""
ZARR = """
json_indent: 0
array: {order: F, write_empty_chunks: true}
codecs: {zstd: no.such.Codec, bytes: no.such.Codec}
codec_pipeline: {path: no.such.Pipeline}
"""


def test_stores_do_not_depend_on_a_persons_zarr(tmp_path):
    clean = tmp_path / "clean"
    clean.mkdir()
    for file in (tmp_path / "home/.config/zarr/zarr.yaml", tmp_path / "settings/zarr.yaml"):
        file.parent.mkdir(parents=True)
        file.write_text(ZARR)
    variables = {
        "ZARR_CONFIG": str(tmp_path / "settings"),
        "ZARR_ARRAY__WRITE_EMPTY_CHUNKS": "True",
        "ZARR_CODEC_PIPELINE__PATH": "no.such.Pipeline",
    }
    expected = said(STORE, clean)
    assert "a.zarr/numbers/zarr.json" in expected
    assert said(STORE, tmp_path) == expected
    assert said(STORE, tmp_path, **variables) == expected


NUMBERS = """
import os, warnings
import pandas, torch
print(torch.get_float32_matmul_precision(), pandas.Series(["a"]).dtype, os.environ.get("HIMALAYA_SKIP_FIT"))
warnings.warn("a note")
print("went on")
"""


def test_variables_that_change_results_have_no_effect(tmp_path):
    variables = {
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1",
        "HIMALAYA_SKIP_FIT": "1",
        "PYTHONWARNINGS": "error::UserWarning",
        "PANDAS_FUTURE_INFER_STRING": "0",
    }
    assert said(NUMBERS, tmp_path, **variables) == said(NUMBERS, tmp_path)


def test_what_is_a_persons_own_stays(tmp_path):
    own = {
        "HF_HOME": "a",
        "HF_TOKEN": "b",
        "https_proxy": "c",
        "CUDA_VISIBLE_DEVICES": "0",
        "OMP_NUM_THREADS": "3",
    }
    program = f"import os; print([os.environ.get(name) for name in {list(own)}])"
    assert said(program, tmp_path, **own).strip() == str(list(own.values()))


def test_a_job_reads_nothing_that_is_typed(tmp_path):
    program = """
import subprocess
from job import logged
snakemake.output = []
with logged(snakemake):
    print(repr(sys.stdin.read()), subprocess.run(["cat"], capture_output=True).stdout)
    try:
        input()
    except EOFError:
        print("nobody answers")
"""
    said(program, tmp_path, typed="y\n" * 5)
    *said_by_job, cost = (tmp_path / "job.log").read_text().splitlines()
    assert said_by_job == ["'' b''", "nobody answers"]
    assert "The job took" in cost


ACTIVATIONS = """
snakemake.input = Named(model=["model"], words=["attic.tsv", "forest.tsv"])
snakemake.output = Named(activations=["attic.zarr", "forest.zarr"])
snakemake.params = Named(
    source="model", blocks=[1], revision=None, dtype="float32", context={{}}
)
snakemake.resources = Named(device="cpu")
exec(compile(open({script!r}, encoding="utf-8").read(), "activations.py", "exec"))
"""


def test_of_several_stories_the_one_that_a_model_cannot_read_is_named(tmp_path):
    words = {"attic": ["a", "b"], "forest": ["a"] * 30}
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"<unk>": 0, "a": 1, "b": 2}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(tmp_path / "model")
    config = transformers.GPT2Config(vocab_size=3, n_embd=8, n_layer=1, n_head=1, n_positions=20)
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path / "model")
    for story, spoken in words.items():
        times = np.arange(len(spoken), dtype=float)
        save_words(
            pd.DataFrame({"word": spoken, "onset_s": times, "offset_s": times + 1}), tmp_path / f"{story}.tsv"
        )

    finished = run(ACTIVATIONS.format(script=str(SCRIPTS / "activations.py")), tmp_path)

    assert finished.returncode == 1, finished.stderr
    *_, sentence = finished.stderr.strip().splitlines()
    assert sentence.startswith("Error in a_rule: story forest: model reads at most 20 tokens")
    assert "Traceback" not in (tmp_path / "job.log").read_text()
