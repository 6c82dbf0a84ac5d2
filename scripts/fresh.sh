#!/bin/bash
# Runs `make demo` and `make test`, or the targets named, from a clone of what is committed here, in a new Debian 12 root that has git,
# make and nothing of this machine but its Swift toolchain: what setup forgets shows. As root.
#
#   scripts/fresh.sh [TARGET…]      FRESH=DIR keeps the root, with what was built in it, and uses it again
#
# Mounts and processes live in namespaces of their own: they go with this script, however it ends.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "fresh: $*" >&2; exit 1; }
targets=("$@")
[[ $# -gt 0 ]] || targets=(demo test)
release=bookworm

if [[ -z ${FRESH_INSIDE:-} ]]; then
    [[ $(id -u) -eq 0 ]] || fail "only root can make a root: run it with sudo"
    command -v unshare >/dev/null || fail "unshare (Debian package util-linux) is missing"
    command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap >/dev/null; }
    if [[ -n ${FRESH:-} ]]; then
        # Never in a directory that holds something else.
        [[ ! -e $FRESH || -e $FRESH/.roost-fresh || -z $(ls -A "$FRESH") ]] || fail "$FRESH is neither empty nor a root made by this script"
        mkdir -p "$FRESH"
        root=$(realpath "$FRESH")
    else
        root=$(mktemp -d "${TMPDIR:-/var/tmp}/roost-fresh.XXXXXX")
        trap 'rm -rf --one-file-system "$root"' EXIT
    fi
    chmod 0755 "$root"        # others than root live in it, too: apt has an account of its own
    touch "$root/.roost-fresh"
    status=0
    # With this shell goes `unshare`, with that the first process of the namespace, and with that all others.
    FRESH_INSIDE=$root setpriv --pdeathsig KILL \
        unshare --mount --propagation private --pid --fork --kill-child scripts/fresh.sh "${targets[@]}" &
    child=$!
    trap 'kill -KILL "$child" 2>/dev/null; wait "$child" 2>/dev/null; exit 130' INT TERM HUP
    wait "$child" || status=$?
    [[ -z ${FRESH:-} ]] || echo "fresh: the root stays at $root"
    exit "$status"
fi

root=$FRESH_INSIDE
done_steps=()
failed=()
step() { # NAME COMMAND…: runs it, says how long it took
    local name=$1 begin=$SECONDS status=0
    shift
    echo "fresh: $name"
    # In a shell of its own, for a function whose failure is looked at would go on after a command that fails.
    (set -e; "$@") &
    wait $! || status=$?
    if [[ $status -eq 0 ]]; then
        done_steps+=("$name $((SECONDS - begin)) s")
        echo "fresh: $name done in $((SECONDS - begin)) s"
    else
        failed+=("$name (status $status, after $((SECONDS - begin)) s)")
        echo "fresh: $name FAILED with status $status after $((SECONDS - begin)) s" >&2
    fi
    return "$status"
}
finish() {
    [[ ${#done_steps[@]} -eq 0 ]] || printf 'fresh: passed: %s\n' "$(IFS=';'; echo "${done_steps[*]}" | sed 's/;/, /g')"
    [[ ${#failed[@]} -gt 0 ]] || exit 0
    printf 'fresh: failed: %s\n' "${failed[@]}" >&2
    exit 1
}

# Where this machine gets Debian's packages, if it runs the same release: lines of sources.list.
debian_sources() {
    local found=''
    if [[ $(. /etc/os-release && echo "${VERSION_CODENAME:-}") == "$release" ]]; then
        found=$(apt-get indextargets --format '$(ORIGIN) deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null \
            | sed -n 's/^Debian //p' | sort -u)
    fi
    printf '%s\n' "${found:-deb http://deb.debian.org/debian/ $release main}"
}

make_root() {
    local mirror
    find "$root" -xdev -mindepth 1 -maxdepth 1 ! -name .roost-fresh -exec rm -rf --one-file-system {} +
    mirror=$(debian_sources | awk -v release="$release" '$3 == release { print $2; exit }')
    debootstrap --variant=minbase --include=ca-certificates,git,make "$release" "$root" "${mirror:-http://deb.debian.org/debian}" \
        >"$root/.debootstrap.log" 2>&1 || { tail -n 20 "$root/.debootstrap.log" >&2; return 1; }
    echo made >"$root/.roost-fresh"
}

# How this machine reaches the network: apt's sources and proxies, certificates, names, git's rewritten addresses.
carry_over() {
    debian_sources >"$root/etc/apt/sources.list"
    apt-config dump | grep -E '^Acquire::([a-z]+::(.*::)?[Pp]roxy|Check-|Retries)' >"$root/etc/apt/apt.conf.d/90carried-over" || true
    mkdir -p "$root/usr/local/share/ca-certificates"
    cp -a /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
    chroot "$root" update-ca-certificates >/dev/null 2>&1
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost\n' "$(uname -n)" >"$root/etc/hosts"
    local key value
    rm -f "$root/etc/gitconfig"
    while read -r key value; do
        git config --file "$root/etc/gitconfig" --add "$key" "$value"
    done < <(git config --get-regexp '^(url\..*\.insteadof|http\.(.*\.)?(proxy|sslcainfo)|safe\.directory)$' || true)
}

bind() { # DIRECTORY: the same in the root, not to be written to
    [[ -d $1 ]] || return 0
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    mount -o remount,bind,ro "$root$1"
}

clone() {
    local checkout=$PWD
    [[ -z $(git status --porcelain) ]] || echo "fresh: what is not committed is not in the clone"
    if [[ -d $root/root/roost/.git ]]; then
        git -C "$root/root/roost" fetch -q "$checkout" HEAD
        git -C "$root/root/roost" reset -q --hard FETCH_HEAD
        git -C "$root/root/roost" clean -qfd
    else
        git clone -q "$checkout" "$root/root/roost"
    fi
}

inside() { # COMMAND…: in the clone, with nothing of this environment but its proxies
    local proxies
    mapfile -t proxies < <(env | grep -iE '^(https?|all|no)_proxy=' || true)
    chroot "$root" /usr/bin/env -i "${proxies[@]}" HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
        PATH="$toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        bash -c 'cd /root/roost && exec "$@"' bash "$@"
}

# …/usr, wherever `swift` on the PATH leads: the toolchain itself knows.
toolchain=$("${SWIFT:-swift}" -print-target-info | sed -nE 's/.*"runtimeResourcePath": *"(.*)\/lib\/swift".*/\1/p')
[[ -n $toolchain ]] || fail "'${SWIFT:-swift} -print-target-info' does not say where the toolchain is"
[[ $toolchain != /usr ]] || fail "the toolchain is in /usr, with everything else of this machine: install it in a directory of its own"

[[ $(cat "$root/.roost-fresh") == made ]] || step root make_root || finish
carry_over
bind "$toolchain"
while read -r directory; do bind "$directory"; done \
    < <(git config --get-regexp '^url\..*\.insteadof$' | sed -nE 's/^url\.(file:\/\/)?(\/[^ ]*)\.insteadof .*/\2/p' | sort -u || true)
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
step clone clone || finish
step setup inside make setup || finish
for target in "${targets[@]}"; do
    [[ $target == setup ]] || step "$target" inside make "$target" || true
done
finish
