package rpm

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

const (
	// maxRepoFile bounds a .repo file.
	maxRepoFile = 1 << 20 // bytes
	// maxRepos bounds a source: each of its repositories is an annotation.
	maxRepos = 60
)

// repo is one repository of a source: a folder that has repodata/.
type repo struct {
	pos                  strictyaml.Pos
	id                   string   // repoid; "" without a .repo file
	ids                  []string // in the client file; none: by the source's name
	title                string
	bases                []string // addresses, each with a slash at the end
	mirrorlist, metalink string
	// folder is where it is in the mount: "" or ends with a slash.
	folder string
	// signed: repomd.xml has to be. unchecked: its signature is not used.
	signed, unchecked bool
	// hotfixes is the client's module_hotfixes, cost and priority those of a
	// client too; "" is dnf's default.
	hotfixes       bool
	ignored        []string // keys of the .repo file that are not followed
	cost, priority string
	// unread are keys of the .repo file about the connection, which belongs under hosts.
	unread []string
}

// section is one repository of a .repo file.
type section struct {
	pos    strictyaml.Pos
	id     string
	values map[string]string
}

// repositories reads the one of baseurl, mirrorlist, metalink and repofile that
// is given, and the gpgkey of a .repo file.
func (e *entry) repositories() (repos []*repo, keys []string, err error) {
	o := &e.options
	given := 0
	for _, some := range []bool{len(o.BaseURL) > 0, o.MirrorList != "", o.Metalink != "", o.RepoFile != ""} {
		if some {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, nil, o.Pos.Errorf("source %s: want one of baseurl, mirrorlist, metalink and repofile", e.name)
	case o.RepoFile == "" && len(o.RepoIDs) > 0:
		return nil, nil, o.Pos.Errorf("repoids: are of a repofile")
	case isURL(o.RepoFile):
		return nil, nil, o.Pos.Errorf("repofile: want a file: its contents are trusted, so look at it first")
	}
	if o.RepoFile == "" {
		s := &section{pos: o.Pos, values: map[string]string{
			"baseurl": strings.Join(o.BaseURL, "\n"), "mirrorlist": o.MirrorList, "metalink": o.Metalink,
		}}
		r, _, err := e.newRepo(s)
		return []*repo{r}, nil, err
	}
	sections, err := e.sections()
	if err != nil {
		return nil, nil, err
	}
	var errs []error
	for _, s := range sections {
		r, k, err := e.newRepo(s)
		repos, keys, errs = append(repos, r), append(keys, k...), append(errs, err)
		if len(sections) > 1 && err == nil {
			r.folder = s.id + "/"
		}
	}
	return repos, keys, strictyaml.Join(errs...)
}

// sections returns the sections of the .repo file that are requested.
func (e *entry) sections() ([]*section, error) {
	o := &e.options
	b, err := bundle.ReadNamed(sources.Within(e.dir, o.RepoFile), maxRepoFile)
	if err != nil {
		return nil, o.Pos.Errorf("repofile: %w", err)
	}
	all, err := parseRepoFile(string(b), o.RepoFile)
	if err != nil {
		return nil, err
	}
	var chosen []*section
	var ids []string
	for _, s := range all {
		ids = append(ids, s.id)
		if len(o.RepoIDs) == 0 && isTrue(s.values["enabled"], true) {
			chosen = append(chosen, s)
		}
	}
	for _, id := range o.RepoIDs {
		i := slices.Index(ids, id)
		if i < 0 {
			return nil, o.Pos.Errorf("repoids: %s: not in %s, which has %s", id, o.RepoFile, strings.Join(ids, ", "))
		}
		if slices.Contains(chosen, all[i]) {
			return nil, o.Pos.Errorf("repoids: %s: occurs twice", id)
		}
		chosen = append(chosen, all[i])
	}
	switch {
	case len(chosen) == 0:
		return nil, o.Pos.Errorf("repofile: %s: no repository is enabled there; name some with repoids: it has %s", o.RepoFile, cmp.Or(strings.Join(ids, ", "), "none"))
	case len(chosen) > maxRepos:
		return nil, o.Pos.Errorf("repofile: %s: %s, at most %d: make several sources of it", o.RepoFile, bundle.Count(len(chosen), "repository"), maxRepos)
	}
	return chosen, nil
}

// parseRepoFile reads the ini file that dnf.conf(5) describes: a line that
// begins with a blank goes on with the value before it.
func parseRepoFile(text, name string) ([]*section, error) {
	var all []*section
	var last string
	number := 0
	for line := range strings.Lines(text) {
		number++
		pos := strictyaml.Pos{File: name, Line: number, Column: 1}
		line = strings.TrimRight(line, " \t\r\n")
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
			continue
		case trimmed[0] == '[' && line[0] == '[':
			id, ok := strings.CutSuffix(trimmed[1:], "]")
			if !ok || !isWord(id) {
				return nil, pos.Errorf("%.80q: not the name of a repository", trimmed)
			}
			if slices.ContainsFunc(all, func(s *section) bool { return s.id == id }) {
				return nil, pos.Errorf("[%s]: occurs twice", id)
			}
			all, last = append(all, &section{pos: pos, id: id, values: map[string]string{}}), ""
			continue
		case len(all) == 0:
			return nil, pos.Errorf("%.80q: before the first [repository]", trimmed)
		}
		values := all[len(all)-1].values
		if line[0] == ' ' || line[0] == '\t' {
			if last == "" {
				return nil, pos.Errorf("%.80q: goes on with nothing", trimmed)
			}
			values[last] += "\n" + trimmed
			continue
		}
		key, value, ok := strings.Cut(trimmed, "=")
		if !ok {
			return nil, pos.Errorf("%.80q: want key=value", trimmed)
		}
		last = strings.ToLower(strings.TrimSpace(key))
		values[last] = strings.TrimSpace(value)
	}
	// [main] is dnf's own configuration.
	return slices.DeleteFunc(all, func(s *section) bool { return s.id == "main" }), nil
}

