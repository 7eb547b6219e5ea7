# What a subject's responses can be predicted to, and are predicted to, on the same test stories.
rule ceiling:
    input:
        responses=test_responses_of,
        planted=[f"{RESULTS}/simulation/{{subject}}.zarr"] * SIMULATED,
    output:
        ceiling=directory(f"{RESULTS}/{{subject}}/ceiling.zarr"),
        table=f"{RESULTS}/{{subject}}/ceiling.tsv",
    log:
        f"{RESULTS}/logs/ceiling/{{subject}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/ceiling/{{subject}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(2),
        runtime=minutes(20),
    params:
        code=code_of("ceiling"),
    script:
        "../scripts/ceiling.py"


rule ridge:
    input:
        sources=ridge_sources_of,
    output:
        ridge=directory(f"{RESULTS}/{{subject}}/ridge.zarr"),
    log:
        f"{RESULTS}/logs/ridge/{{subject}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/ridge/{{subject}}.tsv"
    conda:
        ENVIRONMENT
    threads: FILES.threads
    resources:
        mem_mb=memory(ridge_of),
        runtime=minutes(720),
    params:
        code=code_of("ridge"),
        stories=stories_of,
        variants=PLAN.ridge_variants,
        ridge=PLAN.config["ridge"],
    script:
        "../scripts/ridge.py"


rule predictions:
    input:
        sources=matched_sources_of,
        crosscoder=f"{REPORTED}/crosscoder.safetensors",
        ridge=rules.ridge.output.ridge,
        ceiling=rules.ceiling.output.table,
    output:
        table_files("predictions"),
    log:
        f"{RESULTS}/logs/predictions/{{subject}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/predictions/{{subject}}.tsv"
    conda:
        ENVIRONMENT
    threads: FILES.threads
    resources:
        mem_mb=memory(scoring_of),
        runtime=minutes(60),
    params:
        code=code_of("predictions"),
        simulated=SIMULATED,
        stories=stories_of,
        delays=PLAN.config["ridge"]["delays"],
    script:
        "../scripts/predictions.py"
