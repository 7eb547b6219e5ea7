# A subject's stories in batches of their own: some subjects have heard only some of them.
for subject in SUBJECTS:
    for number, batch in enumerate(batches(all_stories_of(SimpleNamespace(subject=subject)))):

        rule:
            name:
                f"responses_{subject}_{number}"
            input:
                hdf5=[FILES.input(FILES.responses(subject, story)) for story in batch],
                respdict=ancient(FILES.input(FILES.respdict)),
                mask=FILES.mask_inputs(subject),
            output:
                responses=directory(story_files(f"<results>/responses/{subject}/{{story}}.zarr", batch)),
            log:
                f"<logs>/responses/{subject}/{number}.log",
            conda:
                ENVIRONMENT
            resources:
                **needs(2, minutes=60),
                **writes(stored_bytes(response_bytes_of(subject, batch))),
            params:
                code=code_of("responses"),
                mask=FILES.mask(subject),
                tr_s=DATASET["tr_s"],
                sound_onsets_s={story: PLAN.sound_onset_s(story) for story in batch},
                trim=DATASET["trim"],
            script:
                "../scripts/responses.py"


rule cortex:
    input:
        files=cortex_files,
        atlas=atlas_files,
        # A new subject is a new line in it, which is nothing to the others.
        transforms=ancient(FILES.transform_inputs()),
    output:
        cortex=directory("<results>/cortex/{subject}.zarr"),
    log:
        "<logs>/cortex/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(5, minutes=30),
    params:
        code=code_of("cortex"),
        kind=cortex_kind,
        pycortex_db=f"{DERIVATIVE}/pycortex-db",
        transform=transform_of,
        height=PLAN.config["figures"]["flatmap_height"],
    script:
        "../scripts/cortex.py"


rule voxels:
    input:
        cortex=cortex_store,
        own=own_voxel_table,
        mask=mask_in_mm,
        atlas=atlas_files,
        responses=first_responses_of,
    output:
        voxels="<results>/voxels/{subject}.tsv",
    log:
        "<logs>/voxels/{subject}.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=10),
    params:
        code=code_of("voxels"),
        no_flatmaps=no_flatmaps,
    script:
        "../scripts/voxels.py"
