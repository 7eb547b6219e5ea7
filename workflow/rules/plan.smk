def planning_options():
    """The options with which this Snakemake reads its config."""
    given = {
        "--configfile": workflow.overwrite_configfiles,
        "--config": workflow.config_settings.config_args or [],
    }
    options = [text for option, values in given.items() if values for text in (option, *map(str, values))]
    return ["--snakefile", workflow.main_snakefile, *options]


# `snakemake plan`: what a run of this config would take. Another Snakemake plans it, for this one's plan is this rule.
rule plan:
    handover: True
    params:
        workflow=str(WORKFLOW),
        python=sys.executable,
        options=planning_options(),
    shell:
        "PYTHONPATH={params.workflow:q} {params.python:q} -m pipeline.forecast {params.options:q} --cores {threads}"
