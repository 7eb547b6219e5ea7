rule table1:
    input:
        chosen="<reported>/chosen.tsv",
        evidence="<reported>/evidence.tsv",
        names="<reported>/names.tsv",
    output:
        table_files("table1"),
    log:
        "<logs>/table1/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("table1"),
        simulated=SIMULATED,
        span_s=PLAN.config["passages"]["span_s"],
    script:
        "../scripts/table1.py"


rule table2:
    input:
        chosen="<reported>/chosen.tsv",
        evidence="<reported>/evidence.tsv",
        passages="<reported>/passages.tsv",
    output:
        table_files("table2"),
    log:
        "<logs>/table2/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("table2"),
        simulated=SIMULATED,
        span_s=PLAN.config["passages"]["span_s"],
    script:
        "../scripts/table2.py"


rule tables:
    input:
        summaries=model_files("summary.tsv"),
        training=model_files("training.tsv"),
        evidence=model_files("evidence.tsv", STANDING_EXPERIMENTS),
        evidence_summaries=model_files("evidence_summary.tsv", STANDING_EXPERIMENTS),
        found_in_seeds=rules.found_again.output.in_seeds,
        interpretations="<reported>/interpretations.tsv",
        planted=model_files("planted.tsv", ["matched"]) if SIMULATED else [],
    output:
        **{name: table_files(name) for name in COLLECTED_TABLES},
    log:
        "<logs>/tables/{subject}.log",
    wildcard_constraints:
        subject="|".join(SUBJECTS),
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("tables"),
        simulated=SIMULATED,
        seed=REPORTED_SEED,
        bounds=PLAN.config["evidence"],
        rate=PLAN.config["scores"]["false_discovery_rate"],
        span_s=PLAN.config["passages"]["span_s"],
        no_flatmaps=no_flatmaps,
        deviations=deviations_of,
        missing_stories=missing_stories_of,
        snr=SIMULATED and DATASET["simulation"]["snr"],
    script:
        "../scripts/tables.py"


# Of a joint model nothing is told that asks for one subject's text or cortex.
if GROUPS:

    use rule tables as group_tables with:
        input:
            summaries=model_files("summary.tsv"),
            training=model_files("training.tsv"),
            evidence=model_files("evidence.tsv", STANDING_EXPERIMENTS),
            evidence_summaries=model_files("evidence_summary.tsv", STANDING_EXPERIMENTS),
        output:
            **{name: table_files(name) for name in GROUP_TABLES},
        wildcard_constraints:
            subject="|".join(GROUPS),
        params:
            code=code_of("tables"),
            simulated=SIMULATED,
            bounds=PLAN.config["evidence"],
            rate=PLAN.config["scores"]["false_discovery_rate"],


rule rois:
    input:
        voxels=rules.voxels.output.voxels,
        crosscoder="<reported>/crosscoder.safetensors",
        correlations="<reported>/correlations.zarr",
        ceiling=rules.ceiling.output.ceiling,
    output:
        table_files("rois"),
        voxels="<tables>/{subject}/voxels.tsv",
        latents="<tables>/{subject}/latent_rois.tsv",
    log:
        "<logs>/rois/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(4, minutes=20),
    params:
        code=code_of("rois"),
        simulated=SIMULATED,
    script:
        "../scripts/rois.py"


rule readings_table:
    input:
        summaries=reading_summaries,
    output:
        table_files("readings"),
    log:
        "<logs>/readings/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("readings_table"),
        simulated=SIMULATED,
        readings=readings_of,
    script:
        "../scripts/readings_table.py"


rule subjects:
    input:
        summaries=subjects_files("summary.tsv"),
        evidence=subjects_files("evidence.tsv", STANDING_EXPERIMENTS),
    output:
        figure=figure_files("subjects", folder="<figures>", subject=ALL_SUBJECTS),
        table=table_files("subjects", folder="<tables>", subject=ALL_SUBJECTS),
    log:
        "<logs>/subjects.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("subjects"),
        simulated=SIMULATED,
    script:
        "../scripts/subjects.py"


rule verdict_shares:
    input:
        summaries=subjects_files("evidence_summary.tsv", STANDING_EXPERIMENTS),
        matched=subjects_files("evidence.tsv", ["matched"]),
        found_in_seeds=expand(rules.found_again.output.in_seeds, subject=SUBJECTS),
    output:
        figure=figure_files("verdict_shares", folder="<figures>", subject=ALL_SUBJECTS),
        table=table_files("verdict_shares", folder="<tables>", subject=ALL_SUBJECTS),
    log:
        "<logs>/verdict_shares.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("verdict_shares"),
        simulated=SIMULATED,
        bounds=PLAN.config["evidence"],
        rate=PLAN.config["scores"]["false_discovery_rate"],
    script:
        "../scripts/verdict_shares.py"


rule provenance:
    input:
        models=[model_file(model, "crosscoder.safetensors") for model in PLAN.models],
    output:
        table_files("provenance", folder="<tables>", subject=ALL_SUBJECTS),
    log:
        "<logs>/provenance.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("provenance"),
        simulated=SIMULATED,
        config=model_settings(),
    script:
        "../scripts/provenance.py"


# Not part of a run, for it trains a few hundred models: `snakemake readings`.
rule readings:
    input:
        expand("<tables>/{subject}/readings.tsv", subject=SUBJECTS),


if SIMULATED:

    rule checks:
        input:
            summaries=subjects_files("summary.tsv"),
            planted=subjects_files("planted.tsv", ["matched", "shuffled"]),
            evidence=subjects_files("evidence.tsv", STANDING_EXPERIMENTS),
            names=subjects_files("names.tsv", ["matched"]),
            annotations="<results>/simulation/annotations.tsv",
            ceilings=expand("<results>/{subject}/ceiling.tsv", subject=SUBJECTS),
        output:
            checks=table_files("checks", folder="<tables>", subject=ALL_SUBJECTS),
            verdicts=table_files("planted_verdicts", folder="<tables>", subject=ALL_SUBJECTS),
        log:
            "<logs>/checks.log",
        conda:
            ENVIRONMENT
        resources:
            **needs(2, minutes=15),
        params:
            code=code_of("checks"),
            snr=DATASET["simulation"]["snr"],
        script:
            "../scripts/checks.py"
