# What each latent must show before it is called shared: in a run of the experiments that always exist, of any other
# when asked for.
rule evidence:
    input:
        sources=sources_of,
        crosscoder=rules.train.output.crosscoder,
        codes=rules.scores.output.codes,
        latents=rules.scores.output.latents,
        voxels=voxels_of_brains,
    output:
        evidence="<model>/evidence.tsv",
        summary="<model>/evidence_summary.tsv",
    log:
        "<logs>/evidence/{subject}/{experiment}/seed{seed}.log",
    conda:
        ENVIRONMENT
    threads: FILES.threads
    resources:
        **needs(evidence_of, minutes=120),
    params:
        code=code_of("evidence"),
        stories=stories_of,
        pairing=section_of("pairing"),
        scores=PLAN.config["scores"],
        evidence=PLAN.config["evidence"],
        recordings={story: PLAN.text_of(story) for story in STORIES},
        tr_s=DATASET["tr_s"],
        slice_axis=FILES.slice_axis,
    script:
        "../scripts/evidence.py"


# Only where the config asks for more draws of the pairs.
rule pairings:
    input:
        matched="<reported>/summary.tsv",
        shuffled=summaries_of_draws("shuffled"),
        shifted=summaries_of_draws("shifted"),
    output:
        table_files("pairings"),
    log:
        "<logs>/pairings/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("pairings"),
        simulated=SIMULATED,
        seed=REPORTED_SEED,
    script:
        "../scripts/pairings.py"


# Of one subject with one seed, which nothing can be compared with, two tables without rows.
rule found_again:
    input:
        compared=comparisons_of,
        evidence=evidence_of_compared,
    output:
        found="<results>/{subject}/found_again.tsv",
        in_seeds="<results>/{subject}/found_in_seeds.tsv",
    log:
        "<logs>/found_again/{subject}.log",
    wildcard_constraints:
        subject="|".join(SUBJECTS),
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("found_again"),
    script:
        "../scripts/found_again.py"
