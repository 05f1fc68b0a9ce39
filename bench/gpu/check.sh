#!/usr/bin/env bash
# The second engine on a GPU, in two calls of at most 7 minutes, from the repository's root:
#
#   bench/gpu/check.sh 1     parity; training at four sizes beside plain compiled PyTorch
#   bench/gpu/check.sh 2     sampling in batches of 256 to 4,096; then a piece of `extrapolation --scale small`
#
# Needs torch, transformers and pytest, and for the second call target/release/tercet. What it measures lands in $OUT (by
# default target/gpu). The run folder in $OUT goes on where the call before stopped, if it is put back there. `REHEARSE=1`
# runs the same steps on a processor with tiny shapes.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${OUT:-target/gpu}
mkdir -p "$out" target/torch-path/tercet
ln -sfn "$PWD/python/tercet/torch" target/torch-path/tercet/torch
export PYTHONPATH=$PWD/target/torch-path OMP_WAIT_POLICY=passive HF_HUB_OFFLINE=1
python=${PYTHON:-python3}
tercet=${TERCET:-target/release/tercet}
if [ -n "${REHEARSE:-}" ]; then
  export SHAPES=bench/gpu/tiny.json CUDA_VISIBLE_DEVICES=
  device=cpu scale=tiny seconds=60 rounds="--rounds 1 --seconds 0.1"
  training="S 500M" sides=worker,direct,eager sampling="P256 P4096"
else
  export SHAPES=bench/gpu/shapes.json
  device=cuda scale=small seconds=150 rounds="--rounds 3 --seconds 2 --warm-up 3"
  training="S 15M P 500M" sides=worker,direct,compile,eager sampling="P256 P1024 P4096"
  nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader | tee "$out/gpu.txt"
fi
"$python" -c 'import torch, transformers; print("torch", torch.__version__, "transformers", transformers.__version__)' | tee -a "$out/gpu.txt"

# A step that fails or takes too long does not take the others with it; the call fails in the end.
failed=0
part() {
  local limit=$1 name=$2
  shift 2
  echo "== $name"
  local began=$SECONDS status=0
  timeout --signal=INT --kill-after=20 "$limit" "$@" 2>&1 | tee "$out/$name.txt" || status=$?
  echo "-- $((SECONDS - began)) s, status $status"
  [ "$status" = 0 ] || failed=1
}

second() { "$python" bench/peers/second.py --device "$device" $rounds "$@"; }
export -f second
export python device rounds

case ${1:-} in
1)
  part 90 parity "$python" -m pytest -q -p no:cacheprovider python/tests_torch/test_model.py python/tests_torch/test_draw.py
  for shape in $training; do
    part 75 "train-$shape" bash -c "second --shapes $shape --work train --precision bf16 --train $sides --json '$out/train-$shape.json'"
  done
  ;;
2)
  for shape in $sampling; do
    part 60 "sample-$shape" bash -c "second --shapes $shape --work sample --precision bf16 --sample worker,generate --json '$out/sample-$shape.json'"
  done
  # Stops by itself after a while, saved; status 1 and 124 then say so and nothing else.
  timeout --signal=INT --kill-after=60 "$seconds" "$tercet" run recipes/extrapolation.toml --scale "$scale" --engine torch \
    --python "$python" --precision bf16 --out "$out/extrapolation" 2>&1 | tee "$out/extrapolation.txt" || true
  ls "$out"/extrapolation/stages/*/metrics.jsonl >/dev/null || failed=1
  ;;
*)
  sed -n 2,10p "$0"
  exit 2
  ;;
esac
exit "$failed"
