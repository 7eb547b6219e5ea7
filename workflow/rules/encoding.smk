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
    script:
        "../scripts/ceiling.py"


rule ridge:
    input:
        responses=responses_of,
        features=features_of,
        normalization=rules.normalization.output.normalization,
    output:
        ridge=directory(f"{RESULTS}/{{subject}}/{{experiment}}/ridge.zarr"),
    log:
        f"{RESULTS}/logs/ridge/{{subject}}/{{experiment}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/ridge/{{subject}}/{{experiment}}.tsv"
    conda:
        ENVIRONMENT
    threads: training_threads
    params:
        stories=stories_of,
        encoding=PLAN.config["encoding"],
    script:
        "../scripts/ridge.py"


rule predictions:
    input:
        responses=test_responses_of,
        features=test_features_of,
        crosscoder=f"{REPORTED}/crosscoder.safetensors",
        ridge=f"{RESULTS}/{{subject}}/matched/ridge.zarr",
        ceiling=rules.ceiling.output.table,
    output:
        table_files("predictions"),
    log:
        f"{RESULTS}/logs/predictions/{{subject}}.log",
    conda:
        ENVIRONMENT
    threads: training_threads
    params:
        simulated=SIMULATED,
        stories=stories_of,
    script:
        "../scripts/predictions.py"
