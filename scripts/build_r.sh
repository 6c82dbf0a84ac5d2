#!/bin/bash
# Builds the R package's source archive, with its vignettes, into a directory:  scripts/build_r.sh DIR
# The vignettes are built by the package itself, so it is first installed in a library that goes again.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$1"
library=$(mktemp -d)
trap 'rm -rf "$library"' EXIT
export R_LIBS=$library${R_LIBS:+:$R_LIBS}
R CMD INSTALL --no-docs --no-test-load --library="$library" "$root/r/roost"
R CMD build "$root/r/roost"
