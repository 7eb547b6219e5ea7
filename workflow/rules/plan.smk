# `snakemake plan`: what a run of this config would take. Another Snakemake plans it, for this one's plan is this rule.
rule plan:
    handover: True
    params:
        workflow=str(WORKFLOW),
        python=sys.executable,
        config=[
            *(
                ["--configfile", *map(str, workflow.overwrite_configfiles)]
                if workflow.overwrite_configfiles
                else []
            ),
            *(
                ["--config", *workflow.config_settings.config_args]
                if workflow.config_settings.config_args
                else []
            ),
        ],
    shell:
        "PYTHONPATH={params.workflow:q} {params.python:q} -m pipeline.forecast {params.config:q} --cores {threads}"
