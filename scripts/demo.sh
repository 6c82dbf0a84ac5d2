#!/bin/bash
# The demo: examples/bootstrap in R, one task after the other, on an embedded pool, and on a server with two nodes of
# which one is killed half way while a third joins. The script itself stops when a number differs.
#
#   scripts/demo.sh          about a minute; writes .build/demo/workers.png
#   scripts/demo.sh map      the same story with roost map and files
set -euo pipefail
cd "$(dirname "$0")/.."
[[ ${1:-} != map ]] || exec scripts/demo_map.sh
source scripts/demo_common.sh

plot=${DEMO_PLOT:-$PWD/.build/demo/workers.png}
mkdir -p "$(dirname "$plot")" "$work/library" "$work/notes"

say 'Setting up'
R CMD INSTALL --no-docs --no-test-load --library="$work/library" r/roost >"$work/install.log" 2>&1 \
    || fail 'the R package could not be installed'
start_server
start_node north
start_node south
await 'the joining of north and south' 30 test -s "$work/north.joined" -a -s "$work/south.joined"
note "nodes north (pid ${processes[north]}) and south (pid ${processes[south]}), one slot each"

# What happens to the pool, for the plot: time, what, node.
event() { printf '%s\t%s\t%s\n' "$EPOCHREALTIME" "$1" "$2" >>"$work/notes/events"; }
# The attempts at tasks of job $1 that a node called $2 has started (each notes itself).
attempts_on() { awk -F '\t' -v job="$1" -v node="$2" '$1 == job && $2 == node { n++ } END { print n + 0 }' "$work/notes/attempts" 2>/dev/null || echo 0; }
# In the middle of the means, south has a long task in hand.
half_way() { ! running || (($(attempts_on means south) >= 10)); }
running() { kill -0 "${processes[script]}" 2>/dev/null; }

WATCH_DIR=$work/notes WORKERS_PNG=$plot ROOST_BIN=$roost ROOST_POOL=$url ROOST_TOKEN=$client_token \
    R_LIBS=$work/library Rscript --vanilla examples/bootstrap/bootstrap.R &
processes[script]=$!
await 'half of the work on the server' 600 half_way
if running; then
    event killed south
    kill -KILL "${processes[south]}"
    unset 'processes[south]'
    [[ ! -t 2 ]] || printf '\r\e[K' >&2
    note 'kill -9 of south, in the middle of its task; a second later east joins'
    sleep 1
    start_node east
    await 'the joining of east' 30 test -s "$work/east.joined"
    event joined east
fi

status=0
wait "${processes[script]}" || status=$?
unset 'processes[script]'
[[ $status -eq 0 ]] || fail "the script ended with status $status"
[[ $(attempts_on means east) -gt 0 ]] || fail 'east, which joined late, ran nothing'
grep -q killed "$work/notes/events" || fail 'south was never killed'
printf '\n%s✔ three times the same numbers, bit for bit; south lost for good, nothing else%s\n' "$green" "$off"
