#!/bin/bash
# Measures the rows named (all, or some of: tasks embedded map idle cold r; r is all of R's) and writes
# Benchmarks/RESULTS.md.
#
# Peers come from Debian (GNU parallel, xargs; foreach, doParallel and future.apply) and from PyPI (HyperQueue, into
# .bench/hyperqueue); mirai, which Debian 12 lacks, is measured where it is installed. One thing runs at a time.
# ROOST_BENCH_ROUNDS (default 3) is how often each is measured; medians are reported.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh bench
mkdir -p .bench
hyperqueue=0.27.0
if [[ " $* " == *" map "* || " $* " == *" all "* ]] && [[ ! -e .bench/hyperqueue/$hyperqueue ]]; then
    echo "bench: installing HyperQueue $hyperqueue into .bench/hyperqueue"
    rm -rf .bench/hyperqueue
    python3 -m venv .bench/hyperqueue
    .bench/hyperqueue/bin/python -m pip install --quiet --disable-pip-version-check "hyperqueue==$hyperqueue"
    touch ".bench/hyperqueue/$hyperqueue"
fi
if [[ " $* " =~ \ (all|r|r-[a-z]+)\  ]]; then
    mkdir -p .bench/r-library
    R CMD INSTALL --no-docs --no-test-load --library=.bench/r-library r/roost >.bench/r-install.log 2>&1 \
        || { cat .bench/r-install.log >&2; exit 1; }
fi
exec python3 scripts/bench.py "$@"
