def mask_path(wildcards):
    """The mask that the number of voxels is checked against; empty if the dataset has none."""
    subject = wildcards.subject
    path = f"{DERIVATIVE}/pycortex-db/{subject}/transforms/{subject}_auto/mask_thick.nii.gz"
    return path if has_cortex(subject) else ""


def mask_files(wildcards):
    if SIMULATED:
        return [f"{DERIVATIVE}/pycortex-db/{wildcards.subject}"]
    return [mask_path(wildcards)] * has_cortex(wildcards.subject)


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


def cortex_files(wildcards):
    """What pycortex needs of a subject."""
    folder = f"{DERIVATIVE}/pycortex-db/{wildcards.subject}"
    if DATASET["source"] != "openneuro":
        return [folder]
    surfaces = [f"surfaces/{kind}_{side}.gii" for kind in ("flat", "pia", "wm") for side in ("lh", "rh")]
    transform = [
        f"transforms/{wildcards.subject}_auto/{name}"
        for name in ("matrices.xfm", "reference.nii.gz", "mask_thick.nii.gz")
    ]
    return [f"{folder}/{file}" for file in [*surfaces, *transform, "overlays.svg"]]


rule cortex:
    input:
        files=cortex_files,
        transforms=ancient(f"{DERIVATIVE}/subject_xfms.json"),
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
        height=PLAN.config["figures"]["flatmap_height"],
        work_dir=f"{RESULTS}/cortex/work",
    script:
        "../scripts/cortex.py"
