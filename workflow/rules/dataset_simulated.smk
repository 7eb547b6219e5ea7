SIMULATION = DATASET["simulation"]


rule simulate_stories:
    input:
        texts=story_files(f"{SIMULATION['texts']}/{{story}}.txt"),
    output:
        textgrids=story_files("<derivative>/TextGrids/{story}.TextGrid"),
        respdict="<derivative>/respdict.json",
        annotations="<results>/simulation/annotations.tsv",
    log:
        "<logs>/simulate_stories.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(4, minutes=60),
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
        transforms="<derivative>/subject_xfms.json",
    log:
        "<logs>/simulate_transforms.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(4, minutes=60),
    params:
        code=code_of("simulate_transforms"),
        subjects=SUBJECTS,
    script:
        "../scripts/simulate_transforms.py"


rule simulate_anatomy:
    output:
        subject=directory("<derivative>/pycortex-db/{subject}"),
    log:
        "<logs>/simulate_anatomy/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(4, minutes=60),
    params:
        code=code_of("simulate_anatomy"),
        voxel_size_mm=SIMULATION["voxel_size_mm"],
    script:
        "../scripts/simulate_anatomy.py"


rule simulate_features:
    input:
        activations=story_files(f"<results>/activations/{LM}/{{story}}.zarr"),
        words=story_files("<results>/words/{story}.tsv"),
        annotations=rules.simulate_stories.output.annotations,
        respdict=rules.simulate_stories.output.respdict,
    output:
        planted=directory("<results>/simulation/planted.zarr"),
    log:
        "<logs>/simulate_features.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(4, minutes=60),
    params:
        code=code_of("simulate_features"),
        block=PLAN.config["features"]["block"],
        seed=SIMULATION["seed"],
        n_lm_features=SIMULATION["n_lm_features"],
        n_lm_only=SIMULATION["n_lm_only"],
        n_story_driven=SIMULATION["n_story_driven"],
        tr_s=DATASET["tr_s"],
        sound_onsets_s={story: PLAN.sound_onset_s(story) for story in sorted(STORIES)},
        trim=DATASET["trim"],
    script:
        "../scripts/simulate_features.py"


rule simulate_responses:
    input:
        planted=rules.simulate_features.output.planted,
        anatomy=rules.simulate_anatomy.output.subject,
    output:
        hdf5=story_files("<derivative>/preprocessed_data/{subject}/{story}.hf5"),
        listener=directory("<results>/simulation/{subject}.zarr"),
    log:
        "<logs>/simulate_responses/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(4, minutes=60),
    params:
        code=code_of("simulate_responses"),
        mask=mask_path,
        seed=SIMULATION["seed"],
        snr=SIMULATION["snr"],
        tr_s=DATASET["tr_s"],
        n_spontaneous=SIMULATION["n_spontaneous"],
        repeated_story=SIMULATION["repeated_story"],
        n_repeats=SIMULATION["n_repeats"],
    script:
        "../scripts/simulate_responses.py"


# The same listener as other labs' data come, for `dataset.source: bids`; only on request.
rule simulate_fmriprep:
    input:
        planted=rules.simulate_features.output.planted,
        textgrids=rules.simulate_stories.output.textgrids,
    output:
        dataset=directory("<results>/simulation/bids"),
    log:
        "<logs>/simulate_fmriprep.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(6, minutes=60),
    params:
        code=code_of("simulate_fmriprep"),
        subject=SUBJECTS[0],
        splits={story: split for split, stories in PLAN.stories.items() for story in stories},
        seed=SIMULATION["seed"],
        snr=SIMULATION["snr"],
        tr_s=DATASET["tr_s"],
        sound_onsets_s={story: PLAN.sound_onset_s(story) for story in sorted(STORIES)},
        trim=DATASET["trim"],
        n_spontaneous=SIMULATION["n_spontaneous"],
        repeated_story=SIMULATION["repeated_story"],
        n_repeats=SIMULATION["n_repeats"],
    script:
        "../scripts/simulate_fmriprep.py"


rule planted:
    input:
        sources=sources_of,
        planted=rules.simulate_responses.output.listener,
        crosscoder=rules.train.output.crosscoder,
        codes=rules.scores.output.codes,
        latents=rules.scores.output.latents,
    output:
        planted="<model>/planted.tsv",
    log:
        "<logs>/planted/{subject}/{experiment}/seed{seed}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(scoring_of, minutes=60),
    params:
        code=code_of("planted"),
        stories=stories_of,
        pairing=section_of("pairing"),
        minimum_shift_s=PLAN.config["scores"]["minimum_shift_s"],
        tr_s=DATASET["tr_s"],
    script:
        "../scripts/planted.py"
