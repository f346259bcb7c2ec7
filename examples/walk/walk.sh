#!/usr/bin/env bash
# A newcomer's first months with gapbundle, on one machine: from a bare clone to clients that install, with two sticks, a bad
# one, an update and a rollback. Nothing but loopback is asked. Each command is printed as you would type it.
#
#   examples/walk/walk.sh             # Debian's and Rocky's tools are needed: see upstreams.sh
#   GAPBUNDLE=/path/to/gapbundle examples/walk/walk.sh     # with a program that is built already
#
# It works in a temporary folder, which it removes. Sticks are small file systems in memory, mounted where nobody else sees them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "${WALK_INSIDE:-}" != yes ]; then
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(--map-root-user)
  WALK_INSIDE=yes exec unshare --mount --propagation private "${as_root[@]}" bash "${BASH_SOURCE[0]}"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/gapbundle-walk-XXXXXX")
background=()
finish() {
  kill "${background[@]}" 2>/dev/null || true
  gpgconf --kill gpg-agent 2>/dev/null || true
  wait 2>/dev/null || true
  umount "$work/stick-1" "$work/stick-2" 2>/dev/null || true
  chmod -R u+rwX "$work" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
for name in $(compgen -v GAPBUNDLE_); do unset "$name"; done # a person's own settings do not count here
export GAPBUNDLE_PASSPHRASE='only for this walk'

. "$here/upstreams.sh"
. "$here/clients.sh"

title() { printf '\n%s\n%s\n' "$1" "${1//?/-}"; }
say() { printf '# %s\n' "$*"; }
run() {
  printf '\n%s$ %s\n' "${PWD##*/}" "$*"
  "$@"
}
refused() { # EXIT COMMAND...: it has to end with that exit code
  local want=$1 got=0
  shift
  run "$@" || got=$?
  [ "$got" -eq "$want" ] || { echo "exit $got, want $want" >&2; exit 1; }
  say "exit $got"
}
holds() { # FILE TEXT
  [ "$(cat "$1")" = "$2" ] || { echo "$1 has $(cat "$1"), want $2" >&2; exit 1; }
  say "${1#"$work"/} has $2"
}

title 'From a bare clone to a program'
if [ -z "${GAPBUNDLE:-}" ]; then
  if top=$(git -C "$here" rev-parse --show-toplevel 2>/dev/null); then
    run git clone --quiet "$top" "$work/gapbundle"
  else # an unpacked archive of the source
    mkdir "$work/gapbundle"
    tar -C "$here/../.." --exclude=./.git -cf - . | tar -xf - -C "$work/gapbundle"
  fi
  (cd "$work/gapbundle" && GOBIN=$work/bin run go install ./cmd/gapbundle)
  GAPBUNDLE=$work/bin/gapbundle
fi
gapbundle() { "$GAPBUNDLE" "$@"; }
run gapbundle version

title 'Upstreams: three suites like those of Debian, two repositories like those of Rocky'
upstream_keys
deb bookworm hello 1.0 'libgreeting (>= 1.0)'
deb bookworm libgreeting 1.0 ''
deb bookworm-updates tzdata 2026a ''
deb bookworm-security openssl 3.1 ''
debian_suites
rpm_package BaseOS libsalute 1.0 ''
rpm_package AppStream salute 1.0 libsalute
rocky_repositories
upstreams_start
say "$upstream/debian, $upstream/debian-security, $upstream/rocky"

title 'The connected side: keys, a spec, a plan'
mkdir "$work/connected" "$work/inside" "$work/stick-1" "$work/stick-2"
for stick in stick-1 stick-2; do mount -t tmpfs -o size=2500k "$stick" "$work/$stick"; done
cd "$work/connected"
run gapbundle keygen --out keys
cp "$work"/{debian,rocky}.asc keys/
cat >gapbundle.yaml <<SPEC
version: 1
name: office
signing: {exporter: keys/exporter.key}
sources:
  - name: debian
    kind: apt
    url: $upstream/debian
    suites: [bookworm, bookworm-updates]
    components: main
    architectures: [amd64]
    keyring: keys/debian.asc
  - name: debian-security
    kind: apt
    url: $upstream/debian-security
    suites: bookworm-security
    components: main
    architectures: [amd64]
    keyring: keys/debian.asc
  - name: baseos
    kind: rpm
    baseurl: $upstream/rocky/9/BaseOS/x86_64/os
    gpgkey: keys/rocky.asc
  - name: appstream
    kind: rpm
    baseurl: $upstream/rocky/9/AppStream/x86_64/os
    gpgkey: keys/rocky.asc
SPEC
run cat gapbundle.yaml
run gapbundle plan --volume-size 1MiB

title 'Two sticks'
run gapbundle export --volume-size 1MiB --to ../stick-1 --to ../stick-2
run ls ../stick-1/office-000001 ../stick-2/office-000001

title 'Inside: whom to trust, once'
cd "$work/inside"
say 'exporter.pub came by another way than the sticks, and its fingerprint was compared by telephone.'
cp ../connected/keys/exporter.pub .
run gapbundle trust add --mirror mirror --role exporter --set office --yes exporter.pub

title 'The first stick alone, and a bad one'
refused 5 gapbundle import ../stick-1 --to mirror --accept-keys
bad=$(ls -d ../stick-2/office-000001/volume-* | sed -n 1p)
cp "$bad" "$work/good-copy"
printf 'damage' | dd of="$bad" bs=1 seek=4000 conv=notrunc status=none
say "Some bytes of $bad are not those that were written."
refused 3 gapbundle import ../stick-1 ../stick-2 --to mirror --accept-keys
[ ! -e mirror/current ] || { echo 'something was published' >&2; exit 1; }
say 'Nothing was published. The one volume is copied again.'
cp "$work/good-copy" "$bad"

title 'The import, and a web server'
mirror=http://127.0.0.1:$(free_port)
run gapbundle import ../stick-1 ../stick-2 --to mirror --accept-keys --base-url "$mirror"
printf '\ninside$ gapbundle serve mirror --listen %s &\n' "${mirror#http://}"
"$GAPBUNDLE" serve mirror --listen "${mirror#http://}" --quiet &
background+=($!)
answers "$mirror/"
run gapbundle status mirror

title 'Clients install'
apt_client
apt_get update
apt_get install hello tzdata openssl
holds "$debian/usr/share/hello/version" 1.0
holds "$debian/usr/share/libgreeting/version" 1.0
dnf_client
dnf_ install salute
holds "$rocky/usr/share/libsalute/version" 1.0

title 'A month later: an update'
cd "$work/connected"
deb bookworm-security libgreeting 1.1 ''
debian_suites
rpm_package BaseOS libsalute 1.1 ''
rocky_repositories
run gapbundle receipts add ../inside/mirror/state/receipts/office-000001.receipt.json --destination office --yes
rm -rf "$work"/stick-?/office-*
run gapbundle export --volume-size 1MiB --to ../stick-1 --destination office
cd "$work/inside"
run gapbundle verify ../stick-1 --mirror mirror
run gapbundle import ../stick-1 --to mirror
apt_get update
apt_get upgrade
holds "$debian/usr/share/libgreeting/version" 1.1
dnf_ --refresh upgrade
holds "$rocky/usr/share/libsalute/version" 1.1

title 'And back'
run gapbundle rollback mirror
say 'apt keeps a Release that is newer than the one it is offered, so on machines that have the newer one its lists are removed first.'
run find "$debian/var/lib/apt/lists" -type f -delete
apt_get update
candidate() { APT_CONFIG=$debian/apt.conf apt-cache madison libgreeting | sed -n 1p | cut -d'|' -f2 | tr -d ' '; }
[ "$(candidate)" = 1.0 ] || { echo "after the rollback apt finds libgreeting $(candidate), want 1.0" >&2; exit 1; }
say 'apt finds libgreeting 1.0 again.'
dnf_ --refresh downgrade libsalute
holds "$rocky/usr/share/libsalute/version" 1.0
run gapbundle rollback mirror
apt_get update
[ "$(candidate)" = 1.1 ] || { echo "after going forward apt finds libgreeting $(candidate), want 1.1" >&2; exit 1; }
run gapbundle check mirror --data
title 'Done'
