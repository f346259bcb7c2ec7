package apt

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

func plan(t testing.TB, env *sources.Env, text string) (*collect.Resolved, error) {
	t.Helper()
	return plantest.Plan(t, Kind(), env, text)
}

func verbatimPaths() []string {
	return []string{
		"dists/stable/InRelease", "dists/stable/contrib/binary-amd64/Packages.gz", "dists/stable/main/Contents-amd64.gz",
		"dists/stable/main/binary-amd64/Packages.gz", "dists/stable/main/i18n/Translation-de.gz", "dists/stable/main/i18n/Translation-en.gz",
		"pool/contrib/extra/extra_1.0~rc1+b1_amd64.deb", "pool/main/data/data_1_all.deb", "pool/main/hello/hello_2.10-3_amd64.deb",
		"pool/main/libhello/libhello_2.10-3_amd64.deb", "pool/main/other/other_1_amd64.deb",
	}
}

func TestVerbatim(t *testing.T) {
	for name, test := range map[string]struct {
		more []string
		gone []string // of verbatimPaths
	}{
		"whole":       {nil, nil},
		"a component": {[]string{"components: main"}, []string{"contrib"}},
		"a language":  {[]string{"languages: [en]"}, []string{"Translation-de"}},
		"no language": {[]string{"languages: [none]"}, []string{"Translation"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, t.TempDir())
			a.publish()
			r, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec(test.more...))
			if err != nil {
				t.Fatal(err)
			}
			got := plantest.Artifacts(t, r, "os")
			byHash := 0
			for p := range maps.Clone(got) {
				if strings.Contains(p, "/by-hash/") {
					byHash++
					delete(got, p)
				}
			}
			want := slices.DeleteFunc(verbatimPaths(), func(p string) bool {
				return slices.ContainsFunc(test.gone, func(g string) bool { return strings.Contains(p, g) })
			})
			slices.Sort(want)
			if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
				t.Errorf("got  %s\nwant %s", strings.Join(names, " "), strings.Join(want, " "))
			}
			indexes := 0
			for _, p := range want {
				if strings.HasPrefix(p, "dists/") && !strings.HasSuffix(p, "InRelease") {
					indexes++
				}
			}
			if byHash != 3*indexes {
				t.Errorf("%d files by hash, want three for each of %d indexes", byHash, indexes)
			}
			if v := got["dists/stable/InRelease"].Evidence.Vouched; v != bundle.VouchedOpenPGP+pgpkeys.Fingerprint(a.signer) {
				t.Errorf("InRelease: vouched by %s", v)
			}
		})
	}
}

// An unchanged repository costs one request, and its plan is the same.
func TestUnchangedCostsOneCheck(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	first, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec())
	if err != nil {
		t.Fatal(err)
	}
	base := plantest.Record(t, first)
	a.server.ResetCounts()
	second, err := plan(t, plantest.NewEnv(t, a.dir, base), a.spec())
	if err != nil {
		t.Fatal(err)
	}
	if n := a.server.AllRequests(); n != 1 || a.server.Requests(a.base()+"InRelease") != 1 {
		t.Errorf("%d requests, want one for InRelease", n)
	}
	one, two := plantest.Artifacts(t, first, "os"), plantest.Artifacts(t, second, "os")
	for p, want := range one {
		got := two[p]
		if got.File.Digest != want.File.Digest || got.File.Size != want.File.Size || !maps.Equal(got.File.Annotations, want.File.Annotations) ||
			got.Evidence.Origin != want.Evidence.Origin || got.Evidence.Vouched != want.Evidence.Vouched || got.Evidence.Reason != want.Evidence.Reason {
			t.Errorf("%s: got %+v %+v, want %+v %+v", p, got.File, got.Evidence, want.File, want.Evidence)
		}
	}
	if len(one) != len(two) || !maps.Equal(first.Repositories[0].Annotations, second.Repositories[0].Annotations) {
		t.Errorf("%d files, want %d; annotations %v, want %v", len(two), len(one), second.Repositories[0].Annotations, first.Repositories[0].Annotations)
	}
	a.server.ResetCounts()
	if _, err := plan(t, plantest.NewEnv(t, a.dir, base), a.spec("components: main")); err != nil {
		t.Fatal(err)
	}
	if a.server.AllRequests() == 1 {
		t.Error("another configuration took the list of the base")
	}
}

