rule convert_language_model:
    output:
        model=directory("<results>/models/{lm}"),
    log:
        "<logs>/convert_language_model/{lm}.log",
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        **needs(lm_gb, minutes=60),
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
            words=story_files("<results>/words/{story}.tsv", batch),
            model=[f"<results>/models/{LM}"] * LM_IS_GGUF,
        output:
            activations=directory(story_files(f"<results>/activations/{LM}/{{story}}.zarr", batch)),
        log:
            f"<logs>/activations/{LM}/{number}.log",
        conda:
            ENVIRONMENT
        threads: FILES.threads
        # Where it runs, which does not make an activation out of date.
        resources:
            **needs(lm_gb, minutes=240),
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
                "<results>/activations/{lm}/{story}.zarr", dict.fromkeys(map(PLAN.text_of, batch))
            ),
            words=story_files("<results>/words/{story}.tsv", batch),
            respdict=ancient(FILES.input(FILES.respdict)),
            nuisances=[path for story in batch for path in FILES.nuisances(story)],
        output:
            features=directory(story_files("<results>/features/{lm}/{variant}/{story}.zarr", batch)),
        log:
            f"<logs>/features/{{lm}}/{{variant}}/{number}.log",
        conda:
            ENVIRONMENT
        resources:
            **needs(3, minutes=60),
        params:
            code=code_of("features"),
            features=variant_of,
            words_sources={story: words_source(story) for story in batch},
            tr_s=DATASET["tr_s"],
            sound_onsets_s={story: PLAN.sound_onset_s(story) for story in batch},
            trim=DATASET["trim"],
        script:
            "../scripts/features.py"
