#!/bin/bash
# Installs what is missing on a Debian machine that has the Swift toolchain. Does nothing when all is there.
#
#   scripts/setup.sh          what building, testing and the demo need
#   scripts/setup.sh bench    and what the benchmarks need
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "setup: $*" >&2; exit 1; }

swift=$(command -v "${SWIFT:-swift}") \
    || fail "no Swift toolchain found; install Swift 6.3 or later from https://www.swift.org/install/linux/ and put it on PATH"
missing=()

# Shared libraries that the toolchain's programs lack, as Debian packages: a bare Debian has few of them. Only what builds and tests
# is looked at: its debugger and editor helpers need more. What has no version in its name is the toolchain's own.
for library in $(cd "$(dirname "$(readlink -f "$swift")")" && ldd swift swift-driver swift-frontend swift-package swift-format clang lld \
        ../lib/swift/linux/*.so 2>/dev/null | sed -nE 's/^[[:space:]]*([^ ]+\.so\.[^ ]+) => not found$/\1/p' | sort -u); do
    case $library in
        libncurses.so.6 | libform.so.6 | libpanel.so.6) missing+=(libncurses6) ;;
        libxml2.so.2) missing+=(libxml2) ;;
        libz.so.1) missing+=(zlib1g) ;;
        libpython3.*) missing+=("${library%%.so*}") ;;
        *[0-9].so.*) missing+=("${library/.so./-}") ;;    # libsqlite3.so.0 is in libsqlite3-0
        *) missing+=("${library/.so./}") ;;               # libcurl.so.4 is in libcurl4
    esac
done
# A toolchain that lacks no library may still be one for another machine.
check_swift() {
    local said
    said=$("$swift" --version 2>&1) || fail "'$swift --version' does not run: ${said:-it says nothing}"
}
[[ ${#missing[@]} -gt 0 ]] || check_swift

# command → Debian package
declare -A packages=(
    [git]=git                    # SwiftPM fetches dependencies with it
    [ld]=binutils                # the compiler links with it
    [protoc]=protobuf-compiler   # checks our codec against the protocol's .proto file
    [parallel]=parallel          # roost map is compared with it
    [xz]=xz-utils                # the demo's work
    [ps]=procps                  # tests look for processes left behind
    [Rscript]=r-base-core        # R at both ends
    [qpdf]=qpdf                  # R CMD check --as-cran asks for it
)
if [[ ${1:-} == bench ]]; then
    packages[python3]=python3
    packages[xargs]=findutils
fi

for command in "${!packages[@]}"; do
    command -v "$command" >/dev/null || missing+=("${packages[$command]}")
done
if [[ ${1:-} == bench ]] && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3-venv); fi
# What the R package names in its DESCRIPTION, but for what R itself has, …
mapfile -t r_packages < <(
    awk '/^[^ \t]/ { wanted = /^(Depends|Imports|LinkingTo|Suggests):/; sub(/^[^:]*:/, ",") } wanted' r/roost/DESCRIPTION \
        | tr '\n' ' ' | sed 's/([^)]*)//g' | tr ',' '\n' | sed 's/ //g' | grep -v '^$' \
        | grep -vxE 'R|base|compiler|datasets|graphics|grDevices|grid|methods|parallel|splines|stats|stats4|tcltk|tools|utils'
)
# … and what Tests/R/ecosystem and the benchmarks run on a pool.
r_packages+=(
    BiocParallel boot caret data.table DBI doParallel doSNOW furrr glmnet lme4 lubridate Matrix memoise pbapply plyr purrr R6 rlang
    RSQLite snow tibble xml2
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
# Debian's name for R's package data.table is r-cran-data.table; there are no capital letters.
for package in "${r_packages[@]}"; do
    is_in_r "$package" && continue
    case $package in
        Bioc*) missing+=("r-bioc-${package,,}") ;;
        *) missing+=("r-cran-${package,,}") ;;
    esac
done
# The compiler's needs, the headers of C's and C++'s libraries; and the database's headers.
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
check_swift
