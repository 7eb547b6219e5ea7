"""Which of a subject's latents are found again with other seeds and in other subjects, and with which verdict."""

from brainlm.files import NOT_KNOWN, read_tsv, write_tsv
from brainlm.scores.evidence.found_again import found_again, found_in_seeds
from job import logged
from results import subject_and_seed

with logged(snakemake):
    evidence = {subject_and_seed(path): read_tsv(path) for path in snakemake.input.evidence}
    found = found_again(snakemake.wildcards.subject, map(read_tsv, snakemake.input.compared), evidence)
    # A latent without a partner has none, which is known.
    write_tsv(found, snakemake.output.found, digits=None)
    write_tsv(found_in_seeds(found), snakemake.output.in_seeds, digits=None, missing=NOT_KNOWN)
