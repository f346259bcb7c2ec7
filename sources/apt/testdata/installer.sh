#!/bin/sh
# installer.sh ROOT HOST DIRECTORY: in ROOT, the tree of the Debian installer's initrd, the installer's own programs
# choose the mirror http://HOST/DIRECTORY, read the index of its udebs, and install site-menu with what it depends on.
# They are started as its menu starts them, without questions. It has to run with mounts and processes of its own.
set -eu
root=$1
mount -t proc proc "$root/proc"
mkdir -p "$root/dev" "$root/var/lib/cdebconf" "$root/var/log"
mount --bind /dev "$root/dev"
cat >"$root/tmp/preseed" <<END
d-i mirror/country string manual
d-i mirror/protocol string http
d-i mirror/http/hostname string $2
d-i mirror/http/directory string $3
d-i mirror/http/proxy string
d-i mirror/suite string bookworm
d-i mirror/udeb/suite string bookworm
d-i anna/choose_modules multiselect site-menu
d-i anna/no_kernel_modules boolean true
d-i anna/standard_modules boolean false
END
cat >"$root/tmp/install" <<'END'
export DEBIAN_FRONTEND=noninteractive TERM=dumb
syslogd -O /var/log/syslog
for templates in /var/lib/dpkg/info/*.templates; do debconf-loadtemplate d-i "$templates"; done
debconf-set-selections /tmp/preseed
debconf -odi /bin/choose-mirror
debconf -odi /usr/lib/debian-installer/retriever/net-retriever packages /tmp/Packages
code=1 # anna repeats what fails until somebody stops it, so it is not started without an index
if [ -s /tmp/Packages ]; then
  debconf -odi /bin/anna net-retriever default || true # debconf does not pass on how a program ended: who asks looks at what is installed
  code=0
fi
logger -t installer.sh end
until grep -q 'installer.sh: end$' /var/log/syslog; do sleep 1; done # syslogd writes what it got in order, but later
cat /var/log/syslog
exit "$code"
END
chroot "$root" /bin/sh /tmp/install
