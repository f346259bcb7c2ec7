package deb_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

func TestParseRelations(t *testing.T) {
	got, err := deb.ParseRelations("libc6 (>= 2.34), default-mta | mail-transport-agent,\n python3:any (<<3.12) , x (=1:2-3) [linux-any !i386] <!nocheck> <a b>, old (< 1), ,y(>>1)")
	want := []deb.Clause{
		{{Name: "libc6", Op: deb.GreaterEqual, Version: "2.34"}},
		{{Name: "default-mta"}, {Name: "mail-transport-agent"}},
		{{Name: "python3", Arch: "any", Op: deb.Less, Version: "3.12"}},
		{{Name: "x", Op: deb.Equal, Version: "1:2-3", Architectures: []string{"linux-any", "!i386"}, Profiles: [][]string{{"!nocheck"}, {"a", "b"}}}},
		{{Name: "old", Op: deb.LessEqual, Version: "1"}},
		{{Name: "y", Op: deb.Greater, Version: "1"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if s := got[1].String(); s != "default-mta | mail-transport-agent" {
		t.Error(s)
	}
	if s := got[2].String(); s != "python3:any (<< 3.12)" {
		t.Error(s)
	}
}

func TestParseRelationsRefuses(t *testing.T) {
	for _, bad := range []string{"|", "a |", "a b", "a (1)", "a (>= )", "a (>= 1", "a (>= 1) (<< 2)", "a (=> 1)", "a:", ":any", "../a", "a [", "a )", "a (>= 1 2)",
		strings.Repeat("a,", 1<<17)} {
		if got, err := deb.ParseRelations(bad); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%.30q: got %v, %v", bad, got, err)
		}
	}
}

func TestAdmits(t *testing.T) {
	for op, want := range map[string]string{"<<": "0", "<=": "0 1", "=": "1", ">=": "1 2", ">>": "2"} {
		clauses, err := deb.ParseRelations("a (" + op + " 1)")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range []string{"0", "1", "2"} {
			if clauses[0][0].Admits(v) {
				got = append(got, v)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: admits %s, want %s", op, got, want)
		}
	}
	if !(deb.Relation{Name: "a"}).Admits("1") {
		t.Error("without a version any will do")
	}
}

func FuzzParseRelations(f *testing.F) {
	f.Add("libc6 (>= 2.34), a | b [x] <y>")
	f.Add("a:any (= 1), , b(<<2)")
	f.Fuzz(func(t *testing.T, value string) {
		clauses, err := deb.ParseRelations(value)
		if err != nil {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Errorf("%v", err)
			}
			return
		}
		for _, c := range clauses { // what is written out is read as the same
			again, err := deb.ParseRelations(c.String())
			if err != nil || len(again) != 1 || again[0].String() != c.String() {
				t.Errorf("%q: %v, %v", c.String(), again, err)
			}
		}
	})
}
