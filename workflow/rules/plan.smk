# `snakemake plan`: what a run of this config would take. Another Snakemake plans it, for this one's plan is this rule.
rule plan:
    handover: True
    # Nothing but this machine can tell what it has.
    container:
        None
    # Of a rule that names none Snakemake would want all of the run's, which on a cluster are not known.
    resources:
        mem_mb=1000,
    params:
        python=sys.executable,
        path=planning_path(),
        options=planning_options,
        cores=planning_cores(),
    shell:
        "PYTHONPATH={params.path:q} {params.python:q} -m pipeline.forecast {params.options:q} --cores {params.cores}"
