# Upstreams for walk.sh: folders shaped like Debian's archives and Rocky's repositories, signed by keys of their own and
# served on loopback. Needs dpkg-deb, apt-ftparchive, rpmbuild, rpmsign, createrepo_c, gpg and python3.

export GNUPGHOME=$work/upstream-keys

# upstream_keys makes one key for each vendor, and what a newcomer gets of it.
upstream_keys() {
  mkdir -m 700 "$GNUPGHOME"
  local vendor
  for vendor in debian rocky; do
    gpg --batch --quiet --passphrase '' --quick-generate-key "$vendor@upstream.example" rsa3072 sign never
    gpg --batch --quiet --armor --export "$vendor@upstream.example" >"$work/$vendor.asc"
  done
}

# deb SUITE NAME VERSION DEPENDS: a package in the pool of a suite, 700 KB that do not compress.
deb() {
  local dir=$work/build/$2-$3 archive=$work/www/debian
  [ "$1" = bookworm-security ] && archive=$work/www/debian-security
  mkdir -p "$dir/DEBIAN" "$dir/usr/share/$2" "$archive/pool/$1"
  printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: Nobody <nobody@upstream.example>\nDescription: %s\n' "$2" "$3" "$2" >"$dir/DEBIAN/control"
  [ -z "$4" ] || echo "Depends: $4" >>"$dir/DEBIAN/control"
  echo "$3" >"$dir/usr/share/$2/version"
  head -c 700000 /dev/urandom >"$dir/usr/share/$2/data"
  dpkg-deb --root-owner-group --build "$dir" "$archive/pool/$1/$2_$3_amd64.deb" >/dev/null
}

# debian_suite ARCHIVE SUITE: indexes and a signed InRelease, as dists/ has them.
debian_suite() {
  (
    cd "$work/www/$1"
    mkdir -p "pool/$2" "dists/$2/main/binary-amd64"
    apt-ftparchive packages "pool/$2" >"dists/$2/main/binary-amd64/Packages"
    xz -kf "dists/$2/main/binary-amd64/Packages"
    rm -f "dists/$2/InRelease"
    apt-ftparchive -o APT::FTPArchive::Release::Origin=Debian -o "APT::FTPArchive::Release::Suite=$2" -o "APT::FTPArchive::Release::Codename=$2" \
      -o APT::FTPArchive::Release::Architectures=amd64 -o APT::FTPArchive::Release::Components=main release "dists/$2" >"$work/Release"
    gpg --batch --quiet --local-user debian@upstream.example --clearsign --output "dists/$2/InRelease" "$work/Release"
  )
}

debian_suites() {
  debian_suite debian bookworm
  debian_suite debian bookworm-updates
  debian_suite debian-security bookworm-security
}

# rpm_package REPOSITORY NAME VERSION REQUIRES: a signed package.
rpm_package() {
  local top=$work/rpmbuild repo=$work/www/rocky/9/$1/x86_64/os
  mkdir -p "$repo/Packages" "$top"
  {
    printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: %s\nLicense: MIT\nBuildArch: noarch\n' "$2" "$3" "$2"
    [ -z "$4" ] || echo "Requires: $4"
    printf '%%description\n%s\n%%install\nmkdir -p %%{buildroot}/usr/share/%s\necho %s >%%{buildroot}/usr/share/%s/version\n%%files\n/usr/share/%s\n' "$2" "$2" "$3" "$2" "$2"
  } >"$top/$2.spec"
  rpmbuild -bb --quiet --define "_topdir $top" --define "_rpmdir $repo" --define '_build_name_fmt Packages/%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' "$top/$2.spec" >/dev/null 2>&1
  rpmsign --define "__gpg $(command -v gpg)" --define '_gpg_name rocky@upstream.example' --define '_gpg_digest_algo sha256' --addsign "$repo/Packages/$2-$3-1.noarch.rpm" >"$work/rpmsign.log" 2>&1
}

rocky_repositories() {
  local repo
  for repo in BaseOS AppStream; do
    createrepo_c --quiet --update "$work/www/rocky/9/$repo/x86_64/os"
  done
}

# upstreams_start serves all of it; $upstream is the address.
upstreams_start() {
  local port
  port=$(free_port)
  (cd "$work/www" && exec python3 -m http.server --bind 127.0.0.1 "$port" >"$work/upstream.log" 2>&1) &
  background+=($!)
  upstream=http://127.0.0.1:$port
  answers "$upstream/"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# answers waits until somebody listens.
answers() {
  local i
  for i in $(seq 200); do
    curl -s -o /dev/null --noproxy '*' "$1" && return
    sleep 0.1
  done
  echo "$1 does not answer" >&2
  return 1
}
