rule table1:
    input:
        chosen=f"{REPORTED}/chosen.tsv",
        latents=f"{REPORTED}/latents.tsv",
    output:
        table_files("table1"),
    log:
        f"{RESULTS}/logs/table1/{{subject}}.log",
    conda:
        ENVIRONMENT
    params:
        simulated=SIMULATED,
        span_s=PLAN.config["passages"]["span_s"],
    script:
        "../scripts/table1.py"


rule table2:
    input:
        chosen=f"{REPORTED}/chosen.tsv",
        latents=f"{REPORTED}/latents.tsv",
        passages=f"{REPORTED}/passages.tsv",
    output:
        table_files("table2"),
    log:
        f"{RESULTS}/logs/table2/{{subject}}.log",
    conda:
        ENVIRONMENT
    params:
        simulated=SIMULATED,
        span_s=PLAN.config["passages"]["span_s"],
    script:
        "../scripts/table2.py"


rule shares:
    input:
        summaries=model_files("summary.tsv"),
    output:
        table_files("shares"),
    log:
        f"{RESULTS}/logs/shares/{{subject}}.log",
    conda:
        ENVIRONMENT
    params:
        simulated=SIMULATED,
    script:
        "../scripts/shares.py"


rule sensitivity:
    input:
        summaries=model_files("summary.tsv", seed=REPORTED_SEED),
    output:
        table_files("sensitivity"),
    log:
        f"{RESULTS}/logs/sensitivity/{{subject}}.log",
    conda:
        ENVIRONMENT
    params:
        simulated=SIMULATED,
        seed=REPORTED_SEED,
    script:
        "../scripts/sensitivity.py"


rule interpretation_table:
    input:
        interpretations=f"{REPORTED}/interpretations.tsv",
    output:
        table_files("interpretations"),
    log:
        f"{RESULTS}/logs/interpretation_table/{{subject}}.log",
    conda:
        ENVIRONMENT
    params:
        simulated=SIMULATED,
        span_s=PLAN.config["passages"]["span_s"],
    script:
        "../scripts/interpretation_table.py"


rule paper:
    input:
        summaries=model_files("summary.tsv", ["matched", "shuffled"]),
    output:
        table_files("paper"),
    log:
        f"{RESULTS}/logs/paper/{{subject}}.log",
    conda:
        ENVIRONMENT
    params:
        simulated=SIMULATED,
        flatmaps=flatmaps_drawn,
        deviations=deviations_of,
    script:
        "../scripts/paper.py"


rule readings_table:
    input:
        summaries=reading_summaries,
    output:
        table_files("readings"),
    log:
        f"{RESULTS}/logs/readings/{{subject}}.log",
    conda:
        ENVIRONMENT
    params:
        simulated=SIMULATED,
        readings=readings_of,
    script:
        "../scripts/readings.py"


# Not part of a run, for it trains a few hundred models: `snakemake readings`.
rule readings:
    input:
        expand(f"{TABLE}/readings.tsv", subject=SUBJECTS),


if SIMULATED:

    rule planted_table:
        input:
            planted=model_files("planted.tsv", ["matched"]),
        output:
            table_files("planted"),
        log:
            f"{RESULTS}/logs/planted_table/{{subject}}.log",
        conda:
            ENVIRONMENT
        params:
            snr=DATASET["simulation"]["snr"],
        script:
            "../scripts/planted_table.py"

    rule checks:
        input:
            summaries=[
                f"{RESULTS}/{model.subject}/{model.experiment}/seed{model.seed}/summary.tsv"
                for model in PLAN.models
            ],
            planted=[
                f"{RESULTS}/{model.subject}/{model.experiment}/seed{model.seed}/planted.tsv"
                for model in PLAN.models
                if model.experiment in ("matched", "shuffled")
            ],
            ceilings=expand(f"{RESULTS}/{{subject}}/ceiling.tsv", subject=SUBJECTS),
        output:
            table_files("checks", folder=f"{RESULTS}/tables", subject="all"),
        log:
            f"{RESULTS}/logs/checks.log",
        conda:
            ENVIRONMENT
        params:
            snr=DATASET["simulation"]["snr"],
        script:
            "../scripts/checks.py"
