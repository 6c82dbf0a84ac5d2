#!/bin/bash
# Real work for about a minute, three times over: one file after the other, on an embedded pool, and on a server with
# two nodes of which one is killed half way and a third joins. All three must give the same bytes.
#
# The work: how small does xz make each of 240 files of this machine, and what is the digest of the result?
set -euo pipefail
cd "$(dirname "$0")/.."

roost=${ROOST:-$PWD/.build/release/roost}
tasks=${DEMO_TASKS:-240}
work=$(mktemp -d "${TMPDIR:-/tmp}/roost-demo-XXXXXX")
declare -A processes=()   # pid of each of our background processes, by what it is

# Nothing is left behind, however this ends.
cleanup() {
    local status=$?
    trap - EXIT INT TERM
    local name
    for name in "${!processes[@]}"; do kill -TERM "${processes[$name]}" 2>/dev/null || true; done
    for _ in {1..50}; do
        local alive=0
        for name in "${!processes[@]}"; do kill -0 "${processes[$name]}" 2>/dev/null && alive=1; done
        [[ $alive -eq 0 ]] && break
        sleep 0.1
    done
    for name in "${!processes[@]}"; do kill -KILL "${processes[$name]}" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if [[ $status -ne 0 ]]; then
        for log in "$work"/*.log; do
            [[ -s $log ]] && { echo "--- the end of $(basename "$log")"; tail -n 15 "$log"; } >&2
        done
    fi
    rm -rf "$work"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [[ -t 1 ]]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' off=$'\e[0m'
else
    bold='' dim='' green='' red='' off=''
fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }
note() { printf '%s  %s%s\n' "$dim" "$*" "$off"; }
fail() { printf '%s✘ %s%s\n' "$red" "$*" "$off" >&2; exit 1; }
seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }
# Waits for a condition, at most so many seconds.
await() {
    local what=$1 limit=$2
    shift 2
    local until=$((SECONDS + limit))
    until "$@"; do
        ((SECONDS < until)) || fail "$what did not happen within $limit s"
        sleep 0.05
    done
}

[[ -x $roost ]] || fail "$roost is not there; run 'make build' first"

# ---------------------------------------------------------------- the inputs

# Files of 96 to 512 KiB of the system's own directories, evenly chosen from the sorted list: the same ones each time.
find /usr/bin /usr/sbin /usr/lib /usr/share -xdev -type f -readable -size +96k -size -512k 2>/dev/null \
    | LC_ALL=C grep -v '[^A-Za-z0-9._/+@:,=~%-]' | LC_ALL=C sort >"$work/candidates"
found=$(wc -l <"$work/candidates")
((found >= tasks)) || fail "only $found files of 96 to 512 KiB below /usr; $tasks are needed"
awk -v n="$tasks" -v total="$found" 'int(NR * n / total) > int((NR - 1) * n / total)' "$work/candidates" >"$work/inputs"
tasks=$(wc -l <"$work/inputs")
bytes=$(tr '\n' '\0' <"$work/inputs" | du -cb --files0-from=- | tail -n 1 | cut -f 1)

# One task: its output is a line with the file, its compressed size and that stream's digest.
task='xz -9e -T1 -c {} >packed.$$ && echo {} $(wc -c <packed.$$) $(sha256sum <packed.$$ | cut -c1-32); status=$?; rm -f packed.$$; exit $status'
# In a pool each attempt notes its start first: how many there were is then known from the tasks themselves.
noting() { printf '%s' "echo {#} >>'$work/$1.starts'; $task"; }
cd "$work"

say "$tasks files of /usr, $((bytes >> 20)) MiB: how small does xz -9e make each of them?"

# ---------------------------------------------------------------- 1: one after the other

say '1  One after the other, without Roost: the reference'
started=$EPOCHREALTIME
count=0
while IFS= read -r file; do
    sh -c "${task//'{}'/"'$file'"}"
    count=$((count + 1))
    if [[ -t 2 ]] && ((count % 10 == 0)); then printf '\r  %d/%d' "$count" "$tasks" >&2; fi
done <inputs >sequential
[[ ! -t 2 ]] || printf '\r\e[K' >&2
sequential=$(seconds_since "$started")
note "$tasks files in $sequential s"

# ---------------------------------------------------------------- 2: embedded

say "2  The same on an embedded pool: roost map -k '…' :::: inputs"
started=$EPOCHREALTIME
"$roost" map -k --progress --joblog embedded.joblog "$(noting embedded)" :::: inputs >embedded
embedded=$(seconds_since "$started")
cmp sequential embedded || fail 'the embedded pool gave other results'
note "$tasks files in $embedded s, the same bytes"

# ---------------------------------------------------------------- 3: a server, and nodes that come and go

say '3  The same on a server with two nodes; one is killed half way, a third joins'
"$roost" server start --listen 127.0.0.1:0 --data server --ready-file ready >server.log 2>&1 &
processes[server]=$!
disown   # no word of the shell when it is ended
await 'the start of the server' 30 test -s ready
url="roost://$(head -n 1 ready)"
client_token=$("$roost" token create --role client --name demo --data server)
node_token=$("$roost" token create --role node --data server)
note "server at $url"

start_node() {
    ROOST_TOKEN=$node_token "$roost" node start --pool "$url" --name "$1" --slots 1 --state "state-$1" >"$1.log" 2>&1 &
    processes[$1]=$!
    disown
}
start_node north
start_node south
note "nodes north (pid ${processes[north]}) and south (pid ${processes[south]}), one slot each"

finished() { [[ -f pool.joblog ]] && (($(wc -l <pool.joblog) > $1)); }
started=$EPOCHREALTIME
ROOST_TOKEN=$client_token "$roost" map -k --progress --pool "$url" --joblog pool.joblog \
    "$(noting pool)" :::: inputs >pool &
processes[map]=$!

await 'half of the work' 300 finished $((tasks / 2))
kill -KILL "${processes[south]}"
unset 'processes[south]'
killed_at=$(($(wc -l <pool.joblog) - 1))
[[ ! -t 2 ]] || printf '\r\e[K' >&2
note "after $killed_at files: kill -9 of south, in the middle of its task; east joins"
start_node east

map_status=0
wait "${processes[map]}" || map_status=$?
unset 'processes[map]'
pool=$(seconds_since "$started")
[[ $map_status -eq 0 ]] || fail "roost map ended with status $map_status"
cmp sequential pool || fail 'the pool gave other results'
note "$tasks files in $pool s, the same bytes"

# ---------------------------------------------------------------- the end

attempts() { wc -l <"$1.starts"; }
rerun=$(sort pool.starts | uniq -d | wc -l)
on_node() { awk -F '\t' -v node="$2" 'NR > 1 && $2 == node { n++ } END { print n + 0 }' "$1"; }
recorded=$(awk -F '\t' 'NR > 1 && !seen[$1]++ { n++ } END { print n + 0 }' pool.joblog)
[[ $recorded -eq $tasks ]] || fail "$recorded of $tasks tasks are in the job log"
[[ $(attempts pool) -ge $tasks ]] || fail "only $(attempts pool) attempts for $tasks tasks"
[[ $(on_node pool.joblog east) -gt 0 ]] || fail 'east, which joined late, ran nothing'

say 'What became of it'
printf '  %-22s %8s %10s %9s   %s\n' run tasks attempts 'wall s' 'tasks by node'
printf '  %-22s %8d %10d %9s   %s\n' \
    'one after the other' "$tasks" "$tasks" "$sequential" '–' \
    'embedded pool' "$tasks" "$(attempts embedded)" "$embedded" 'this process' \
    'server and nodes' "$tasks" "$(attempts pool)" "$pool" \
    "north $(on_node pool.joblog north), south $(on_node pool.joblog south) (killed), east $(on_node pool.joblog east)"
printf '\n  lost with south and run again: %d      lost for ever: 0\n' "$rerun"
printf '\n%s✔ %d results, three times the same bytes%s\n' "$green" "$tasks" "$off"
