package rpm

import (
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// TestOlderRepomd: of several mirrors the one that is not older is read; if all are older
// than what was exported before, the source is refused.
func TestOlderRepomd(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.Revision = "1790000500"
	a.publish()
	spec := strings.Replace(a.spec(), "baseurl: "+a.server.URL(a.at), "baseurl: ["+a.server.URL("/stale")+", "+a.server.URL(a.at)+"]", 1)
	env := newEnv(t, a.dir, nil)
	env.Dates = sources.NewDates(nil, nil)
	mustPlan(t, env, spec)
	before := env.Dates.After(func(string) bool { return false })
	if len(before["epel"]) != 2 {
		t.Fatalf("dates %v, want those of timestamp and revision", before)
	}

	a.Revision = "1790000400"
	a.at = "/stale"
	a.publish() // the other mirror keeps what it had
	env.Dates = sources.NewDates(before, nil)
	mustPlan(t, env, spec)
	if n := a.server.Requests("/stale/repodata/repomd.xml"); n == 0 {
		t.Error("the stale mirror was not asked")
	}
	a.at = "/epel/9"
	a.publish()
	env.Dates = sources.NewDates(before, nil)
	_, err := plan(t, env, spec)
	if !errors.As(err, new(*upstream.OlderError)) || !strings.Contains(err.Error(), "revision") {
		t.Fatalf("%v, want a refusal of the revision", err)
	}
	env.Dates = sources.NewDates(before, []string{"epel"})
	mustPlan(t, env, spec)
	if back := env.Dates.WentBack(); len(back) != 1 {
		t.Errorf("went back: %v", back)
	}
}
