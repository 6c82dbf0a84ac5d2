#!/bin/bash
# Checks the R package as CRAN would: `R CMD check --no-manual`, its tests, examples and vignettes run against the binary
# that scripts/build.sh has built. Anything but "Status: OK" is a failure; the log is kept in .build/r-check.log.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "test_r: $*" >&2; exit 1; }
command -v Rscript >/dev/null || fail "no R in the PATH: run 'make setup'"
root=$PWD
export ROOST_BIN=$root/.build/release/roost
[[ -x $ROOST_BIN ]] || fail "no binary at $ROOST_BIN: run 'make build'"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$root/.build/r-check.log
cd "$work"
{
    "$root/scripts/build_r.sh" . \
        && _R_CHECK_FORCE_SUGGESTS_=false timeout --kill-after=30 "${ROOST_TEST_SECONDS:-1200}" \
            R CMD check --no-manual roost_*.tar.gz
} >"$log" 2>&1 || { tail -n 60 "$log" >&2; fail "failed; the whole log is in $log"; }
status=$(grep '^Status:' "$log" || true)
echo "R CMD check: ${status:-no status}"
[[ $status == 'Status: OK' ]] || { cat roost.Rcheck/00check.log >&2; fail 'R CMD check has something to say'; }
