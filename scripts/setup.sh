#!/bin/bash
# Installs what is missing on a Debian machine that has the Swift toolchain. Does nothing when all is there.
#
#   scripts/setup.sh          what building, testing and the demo need
#   scripts/setup.sh bench    and what the benchmarks need
set -euo pipefail

fail() { echo "setup: $*" >&2; exit 1; }

command -v "${SWIFT:-swift}" >/dev/null \
    || fail "no Swift toolchain found; install Swift 6.3 or later from https://www.swift.org/install/linux/ and put it on PATH"

# command → Debian package
declare -A packages=(
    [git]=git                    # SwiftPM fetches dependencies with it
    [protoc]=protobuf-compiler   # checks our codec against the protocol's .proto file
    [parallel]=parallel          # roost map is compared with it
    [xz]=xz-utils                # the demo's work
    [ps]=procps                  # tests look for processes left behind
    [Rscript]=r-base-core        # R at both ends
)
if [[ ${1:-} == bench ]]; then
    packages[python3]=python3
    packages[xargs]=findutils
fi

missing=()
for command in "${!packages[@]}"; do
    command -v "$command" >/dev/null || missing+=("${packages[$command]}")
done
if [[ ${1:-} == bench ]] && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3-venv); fi
# What the R package is checked with: R's name for it → Debian's. Without R, all come with it.
declare -A r_packages=(
    [codetools]=r-cran-codetools [foreach]=r-cran-foreach [iterators]=r-cran-iterators [doRNG]=r-cran-dorng
    [doParallel]=r-cran-doparallel [future]=r-cran-future [future.apply]=r-cran-future.apply
    [parallelly]=r-cran-parallelly
)
# Asking R itself costs a second and a half each time: a package is there when its description is in one of R's libraries.
libraries=()
if command -v R >/dev/null; then
    r_home=$(R RHOME)
    # The account's own library, where nothing else is said, is named after platform and version: x86_64-pc-linux-gnu-library/4.2.
    r_version=$(sed -nE 's/^Version: ([0-9]+\.[0-9]+).*/\1/p' "$r_home/library/base/DESCRIPTION")
    own=${R_LIBS_USER:-$(compgen -G "${HOME:-}/R/*-library/$r_version" | head -n 1 || true)}
    IFS=: read -ra libraries <<<"${R_LIBS:-}:$own:${R_LIBS_SITE:-}:/usr/local/lib/R/site-library:/usr/lib/R/site-library:$r_home/library"
fi
is_in_r() {
    local library
    for library in "${libraries[@]}"; do [[ -n $library && -e $library/$1/DESCRIPTION ]] && return; done
    false
}
for package in "${!r_packages[@]}"; do
    is_in_r "$package" || missing+=("${r_packages[$package]}")
done
# The toolchain's own needs, a linker and the C library's headers; and the database's headers.
[[ -e /usr/include/stdio.h ]] || missing+=(libc6-dev)
[[ -e /usr/include/sqlite3.h ]] || missing+=(libsqlite3-dev)
compgen -G '/usr/lib/gcc/*/*/libstdc++.*' >/dev/null || missing+=(libstdc++-12-dev)
[[ ${#missing[@]} -gt 0 ]] || exit 0

sudo=()
if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || fail "as root, run: apt-get install ${missing[*]}"
    sudo=(sudo)
fi
command -v apt-get >/dev/null || fail "these packages are missing: ${missing[*]}"
echo "setup: installing ${missing[*]}"
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
