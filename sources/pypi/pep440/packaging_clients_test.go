//go:build clients

package pep440

import (
	"strconv"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

// spelled are versions in forms that have to be normalised, and some that are
// none.
var spelled = []string{
	"v1.0", "1.0-alpha.1", "1.0_beta2", "1.0preview3", "1.0-c4", "1.0-1", "1.0.rev2", "1.0r", "1.0dev", "1.0.dev-3", "01.01", "1!1.0", "1.0+a-b_c.01",
	"1.0a.dev1", "1.0.post1.dev2", "1.0a1.post2", "1.0.", "1.0a-", "1.0+", "1.0+a..b", "1.0.x", "1-", "1.0--1", "1.0.post", "1.0-post-1", "1.0pre-", "1.0.0.0", "1",
	"1.0+ubuntu.1", "1.0+1.ubuntu", "1.0.*", "", " 1.0 ", "1.0\n", "1.0rc", "1.0.rc.1", "1.0.alpha.beta", "1.0a1b2", "2024.1.1.1.1.1", "1.0.dev1+x", "1.0+X",
}

var specs = []string{
	"==%", "!=%", "<%", "<=%", ">%", ">=%", "~=%", "===%", "==%.*", "!=%.*", "=%", "%",
}

// The same answers as packaging: normal forms, order, and every operator with
// every pair of versions.
func TestAgainstPackaging(t *testing.T) {
	versions := append(append([]string{}, sorted...), spelled...)
	var questions [][]any
	for _, a := range versions {
		questions = append(questions, []any{"normal", a})
		for _, b := range versions {
			questions = append(questions, []any{"compare", a, b})
			for _, spec := range specs {
				questions = append(questions, []any{"contains", a, with(spec, b)})
			}
		}
	}
	differ, valid := 0, 0
	for i, answer := range piptest.Packaging(t, questions) {
		q := questions[i]
		got, err := ours(q)
		var same bool
		if answer.Error != "" {
			same = err != nil
		} else if valid++; err == nil {
			same = string(answer.Answer) == got
		}
		if !same {
			if differ++; differ < 20 {
				t.Errorf("%v: %s, %v; packaging %s %s", q, got, err, answer.Answer, answer.Error)
			}
		}
	}
	t.Logf("%d questions, %d with an answer, %d differ", len(questions), valid, differ)
	if valid < 1000 || differ > 0 {
		t.Errorf("%d valid, %d differ", valid, differ)
	}
}

func with(spec, version string) string { return strings.ReplaceAll(spec, "%", version) }

func ours(q []any) (string, error) {
	a, err := Parse(q[1].(string))
	if err != nil || q[0] == "normal" {
		return strconv.Quote(a.String()), err
	}
	if q[0] == "compare" {
		b, err := Parse(q[2].(string))
		return strconv.Itoa(a.Compare(b)), err
	}
	set, err := ParseSet(q[2].(string))
	return strconv.FormatBool(err == nil && set.Contains(a)), err
}
