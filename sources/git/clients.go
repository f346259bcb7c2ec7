package git

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// clients writes what points git, Ansible and git-lfs at the mirror: a function
// of the folders of the git repositories alone.
func clients(_ context.Context, repos []bundle.Repository, t sources.Tree) ([]sources.ClientFile, error) {
	found := map[string]bool{} // whether it has objects of Git LFS
	for _, r := range repos {
		for f, err := range t.Files(r.Name) {
			if err != nil {
				return nil, fmt.Errorf("source %s: %w", r.Name, err)
			}
			if dir, name, ok := cutDir(f.Path); ok {
				found[dir] = found[dir] || strings.HasPrefix(name, lfsFolder)
			}
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	dirs := slices.Sorted(maps.Keys(found))
	files := []sources.ClientFile{
		{Path: "git/gitconfig", Content: gitconfig(dirs)},
		{Path: "git/git-submodules.sh", Content: submodulesScript(dirs)},
		{Path: "git/push-to-forge.sh", Content: pushScript(dirs)},
		{Path: "ansible/git.yml", Content: ansibleVars(dirs)},
	}
	if slices.Contains(slices.Collect(maps.Values(found)), true) {
		files = append(files, sources.ClientFile{Path: "lfs/git-lfs-fetch.sh", Content: lfsScript()})
	}
	return files, nil
}

// rewrite is one folder of the mirror and the URLs that it stands for.
type rewrite struct {
	to   string
	from []string
}

// rewrites has one for each host.
func rewrites(dirs []string) []rewrite {
	var all []rewrite
	for _, dir := range dirs {
		folder, _, _ := strings.Cut(dir, "/")
		to := sources.BaseMark + "/" + mount + "/" + folder + "/"
		if len(all) > 0 && all[len(all)-1].to == to {
			continue
		}
		host, port, hasPort := cutPort(folder)
		r := rewrite{to: to, from: []string{"https://" + folder + "/", "http://" + folder + "/", "git@" + folder + ":", "ssh://git@" + folder + "/"}}
		if hasPort {
			r.from = []string{"https://" + host + ":" + port + "/", "http://" + host + ":" + port + "/"}
		}
		all = append(all, r)
	}
	return all
}

// cutPort cuts a port off the name of a host's folder.
func cutPort(folder string) (host, port string, ok bool) {
	i := strings.LastIndexByte(folder, '_')
	if i < 0 || i == len(folder)-1 || strings.Trim(folder[i+1:], "0123456789") != "" {
		return folder, "", false
	}
	return folder[:i], folder[i+1:], true
}

func gitconfig(dirs []string) []byte {
	var b bytes.Buffer
	b.WriteString("# git reads its repositories from the mirror, whatever URLs playbooks and\n# submodules name. On a client, for all users:\n" +
		"#   git config --system --add include.path /etc/gapbundle/gitconfig\n")
	for _, r := range rewrites(dirs) {
		fmt.Fprintf(&b, "[url \"%s\"]\n", r.to)
		for _, from := range r.from {
			fmt.Fprintf(&b, "\tinsteadOf = \"%s\"\n", from)
		}
	}
	return b.Bytes()
}

// options are the rewrites as options of one call of git, which hands them to
// the calls that it makes itself.
func optionLines(dirs []string) string {
	var b strings.Builder
	for _, r := range rewrites(dirs) {
		for _, from := range r.from {
			fmt.Fprintf(&b, "  -c %s \\\n", quote("url."+r.to+".insteadOf="+from))
		}
	}
	return b.String()
}

// quote returns a word for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func submodulesScript(dirs []string) []byte {
	return []byte("#!/bin/sh\n# Fetches the submodules of one checkout from the mirror, without changing\n# the configuration of anything else: sh git-submodules.sh [CHECKOUT]\nset -eu\ncd \"${1:-.}\"\nexec git \\\n" +
		optionLines(dirs) + "  submodule update --init --recursive\n")
}

func pushScript(dirs []string) []byte {
	var b bytes.Buffer
	b.WriteString(`#!/bin/sh
# Copies the mirror's repositories into the site's own Gitea, GitLab or the
# like, for clients that need more than a static mirror has (shallow and
# partial clones, Argo CD, Flux): sh push-to-forge.sh https://git.example.org/mirrors
# Each becomes <that>/<host>/<path>.git, which has to be there or be created by a push.
set -eu
to=${1:?want the URL below which the repositories are pushed}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
copy() {
  git clone --quiet --mirror "$1" "$work/repository.git"
  git -C "$work/repository.git" push --mirror "$2"
  rm -rf "$work/repository.git"
}
`)
	for _, dir := range dirs {
		fmt.Fprintf(&b, "copy %s \"$to\"/%s\n", quote(sources.BaseMark+"/"+mount+"/"+dir), quote(dir))
	}
	return b.Bytes()
}

func ansibleVars(dirs []string) []byte {
	var b bytes.Buffer
	b.WriteString("# Where Ansible's git module finds a repository: git_url_prefix and its public\n# address without the scheme, as in\n" +
		"#   repo: \"{{ git_url_prefix }}github.com/NVIDIA/deepops.git\"\n# Playbooks that name public URLs need the file gitconfig on the machines instead.\n---\n")
	fmt.Fprintf(&b, "git_url_prefix: \"%s/%s/\"\ngit_repositories:\n", sources.BaseMark, mount)
	for _, dir := range dirs {
		fmt.Fprintf(&b, "  - \"%s/%s/%s\"\n", sources.BaseMark, mount, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(dir))
	}
	return b.Bytes()
}

func lfsScript() []byte {
	return []byte(`#!/bin/sh
# Brings the objects of Git LFS of one checkout from the mirror, for web servers
# other than "gapbundle serve" (git-lfs asks for objects by a POST, which a
# static server cannot answer): sh git-lfs-fetch.sh [CHECKOUT]
# Clone with GIT_LFS_SKIP_SMUDGE=1, or git-lfs fails before it is asked.
set -eu
cd "${1:-.}"
base=$(git ls-remote --get-url "${REMOTE:-origin}")
base=${base%/}
base=${base%.git}.git
store=$(git rev-parse --git-common-dir)/lfs/objects
git lfs ls-files --long | while read -r oid rest; do
  a=$(printf %.2s "$oid")
  b=$(printf %.2s "${oid#??}")
  file=$store/$a/$b/$oid
  [ -e "$file" ] && continue
  mkdir -p "$store/$a/$b"
  curl --fail --silent --show-error --location --output "$file.part" "$base/lfs/objects/$a/$b/$oid"
  echo "$oid  $file.part" | sha256sum --check --quiet
  mv "$file.part" "$file"
done
git lfs checkout
`)
}
