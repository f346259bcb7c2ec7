package reindex_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/reindex"
)

func TestContents(t *testing.T) {
	index := "FILE                    LOCATION\n" +
		"bin/hello\tmain/hello\n" +
		"etc/a file with blanks  contrib/x/other,hello,main/hello-data\n" +
		"usr/bin/other           main/other\n" +
		"usr/share/last          utils/hello-data"
	want := "bin/hello\tmain/hello\n" +
		"etc/a file with blanks  hello,main/hello-data\n" +
		"usr/share/last          utils/hello-data\n"
	var got bytes.Buffer
	if err := reindex.Contents(&got, strings.NewReader(index), map[string]bool{"hello": true, "hello-data": true}); err != nil || got.String() != want {
		t.Errorf("got %v\n%swant\n%s", err, got.String(), want)
	}
	long := strings.Repeat("x", 1<<20) + " main/hello\n"
	if err := reindex.Contents(&got, strings.NewReader(long), nil); !errors.Is(err, bundle.ErrMalformed) {
		t.Errorf("a line without end: got %v, want ErrMalformed", err)
	}
}

// FuzzContents: what is written lists packages that were requested and no
// others, and is as it is when it is filtered once more.
func FuzzContents(f *testing.F) {
	f.Add("bin/hello main/hello\netc/x other,hello\n")
	f.Add("a b c\t,hello,\n\n \n hello")
	f.Fuzz(func(t *testing.T, index string) {
		names := map[string]bool{"hello": true}
		var once, twice bytes.Buffer
		if err := reindex.Contents(&once, strings.NewReader(index), names); err != nil {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Errorf("%v: of no class", err)
			}
			return
		}
		for line := range strings.Lines(once.String()) {
			line = strings.TrimSuffix(line, "\n")
			for location := range strings.SplitSeq(line[strings.LastIndexAny(line, " \t")+1:], ",") {
				if location[strings.LastIndexByte(location, '/')+1:] != "hello" {
					t.Errorf("line %q", line)
				}
			}
		}
		if err := reindex.Contents(&twice, bytes.NewReader(once.Bytes()), names); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Errorf("%v, %q, then %q", err, once.String(), twice.String())
		}
	})
}
