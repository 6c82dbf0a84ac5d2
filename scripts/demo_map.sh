#!/bin/bash
# The demo of the command line (scripts/demo.sh map): real work, three times over. One file after the other, on an
# embedded pool, and on a server with two nodes of which one is killed half way and a third joins. All three must give
# the same bytes.
#
# The work: how small does xz make each of 120 files of this machine, and what is the digest of the result?
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/demo_common.sh

tasks=${DEMO_TASKS:-120}

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
start_server
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
