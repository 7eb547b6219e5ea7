rule responses:
    input:
        hdf5=f"{DERIVATIVE}/preprocessed_data/{{subject}}/{{story}}.hf5",
        respdict=ancient(f"{DERIVATIVE}/respdict.json"),
        mask=mask_files,
    output:
        responses=directory(f"{RESULTS}/responses/{{subject}}/{{story}}.zarr"),
    log:
        f"{RESULTS}/logs/responses/{{subject}}/{{story}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/responses/{{subject}}/{{story}}.tsv"
    conda:
        ENVIRONMENT
    params:
        mask=mask_path,
        tr_s=DATASET["tr_s"],
        sound_onset_s=DATASET["sound_onset_s"],
        trim=DATASET["trim"],
    script:
        "../scripts/responses.py"


rule cortex:
    input:
        files=cortex_files,
        # A new subject is a new line in it, which is nothing to the others.
        transforms=ancient(transform_files()),
    output:
        cortex=directory(f"{RESULTS}/cortex/{{subject}}.zarr"),
    log:
        f"{RESULTS}/logs/cortex/{{subject}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/cortex/{{subject}}.tsv"
    conda:
        ENVIRONMENT
    params:
        pycortex_db=f"{DERIVATIVE}/pycortex-db",
        transform=transform_of,
        height=PLAN.config["figures"]["flatmap_height"],
    script:
        "../scripts/cortex.py"
