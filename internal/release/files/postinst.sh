#!/bin/sh
# Makes the account and the folders. rpm does this by itself, for the files in sysusers.d
# and tmpfiles.d; dpkg does not. Nothing is started.
set -e
if [ -z "$DPKG_ROOT" ] && [ "$1" = configure ] && command -v systemd-sysusers >/dev/null; then
  systemd-sysusers /usr/lib/sysusers.d/gapbundle*.conf
  systemd-tmpfiles --create /usr/lib/tmpfiles.d/gapbundle*.conf || true
  if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
fi
