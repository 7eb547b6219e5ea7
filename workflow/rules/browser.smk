# A page for each latent of the reported model of a subject, or of a group, for each of its brains: plain files that a
# browser opens from the disk. Snakemake's report, which is one file, cannot hold a folder of pages; it has their list.
rule browser:
    input:
        sources=matched_sources_of,
        crosscoder="<reported>/crosscoder.safetensors",
        codes="<reported>/codes.zarr",
        evidence="<reported>/evidence.tsv",
        summary="<reported>/evidence_summary.tsv",
        noise=model_files("evidence.tsv", ["noise"]),
        passages="<reported>/passages.tsv",
        names="<reported>/names.tsv",
        chosen=chosen_of,
        words=words_of_test_stories,
        found_again=found_again_of,
        partners=partners_of,
        all_voxels=voxels_shown_to,
        all_cortex=cortices_shown_to,
        mask=mask_inputs,
    output:
        pages=directory("<results>/browser/{subject}"),
        latents=table_files("latents"),
    log:
        "<logs>/browser/{subject}.log",
    conda:
        ENVIRONMENT
    threads: FILES.threads
    resources:
        **needs(browsing_of, minutes=60),
    params:
        code=code_of("browser"),
        templates=templates_param(WORKFLOW.parent / "brainlm" / "report" / "browser" / "templates"),
        stories=stories_of,
        pairing=SETTINGS["matched"]["pairing"],
        recordings={story: PLAN.text_of(story) for story in STORIES},
        delays_s=SETTINGS["matched"]["features"]["delays_s"],
        window=SETTINGS["matched"]["features"]["lanczos"]["window"],
        colormap=PLAN.config["figures"]["weight_colormap"],
        dataset=DATASET["name"],
        language_model=LM,
        simulated=SIMULATED,
        seed=REPORTED_SEED,
        mask=mask_path,
        members=group_members,
    script:
        "../scripts/browser.py"
