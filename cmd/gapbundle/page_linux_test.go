package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/internal/test/pages"
)

// wholePages are those of docs whose every block of commands has to be run by a script.
var wholePages = []string{"recipes.md", "security-desk.md"}

// blocks returns the blocks of shell commands of a page, by section and number as in
// "first-stick 1". A section is called as in links to it.
func blocks(page string) (map[string]string, error) {
	if page != "README.md" {
		page = "docs/" + page
	}
	read, err := pages.Read(page)
	all := map[string]string{}
	for _, b := range read {
		all[b.Name()] = b.Text
	}
	return all, err
}

// page FILE SECTION N CODE runs the commands of the section's Nth block in a shell that
// stops at the first failure, on a terminal where a person answers every question by
// yes, and compares the exit code. The folders /media and /srv are those of the script.
// Its variables KEY and STREAM take the place of these words, and the upstream UP that
// of download.example.org and archive.ubuntu.com. If WITHIN is set, that program gets the
// commands as an argument instead of the shell. What was printed goes to the files screen
// and out, as terminal says.
func page(ts *testscript.TestScript, _ bool, args []string) {
	all, err := blocks(args[0])
	ts.Check(err)
	text := all[args[1]+" "+args[2]]
	if text == "" {
		ts.Fatalf("%s has no block %s %s", args[0], args[1], args[2])
	}
	work := ts.Getenv("WORK")
	text = strings.NewReplacer(
		"/media/", work+"/media/", "/srv/", work+"/srv/", " KEY ", " "+ts.Getenv("KEY")+" ", " STREAM ", " "+ts.Getenv("STREAM")+" ",
		"https://download.example.org", ts.Getenv("UP"), "download.example.org", ts.Getenv("UP_HOST"),
		"/usr/share/keyrings/", work+"/keyrings/", "http://archive.ubuntu.com", ts.Getenv("UP"),
	).Replace(text)
	answers := filepath.Join(work, "answers")
	ts.Check(os.WriteFile(answers, []byte(strings.Repeat("yes\n", 8)), 0o644))
	shell := []string{"sh", "-e", "-c"}
	if within := ts.Getenv("WITHIN"); within != "" {
		shell = []string{"sh", "-e", ts.MkAbs(within)}
	}
	terminal(ts, false, append(append([]string{args[3], answers, "env", insideEnv + "=" + ts.Getenv(insideEnv)}, shell...), text))
}

// TestPages: every block of commands of the pages is run by a script, and a command in
// the text is one of them.
func TestPages(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]bool{}
	for _, name := range scripts {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range regexp.MustCompile(`(?m)^page (\S+ \S+ \d+) \d+$`).FindAllStringSubmatch(string(b), -1) {
			ran[line[1]] = true
		}
	}
	for _, name := range wholePages {
		all, err := blocks(name)
		if err != nil || len(all) == 0 {
			t.Fatalf("%s: %d blocks, %v", name, len(all), err)
		}
		lines := map[string]bool{}
		for block, text := range all {
			for line := range strings.Lines(text) {
				lines[strings.TrimSpace(line)] = true
			}
			if !ran[name+" "+block] {
				t.Errorf("no script in testdata runs: page %s %s CODE", name, block)
			}
		}
		b, err := os.ReadFile(filepath.Join("../../docs", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, span := range regexp.MustCompile("`(gapbundle [^`\\s]+ [^`]+)`").FindAllStringSubmatch(string(b), -1) {
			if !lines[span[1]] {
				t.Errorf("%s: %q in the text is in no block", name, span[1])
			}
		}
	}
}

// TestReceiptFields: docs/security-desk.md names every field of a receipt, and no other.
func TestReceiptFields(t *testing.T) {
	b, err := os.ReadFile("../../docs/security-desk.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "\n## What leaves the site\n")
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\|").FindAllStringSubmatch(section, -1) {
		got = append(got, strings.Split(strings.Trim(row[1], "`"), "`, `")...)
	}
	want := []string{"key", "signature"} // of the file around it
	for i := range reflect.TypeFor[bundle.Receipt]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[bundle.Receipt]().Field(i).Tag.Get("json"), ",")
		if name != "-" {
			want = append(want, name)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the page has\n%v, a receipt has\n%v", got, want)
	}
}

// TestPageCommands: every gapbundle command in the code of every page and example is one
// that the program accepts. (cli.md has the help's text, which TestHelp looks at.)
func TestPageCommands(t *testing.T) {
	var names []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/sources/*.md", "examples/*.yaml", "examples/*/*.yaml"} {
		found, err := filepath.Glob("../../" + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		names = append(names, found...)
	}
	code := regexp.MustCompile("(?ms)^```sh\n.*?^```$|^(?:    |#   )[^\n]*$")
	call := regexp.MustCompile(`(?:^(?:    |#   )?|[;&|(] *|-- |do )gapbundle(?:-inside)? +([^|>#;&)\n]*)`)
	count := 0
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "\\\n", " ")
		for _, part := range code.FindAllString(text, -1) {
			for line := range strings.Lines(part) {
				for _, found := range call.FindAllStringSubmatch(line, -1) {
					count++
					args := strings.Fields(strings.NewReplacer("'", "", `"`, "").Replace(found[1]))
					if _, err := command.Parse(program(), args, noEnv); err != nil {
						t.Errorf("%s: gapbundle %s: %v", name, found[1], err)
					}
				}
			}
		}
	}
	if count < 100 {
		t.Errorf("%d commands found, want 100 or more", count)
	}
}

// TestPageLinks: a link from a page to a file here, and to a place in it, leads somewhere.
func TestPageLinks(t *testing.T) {
	var names []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/sources/*.md"} {
		found, err := filepath.Glob("../../" + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		names = append(names, found...)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(string(b), -1) {
			file, place, _ := strings.Cut(link[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			to := name
			if file != "" {
				to = filepath.Join(filepath.Dir(name), file)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: link to %s: %v", name, link[1], err)
			} else if place != "" && !places(t, to)[place] {
				t.Errorf("%s: link to %s: no such heading", name, link[1])
			}
		}
	}
}

// places returns what a link to a page can name after #.
func places(t *testing.T, page string) map[string]bool {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^#+ (.*)$|<a id="([^"]*)">`).FindAllStringSubmatch(string(b), -1) {
		title := regexp.MustCompile(`[^\pL\pN_\- ]`).ReplaceAllString(strings.ToLower(found[1]), "")
		all[strings.ReplaceAll(title, " ", "-")+found[2]] = true
	}
	return all
}
