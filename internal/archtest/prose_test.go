package archtest

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// dialect returns words that readers of this code stumbled over, because the field uses others,
// with the ones to use. docs and tests are not looked at.
func dialect() map[string]*regexp.Regexp {
	word := func(pattern string) *regexp.Regexp { return regexp.MustCompile(`(?i)\b(?:` + pattern + `)\b`) }
	return map[string]*regexp.Regexp{
		"again, or a new one": word(`anew`),
		"next to":             word(`beside`),
		"is, or is stored at": word(`lies|lay in`),
		"is, or is listed in": word(`stood|stands? (?:alone|as it|at|before|behind|between|in|next|on|there)`),
		"after, or follows":   word(`behind`),
		"makes sure that":     word(`sees? to (?:it|that)`),
		"writes a note":       word(`leaves? word`),
		"becomes, or sees":    word(`comes? to know|comes to the same`),
		"is wanted of":        word(`asked of (?:it|them|the)`),
		"older, or earlier":   word(`(?:mirrors?|programs?|records?|generations?|exporters?|importers?) of before`),
	}
}

// spoken are verbs that documents and functions do not do in the field's words. Texts for people may have
// them; comments may not.
var spoken = regexp.MustCompile(`\b(?:gives?|says?|tells?)\b`)

// proper are uses of these words that the field has too: a server behind a proxy, and what
// stands in for another.
var proper = regexp.MustCompile(`(?i)\bbehind (?:a proxy|a relay|git http-backend|one address)\b|\bBehind records\b|\bstands? in for\b|\bgives? up\b|"trust give"`)

// inverted are sentences that begin with what, who or of, and so keep their reader waiting for the
// subject. Of is also the name of functions.
var inverted = regexp.MustCompile(`(?:^|[.:?] )((?:What|Who|Of(?:\s(?:a|an|all|the|any|each|every|its|one|two|several|those|that|this|what|who|more)\b)) .{0,30})`)

// foreign finds the words of the dialect in the comments and the texts of a file.
func (f *file) foreign() (found []string) {
	look := func(n ast.Node, text string) {
		text = proper.ReplaceAllString(strings.ReplaceAll(text, "\n// ", " "), "")
		for better, words := range dialect() {
			if word := words.FindString(text); word != "" {
				found = append(found, f.at(n)+": "+word+": better: "+better)
			}
		}
	}
	for _, group := range f.ast.Comments {
		if m := inverted.FindStringSubmatch(strings.ReplaceAll(group.Text(), "\n", " ")); m != nil {
			found = append(found, f.at(group)+": "+m[1]+": better: a sentence that begins with its subject")
		}
		for _, c := range group.List {
			look(c, c.Text)
			text := proper.ReplaceAllString(strings.ReplaceAll(c.Text, "\n// ", " "), "")
			if word := spoken.FindString(text); word != "" {
				found = append(found, f.at(c)+": "+word+": better: returns, reports, states, has")
			}
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING && strings.Contains(text.Value, " ") {
			look(n, text.Value)
		}
		return true
	})
	return found
}

// verbless finds functions whose comment states what they are instead of what they do. The
// comment of a test states what holds, and "NAME is called" is what happens to a callback.
func (f *file) verbless() (found []string) {
	for _, d := range f.ast.Decls {
		function, ok := d.(*ast.FuncDecl)
		if !ok || function.Doc == nil || isTest.MatchString(function.Name.Name) {
			continue
		}
		rest, named := strings.CutPrefix(function.Doc.Text(), function.Name.Name+" ")
		if named && noVerb.MatchString(rest) && !strings.HasPrefix(rest, "is called ") {
			found = append(found, f.at(function.Doc)+": "+function.Name.Name+" is: better: returns, reports whether, or what it does")
		}
	}
	return found
}

var (
	noVerb = regexp.MustCompile(`^(?:is|are|was|were)\s`)
	isTest = regexp.MustCompile(`^(?:Test|Benchmark|Fuzz|Example)`)
)

// TestProse: comments, errors and messages are written in the words of the field.
func TestProse(t *testing.T) {
	for _, f := range load(t).files {
		for _, why := range f.verbless() {
			t.Error(why)
		}
		if f.test {
			continue
		}
		for _, why := range f.foreign() {
			t.Error(why)
		}
	}
}

// TestProseIsSeen: what TestProse looks for is found where it is.
func TestProseIsSeen(t *testing.T) {
	for text, want := range map[string]int{
		"// a lies beside b and stands in c.\nvar a int":        3,
		"// a is next to b, understands c and relies on d.":     0,
		"// a mirror behind a proxy, and the file behind it.":   1,
		"// a mirror behind a proxy.":                           0,
		"// f gives a.\nfunc f() {}":                            1,
		"// f gives up, as the file states.\nfunc f() {}":       0,
		"var e = errors.New(\"the index says nothing\")":        0,
		"func f() { /* made anew */ }":                          1,
		"var e = errors.New(\"nothing stands there\")":          1,
		"var e = map[string]int{\"behind\": 1}":                 0,
		"// F reads a. What is b stays.\nfunc F() {}":           1,
		"// F reads a. Of several a\n// the first counts.\n":    1,
		"// Of returns what is b, and of c who has it.\n":       0,
		"// mirrors of before have none, of all before it.":     1,
		"var e = errors.New(`the rest is left behind` + \"x\")": 1,
	} {
		if got := parse(t, text).foreign(); len(got) != want {
			t.Errorf("%s: %q, want %d", text, got, want)
		}
	}
}

// TestVerblessIsSeen: comments without a verb are found, and no others.
func TestVerblessIsSeen(t *testing.T) {
	for text, want := range map[string]int{
		"// f is the name of a.\nfunc f() {}":             1,
		"// f are names\n// of a.\nfunc (a *a) f() {}":    1,
		"// f is\n// whether a is b.\nfunc f() {}":        1,
		"// f returns what a is.\nfunc f() {}":            0,
		"// f is called once for each a.\nfunc f() {}":    0,
		"// a is the name.\nvar a int":                    0,
		"// TestF is what P13 promises.\nfunc TestF() {}": 0,
		"// fis is no word.\nfunc f() {}":                 0,
	} {
		if got := parse(t, text).verbless(); len(got) != want {
			t.Errorf("%s: %q, want %d", text, got, want)
		}
	}
}
