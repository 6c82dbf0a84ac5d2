#!/bin/bash
# Checks the R package as CRAN would, `R CMD check --as-cran --no-manual`: its tests, examples and vignettes run against the binary
# that scripts/build.sh has built. Then runs what other packages do on a pool, Tests/R/ecosystem, with the package just installed.
# Anything but "Status: OK" and "passed" is a failure, and what failed is said at the end; logs are kept in .build/r-check.log and
# .build/ecosystem.   scripts/test_r.sh NAME…  runs only these of Tests/R/ecosystem.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/failures.sh

fail() { echo "test_r: $*" >&2; exit 1; }
command -v Rscript >/dev/null || fail "no R in the PATH: run 'make setup'"
root=$PWD
export ROOST_BIN=${ROOST_BIN:-$root/.build/release/roost}
[[ -x $ROOST_BIN ]] || fail "no binary at $ROOST_BIN: run 'make build'"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p .build/ecosystem
log=$root/.build/r-check.log
failed=()

# Of what CRAN looks at, all but what needs the network: whether the name is taken, links to other packages, the time of day. All
# tests run, also after one that failed, and one that hangs is a failed one.
check() {
    cd "$work"
    "$root/scripts/build_r.sh" .
    env _R_CHECK_CRAN_INCOMING_REMOTE_=FALSE _R_CHECK_SYSTEM_CLOCK_=FALSE _R_CHECK_XREFS_REPOSITORIES_=' ' \
        _R_CHECK_NO_STOP_ON_TEST_ERROR_=TRUE _R_CHECK_TESTS_NLINES_=30 _R_CHECK_ONE_TEST_ELAPSED_TIMEOUT_=5m timeout --kill-after=30 "${ROOST_TEST_SECONDS:-1200}" \
        R CMD check --as-cran --no-manual roost_*.tar.gz
}
if [[ $# -eq 0 ]]; then
    (check) >"$log" 2>&1 || true
    status=$(sed -n 's/^Status: //p' "$log")
    echo "R CMD check --as-cran: ${status:-no status}"
    if [[ $status != OK ]]; then
        r_check_remarks "$log" | grep . || tail -n 60 "$log"
        failed+=("R CMD check: ${status:-no status; the log is in $log}")
        mapfile -t -O "${#failed[@]}" failed < <(failed_r_tests "$log")
    fi
    library=$work/roost.Rcheck
else
    library=$work
    R CMD INSTALL --no-docs --no-test-load --library="$library" r/roost >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
fi

# Each in an R session of its own, two at a time: they wait for R to load packages more than they compute.
ecosystem() { # NAME
    local begin=$SECONDS log=$root/.build/ecosystem/$1.log
    if R_LIBS=$library${R_LIBS:+:$R_LIBS} timeout --kill-after=10 "${ROOST_TEST_SECONDS:-300}" \
        Rscript --vanilla "$1.R" >"$log" 2>&1 </dev/null; then
        echo "ecosystem: $1 passed, $((SECONDS - begin)) s"
    else
        echo "ecosystem: $1 failed with status $?, $((SECONDS - begin)) s"
    fi
}
export -f ecosystem
export root library
begin=$SECONDS
cd Tests/R/ecosystem
if [[ $# -gt 0 ]]; then names=("$@"); else names=(*.R); fi
printf '%s\n' "${names[@]%.R}" | xargs -P 2 -I {} bash -c 'ecosystem {}' | tee "$work/ecosystem"
passed=$(grep -c ' passed, ' "$work/ecosystem" || true)
echo "ecosystem: $passed of ${#names[@]} passed, $((SECONDS - begin)) s"
while read -r _ name _; do
    echo "--- Tests/R/ecosystem/$name.R"
    tail -n 30 "$root/.build/ecosystem/$name.log"
    failed+=("  Tests/R/ecosystem/$name.R")
done < <(grep ' failed with ' "$work/ecosystem")

[[ ${#failed[@]} -gt 0 ]] || exit 0
printf '%s\n' "test_r: these failed:" "${failed[@]}" >&2
exit 1
