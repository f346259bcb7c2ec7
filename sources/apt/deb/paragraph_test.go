package deb_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

func scan(text string, l deb.Limits) ([]deb.Paragraph, error) {
	s := deb.NewScanner(strings.NewReader(text), l)
	var all []deb.Paragraph
	for {
		p, err := s.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
}

func TestScanner(t *testing.T) {
	for _, test := range []struct {
		name, text string
		limits     deb.Limits
		want       []deb.Paragraph
	}{
		{"nothing", "", deb.Limits{}, nil},
		{"empty lines", "\n\n\n", deb.Limits{}, nil},
		{"two", "A: 1\nB: 2\n\n\nC: 3\n", deb.Limits{}, []deb.Paragraph{"A: 1\nB: 2\n", "C: 3\n"}},
		{"without end of line", "A: 1", deb.Limits{}, []deb.Paragraph{"A: 1\n"}},
		{"carriage returns", "A: 1\r\n b\r\n\r\nB: 2\r\n", deb.Limits{}, []deb.Paragraph{"A: 1\n b\n", "B: 2\n"}},
		{"a line of blanks continues, as in apt", "A: 1\n \nB: 2\n", deb.Limits{}, []deb.Paragraph{"A: 1\n \nB: 2\n"}},
		{"comments", "# of a file\nA: 1\n#B: 2\n", deb.Limits{Comments: true}, []deb.Paragraph{"A: 1\n"}},
		{"empty value", "A:\n x\n", deb.Limits{}, []deb.Paragraph{"A:\n x\n"}},
		{"long line", "A: " + strings.Repeat("x", 200<<10) + "\n", deb.Limits{}, []deb.Paragraph{deb.Paragraph("A: " + strings.Repeat("x", 200<<10) + "\n")}},
	} {
		got, err := scan(test.text, test.limits)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %.80q, %v", test.name, got, err)
		}
	}
}

func TestScannerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		limits deb.Limits
		want   string
	}{
		"continuation first":  {"A: 1\n\n x\n", deb.Limits{}, "line 3: a continuation"},
		"no colon":            {"A: 1\nB\n", deb.Limits{}, "line 2"},
		"no name":             {": 1\n", deb.Limits{}, "line 1"},
		"blank in name":       {"A B: 1\n", deb.Limits{}, "line 1"},
		"hyphen first":        {"-A: 1\n", deb.Limits{}, "line 1"},
		"comment in an index": {"#A: 1\n", deb.Limits{}, "line 1"},
		"name beyond ASCII":   {"Ä: 1\n", deb.Limits{}, "line 1"},
		"zero byte":           {"A: 1\x00\n", deb.Limits{}, "line 1: a zero byte"},
		"return within":       {"A: 1\rB: 2\n", deb.Limits{}, "line 1: a zero byte or carriage return"},
		"long line":           {"A: " + strings.Repeat("x", 200<<10) + "\n", deb.Limits{Paragraph: 100 << 10}, "more than 102400 bytes"},
		"long paragraph":      {"A: 1\n" + strings.Repeat(" x\n", 100), deb.Limits{Paragraph: 100}, "more than 100 bytes"},
		"many":                {"A: 1\n\nA: 1\n\nA: 1\n", deb.Limits{Paragraphs: 2}, "line 5: more than 2 paragraphs"},
	} {
		if _, err := scan(c.text, c.limits); !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q, got %v", name, c.want, err)
		}
	}
	broken := errors.New("broken")
	s := deb.NewScanner(io.MultiReader(strings.NewReader("A: 1\n"), failing{broken}), deb.Limits{})
	for range 2 { // and stays with it
		if _, err := s.Next(); !errors.Is(err, broken) || errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("got %v, want the reader's own", err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestFields(t *testing.T) {
	p := deb.Paragraph("Name: x\nEmpty:\nDescription: short\n long\n .\n more  \nLast:  a b \n")
	var got []string
	for name, value := range p.Fields() {
		got = append(got, name+"="+value)
	}
	if want := []string{"Name=x", "Empty=", "Description=short\n long\n .\n more", "Last=a b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if p.Field("description") != "short\n long\n .\n more" || p.Field("none") != "" || p.Field("LAST") != "a b" {
		t.Error("fields are not found by name")
	}
}
