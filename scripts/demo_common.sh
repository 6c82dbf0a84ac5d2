#!/bin/bash
# What the demos share: a place to work in, processes that do not outlive us, and words. Sourced, not run.
#
# Sets `roost` (the binary), `work` (a directory of ours, gone at the end), `processes` (pid of each of our background
# processes, by what it is).

roost=${ROOST:-$PWD/.build/release/roost}
work=$(mktemp -d "${TMPDIR:-/tmp}/roost-demo-XXXXXX")
declare -A processes=()

# Ends processes of ours, at most in five seconds.
end() {
    local name
    for name; do kill -TERM "${processes[$name]}" 2>/dev/null || true; done
    for _ in {1..50}; do
        local alive=0
        for name; do kill -0 "${processes[$name]}" 2>/dev/null && alive=1; done
        [[ $alive -eq 0 ]] && break
        sleep 0.1
    done
    for name; do kill -KILL "${processes[$name]}" 2>/dev/null || true; unset "processes[$name]"; done
}

# Nothing is left behind, however this ends. The server goes last: nodes and their guards take their leave of it.
cleanup() {
    local status=$?
    trap - EXIT INT TERM
    local server=${processes[server]:-}
    unset 'processes[server]'
    end "${!processes[@]}"
    if [[ -n $server ]]; then
        processes[server]=$server
        end server
    fi
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

# Starts a server in $work and makes its tokens: url, client_token, node_token.
start_server() {
    "$roost" server start --listen 127.0.0.1:0 --data "$work/server" --ready-file "$work/ready" >"$work/server.log" 2>&1 &
    processes[server]=$!
    disown   # no word of the shell when it is ended
    await 'the start of the server' 30 test -s "$work/ready"
    url="roost://$(head -n 1 "$work/ready")"
    client_token=$("$roost" token create --role client --name demo --data "$work/server")
    node_token=$("$roost" token create --role node --data "$work/server")
    note "server at $url"
}

# Starts a node of one slot; it has joined when $work/NAME.joined is there.
start_node() {
    ROOST_TOKEN=$node_token "$roost" node start --pool "$url" --name "$1" --slots 1 --state "$work/state-$1" \
        --ready-file "$work/$1.joined" >"$work/$1.log" 2>&1 &
    processes[$1]=$!
    disown
}
