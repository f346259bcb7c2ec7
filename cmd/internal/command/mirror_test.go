package command

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// TestStatusText: what lapses, what is waited for, and what was not made.
func TestStatusText(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	soon, past := now.Add(49*time.Hour), now.Add(-time.Hour)
	var out bytes.Buffer
	writeStatus(&out, &unpack.Status{
		Dir: "/srv/mirror", Generation: 7, Previous: 6, Published: past, Reason: "import of tools-000007",
		Sets: []unpack.SetStatus{
			{Set: "tools", Sequence: 7, Accepted: 9, Code: "0f6f8e13e2", Files: 3, Bytes: 4096, Imported: past, Created: past, Expires: &soon, Overrides: []string{"accept-keys"},
				Repositories: []bundle.Repository{{Name: "cluster/files", Unpinned: 2}, {Name: "cluster"}, {Name: "more", Unpinned: 1}}},
			{Set: "books", Sequence: 1, Accepted: 1, Expires: &past},
		},
		Pending:   []unpack.PendingStatus{{Name: "tools-000010", Placed: 1, Volumes: 3, Missing: []string{"volume-00002.tar.zst", "volume-00003.tar.zst"}}},
		Ambiguous: []site.Ambiguous{{Alias: "cuda", Images: []string{"a.io/cuda", "b.io/cuda"}}},
		Notes:     []string{"no hard links here"},
	}, now)
	for _, want := range []string{
		"generation 7, 2026-11-23 11:00 UTC (import of tools-000007)", "fall-back  generation 6", "base URL   not set",
		"3 files, vouched for by nothing but the connection: cluster/files 2, more 1", "not pinned       no file",
		"gapbundle export SPEC --base 0f6f8e13e2", "any bundle above sequence 9", "(in 2 days by the local clock)", "(LAPSED by the local clock)",
		"overrides        accept-keys", "pending tools-000010: 1 of 3 volumes placed, missing volume-00002.tar.zst, volume-00003.tar.zst",
		"alias /v2/cuda not made: claimed by a.io/cuda and b.io/cuda", "1 note:\n  no hard links here",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("status has no %q:\n%s", want, out.String())
		}
	}
	out.Reset()
	writeStatus(&out, &unpack.Status{Dir: "/srv/mirror"}, now)
	if !strings.Contains(out.String(), "published  nothing yet") {
		t.Errorf("status of a new mirror: %s", out.String())
	}
}
