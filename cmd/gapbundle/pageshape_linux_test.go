package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/internal/test/pages"
)

// shapes returns the gapbundle commands in a text, each as its name and its flags without
// their values: "export --to". What the program does not accept is no command.
func shapes(text string) map[string]bool {
	all := map[string]bool{}
	text = strings.ReplaceAll(text, "\\\n", " ")
	for _, found := range regexp.MustCompile(`\bgapbundle(?:-inside)? +([^|>#;&)\n]*)`).FindAllStringSubmatch(text, -1) {
		args := strings.Fields(strings.NewReplacer("'", "", `"`, "").Replace(found[1]))
		v, err := command.Parse(program(), args, noEnv)
		if err != nil || len(v.Path) == 0 {
			continue
		}
		words := slices.Clone(v.Path)
		var flags []string
		for _, arg := range args {
			if name, _, _ := strings.Cut(arg, "="); strings.HasPrefix(name, "--") {
				flags = append(flags, name)
			}
		}
		slices.Sort(flags)
		all[strings.Join(append(words, slices.Compact(flags)...), " ")] = true
	}
	return all
}

// runBy reports whether one of the commands that ran is this one, perhaps with more flags.
func runBy(ran map[string]bool, shape string) bool {
	for other := range ran {
		have := strings.Fields(other)
		all := true
		for _, word := range strings.Fields(shape) {
			all = all && slices.Contains(have, word)
		}
		if name, _, _ := strings.Cut(shape, " --"); all && (other == name || strings.HasPrefix(other, name+" --")) {
			return true
		}
	}
	return false
}

// blocksRun returns the shapes of the commands in blocks that scripts take from pages.
func blocksRun(t *testing.T) map[string]bool {
	t.Helper()
	ran := map[string]bool{}
	blocks := runsBlocks(t)
	for _, page := range markdown(t) {
		all, err := pages.Read(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range all {
			if blocks[page+" "+b.Name()] && page != "docs/deepops.md" { // there another program takes the place of gapbundle
				for shape := range shapes(b.Text) {
					ran[shape] = true
				}
			}
		}
	}
	return ran
}

// TestPageCommandsRun: what a page tells to run is run by a script, with the same flags.
// Blocks of recipes.md and security-desk.md are run word by word: TestPages.
func TestPageCommandsRun(t *testing.T) {
	ran := map[string]bool{}
	read := func(pattern string) []string {
		names, err := filepath.Glob("../../" + pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(names), err)
		}
		return names
	}
	text := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, name := range slices.Concat(read("cmd/gapbundle/testdata/*/*.txtar"), read("docs/recipes.md"), read("docs/security-desk.md")) {
		for shape := range shapes(text(name)) {
			ran[shape] = true
		}
	}
	for shape := range blocksRun(t) {
		ran[shape] = true
	}
	code := regexp.MustCompile("(?ms)^```sh\n.*?^```$|^    [^\n]*$")
	for _, name := range slices.Concat(read("README.md"), read("docs/*.md"), read("docs/sources/*.md")) {
		for shape := range shapes(strings.Join(code.FindAllString(text(name), -1), "\n")) {
			if !runBy(ran, shape) {
				t.Errorf("%s: gapbundle %s: want a script that runs it so", name, shape)
			}
		}
	}
}
