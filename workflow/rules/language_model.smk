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
for number, batch in enumerate(batches(PLAN.all_texts)):

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


for number, batch in enumerate(batches(PLAN.all_stories)):

    rule:
        name:
            f"features_{number}"
        input:
            activations=story_files(
                f"{RESULTS}/activations/{{lm}}/{{story}}.zarr", dict.fromkeys(map(PLAN.text_of, batch))
            ),
            words=story_files(f"{RESULTS}/words/{{story}}.tsv", batch),
            respdict=ancient(FILES.input(f"{DERIVATIVE}/respdict.json")),
        output:
            features=directory(story_files(f"{RESULTS}/features/{{lm}}/{{variant}}/{{story}}.zarr", batch)),
        log:
            f"{RESULTS}/logs/features/{{lm}}/{{variant}}/{number}.log",
        benchmark:
            f"{RESULTS}/benchmarks/features/{{lm}}/{{variant}}/{number}.tsv"
        conda:
            ENVIRONMENT
        resources:
            mem_mb=memory(3),
            runtime=minutes(60),
        params:
            code=code_of("features"),
            features=variant_of,
            words_sources={story: words_source(story) for story in batch},
            tr_s=DATASET["tr_s"],
            sound_onsets_s={story: PLAN.sound_onset_s(story) for story in batch},
            trim=DATASET["trim"],
        script:
            "../scripts/features.py"
