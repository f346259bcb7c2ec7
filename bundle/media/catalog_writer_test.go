package media

import (
	"strings"
	"testing"
)

func TestListName(t *testing.T) {
	for _, c := range []struct{ repo, want string }{
		{"slurm", "files/slurm.jsonl"},
		{"gpu/oci", "files/gpu/oci.jsonl"},
		{strings.Repeat("a", 40) + "/" + strings.Repeat("b", 40) + "/" + strings.Repeat("c", 40), "files/0003.jsonl"},
	} {
		if got := listName("files", 3, c.repo); got != c.want {
			t.Errorf("%s: %s, want %s", c.repo, got, c.want)
		}
	}
}
