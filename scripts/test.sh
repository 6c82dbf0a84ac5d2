#!/bin/bash
# Runs what scripts/build.sh has built: all tests, or those that `--filter NAME` names. The whole log is kept in
# .build/test.log; shown are the suites, everything that went wrong, the runner's own summary and, at the end, which tests failed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/failures.sh

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
grep -E 'Test run with' "$log" || { echo "test: no test ran" >&2; [[ $status -ne 0 ]] || status=1; }
[[ $status -ne 0 ]] || exit 0
failed=$(failed_swift_tests "$log")
[[ $status -ne 124 && $status -ne 137 ]] || echo "test: the time (ROOST_TEST_SECONDS=${ROOST_TEST_SECONDS:-2400}) is over" >&2
if [[ -n $failed ]]; then
    printf 'test: these failed; the whole log is in %s\n%s\n' "$log" "$failed" >&2
else
    # Nothing that the tests' runner would have said: it did not start, or was killed.
    tail -n 20 "$log" >&2
    echo "test: failed with status $status; the whole log is in $log" >&2
fi
exit "$status"
