"""The works that an archive's description cites, as entities of RO-Crate."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

CITATION = Path(__file__).parents[2] / "CITATION.cff"


def citations() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Authors and works of what CITATION.cff refers to: the method's paper and the dataset's."""
    people: dict[str, dict[str, Any]] = {}
    works = []
    references = yaml.safe_load(CITATION.read_text(encoding="utf-8"))["references"]
    for number, reference in enumerate(references, start=1):
        names = [f"{author['given-names']} {author['family-names']}" for author in reference["authors"]]
        people |= {name: {"@id": f"#{quote(name)}", "@type": "Person", "name": name} for name in names}
        works.append(
            {
                "@id": f"https://doi.org/{reference['doi']}" if "doi" in reference else f"#work-{number}",
                "@type": "ScholarlyArticle",
                "name": reference["title"],
                "author": [{"@id": people[name]["@id"]} for name in names],
                "datePublished": str(reference["year"]),
            }
        )
    return list(people.values()), works
