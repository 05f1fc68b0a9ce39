#!/usr/bin/env bash
# One node:      GPUS=8 bash launch.sh
# Several nodes: `ray start --head` on the first and `ray start --address FIRST:6379` on the others, then on the first
#                NODES=4 GPUS=8 bash launch.sh
# Further arguments are verl's, for example trainer.total_training_steps=2.
set -euo pipefail
EXPORT=$(cd "$(dirname "$0")" && pwd)
export EXPORT
python "$EXPORT/check.py"
exec python -m verl.trainer.main_ppo --config-path "$EXPORT" --config-name config "$@"