// isTrue reads a truth value as dnf does.
func isTrue(text string, absent bool) bool {
	switch strings.ToLower(text) {
	case "1", "yes", "true", "on":
		return true
	case "0", "no", "false", "off":
		return false
	}
	return absent
}

// ofHosts are the keys of a .repo file about the connection (dnf.conf(5)), and what states the
// same under hosts of the spec. They are not taken over: a credential has no place in a
// file that the spec only points to, and other sources of the host need them as well.
var ofHosts = map[string]string{
	"sslcacert": "ca", "sslclientcert": "client-cert", "sslclientkey": "client-key", "sslverify": "ca: an authority of your own is named there",
	"username": "auth: netrc, or basic-env", "password": "auth: netrc, or basic-env", "user_agent": "user-agent",
	"proxy": "proxy", "proxy_username": "HTTPS_PROXY in the environment", "proxy_password": "HTTPS_PROXY in the environment",
}

// newRepo makes a repository of what a .repo file, or the spec, states about it.
func (e *entry) newRepo(s *section) (*repo, []string, error) {
	o := &e.options
	r := &repo{
		pos: s.pos, id: s.id,
		signed:   isTrue(s.values["repo_gpgcheck"], false),
		hotfixes: isTrue(s.values["module_hotfixes"], false),
	}
	if r.id != "" {
		r.pos = o.Pos
	}
	if o.RepoGPGCheck != nil {
		r.signed, r.unchecked = *o.RepoGPGCheck, !*o.RepoGPGCheck
	}
	for _, key := range []string{"excludepkgs", "exclude", "includepkgs"} {
		switch {
		case s.values[key] == "":
		case !e.rebuilt:
			r.ignored = append(r.ignored, key)
		default:
			return nil, nil, s.pos.Errorf("[%s]: %s: set it in the spec, with exclude or packages: a .repo file chooses nothing here", s.id, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(ofHosts)) {
		if s.values[key] != "" && (key != "sslverify" || !isTrue(s.values[key], true)) {
			r.unread = append(r.unread, key+" ("+ofHosts[key]+")")
		}
	}
	for _, n := range []struct {
		key string
		to  *string
	}{{"cost", &r.cost}, {"priority", &r.priority}} {
		if *n.to = s.values[n.key]; strings.Trim(*n.to, "0123456789") != "" || len(*n.to) > 6 {
			return nil, nil, s.pos.Errorf("%s: want a number, got %.30q", n.key, s.values[n.key])
		}
	}
	values := map[string]string{}
	for _, key := range []string{"name", "baseurl", "mirrorlist", "metalink", "gpgkey"} {
		v, err := e.fill(s.values[key])
		if err != nil {
			return nil, nil, s.pos.Errorf("%s: %w", key, err)
		}
		values[key] = v
	}
	r.title = values["name"]
	for _, raw := range list(values["baseurl"]) {
		base, err := checkAddress(s.pos, raw)
		if err != nil {
			return nil, nil, err
		}
		r.bases = append(r.bases, base)
	}
	r.mirrorlist, r.metalink = values["mirrorlist"], values["metalink"]
	if len(r.bases) > 0 {
		r.mirrorlist, r.metalink = "", "" // as dnf has it: what is written down goes first
	}
	for key, raw := range map[string]string{"mirrorlist": r.mirrorlist, "metalink": r.metalink} {
		if raw == "" {
			continue
		}
		if err := fetch.CheckURL(raw); err != nil {
			return nil, nil, s.pos.Errorf("%s: %w", key, err)
		}
	}
	if len(r.bases) == 0 && r.mirrorlist == "" && r.metalink == "" {
		return nil, nil, s.pos.Errorf("[%s]: want baseurl, mirrorlist or metalink", s.id)
	}
	return r, list(values["gpgkey"]), nil
}

// list takes the values of a .repo file apart: blanks, commas, lines.
func list(value string) []string {
	return strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' || c == '\n' })
}

// variable is one in a .repo file: $name or ${name}.
var variable = regexp.MustCompile(`\$\{[A-Za-z0-9_]+\}|\$[A-Za-z0-9_]+`)

// fill puts the values of variables in.
func (e *entry) fill(text string) (string, error) {
	var missing []string
	filled := variable.ReplaceAllStringFunc(text, func(name string) string {
		bare := strings.Trim(name, "${}")
		value, ok := e.options.Vars[bare]
		if !ok && !slices.Contains(missing, bare) {
			missing = append(missing, bare)
		}
		return value
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("$%s: no value: set one under vars", strings.Join(missing, ", $"))
	}
	return filled, nil
}
