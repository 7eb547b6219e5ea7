rule figure2:
    input:
        latents=model_files("latents.tsv"),
        evidence=model_files("evidence.tsv", STANDING_EXPERIMENTS),
    output:
        figure_files("figure2"),
    log:
        "<logs>/figure2/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("figure2"),
        simulated=SIMULATED,
    script:
        "../scripts/figure2.py"


rule agreement:
    input:
        latents=model_files("latents.tsv"),
    output:
        figure_files("agreement"),
    log:
        "<logs>/agreement/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("agreement"),
        simulated=SIMULATED,
    script:
        "../scripts/agreement.py"


rule evidence_figure:
    input:
        evidence="<reported>/evidence.tsv",
        summary="<reported>/evidence_summary.tsv",
    output:
        figure_files("evidence"),
    log:
        "<logs>/evidence_figure/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("evidence_figure"),
        simulated=SIMULATED,
    script:
        "../scripts/evidence_figure.py"


rule funnel:
    input:
        evidence=model_files("evidence.tsv", ["matched"]),
        found_in_seeds=rules.found_again.output.in_seeds,
        summary="<reported>/evidence_summary.tsv",
    output:
        figure_files("funnel"),
    log:
        "<logs>/funnel/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("funnel"),
        simulated=SIMULATED,
    script:
        "../scripts/funnel.py"


rule training_curves:
    input:
        training=model_files("training.tsv", ["matched"]),
    output:
        figure_files("training_curves"),
    log:
        "<logs>/training_curves/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("training_curves"),
        simulated=SIMULATED,
    script:
        "../scripts/training_curves.py"


rule figure3:
    input:
        cortex=cortex_store,
        voxels=rules.voxels.output.voxels,
        crosscoder="<reported>/crosscoder.safetensors",
        evidence="<reported>/evidence.tsv",
        chosen="<reported>/chosen.tsv",
    output:
        figure_files("figure3"),
    log:
        "<logs>/figure3/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("figure3"),
        simulated=SIMULATED,
        colormap=PLAN.config["figures"]["weight_colormap"],
    script:
        "../scripts/figure3.py"


rule figure4:
    input:
        cortex=cortex_store,
        voxels=rules.voxels.output.voxels,
        correlations="<reported>/correlations.zarr",
        summary="<reported>/summary.tsv",
    output:
        figure_files("figure4"),
    log:
        "<logs>/figure4/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("figure4"),
        simulated=SIMULATED,
        colormap=PLAN.config["figures"]["correlation_colormap"],
    script:
        "../scripts/figure4.py"


rule ceiling_figure:
    input:
        cortex=cortex_store,
        voxels=rules.voxels.output.voxels,
        ceiling=rules.ceiling.output.ceiling,
        table=rules.ceiling.output.table,
    output:
        figure_files("ceiling"),
    log:
        "<logs>/ceiling_figure/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("ceiling_figure"),
        simulated=SIMULATED,
        colormap=PLAN.config["figures"]["correlation_colormap"],
    script:
        "../scripts/ceiling_figure.py"


rule stability:
    input:
        comparisons=[
            f"<results>/comparisons/{subject}/{other}.tsv"
            for subject, other in compared_subjects(PLAN.config)
        ],
    output:
        figure_files("stability", folder="<figures>", subject=ALL_SUBJECTS),
    log:
        "<logs>/stability.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=15),
    params:
        code=code_of("stability"),
        simulated=SIMULATED,
    script:
        "../scripts/stability.py"
