# What a subject's responses can be predicted to, and are predicted to, on the same test stories.
rule ceiling:
    input:
        responses=test_responses_of,
        planted=["<results>/simulation/{subject}.zarr"] * SIMULATED,
    output:
        ceiling=directory("<results>/{subject}/ceiling.zarr"),
        table="<results>/{subject}/ceiling.tsv",
    log:
        "<logs>/ceiling/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=20),
    params:
        code=code_of("ceiling"),
    script:
        "../scripts/ceiling.py"


rule ridge:
    input:
        sources=ridge_sources_of,
    output:
        ridge=directory("<results>/{subject}/ridge.zarr"),
    log:
        "<logs>/ridge/{subject}.log",
    conda:
        ENVIRONMENT
    threads: FILES.threads
    resources:
        **needs(ridge_of, minutes=720),
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
        crosscoder="<reported>/crosscoder.safetensors",
        ridge=rules.ridge.output.ridge,
        ceiling=rules.ceiling.output.table,
    output:
        table_files("predictions"),
    log:
        "<logs>/predictions/{subject}.log",
    conda:
        ENVIRONMENT
    threads: FILES.threads
    resources:
        **needs(scoring_of, minutes=60),
    params:
        code=code_of("predictions"),
        simulated=SIMULATED,
        stories=stories_of,
        delays=PLAN.config["ridge"]["delays"],
    script:
        "../scripts/predictions.py"
