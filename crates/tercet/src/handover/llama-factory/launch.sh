#!/usr/bin/env bash
# One node:      GPUS=8 bash launch.sh
# Several nodes: on each, NODES=4 RANK=0 MASTER=first GPUS=8 bash launch.sh, with RANK from 0 to 3
# Further arguments are LLaMA-Factory's, for example max_steps=2 or bf16=true.
set -euo pipefail
cd "$(dirname "$0")"
python check.py
devices=$((${NODES:-1} * ${GPUS:-8}))
accumulated=$((({{ accumulated }} + devices / 2) / devices))
export FORCE_TORCHRUN=1 NNODES=${NODES:-1} NODE_RANK=${RANK:-0} NPROC_PER_NODE=${GPUS:-8} MASTER_ADDR=${MASTER:-localhost}
exec llamafactory-cli train config.yaml gradient_accumulation_steps="$((accumulated > 0 ? accumulated : 1))" "$@"
