package kubespray

import (
	"bytes"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// Bounds of a list: Kubespray's have 24 and 57 lines.
const (
	maxList  = 1 << 20 // bytes
	maxLines = 5_000
	// maxUnreplaced bounds how many lines with a variable are named.
	maxUnreplaced = 20
)

// line is a line of a list, with its place.
type line struct {
	pos  strictyaml.Pos
	text string
}

// variable finds what Ansible should have replaced.
var variable = regexp.MustCompile(`\{\{\s*([^}]*?)\s*\}\}`)

// readList reads one URL or reference a line; # begins a comment. A list without any is an
// error: it is one that was not generated to its end, and not one of a site that needs nothing.
func readList(file, name string) ([]line, error) {
	content, err := bundle.ReadNamed(file, maxList)
	if err != nil {
		return nil, strictyaml.Pos{File: name, Line: 1, Column: 1}.Errorf("%w", err)
	}
	all, err := parseList(name, content)
	if err == nil && len(all) == 0 {
		err = strictyaml.Pos{File: name, Line: 1, Column: 1}.Errorf("the list is empty: generate it again, or leave it out")
	}
	return all, err
}

func parseList(name string, content []byte) ([]line, error) {
	var all []line
	var errs []error
	for l, err := range sources.Lines(bytes.NewReader(content), name) {
		if err != nil {
			return nil, err
		}
		if found := variable.FindStringSubmatch(l.Text); found != nil {
			if len(errs) == maxUnreplaced {
				continue
			}
			errs = append(errs, l.Pos.Errorf("%.300s: the variable %s was not replaced: run generate_list.sh to its end, with the inventory of the site", l.Text, found[1]))
			continue
		}
		if len(all) == maxLines {
			return nil, l.Pos.Errorf("more than %d lines that are no comments", maxLines)
		}
		all = append(all, line{l.Pos, l.Text})
	}
	return all, strictyaml.Join(errs...)
}

// keep returns the lines that no pattern drops, each text once and sorted, and what was
// dropped. A pattern that matches nothing is an error: it is not what its writer meant.
func keep(pos strictyaml.Pos, patterns []string, lists ...[]line) (kept [][]line, dropped []string, err error) {
	used := make([]bool, len(patterns))
	for _, list := range lists {
		var rest []line
		for _, l := range list {
			i := slices.IndexFunc(patterns, func(p string) bool { return matches(p, l.text) })
			if i >= 0 {
				used[i] = true
				dropped = append(dropped, l.text)
				continue
			}
			rest = append(rest, l)
		}
		slices.SortStableFunc(rest, func(a, b line) int { return strings.Compare(a.text, b.text) })
		kept = append(kept, slices.CompactFunc(rest, func(a, b line) bool { return a.text == b.text }))
	}
	var errs []error
	for i, p := range patterns {
		if !used[i] {
			errs = append(errs, pos.Errorf("drop: %q: matches no line of the lists", p))
		}
	}
	left := slices.ContainsFunc(kept, func(list []line) bool { return len(list) > 0 })
	if len(dropped) > 0 && !left {
		errs = append(errs, pos.Errorf("drop: %q: leaves nothing of %s, of which the first is %s", patterns, bundle.Count(len(dropped), "line"), fetch.Redact(dropped[0])))
	}
	slices.Sort(dropped)
	return kept, slices.Compact(dropped), strictyaml.Join(errs...)
}

// matches reports whether a text matches a pattern in which * stands for anything,
// slashes included, and the rest is as path.Match has it.
func matches(pattern, text string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(text, "/", "\x00"))
	return err == nil && ok
}

// checkURL refuses what cannot be a download of Kubespray's.
func checkURL(l line) error {
	if err := fetch.CheckURL(l.text); err != nil {
		return l.pos.Errorf("%w", err)
	}
	u, err := url.Parse(l.text)
	if err != nil {
		return l.pos.Errorf("%w", err)
	}
	if prefix, _, found := strings.Cut(u.Path, "/files/"); found && isPublicHost(strings.SplitN(u.Path[len(prefix)+len("/files/"):], "/", 2)[0]) {
		return l.pos.Errorf("%s: is an address of a mirror: the inventory points at one already (files_repo); generate the lists without these variables", fetch.Redact(l.text))
	}
	return nil
}

// publicHosts are the hosts and registries that Kubespray's variables replace.
var publicHosts = []string{"github.com", "dl.k8s.io", "storage.googleapis.com", "get.helm.sh", "raw.githubusercontent.com"}

func isPublicHost(host string) bool { return slices.Contains(publicHosts, host) }

// imageRef is an image of a list.
type imageRef struct {
	registry, name, tag string
}

// kubeImages are the images that kubeadm pulls in the version of Kubernetes, and
// otherImages those that it pulls in versions of their own.
var (
	kubeImages  = []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}
	otherImages = []string{"pause", "etcd", "coredns"}
)

// parseImage reads a reference. Kubespray's have a registry; one without is docker.io's.
func parseImage(l line) (imageRef, error) {
	named, err := reference.ParseNormalizedNamed(l.text)
	if err != nil {
		return imageRef{}, l.pos.Errorf("%.200q: %w", l.text, err)
	}
	r := imageRef{registry: reference.Domain(named), name: reference.Path(named)}
	if tagged, ok := named.(reference.Tagged); ok {
		r.tag = tagged.Tag()
	}
	if slices.Contains(kubeImages, path.Base(r.name)) && r.registry != "registry.k8s.io" && !strings.Contains(r.registry, "k8s") && !strings.Contains(r.registry, "gcr") {
		return r, l.pos.Errorf("%s: is an address of a mirror or a copy: the inventory sets kube_image_repo; generate the lists without it", l.text)
	}
	return r, nil
}

// release finds the version in galaxy.yml, which has it on a line of its own.
var release = regexp.MustCompile(`(?m)^version:[ \t]*["']?([0-9][0-9A-Za-z.+-]{0,60})["']?[ \t]*\r?$`)

// oldestOffline is the first release that has github_url, dl_k8s_io_url and so on.
const oldestOffline = "2.25"

// before compares the first two numbers of versions.
func before(version, other string) bool {
	numbers := func(v string) (n [2]int) {
		for i, part := range strings.SplitN(v, ".", 3) {
			if i < len(n) {
				n[i], _ = strconv.Atoi(part) // what is no number counts as 0
			}
		}
		return n
	}
	v, o := numbers(version), numbers(other)
	return slices.Compare(v[:], o[:]) < 0
}

func releaseOf(galaxy []byte) string {
	if found := release.FindSubmatch(galaxy); found != nil {
		return string(found[1])
	}
	return ""
}
