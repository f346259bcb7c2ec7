package rpm

import (
	"io"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// TestHostile: metadata that is made to harm is refused, and named.
func TestHostile(t *testing.T) {
	for name, test := range map[string]struct {
		edit  func(kind, content string) string
		names []string
	}{
		"entities": {func(kind, content string) string {
			return strings.Replace(strings.Replace(content, "<metadata", `<!DOCTYPE m [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><metadata`, 1), "It is hello", "&b;", 1)
		}, []string{"entity"}},
		"absolute":        {replace("Packages/hello", "/etc/hello"), nil},
		"other scheme":    {replace("Packages/hello", "file:///etc/hello"), []string{"file:"}},
		"query":           {replace("Packages/hello", "Packages/hello?x"), []string{"hello?x"}},
		"no size":         {replace(`size package=`, `size other=`), []string{"without size"}},
		"negative size":   {replace(`size package="`, `size package="-`), []string{"number"}},
		"huge size":       {replace(`size package="`, `size package="9000000000000`), []string{"Packages/", "at most 17592186044416"}},
		"no checksum":     {replace("<checksum", "<cheksum"), []string{"element"}},
		"odd checksum":    {replace(`<checksum type="sha256"`, `<checksum type="crc"`), []string{"crc"}},
		"cut off":         {func(_, content string) string { return content[:len(content)/2] }, []string{"primary"}},
		"two roots":       {func(_, content string) string { return content + content }, []string{"primary"}},
		"another root":    {replace("metadata", "metadatum"), []string{"metadatum"}},
		"deep":            {replace("<description>", strings.Repeat("<a>", 100)), []string{"deeper"}},
		"two versions":    {replace("<checksum", `<version epoch="0" ver="2.10" rel="1.el9"/><checksum`), []string{"version occurs twice"}},
		"two archs":       {replace("<checksum", `<arch>noarch</arch><checksum`), []string{"arch occurs twice"}},
		"two sizes":       {replace("<location", `<size package="1"/><location`), []string{"size occurs twice"}},
		"relation's flag": {replace(`flags="EQ"`, `flags="NE"`), nil},
		"long epoch":      {replace(`epoch="0"`, `epoch="99999999999"`), []string{"epoch"}},
		"control in name": {replace("hello-2.10-1", "hello\n2.10-1"), []string{"hello"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, t.TempDir())
			a.Edit = func(kind, content string) string {
				if kind != "primary" {
					return content
				}
				return test.edit(kind, content)
			}
			a.publish()
			r, err := plan(t, newEnv(t, a.dir, nil), a.spec())
			if err == nil { // sizes and paths are the business of the one door
				_, err = r.Survey(collect.SurveyOptions{})
			}
			if test.names == nil {
				if err != nil {
					t.Error(err) // what a mirror does not look at
				}
				return
			}
			refused(t, err, fetch.ErrUpstream, test.names...)
		})
	}
}

func replace(from, to string) func(string, string) string {
	return func(_, content string) string { return strings.ReplaceAll(content, from, to) }
}

// A bomb ends where repomd.xml says that it does.
func TestBomb(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.Change = func(repomd string) string {
		at := strings.Index(repomd, `type="primary"`)
		rest := repomd[at:]
		from := strings.Index(rest, "<open-size>") + len("<open-size>")
		to := strings.Index(rest, "</open-size>")
		return repomd[:at] + rest[:from] + "100" + rest[to:]
	}
	a.publish()
	_, err := plan(t, newEnv(t, a.dir, nil), a.spec())
	refused(t, err, fetch.ErrUpstream, "more than 100 bytes")
	a.Change = func(repomd string) string { return strings.Repeat(" ", 5<<20) + repomd }
	a.publish()
	_, err = plan(t, newEnv(t, a.dir, nil), a.spec())
	refused(t, err, fetch.ErrUpstream, nameRepomd, "bytes")
}

// A file whose size repomd.xml does not tell ends somewhere all the same.
func TestUnsized(t *testing.T) {
	for _, sum := range []string{"sha256", "sha512"} {
		a := newArchive(t, t.TempDir())
		a.Sum = sum
		a.Change = func(repomd string) string {
			at := strings.Index(repomd, `type="other"`)
			return repomd[:at] + strings.Replace(strings.Replace(repomd[at:], "<size>", "<!--", 1), "</size>", "-->", 1)
		}
		a.publish()
		other := a.find("other.xml")
		x := artifacts(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()), "epel")[other]
		if got, err := readArtifact(t, x); err != nil || x.File.Size != -1 || string(got) != string(a.files[other]) {
			t.Errorf("%s: %d bytes: %v", sum, x.File.Size, err)
		}
		a.server.FailAlways(a.at+"/"+other, upstreamtest.LieLength(upstream.MaxIndex))
		_, err := readArtifact(t, x)
		refused(t, err, fetch.ErrUpstream, other, "at most 4294967296")
	}
}

// A file that does not end where the index says is not read on.
func TestEndless(t *testing.T) {
	c := upstream.Checked(io.NopCloser(endless{}), "x", upstream.Want{Sum: upstream.Sum{Algorithm: "sha256", Hex: "00"}, Size: 10}, nil)
	_, err := io.Copy(io.Discard, io.LimitReader(c, 1<<30))
	refused(t, err, bundle.ErrCorrupt, "x: want sha256", "(10 bytes)")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// Without a primary nothing is known, and zchunk is not read here.
func TestNoPrimary(t *testing.T) {
	a := newArchive(t, t.TempDir())
	for to, want := range map[string]string{"primary_zck": "as zchunk alone", "primary_db": "lists no primary"} {
		a.Change = replaceAll(`type="primary"`, `type="`+to+`"`)
		a.publish()
		_, err := plan(t, newEnv(t, a.dir, nil), a.spec())
		refused(t, err, fetch.ErrUpstream, nameRepomd, want)
	}
}

func replaceAll(from, to string) func(string) string {
	return func(text string) string { return strings.ReplaceAll(text, from, to) }
}

// Packages on another host: upstream's own metadata would lead clients there.
func TestForeign(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.Packages[0].Base = a.server.URL("/elsewhere")
	body := a.Packages[0].Build(t)
	a.publish()
	a.server.Put("/elsewhere/Packages/"+a.Packages[0].FileName(), body)
	_, err := plan(t, newEnv(t, a.dir, nil), a.spec())
	refused(t, err, bundle.ErrUsage, "mode: rebuilt", "/elsewhere/", "hello-2.10-1.el9.x86_64")
}
