package apt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
)

// system is an archive of three suites as Debian has them: what the newest packages of a system
// depend on is in the suites of updates alone.
type system struct {
	*archive
	security *archive
}

func newSystem(t *testing.T) *system {
	dir := t.TempDir()
	a := newArchive(t, dir)
	a.extra = map[string]string{}
	a.suite, a.fields = "trixie", "Origin: Test\nSuite: stable\nCodename: trixie\nDate: Sat, 31 Oct 2026 12:00:00 UTC\n"
	a.packages = map[string][]string{"main amd64": {
		pkg("dpkg", "1", "amd64", "Essential: yes\nPriority: required\nPre-Depends: libc (>= 1)"),
		pkg("base-files", "1", "amd64", "Essential: yes\nPriority: required"),
		pkg("init", "1", "amd64", "Essential: yes\nDepends: usrmerge | usr-is-merged"),
		pkg("usrmerge", "1", "all", "Depends: libc"), pkg("usr-is-merged", "1", "all", "Conflicts: usrmerge"),
		pkg("libc", "1", "amd64", ""), pkg("tzdata", "1", "all", "Priority: required"),
		pkg("apt", "1", "amd64", "Priority: important\nDepends: libapt (= 1)"), pkg("libapt", "1", "amd64", ""),
		pkg("vim", "1", "amd64", "Priority: important"), pkg("man", "1", "amd64", "Priority: standard\nDepends: less"), pkg("less", "1", "amd64", ""),
		pkg("game", "1", "amd64", ""), pkg("hello", "1", "amd64", "Depends: libc (>= 1)"), pkg("ca-certificates", "1", "all", "Priority: optional"),
	}}
	s := &system{a, newArchive(t, dir)}
	b := s.security
	b.server, a.signer, b.extra = a.server, b.signer, map[string]string{} // archive.asc has the key of b
	b.at, b.suite, b.fields = "/security", "trixie-security", "Origin: Test\nSuite: stable-security\nCodename: trixie-security\nDate: Sat, 31 Oct 2026 12:00:00 UTC\n"
	b.packages = map[string][]string{"main amd64": {
		pkg("dpkg", "2", "amd64", "Essential: yes\nPriority: required\nPre-Depends: libc (>= 2), libnew"), pkg("libnew", "2", "amd64", ""),
		pkg("libc", "2", "amd64", ""), pkg("apt", "2", "amd64", "Priority: important\nDepends: libapt (= 2)"), pkg("libapt", "2", "amd64", ""),
	}}
	return s
}

func (s *system) spec(more ...string) string {
	s.publish()
	s.security.publish()
	return fmt.Sprintf("- name: os\n  kind: apt\n  line: [deb %s trixie main, deb %s trixie-security main]\n  architectures: amd64\n  keyring: archive.asc\n", s.server.URL(s.at), s.server.URL(s.security.at)) +
		"  " + strings.Join(more, "\n  ") + "\n"
}

// held returns the packages of a planned source, by the folder of their address.
func (s *system) held(t *testing.T, more ...string) (release, security, notes string) {
	t.Helper()
	env := plantest.NewEnv(t, s.dir, nil)
	env.Site, _ = siteKey(t)
	r, err := plan(t, env, s.spec(more...))
	if err != nil {
		t.Fatal(err)
	}
	var found [2][]string
	for p := range plantest.Artifacts(t, r, "os") {
		if !strings.HasSuffix(p, ".deb") {
			continue
		}
		base := p[strings.LastIndex(p, "/")+1:]
		name, rest, _ := strings.Cut(base, "_")
		version, _, _ := strings.Cut(rest, "_")
		at := 0
		if strings.Contains(p, "/security/") {
			at = 1
		}
		found[at] = append(found[at], name+" "+version)
	}
	for i := range found {
		slices.Sort(found[i])
	}
	return strings.Join(found[0], ", "), strings.Join(found[1], ", "), strings.Join(r.Repositories[0].Notes, "\n")
}

