#!/bin/bash
# Runs what scripts/build.sh has built: all tests, or those that `--filter NAME` names. The whole log is kept in
# .build/test.log; shown are the suites, everything that went wrong, and the runner's own summary.
set -euo pipefail
cd "$(dirname "$0")/.."

log=.build/test.log
: >"$log"

# A test that hangs is a failed test: the limit is far above what the tests need.
run() {
    timeout --kill-after=30 "${ROOST_TEST_SECONDS:-2400}" \
        "${SWIFT:-swift}" test -c release --skip-build "$@" 2>&1 | tee -a "$log" \
        | { grep --line-buffered -E '(passed|failed) after|^✘|↳|error:|Fatal|Crash|seed|skipped|^chaos:' || true; } \
        | { grep --line-buffered -vE '^. Test (".*"|.*\(\)|case .*) passed|^✔ Test .* passed after' || true; }
}

status=0
if [[ $# -gt 0 ]]; then
    run "$@" || status=$?
else
    # Tests that wait for real R or for the disk, and those that only reckon, take threads from those that have deadlines of
    # their own: not at the same time.
    apart=('SimulationTests' 'RSerializationTests|RoostBridgeTests' 'RoostStoreTests')
    run --skip "$(IFS='|'; echo "${apart[*]}")" || status=$?
    for tests in "${apart[@]}"; do run --filter "$tests" || status=$?; done
fi
if [[ $status -ne 0 ]]; then
    echo "test: failed with status $status; the whole log is in $log" >&2
    tail -n 20 "$log" >&2
fi
grep -E 'Test run with' "$log" || { echo "test: no summary; the whole log is in $log" >&2; exit 1; }
exit "$status"
