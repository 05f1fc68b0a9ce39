#!/usr/bin/env bash
# A disk that fills, one that becomes read-only, and a share that vanishes, each in the middle of a run by two processes.
# Every time: an error that names the cause, nothing lost, and the same command goes on. Needs root. TERCET names the program.
source "$(dirname "$0")/common.sh"
mkdir disk
trap 'umount -l "$work/disk" 2>/dev/null || true' EXIT

# two WHAT COMMAND…: two processes, and in the middle the command
two() {
  local what=$1 codes=()
  shift
  run --out disk/run >a.log 2>&1 & local a=$!
  run --out disk/run >b.log 2>&1 & local b=$!
  until ls disk/run/stages/*/checkpoints/step-*/loop.json >/dev/null 2>&1; do sleep 0.05; done
  "$@"
  wait $a && codes+=(0) || codes+=($?)
  wait $b && codes+=(0) || codes+=($?)
  echo "$what: exit codes ${codes[*]}"
  grep -h '^error' a.log b.log | sort -u || true
}
again() {
  run --out disk/run >c.log 2>&1 || { cat c.log; exit 1; }
  equal disk/run
}

mount -t tmpfs -o size=200m tmpfs disk
two "a full disk" sh -c 'cat /dev/zero >disk/fill 2>/dev/null || true'
rm disk/fill
again
umount disk

# A file system with open files cannot be made read-only, so a user who is not root loses the right to write.
mount -t tmpfs -o size=200m,mode=777 tmpfs disk
chmod 755 "$work"
cp "$tercet" "$work/tercet"
root=$tercet
tercet="setpriv --reuid=65534 --regid=65534 --clear-groups $work/tercet"
two "a folder that became read-only" chmod -R a-w disk/run
chmod -R a+w disk/run
again
tercet=$root
umount disk

# A bind of a folder stands for a share: taken away, its mount point is empty.
mkdir share
mount --bind share disk
two "a share that vanished" umount -l disk
mount --bind share disk
again
umount disk
