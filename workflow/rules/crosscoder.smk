# One small file stands for the stores of all stories: jobs that read them have one input, and run again when what any
# of them holds has changed.
rule sources:
    input:
        responses=responses_of,
        features=features_of,
    output:
        sources="<results>/{subject}/sources/{variant}.json",
    log:
        "<logs>/sources/{subject}/{variant}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(1, minutes=60),
    params:
        code=code_of("sources"),
    script:
        "../scripts/sources.py"


rule normalization:
    input:
        sources=rules.sources.output.sources,
    output:
        normalization=directory("<results>/{subject}/normalization/{variant}/{scaling}.zarr"),
    log:
        "<logs>/normalization/{subject}/{variant}/{scaling}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(normalization_gb, minutes=60),
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
        crosscoder="<model>/crosscoder.safetensors",
        training="<model>/training.tsv",
    log:
        "<logs>/train/{subject}/{experiment}/seed{seed}.log",
    conda:
        ENVIRONMENT
    threads: FILES.threads
    # How, not what: unlike params, resources do not make a trained model out of date.
    resources:
        **writes(model_bytes_of),
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
        latents="<model>/latents.tsv",
        summary="<model>/summary.tsv",
        correlations=directory("<model>/correlations.zarr"),
        codes=directory("<model>/codes.zarr"),
    log:
        "<logs>/scores/{subject}/{experiment}/seed{seed}.log",
    conda:
        ENVIRONMENT
    threads: FILES.threads
    resources:
        **needs(scoring_of, minutes=120),
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
        passages="<model>/passages.tsv",
    log:
        "<logs>/passages/{subject}/{experiment}/seed{seed}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=10),
    params:
        code=code_of("passages"),
        passages=PLAN.config["passages"],
    script:
        "../scripts/passages.py"


rule interpretations:
    input:
        codes=rules.scores.output.codes,
        evidence="<model>/evidence.tsv",
        words=words_of_test_stories,
        annotations=["<results>/simulation/annotations.tsv"] * SIMULATED,
    output:
        interpretations="<model>/interpretations.tsv",
        chosen="<model>/chosen.tsv",
    log:
        "<logs>/interpretations/{subject}/{experiment}/seed{seed}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=20),
    params:
        code=code_of("interpretations"),
        span_s=PLAN.config["passages"]["span_s"],
        minimum_shift_s=PLAN.config["scores"]["minimum_shift_s"],
        tr_s=DATASET["tr_s"],
        themes=PLAN.config["themes"],
        pinned=PLAN.config["figures"]["pinned_latents"],
    script:
        "../scripts/interpretations.py"


# Of a model when it is asked for.
rule names:
    input:
        codes=rules.scores.output.codes,
        latents=rules.scores.output.latents,
        training_words=words_of_training_stories,
        test_words=words_of_test_stories,
    output:
        names="<model>/names.tsv",
    log:
        "<logs>/names/{subject}/{experiment}/seed{seed}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=30),
    params:
        code=code_of("names"),
        span_s=PLAN.config["passages"]["span_s"],
        minimum_shift_s=PLAN.config["scores"]["minimum_shift_s"],
        tr_s=DATASET["tr_s"],
    script:
        "../scripts/names.py"


rule comparisons:
    input:
        codes=compared_models("codes.zarr"),
        latents=compared_models("latents.tsv"),
    output:
        comparison="<results>/comparisons/{subject}/{other}.tsv",
        latents="<results>/comparisons/{subject}/{other}.latents.tsv",
    log:
        "<logs>/comparisons/{subject}/{other}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(3, minutes=120),
    params:
        code=code_of("comparisons"),
        minimum_shift_s=PLAN.config["scores"]["minimum_shift_s"],
        tr_s=DATASET["tr_s"],
    script:
        "../scripts/comparisons.py"
