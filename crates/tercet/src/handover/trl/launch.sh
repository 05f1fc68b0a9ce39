#!/usr/bin/env bash
# One node:      GPUS=8 bash launch.sh
# Several nodes: on each, NODES=4 RANK=0 MASTER=first:29500 GPUS=8 bash launch.sh, with RANK from 0 to 3
# A CPU:         GPUS=1 bash launch.sh --use_cpu true --bf16 false
# Further arguments are fields of GRPOConfig.
set -euo pipefail
folder=$(cd "$(dirname "$0")" && pwd)
python "$folder/check.py"
exec torchrun --nnodes "${NODES:-1}" --node-rank "${RANK:-0}" --nproc-per-node "${GPUS:-8}" \
  --rdzv-backend c10d --rdzv-endpoint "${MASTER:-localhost:29500}" "$folder/train.py" "$@"