// TestBootstrap: the release suite has everything that a system is set up from, in the versions
// that it has itself, and the suites of updates have the newest.
func TestBootstrap(t *testing.T) {
	const (
		minimal = "apt 1, base-files 1, ca-certificates 1, dpkg 1, init 1, libapt 1, libc 1, tzdata 1, usr-is-merged 1, usrmerge 1"
		newest  = "apt 2, dpkg 2, libapt 2, libc 2, libnew 2"
	)
	for name, test := range map[string]struct {
		more              []string
		release, security string
	}{
		"minbase":           {[]string{"bootstrap: minbase"}, minimal, newest},
		"standard":          {[]string{"bootstrap: standard"}, "apt 1, base-files 1, ca-certificates 1, dpkg 1, init 1, less 1, libapt 1, libc 1, man 1, tzdata 1, usr-is-merged 1, usrmerge 1, vim 1", newest},
		"and a package":     {[]string{"bootstrap: minbase", "packages: [game]"}, strings.Replace(minimal, "init 1", "game 1, init 1", 1), newest},
		"and more of it":    {[]string{"bootstrap: minbase", "bootstrap-include: [hello]"}, strings.Replace(minimal, "init 1", "hello 1, init 1", 1), newest},
		"without a package": {[]string{"bootstrap: minbase", "exclude: [tzdata]"}, strings.Replace(minimal, "tzdata 1, ", "", 1), newest},
		"not at all":        {[]string{"packages: [hello]"}, "hello 1", "libc 2"},
	} {
		t.Run(name, func(t *testing.T) {
			release, security, notes := newSystem(t).held(t, test.more...)
			if release != test.release || security != test.security {
				t.Errorf("got %s\nand %s\nwant %s\nand %s", release, security, test.release, test.security)
			}
			const says = "suite trixie by itself is complete, "
			if strings.Contains(notes, says) != (name != "not at all") || strings.Contains(notes, "trixie-security by itself") {
				t.Errorf("notes: %s", notes)
			}
		})
	}
}

// TestBootstrapRefuses: what is not complete is named.
func TestBootstrapRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *system)
		more   string
		class  error
		words  []string
	}{
		"no release suite": {
			func(s *system) {
				s.packages["main amd64"] = s.packages["main amd64"][:1]
				s.security.packages["main amd64"] = append(s.security.packages["main amd64"], pkg("base-files", "1", "amd64", "Essential: yes"))
				s.security.packages["main amd64"] = s.security.packages["main amd64"][1:]
			}, "bootstrap: minbase", bundle.ErrUsage,
			[]string{"source os: bootstrap: no suite has all Essential packages", "trixie lacks base-files", "trixie-security lacks dpkg"},
		},
		"nothing Essential": {func(s *system) {
			s.packages["main amd64"], s.security.packages["main amd64"] = []string{pkg("hello", "1", "amd64", "")}, []string{pkg("hello", "2", "amd64", "")}
		}, "bootstrap: minbase", bundle.ErrUsage, []string{"trixie has no Essential package"}},
		"a dependency that only updates have": {func(s *system) {
			s.packages["main amd64"][0] = pkg("dpkg", "1", "amd64", "Essential: yes\nPre-Depends: libnew")
		}, "bootstrap: minbase", bundle.ErrIncomplete, []string{"bootstrap, suite trixie by itself", "bootstrap minbase of source os: dpkg", "libnew: in no index"}},
		"more that only updates have": {func(*system) {}, "bootstrap: minbase\n  bootstrap-include: [libnew]", bundle.ErrUsage, []string{"bootstrap, suite trixie by itself", "libnew: in no index"}},
		"what it may be":              {func(*system) {}, "bootstrap: buildd", bundle.ErrUsage, []string{"bootstrap: want minbase or standard", "buildd"}},
		"not upstream's index":        {func(*system) {}, "bootstrap: minbase\n  mode: verbatim", bundle.ErrUsage, []string{"bootstrap"}},
		"nothing to be included in":   {func(*system) {}, "packages: [hello]\n  bootstrap-include: [hello]", bundle.ErrUsage, []string{"bootstrap-include: bootstrap is not set"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			test.change(s)
			env := plantest.NewEnv(t, s.dir, nil)
			env.Site, _ = siteKey(t)
			_, err := plan(t, env, s.spec(test.more))
			if !errors.Is(err, test.class) {
				t.Fatalf("got %v", err)
			}
			for _, word := range test.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%v does not name %s", err, word)
				}
			}
		})
	}
}

// TestBootstrapOfReleases: of two releases in one source, each is complete by itself.
func TestBootstrapOfReleases(t *testing.T) {
	s := newSystem(t)
	s.security.fields = strings.NewReplacer("stable-security", "testing", "trixie-security", "forky").Replace(s.security.fields)
	s.security.packages["main amd64"] = append(s.security.packages["main amd64"], pkg("hello", "2", "amd64", ""))
	s.security.suite = "forky"
	text := strings.ReplaceAll(s.spec("bootstrap: minbase"), "trixie-security", "forky")
	env := plantest.NewEnv(t, s.dir, nil)
	env.Site, _ = siteKey(t)
	r, err := plan(t, env, text)
	if err != nil {
		t.Fatal(err)
	}
	got := notes(r, "os")
	for _, want := range []string{"suite trixie by itself is complete, 10 packages", "suite forky by itself is complete, 5 packages", "chosen for clients of release forky, trixie"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}