func TestUpstreamChangesMeanwhile(t *testing.T) {
	const index = "/debian/dists/stable/main/binary-amd64/Packages.gz"
	for name, test := range map[string]struct {
		heals bool
	}{"and is whole when read again": {true}, "and stays so": {false}} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, t.TempDir())
			a.byHash = false
			a.publish()
			old := plantest.ClearSign(t, a.indexes(), a.signer)
			a.packages["main amd64"] = append(a.packages["main amd64"], pkg("new", "1", "amd64", ""))
			a.publish()
			fresh := plantest.ClearSign(t, a.indexes(), a.signer)
			inRelease := a.base() + "InRelease"
			a.server.Put(inRelease, old)
			if test.heals {
				a.server.Fail(index, upstreamtest.Do(1, func() { a.server.Put(inRelease, fresh) }))
			}
			r, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec())
			if !test.heals {
				if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), a.server.URL(index)) || !strings.Contains(err.Error(), a.server.URL(inRelease)) {
					t.Errorf("got %v, want ErrUpstream that names both", err)
				}
				if n := a.server.Requests(inRelease); n != 2 {
					t.Errorf("InRelease was read %d times, want twice", n)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := plantest.Artifacts(t, r, "os")["pool/main/new/new_1_amd64.deb"]; !ok {
				t.Error("the plan is of the state before")
			}
		})
	}
}

// hostile stanzas are refused with what they are named by.
func TestHostile(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	stanza := func(filename, size, more string) string {
		return pkg("evil", "1", "amd64", more) + "Filename: " + filename + "\nSize: " + size + "\nSHA256: " + digest + "\n"
	}
	for name, test := range map[string]struct {
		stanza string
		change func(string) string
		want   string
	}{
		"upwards":        {stanza("../../etc/passwd", "1", ""), nil, "Filename"},
		"upwards, later": {stanza("/../etc/passwd", "1", ""), nil, "Filename"},
		"newline":        {stanza("pool/a\n /../b", "1", ""), nil, "Filename"},
		"dots inside":    {stanza("pool/../../x", "1", ""), nil, "Filename"},
		"negative":       {stanza("pool/x.deb", "-1", ""), nil, "Size"},
		"no digest":      {pkg("evil", "1", "amd64", "") + "Filename: pool/x.deb\nSize: 1\n", nil, "neither SHA256 nor SHA512"},
		"over InRelease": {stanza("dists/stable/InRelease", "1", ""), nil, "by another"},
		"two contents":   {stanza("pool/main/hello/hello_2.10-3_amd64.deb", "1", ""), nil, "by another"},
		"index bomb": {"", func(r string) string {
			at := strings.Index(r, "main/binary-amd64/Packages\n")
			line := r[strings.LastIndex(r[:at], "\n")+1 : at]
			_ = line
			fields := strings.Fields(line)
			return strings.ReplaceAll(r, " "+fields[1]+" main/binary-amd64/Packages\n", " 20 main/binary-amd64/Packages\n")
		}, "unpacks to more than 20 bytes"},
		"only compressed": {"", func(r string) string {
			var kept []string
			for line := range strings.Lines(r) {
				if !strings.HasSuffix(line, "/Packages\n") {
					kept = append(kept, line)
				}
			}
			return strings.Join(kept, "")
		}, "only compressed"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, t.TempDir())
			if test.stanza != "" {
				a.packages["main amd64"] = append(a.packages["main amd64"], test.stanza)
			}
			a.change = test.change
			a.publish()
			_, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec())
			if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want ErrUpstream about %s", err, test.want)
			}
		})
	}
}

// An index of the right length that is another is not taken for it.
func TestIndexIsAnother(t *testing.T) {
	const index = "main/binary-amd64/Packages.gz"
	a := newArchive(t, t.TempDir())
	a.byHash = false
	a.publish()
	packed := upstreamtest.Gzip([]byte(strings.Repeat("x", 100)))
	a.change = func(r string) string {
		return regexp.MustCompile(`(?m)^( [0-9a-f]+) +[0-9]+ `+index+`$`).ReplaceAllString(r, fmt.Sprintf("$1 %d %s", len(packed), index))
	}
	a.publish()
	a.server.Put(a.base()+index, packed)
	_, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec())
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), a.server.URL(a.base()+index)+": want sha256:") {
		t.Errorf("got %v, want ErrUpstream", err)
	}
}

