"""Write the pages of all latents into a folder that opens from a double click, without network or server."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brainlm.cortex.hemispheres import voxel_sides
from brainlm.cortex.subject import Cortex
from brainlm.report.browser.areas import Area, areas_of_latents
from brainlm.report.browser.downloads import Volume, write_weights
from brainlm.report.browser.index import extent, scatter, table_rows, verdict_counts
from brainlm.report.browser.maps import Brain, Partner, Picture, own_pictures, partner_pictures
from brainlm.report.browser.pages import headings, latent_pages
from brainlm.report.browser.rendering import contents_html, index_html, latent_html, style_sheet, templates
from brainlm.report.browser.run import Recordings, Tables, Titles
from brainlm.report.browser.verdict_words import has_large_map


def write_site(
    folder: Path,
    titles: Titles,
    tables: Tables,
    recordings: Recordings,
    brain: Brain,
    voxels: pd.DataFrame,
    decoders: Mapping[str, np.ndarray],
    *,
    partners: Sequence[Partner],
    volume: Volume | None,
) -> None:
    """Write index.html, a page for each live latent, their style sheet, maps and weights.

    The same data give the same bytes.

    Parameters
    ----------
    folder: is made; files in it are replaced.
    brain: of the model whose latents are shown.
    voxels: a voxel table of `brainlm.cortex.voxels`.
    decoders: "brain" and "lm" -> (width, latent) float32 decoder weights.
    partners: models in which latents of some verdicts are shown again.
    volume: that the places of voxels are indices of; None if there is none.

    Raises
    ------
    InputError: parts that are of different models or brains.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = headings(tables)
    side = voxel_sides(brain.anatomy) if isinstance(brain.anatomy, Cortex) else None
    areas = areas_of_latents(voxels, side, brain.decoder, list(named))
    pictures = _pictures(folder, titles, tables, brain, partners, areas)
    downloads = {
        latent: write_weights(
            folder, latent, brain.decoder[latent], decoders["lm"][:, latent], voxels, volume
        )
        for latent in named
        if latent in tables.shown
    }
    environment = templates(titles)
    pages = latent_pages(
        titles, tables, recordings, decoders, areas=areas, pictures=pictures, downloads=downloads
    )
    rows = []
    for page in pages:
        _write(folder / page.heading.page, latent_html(environment, page))
        rows.append(page)
    index = index_html(
        environment,
        counts=verdict_counts(tables),
        extent=extent(tables),
        chart=scatter(tables, rows),
        rows=table_rows(tables, rows),
    )
    _write(folder / "index.html", index)
    _write(folder / "style.css", style_sheet(environment))


def write_contents(folder: Path, group: str, members: Sequence[str]) -> None:
    """Write the page that leads to the pages of a joint model's brains, which lie in folders of the brains' names."""
    _write(folder / "index.html", contents_html(group, members))


def _pictures(
    folder: Path,
    titles: Titles,
    tables: Tables,
    brain: Brain,
    partners: Sequence[Partner],
    areas: Mapping[int, Sequence[Area]],
) -> dict[int, list[Picture]]:
    """Latent -> its own map, then those of its partners."""
    large = [latent for latent, heading in headings(tables).items() if has_large_map(heading.verdict)]
    own = own_pictures(folder, brain, areas, large, subject=titles.subject, colormap=titles.colormap)
    pictures = {latent: [picture] for latent, picture in own.items()}
    looked_for = tables.found_again[tables.found_again["latent"].isin(large)]
    for partner in partners:
        of_partner = partner_pictures(
            folder, partner, looked_for, own_subject=titles.subject, colormap=titles.colormap
        )
        for latent, picture in of_partner.items():
            pictures[latent].append(picture)
    return pictures


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
