# Two machines inside for walk.sh: an apt client and a dnf client, each in a root folder of its own. They are
# set up from what the mirror publishes for them and know no other address.

# apt_client makes a Debian machine and takes the client files of both sources.
apt_client() {
  debian=$work/inside/debian-machine
  mkdir -p "$debian"/etc/apt/{apt.conf.d,preferences.d,trusted.gpg.d,keyrings,sources.list.d} "$debian"/var/lib/apt/lists/partial \
    "$debian"/var/cache/apt/archives/partial "$debian"/var/lib/dpkg/{info,updates,triggers} "$debian"/var/log/apt
  : >"$debian/var/lib/dpkg/status"
  local source line file url
  for source in debian debian-security; do
    curl -sSf --noproxy '*' "$mirror/_gapbundle/clients/apt/$source.sources" >"$work/$source.sources"
    # the file says in its head how to get its keys
    line=$(grep -m1 '^#   curl -f -o ' "$work/$source.sources")
    read -r _ _ _ _ file url <<<"$line"
    curl -sSf --noproxy '*' --create-dirs -o "$debian$file" "$url"
    sed "s|$file|$debian$file|" "$work/$source.sources" >"$debian/etc/apt/sources.list.d/$source.sources"
  done
  cat >"$debian/apt.conf" <<CONF
Dir "$debian"; Dir::State::status "$debian/var/lib/dpkg/status"; Dir::Etc::Parts "$debian/etc/apt/apt.conf.d";
APT::Architecture "amd64"; APT::Architectures { "amd64"; }; APT::Sandbox::User "root"; Acquire::http::Proxy "DIRECT";
DPkg::Options { "--root=$debian"; "--log=/dev/null"; }; Debug::NoLocking "1";
CONF
}

apt_get() { APT_CONFIG=$debian/apt.conf run apt-get --quiet=2 --yes "$@"; }

# dnf_client makes a Rocky machine.
dnf_client() {
  rocky=$work/inside/rocky-machine
  mkdir -p "$rocky"/{repos,cache,persist,log,vars}
  printf '[main]\nplugins=0\n' >"$rocky/dnf.conf"
  local source
  for source in baseos appstream; do
    curl -sSf --noproxy '*' "$mirror/_gapbundle/clients/rpm/dnf/$source.repo" >"$rocky/repos/$source.repo"
  done
}

dnf_() {
  HOME=/client run dnf -c "$rocky/dnf.conf" --installroot "$rocky" --releasever 9 --forcearch x86_64 -y -q --setopt=reposdir="$rocky/repos" --setopt=cachedir="$rocky/cache" \
    --setopt=persistdir="$rocky/persist" --setopt=logdir="$rocky/log" --setopt=varsdir="$rocky/vars" "$@"
}
