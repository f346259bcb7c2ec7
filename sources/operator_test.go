package sources

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// texts returns the lines of a list as NUMBER TEXT, or the error.
func texts(list string) (all []string, err error) {
	for l, err := range Lines(strings.NewReader(list), "list") {
		if err != nil {
			return all, err
		}
		all = append(all, l.Pos.String()+" "+l.Text)
	}
	return all, nil
}

func TestLines(t *testing.T) {
	got, err := texts("# comment\r\n\r\nnginx:1.27 # why\n\ufeff https://a.example/#top\n\tx\n#")
	if want := []string{"list:3:1 nginx:1.27", "list:4:1 https://a.example/#top", "list:5:1 x"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if _, err := texts("x\n" + strings.Repeat("y", maxLine+1)); !errors.Is(err, bundle.ErrUsage) || err.Error() != "list:2:1: a line of more than 65536 bytes" {
		t.Errorf("a long line: %v", err)
	}
}

// FuzzLines: a list ends, and its lines have their numbers and no blanks around them.
func FuzzLines(f *testing.F) {
	f.Add("# comment\nnginx:1.27 # why\n\n\ufeffquay.io/a/b\r\n{{ z }}\n")
	f.Fuzz(func(t *testing.T, list string) {
		for l, err := range Lines(strings.NewReader(list), "list") {
			if err == nil && (l.Text == "" || l.Text != strings.TrimSpace(l.Text) || strings.Contains(l.Text, "\n") || l.Pos.Line < 1 || l.Pos.Line > strings.Count(list, "\n")+1) {
				t.Errorf("%+v", l)
			}
		}
	})
}
