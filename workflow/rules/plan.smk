# `snakemake plan`: what a run of this config would take. Another Snakemake plans it, for this one's plan is this rule.
rule plan:
    handover: True
    params:
        workflow=str(WORKFLOW),
        python=sys.executable,
        options=planning_options(),
    shell:
        "PYTHONPATH={params.workflow:q} {params.python:q} -m pipeline.forecast {params.options:q} --cores {threads}"
