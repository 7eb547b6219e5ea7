rule convert_language_model:
    output:
        model=directory(f"{RESULTS}/models/{{lm}}"),
    log:
        f"{RESULTS}/logs/convert_language_model/{{lm}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/convert_language_model/{{lm}}.tsv"
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        mem_mb=memory(lm_gb),
        runtime=minutes(60),
    params:
        code=code_of("convert_language_model"),
        source=LM_SOURCE,
        n_blocks=max(PLAN.config["language_model"]["blocks"]),
    script:
        "../scripts/convert_language_model.py"


# The model is loaded once for several stories; each story, or recording of several, keeps its own store.
for number, batch in enumerate(
    story_batches(PLAN.all_texts, PLAN.config["language_model"]["stories_per_job"])
):

    rule:
        name:
            f"activations_{number}"
        input:
            words=story_files(f"{RESULTS}/words/{{story}}.tsv", batch),
            model=[f"{RESULTS}/models/{LM}"] * LM_IS_GGUF,
        output:
            activations=directory(story_files(f"{RESULTS}/activations/{LM}/{{story}}.zarr", batch)),
        log:
            f"{RESULTS}/logs/activations/{LM}/{number}.log",
        benchmark:
            f"{RESULTS}/benchmarks/activations/{LM}/{number}.tsv"
        conda:
            ENVIRONMENT
        threads: FILES.threads
        # Where it runs, which does not make an activation out of date.
        resources:
            mem_mb=memory(lm_gb),
            runtime=minutes(240),
            gpu=gpus(PLAN.config["language_model"]["device"]),
            device=PLAN.config["language_model"]["device"],
        params:
            code=code_of("activations"),
            source=LM_SOURCE,
            revision=PLAN.config["language_model"]["revision"],
            blocks=PLAN.config["language_model"]["blocks"],
            context=PLAN.config["language_model"]["context"],
            dtype=PLAN.config["language_model"]["dtype"],
        script:
            "../scripts/activations.py"


rule features:
    input:
        activations=activations_of,
        words=f"{RESULTS}/words/{{story}}.tsv",
        respdict=ancient(FILES.input(f"{DERIVATIVE}/respdict.json")),
    output:
        features=directory(f"{RESULTS}/features/{{lm}}/{{variant}}/{{story}}.zarr"),
    log:
        f"{RESULTS}/logs/features/{{lm}}/{{variant}}/{{story}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/features/{{lm}}/{{variant}}/{{story}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(3),
        runtime=minutes(20),
    params:
        code=code_of("features"),
        features=variant_of,
        words_source=words_source,
        tr_s=DATASET["tr_s"],
        sound_onset_s=sound_onset_of,
        trim=DATASET["trim"],
    script:
        "../scripts/features.py"
