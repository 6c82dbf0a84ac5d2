#!/bin/bash
# Builds everything, tests included, in the one configuration there is. Keeps the whole log in .build/build.log and
# shows a line for every twentieth part of the way; errors and warnings are shown whole, and warnings are errors.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/failures.sh

mkdir -p .build
log=.build/build.log
started=$SECONDS

show() {
    local line step=-1 now
    while IFS= read -r line; do
        if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
            now=$((BASH_REMATCH[1] * 20 / BASH_REMATCH[2]))
            if ((BASH_REMATCH[2] > 40 && now != step)); then
                step=$now
                echo "build: ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]} steps, $((SECONDS - started)) s"
            fi
        elif [[ $line =~ error:|warning:|^Fetched|\ \|\  ]]; then
            echo "$line"
        fi
    done
}

status=0
"${SWIFT:-swift}" build -c release --build-tests 2>&1 | tee "$log" | show || status=$?
if [[ $status -ne 0 ]]; then
    # Once more, for they may have scrolled away.
    echo "build: failed after $((SECONDS - started)) s; the whole log is in $log; the errors:" >&2
    build_errors "$log" >&2
    exit 1
fi
# Our targets cannot have warnings, for they would be errors; the manifest and the plan of the build could.
if grep -E 'warning: ' "$log" | grep -v '/checkouts/' >&2; then
    echo "build: the warnings above must go" >&2
    exit 1
fi
echo "build: done in $((SECONDS - started)) s"
