// Package pages reads the blocks of commands of the project's pages, so that tests run what
// a page has for a person to run, word by word. It is for tests only.
package pages

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Block is one block of a page.
type Block struct {
	Section string // of its heading, as in links to it
	Number  int    // within the section, from 1
	Text    string // without the marks or the indentation
}

// Name returns how tests name a block: "first-stick 1".
func (b Block) Name() string { return fmt.Sprintf("%s %d", b.Section, b.Number) }

// notSh are the words after ``` that announce something else than commands.
var notSh = regexp.MustCompile("^```[a-z]")

// Read returns the blocks of a page, named by its path below the top of the module: those
// between ``` or ```sh, and those that are indented by four spaces.
func Read(page string) ([]Block, error) {
	top, err := top()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(page)))
	if err != nil {
		return nil, err
	}
	var all []Block
	section, number := "", 0
	lines := strings.SplitAfter(string(b), "\n")
	for i := 0; i < len(lines); i++ {
		var text string
		switch line := lines[i]; {
		case strings.HasPrefix(line, "#"):
			section, number = anchor(line), 0
		case strings.HasPrefix(line, "```"):
			end := i + 1
			for end < len(lines) && !strings.HasPrefix(lines[end], "```") {
				end++
			}
			if strings.HasPrefix(line, "```sh") || !notSh.MatchString(line) {
				text = strings.Join(lines[i+1:end], "")
			}
			i = end
		case indented(line) && (i == 0 || strings.TrimSpace(lines[i-1]) == ""):
			for i < len(lines) && (indented(lines[i]) || strings.TrimSpace(lines[i]) == "") {
				text += strings.TrimPrefix(lines[i], "    ")
				i++
			}
			i--
		}
		if text != "" {
			number++
			all = append(all, Block{section, number, text})
		}
	}
	return all, nil
}

// Text returns the content of one block.
func Text(t testing.TB, page, section string, number int) string {
	t.Helper()
	all, err := Read(page)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(all, func(b Block) bool { return b.Section == section && b.Number == number })
	if at < 0 {
		t.Fatalf("%s has no block %s %d", page, section, number)
	}
	return all[at].Text
}

func indented(line string) bool { return strings.HasPrefix(line, "    ") }

// anchor returns what a link to a heading has after #.
func anchor(heading string) string {
	title := strings.ToLower(strings.TrimSpace(strings.TrimLeft(heading, "#")))
	return strings.ReplaceAll(regexp.MustCompile(`[^\pL\pN_\- ]`).ReplaceAllString(title, ""), " ", "-")
}

// top returns the folder of the module that the test is in.
func top() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("go.mod is in no folder above %s", dir)
		}
		dir = up
	}
}