// What Release lists and upstream lacks.
func TestAbsentIndexes(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.byHash, a.hidden = false, []string{"main/i18n/Translation-de.gz"}
	a.publish()
	if _, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec()); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "Translation-de") {
		t.Errorf("got %v, want ErrUpstream about Translation-de", err)
	}
	if _, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec("languages: en")); err != nil {
		t.Error(err)
	}
}

// Release's own statements about time and name.
// An index that names files, and is there in a form alone that nobody reads.
func TestUnreadableIndex(t *testing.T) {
	const index = "main/binary-amd64/Packages.lz4"
	a := newArchive(t, t.TempDir())
	a.byHash, a.hidden, a.extra[index] = false, []string{"main/binary-amd64/Packages.gz"}, "x"
	a.publish()
	a.server.Put(a.base()+index, []byte("x"))
	_, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec())
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "binary-amd64/Packages: "+a.server.URL(a.base()+"InRelease")+" lists it, and upstream has it in no form") {
		t.Errorf("got %v, want ErrUpstream", err)
	}
}

func TestJudge(t *testing.T) {
	for name, test := range map[string]struct {
		from, to, want string
	}{
		"future":       {"Sat, 31 Oct 2026", "Mon, 02 Nov 2026", "is in the future"},
		"over":         {"Origin: Test\n", "Valid-Until: Sat, 31 Oct 2026 20:00:00 UTC\n", "Valid-Until 2026-10-31T20:00:00Z is over"},
		"another name": {"Suite: stable\nCodename: trixie", "Suite: testing\nCodename: forky", `want suite stable, got suite "testing" and codename "forky"; if that is right, the source needs release-is: forky`},
		"future zone":  {"Sat, 31 Oct 2026 12:00:00 UTC", "Mon, 02 Nov 2026 12:00:00 +0200", "is in the future"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, t.TempDir())
			a.fields = strings.Replace(a.fields, test.from, test.to, 1)
			a.publish()
			_, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec())
			if !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), a.server.URL(a.base()+"InRelease")) {
				t.Errorf("got %v, want ErrRefused: %s", err, test.want)
			}
		})
	}
	a := newArchive(t, t.TempDir())
	a.fields += "Valid-Until: Sat, 07 Nov 2026 00:00:00 UTC\n"
	a.publish()
	r, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec())
	if err != nil {
		t.Fatal(err)
	}
	repo := r.Repositories[0]
	if repo.Expires == nil || !repo.Expires.Equal(time.Date(2026, 11, 7, 0, 0, 0, 0, time.UTC)) || !strings.Contains(strings.Join(repo.Notes, "\n"), "6 days left") {
		t.Errorf("expires %v, notes %q", repo.Expires, repo.Notes)
	}
}

func TestFlatAndArchitectureInAddress(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.flat, a.extra = true, map[string]string{}
	packages := a.packages["main amd64"]
	for _, arch := range []string{"amd64", "arm64"} {
		a.at = "/nv/" + arch
		a.packages = map[string][]string{"main " + arch: slices.Clone(packages)}
		a.publish()
	}
	text := strings.Replace(a.spec("suites: [/]", "architectures: [amd64, arm64]"), a.server.URL(a.at), `"`+a.server.URL("/nv/$(ARCH)")+`"`, 1)
	r, err := plan(t, plantest.NewEnv(t, a.dir, nil), text)
	if err != nil {
		t.Fatal(err)
	}
	got := plantest.Artifacts(t, r, "os")
	for _, arch := range []string{"amd64", "arm64"} {
		for _, p := range []string{"/InRelease", "/Packages.gz", "/pool/main/hello/hello_2.10-3_amd64.deb"} {
			if a, ok := got["nv/"+arch+p]; !ok || !strings.HasSuffix(a.Evidence.Origin, "/nv/"+arch+p) {
				t.Errorf("nv/%s: not in the plan, or from %s", arch+p, a.Evidence.Origin)
			}
		}
	}
	files, err := clients(t.Context(), []bundle.Repository{{Name: "os", Mount: "apt/os", Annotations: r.Repositories[0].Annotations}}, nil)
	if err != nil || strings.Count(string(files[0].Content), "URIs: @BASE@/apt/os/nv/$(ARCH)/\nSuites: /\n") != 1 {
		t.Errorf("%v\n%s", err, files[0].Content)
	}
}
