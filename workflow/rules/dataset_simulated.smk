SIMULATION = DATASET["simulation"]


rule simulate_stories:
    input:
        texts=story_files(f"{SIMULATION['texts']}/{{story}}.txt"),
    output:
        textgrids=story_files(f"{DERIVATIVE}/TextGrids/{{story}}.TextGrid"),
        respdict=f"{DERIVATIVE}/respdict.json",
        annotations=f"{RESULTS}/simulation/annotations.tsv",
    log:
        f"{RESULTS}/logs/simulate_stories.log",
    benchmark:
        f"{RESULTS}/benchmarks/simulate_stories.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(4),
        runtime=minutes(60),
    params:
        code=code_of("simulate_stories"),
        non_words=DATASET["non_words"],
        seed=SIMULATION["seed"],
        words_per_minute=SIMULATION["words_per_minute"],
        tr_s=DATASET["tr_s"],
        sound_onset_s=DATASET["sound_onset_s"],
        trim=DATASET["trim"],
    script:
        "../scripts/simulate_stories.py"


rule simulate_transforms:
    output:
        transforms=f"{DERIVATIVE}/subject_xfms.json",
    log:
        f"{RESULTS}/logs/simulate_transforms.log",
    benchmark:
        f"{RESULTS}/benchmarks/simulate_transforms.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(4),
        runtime=minutes(60),
    params:
        code=code_of("simulate_transforms"),
        subjects=SUBJECTS,
    script:
        "../scripts/simulate_transforms.py"


rule simulate_anatomy:
    output:
        subject=directory(f"{DERIVATIVE}/pycortex-db/{{subject}}"),
    log:
        f"{RESULTS}/logs/simulate_anatomy/{{subject}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/simulate_anatomy/{{subject}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(4),
        runtime=minutes(60),
    params:
        code=code_of("simulate_anatomy"),
        voxel_size_mm=SIMULATION["voxel_size_mm"],
    script:
        "../scripts/simulate_anatomy.py"


rule simulate_features:
    input:
        activations=story_files(f"{RESULTS}/activations/{LM}/{{story}}.zarr"),
        words=story_files(f"{RESULTS}/words/{{story}}.tsv"),
        annotations=rules.simulate_stories.output.annotations,
        respdict=rules.simulate_stories.output.respdict,
    output:
        planted=directory(f"{RESULTS}/simulation/planted.zarr"),
    log:
        f"{RESULTS}/logs/simulate_features.log",
    benchmark:
        f"{RESULTS}/benchmarks/simulate_features.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(4),
        runtime=minutes(60),
    params:
        code=code_of("simulate_features"),
        block=PLAN.config["features"]["block"],
        n_lm_features=SIMULATION["n_lm_features"],
        tr_s=DATASET["tr_s"],
        sound_onsets_s={story: PLAN.sound_onset_s(story) for story in STORIES},
        trim=DATASET["trim"],
    script:
        "../scripts/simulate_features.py"


rule simulate_responses:
    input:
        planted=rules.simulate_features.output.planted,
        anatomy=rules.simulate_anatomy.output.subject,
    output:
        hdf5=story_files(f"{DERIVATIVE}/preprocessed_data/{{subject}}/{{story}}.hf5"),
        listener=directory(f"{RESULTS}/simulation/{{subject}}.zarr"),
    log:
        f"{RESULTS}/logs/simulate_responses/{{subject}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/simulate_responses/{{subject}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(4),
        runtime=minutes(60),
    params:
        code=code_of("simulate_responses"),
        mask=mask_path,
        seed=SIMULATION["seed"],
        snr=SIMULATION["snr"],
        tr_s=DATASET["tr_s"],
        n_brain_only=SIMULATION["n_brain_only"],
        repeated_story=SIMULATION["repeated_story"],
        n_repeats=SIMULATION["n_repeats"],
    script:
        "../scripts/simulate_responses.py"


rule planted:
    input:
        sources=sources_of,
        planted=rules.simulate_responses.output.listener,
        crosscoder=rules.train.output.crosscoder,
        codes=rules.scores.output.codes,
        latents=rules.scores.output.latents,
    output:
        planted=f"{MODEL}/planted.tsv",
    log:
        f"{RESULTS}/logs/planted/{{subject}}/{{experiment}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/planted/{{subject}}/{{experiment}}/seed{{seed}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(scoring_of),
        runtime=minutes(60),
    params:
        code=code_of("planted"),
        stories=stories_of,
        pairing=section_of("pairing"),
        minimum_shift_s=PLAN.config["scores"]["minimum_shift_s"],
        tr_s=DATASET["tr_s"],
    script:
        "../scripts/planted.py"
