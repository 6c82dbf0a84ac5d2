#!/bin/bash
# What the compiler does not forbid: unformatted sources, force-tries, forgotten notes.
set -euo pipefail
cd "$(dirname "$0")/.."

swift=${SWIFT:-swift}
if "$swift" format --version >/dev/null 2>&1; then
    "$swift" format lint --strict --recursive --parallel Sources Tests examples Package.swift \
        || { echo "check: 'make format' mends most of the lines above" >&2; exit 1; }
fi
if grep -rnE '\btry!|\bfatalError\(|\b(TODO|FIXME|XXX)\b|@unchecked Sendable' Sources examples --include='*.swift'; then
    echo "check: the lines above are not allowed" >&2
    exit 1
fi
for script in scripts/*.sh .ci/run; do
    bash -n "$script"
    [[ -x $script ]] || { echo "check: $script is not executable" >&2; exit 1; }
done
