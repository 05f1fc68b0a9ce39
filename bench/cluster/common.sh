# Sourced: a recipe of two arms at two seeds, which takes seconds, and the run that one process makes of it.
set -euo pipefail
tercet=$(realpath "${TERCET:-target/release/tercet}")
recipes=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../recipes")
work=$(mktemp -d)
cat "$recipes/quickstart.toml" - >"$work/r.toml" <<'TOML'
[[arm]]
name = "one"
[[arm]]
name = "two"
set = { "stage.rl.optimizer.lr" = 1e-4 }
TOML
cd "$work"
small=(--scale tiny --set claim=[] --set 'seeds=[1,2]' --set "stage.pre.tokens=${TOKENS:-60000}" --set stage.pre.checkpoint_every=2 --set stage.rl.steps=4)
run() { $tercet run r.toml "${small[@]}" --threads 1 "$@"; }
equal() { $tercet compare --assert-equal serial "$1"; }
run --out serial >serial.log 2>&1
