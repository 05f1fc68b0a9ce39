#!/usr/bin/env bash
# A recipe on a Slurm that is there (sbatch, squeue and scontrol on the path): its job arrays make the run that one process
# makes, also when tasks are queued again in the middle. TERCET names the program.
source "$(dirname "$0")/common.sh"
"$tercet" export slurm r.toml "${small[@]}" --out run --to jobs --program "$tercet" --requeue --untimed --sbatch mem=500M
began=$SECONDS
sh jobs/submit.sh
again=0
while [ -n "$(squeue --noheader --me)" ]; do
  # A task that has saved something is sent back to the queue, three times.
  if [ $again -lt 3 ] && ls run/stages/*/checkpoints/step-*/loop.json >/dev/null 2>&1; then
    job=$(squeue --noheader --me --states=running --format=%i | grep _ | head -1)
    if [ -n "$job" ] && scontrol requeue "$job"; then again=$((again + 1)); echo "queued again: $job"; fi
  fi
  sleep 2
  [ $((SECONDS - began)) -lt "${LIMIT:-300}" ] || { squeue; tail -n 5 jobs/logs/*; exit 1; }
done
equal run
echo "$(ls run/stages | wc -l) stages in $((SECONDS - began)) s, $again times queued again"
