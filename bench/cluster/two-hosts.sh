#!/usr/bin/env bash
# Two hosts, as namespaces with names and networks of their own, work in one folder with leases instead of locks. The clock
# of one is a minute fast, if libfaketime is there. Processes are killed at random, KILLS times in all (50 by default).
# Needs root. TERCET names the program.
#
#   TERCET=target/release/tercet KILLS=200 bench/cluster/two-hosts.sh
source "$(dirname "$0")/common.sh"
kills=${KILLS:-50}
RANDOM=${SEED:-1}
fake=$(find /usr/lib -name libfaketime.so.1 2>/dev/null | head -1)
[ -n "$fake" ] || echo "libfaketime is not there: both clocks are the same"

# host NAME COMMAND…: in namespaces of its own
host() {
  local name=$1 clock=()
  shift
  [ "$name" != beta ] || [ -z "$fake" ] || clock=(env LD_PRELOAD="$fake" FAKETIME=+60s FAKETIME_DONT_FAKE_MONOTONIC=1)
  exec unshare --uts --net --pid --fork --kill-child sh -c 'hostname "$0"; exec "$@"' "$name" "${clock[@]}" "$@"
}

begin() { (host "$1" "$tercet" run r.toml "${small[@]}" --threads 1 --out together --lease=2 >>"$1.log" 2>&1) & }

host beta date +%s >beta.time & wait $!
echo "clock of beta: $(($(cat beta.time) - $(date +%s))) s ahead"
done=0 folders=0
declare -A marks
while [ $done -lt "$kills" ]; do
  rm -rf together
  folders=$((folders + 1))
  marks=()
  pids=() names=(alpha alpha alpha beta beta beta)
  for i in 0 1 2 3 4 5; do begin "${names[i]}"; pids[i]=$!; done
  while [ $done -lt "$kills" ] && [ ! -e together/report.html ]; do
    sleep 0.$((RANDOM % 9 + 1))
    i=$((RANDOM % 6))
    if kill -9 "${pids[i]}" 2>/dev/null; then done=$((done + 1)); fi
    wait "${pids[i]}" 2>/dev/null || true
    begin "${names[i]}"; pids[i]=$!
    for file in together/stages/*/done.json; do
      [ -e "$file" ] || continue
      mark=$(stat -c '%i %y' "$file")
      [ "${marks[$file]:-$mark}" = "$mark" ] || { echo "$file was written twice"; exit 1; }
      marks[$file]=$mark
    done
  done
  for pid in "${pids[@]}"; do wait "$pid" || { echo "a process failed"; tail -3 alpha.log beta.log; exit 1; }; done
  equal together
done
echo "$done kills of six processes on two hosts in $folders folders"
echo "taken over: $(grep -c 'taken over' alpha.log) times by alpha, $(grep -c 'taken over' beta.log) by beta"
for name in alpha beta; do echo "made on $name: $(grep -l "\"$name\"" together/stages/*/maker.json | wc -l) of $(ls together/stages | wc -l) stages"; done
