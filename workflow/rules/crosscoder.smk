# One small file stands for the stores of all stories: jobs that read them have one input, and run again when what any
# of them holds has changed.
rule sources:
    input:
        responses=responses_of,
        features=features_of,
    output:
        sources=f"{RESULTS}/{{subject}}/sources/{{variant}}.json",
    log:
        f"{RESULTS}/logs/sources/{{subject}}/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/sources/{{subject}}/{{variant}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(1),
        runtime=minutes(60),
    params:
        code=code_of("sources"),
    script:
        "../scripts/sources.py"


rule normalization:
    input:
        sources=rules.sources.output.sources,
    output:
        normalization=directory(f"{RESULTS}/{{subject}}/normalization/{{variant}}/{{scaling}}.zarr"),
    log:
        f"{RESULTS}/logs/normalization/{{subject}}/{{variant}}/{{scaling}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/normalization/{{subject}}/{{variant}}/{{scaling}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(normalization_gb),
        runtime=minutes(60),
    params:
        code=code_of("normalization"),
        stories=stories_of,
        normalization=scaling_of,
    script:
        "../scripts/normalization.py"


rule train:
    input:
        sources=sources_of,
        normalization=normalization_of,
    output:
        crosscoder=f"{MODEL}/crosscoder.safetensors",
        training=f"{MODEL}/training.tsv",
    log:
        f"{RESULTS}/logs/train/{{subject}}/{{experiment}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{subject}}/{{experiment}}/seed{{seed}}.tsv"
    conda:
        ENVIRONMENT
    threads: FILES.threads
    # How, not what: unlike params, resources do not make a trained model out of date.
    resources:
        mem_mb=memory(training_of),
        runtime=training_time,
        gpu=gpus(PLAN.config["training"]["device"]),
        device=PLAN.config["training"]["device"],
        checkpoint_minutes=PLAN.config["training"]["checkpoint_minutes"],
    params:
        code=code_of("train"),
        stories=stories_of,
        pairing=section_of("pairing"),
        crosscoder=section_of("crosscoder"),
        provenance=provenance_of,
    script:
        "../scripts/train.py"


rule scores:
    input:
        sources=sources_of,
        crosscoder=rules.train.output.crosscoder,
    output:
        latents=f"{MODEL}/latents.tsv",
        summary=f"{MODEL}/summary.tsv",
        correlations=directory(f"{MODEL}/correlations.zarr"),
        codes=directory(f"{MODEL}/codes.zarr"),
    log:
        f"{RESULTS}/logs/scores/{{subject}}/{{experiment}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/scores/{{subject}}/{{experiment}}/seed{{seed}}.tsv"
    conda:
        ENVIRONMENT
    threads: FILES.threads
    resources:
        mem_mb=memory(scoring_of),
        runtime=minutes(120),
    params:
        code=code_of("scores"),
        stories=stories_of,
        pairing=section_of("pairing"),
        scores=PLAN.config["scores"],
        tr_s=DATASET["tr_s"],
    script:
        "../scripts/scores.py"


rule passages:
    input:
        codes=rules.scores.output.codes,
        words=words_of_test_stories,
    output:
        passages=f"{MODEL}/passages.tsv",
    log:
        f"{RESULTS}/logs/passages/{{subject}}/{{experiment}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/passages/{{subject}}/{{experiment}}/seed{{seed}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(2),
        runtime=minutes(10),
    params:
        code=code_of("passages"),
        passages=PLAN.config["passages"],
    script:
        "../scripts/passages.py"


rule interpretations:
    input:
        codes=rules.scores.output.codes,
        latents=rules.scores.output.latents,
        words=words_of_test_stories,
        annotations=[f"{RESULTS}/simulation/annotations.tsv"] * SIMULATED,
    output:
        interpretations=f"{MODEL}/interpretations.tsv",
        chosen=f"{MODEL}/chosen.tsv",
    log:
        f"{RESULTS}/logs/interpretations/{{subject}}/{{experiment}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/interpretations/{{subject}}/{{experiment}}/seed{{seed}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(2),
        runtime=minutes(20),
    params:
        code=code_of("interpretations"),
        span_s=PLAN.config["passages"]["span_s"],
        minimum_shift_s=PLAN.config["scores"]["minimum_shift_s"],
        tr_s=DATASET["tr_s"],
        themes=PLAN.config["themes"],
        pinned=PLAN.config["figures"]["pinned_latents"],
    script:
        "../scripts/interpretations.py"


rule comparisons:
    input:
        codes=compared_models("codes.zarr"),
        latents=compared_models("latents.tsv"),
    output:
        comparison=f"{RESULTS}/comparisons/{{subject}}/{{other}}.tsv",
    log:
        f"{RESULTS}/logs/comparisons/{{subject}}/{{other}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/comparisons/{{subject}}/{{other}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(3),
        runtime=minutes(120),
    params:
        code=code_of("comparisons"),
        minimum_shift_s=PLAN.config["scores"]["minimum_shift_s"],
        tr_s=DATASET["tr_s"],
    script:
        "../scripts/comparisons.py"
