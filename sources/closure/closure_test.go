package closure

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gapbundle/gapbundle/bundle"
)

func TestWhy(t *testing.T) {
	if why := (*Reason)(nil).Why(); len(why) != 0 {
		t.Errorf("no reason: %v", why)
	}
	r := Because(Text(Asked("a", "os")), nil)
	for i := range 2 {
		r = Because(Text(fmt.Sprintf("step %d", i)), r)
	}
	if why := r.Why(); !slices.Equal(why, []string{"a is asked for by source os", "step 0", "step 1"}) {
		t.Errorf("got %v", why)
	}
	for i := range 1000 {
		r = Because(Text(fmt.Sprintf("step %d", i)), r)
	}
	why := r.Why()
	if len(why) != maxWhy+2 || why[0] != "a is asked for by source os" || why[1] != "..." || why[len(why)-1] != "step 999" {
		t.Errorf("a long way: %d steps, %v", len(why), why[:3])
	}
}

func TestClip(t *testing.T) {
	if got := Clip([]string{"a", "b"}, 4); got != "a; b" {
		t.Errorf("got %q", got)
	}
	for most := 3; most < 12; most++ {
		got := Clip([]string{"ä", "öü", "ßä"}, most)
		if len(got) > most || !utf8.ValidString(got) {
			t.Errorf("%d bytes: got %q", most, got)
		}
	}
}

func TestTexts(t *testing.T) {
	n := Notes{}
	n.Add("b %d", 1)
	n.Add("a")
	n.Add("b %d", 1)
	if got := n.Sorted(); !slices.Equal(got, []string{"a", "b 1"}) || (Notes{}).Sorted() != nil {
		t.Errorf("got %v", got)
	}
	if err := NotFound("os", "x", Hint("there are", []string{"f", "b", "b", "c", "d", "e", "g"})); !errors.Is(err, bundle.ErrUsage) || !strings.HasPrefix(err.Error(), "source os: package x: in no index, there are f, b, c, d, e: ") {
		t.Errorf("got %v", err)
	}
	if Hint("there are", nil) != "" {
		t.Error("nothing is a hint")
	}
	if err := Unmet("a needs b"); !errors.Is(err, bundle.ErrIncomplete) {
		t.Errorf("got %v", err)
	}
	if err := CheckPatterns("os", "a*", "b[", "c"); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), `"b["`) || CheckPatterns("os", "a*") != nil {
		t.Errorf("got %v", err)
	}
	if !Matches("lib*", "libx") || Matches("lib[", "lib[") || !IsPattern("a?") || IsPattern("a.b+c") {
		t.Error("patterns")
	}
	if Selected("a", "os") != "a is asked for by source os's selection" {
		t.Error(Selected("a", "os"))
	}
}
