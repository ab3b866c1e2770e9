#!/bin/sh
# Install what the tests of containers and of pages need, where that is possible: as root, with apt.
#
#     sh scripts/ci_tools.sh
#
# Says what it did. Exit code 0: all of it is there; 3: it is not, and the tests will say so.

set -eu
packages="docker.io docker-registry iptables mmdebstrap chromium chromium-driver"

say() { printf 'ci_tools: %s\n' "$*"; }

there() {
    for program in dockerd docker-registry mmdebstrap chromium chromedriver; do
        command -v "$program" || return 1
    done
}

if there >/dev/null; then
    say "dockerd, docker-registry, mmdebstrap and chromium are there already"
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "tests of containers and pages may be skipped: installing $packages takes root and apt"
    exit 3
fi

# No service of these packages may start: the tests start their own, on sockets of their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
say "installing $packages ..."
# shellcheck disable=SC2086 # several words are meant
if apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $packages >/tmp/ci_tools.log 2>&1 \
    && there >/dev/null; then
    say "installed: $(dockerd --version), $(chromium --version)"
else
    tail -n 5 /tmp/ci_tools.log 2>/dev/null || true
    say "tests of containers and pages may be skipped: apt could not install $packages"
    exit 3
fi
