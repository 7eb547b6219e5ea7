"""Whoever runs the workflow gets the same bytes."""

import shutil
from pathlib import Path

from tiny_dataset import run_snakemake

FIGURE = "results/tiny/figures/SIM01/figure2"


def content(folder: Path, paths: list[str]) -> dict[str, bytes]:
    """File -> bytes, of files and of all files in folders."""
    files = [
        file for path in paths for file in [folder / path, *(folder / path).rglob("*")] if file.is_file()
    ]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_a_persons_settings_change_no_result(tiny, tmp_path):
    workspace = tiny.copy(tmp_path)
    store = str(min((tmp_path / "results/tiny/features").rglob("*.zarr")).relative_to(tmp_path))
    paths = [f"{FIGURE}.png", f"{FIGURE}.pdf", store]
    expected = content(tmp_path, paths)
    assert len(expected) > 3
    for path in (f"{FIGURE}.png", f"{FIGURE}.pdf"):
        (tmp_path / path).unlink()
    shutil.rmtree(tmp_path / store)
    settings = {
        "matplotlibrc": "font.family: serif\nlines.linewidth: 5\nsavefig.bbox: tight\nbackend: svg\n",
        "home/.config/matplotlib/matplotlibrc": "axes.grid: True\n",
        "home/.config/zarr/zarr.yaml": "json_indent: 0\narray: {write_empty_chunks: true}\n",
    }
    for name, text in settings.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    run = run_snakemake(
        *("--snakefile", workspace.repository / "workflow" / "Snakefile", "--directory", tmp_path),
        *("--configfile", workspace.config_file(), "--cores", "2", f"{FIGURE}.png", store),
        environment={
            "HOME": f"{tmp_path}/home",
            "MATPLOTLIBRC": f"{tmp_path}/matplotlibrc",
            "MPLBACKEND": "no such backend",
            "ZARR_CODEC_PIPELINE__PATH": "no.such.Pipeline",
            "PANDAS_FUTURE_INFER_STRING": "0",
        },
    )

    assert run.returncode == 0, run.stdout[-3000:]
    assert content(tmp_path, paths) == expected
