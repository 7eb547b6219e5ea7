rule figure2:
    input:
        latents=model_files("latents.tsv"),
    output:
        figure_files("figure2"),
    log:
        f"{RESULTS}/logs/figure2/{{subject}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure2/{{subject}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(2),
        runtime=minutes(15),
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
        f"{RESULTS}/logs/agreement/{{subject}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/agreement/{{subject}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(2),
        runtime=minutes(15),
    params:
        code=code_of("agreement"),
        simulated=SIMULATED,
    script:
        "../scripts/agreement.py"


rule training_curves:
    input:
        training=model_files("training.tsv", ["matched"]),
    output:
        figure_files("training_curves"),
    log:
        f"{RESULTS}/logs/training_curves/{{subject}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/training_curves/{{subject}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(2),
        runtime=minutes(15),
    params:
        code=code_of("training_curves"),
        simulated=SIMULATED,
    script:
        "../scripts/training_curves.py"


rule figure3:
    input:
        cortex=cortex_store,
        voxels=rules.voxels.output.voxels,
        crosscoder=f"{REPORTED}/crosscoder.safetensors",
        latents=f"{REPORTED}/latents.tsv",
        chosen=f"{REPORTED}/chosen.tsv",
    output:
        figure_files("figure3"),
    log:
        f"{RESULTS}/logs/figure3/{{subject}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure3/{{subject}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(2),
        runtime=minutes(15),
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
        correlations=f"{REPORTED}/correlations.zarr",
        summary=f"{REPORTED}/summary.tsv",
    output:
        figure_files("figure4"),
    log:
        f"{RESULTS}/logs/figure4/{{subject}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure4/{{subject}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(2),
        runtime=minutes(15),
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
        f"{RESULTS}/logs/ceiling_figure/{{subject}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/ceiling_figure/{{subject}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(2),
        runtime=minutes(15),
    params:
        code=code_of("ceiling_figure"),
        simulated=SIMULATED,
        colormap=PLAN.config["figures"]["correlation_colormap"],
    script:
        "../scripts/ceiling_figure.py"


rule stability:
    input:
        comparisons=[
            f"{RESULTS}/comparisons/{subject}/{other}.tsv"
            for subject, other in compared_subjects(PLAN.config)
        ],
    output:
        figure_files("stability", folder=f"{RESULTS}/figures", subject="all"),
    log:
        f"{RESULTS}/logs/stability.log",
    benchmark:
        f"{RESULTS}/benchmarks/stability.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(2),
        runtime=minutes(15),
    params:
        code=code_of("stability"),
        simulated=SIMULATED,
    script:
        "../scripts/stability.py"
