package command

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// Typed is a command line that somebody is typing.
type Typed struct {
	// Command is the name of the command, as in "trust add".
	Command string
	args    []string
	flags   map[string]string
	getenv  func(string) string
}

// Arg returns the first argument, or else what the environment has; empty: neither.
func (t *Typed) Arg(env string) string {
	if len(t.args) > 0 {
		return t.home(t.args[0])
	}
	return t.getenv(env)
}

// Flag returns the value of a flag, or else what the environment has.
func (t *Typed) Flag(name string) string {
	if v, ok := t.flags[name]; ok {
		return t.home(v)
	}
	return t.getenv(EnvName(name))
}

// home puts the home in the place of ~/, which the shell has not done yet.
func (t *Typed) home(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(t.getenv("HOME"), rest)
	}
	return path
}

// mirror returns the mirror that the command line names so far.
func (t *Typed) mirror() string {
	switch {
	case t.flags["mirror"] != "":
		return t.Flag("mirror")
	case t.Command == "import":
		return FirstOf(t.Flag("to"), t.getenv("GAPBUNDLE_MIRROR"))
	case strings.HasPrefix(t.Command, "trust "):
		return t.getenv("GAPBUNDLE_MIRROR")
	}
	return t.Arg("GAPBUNDLE_MIRROR")
}

// Values returns the possible values of a flag, given what is typed so far. It uses no
// network, changes nothing, and returns nothing if it cannot know.
type Values func(t *Typed) []string

// mirrorValues returns the values of flags about a mirror. Paths are left to the shell.
func mirrorValues() map[string]Values {
	return map[string]Values{
		"for": clientNames, "set": setNames,
		"to": func(t *Typed) []string {
			if t.Command != "rollback" {
				return nil
			}
			return generationNumbers(t)
		},
		"kind":       func(t *Typed) []string { return ofPublished(t, func(p site.Published) string { return p.Kind }) },
		"repository": func(t *Typed) []string { return ofPublished(t, func(p site.Published) string { return p.Name }) },
	}
}

// ofPublished returns one property of all repositories that are published in the mirror.
func ofPublished(t *Typed, of func(site.Published) string) (all []string) {
	root, err := os.OpenRoot(filepath.Join(t.mirror(), "current"))
	if err != nil {
		return nil
	}
	defer root.Close()
	repositories, err := site.ReadPublished(root)
	if err != nil {
		return nil
	}
	for _, r := range repositories {
		all = append(all, of(r))
	}
	return all
}

// setNames returns the sets that a mirror publishes, and those that it trusts somebody for.
func setNames(t *Typed) []string {
	all := ofPublished(t, func(p site.Published) string { return p.Set })
	m, err := unpack.Open(t.mirror(), unpack.Options{})
	if err != nil {
		return all
	}
	defer m.Close()
	policy, err := m.Trust().Policy()
	if err != nil {
		return all
	}
	for _, k := range policy.Keys {
		all = append(all, k.Set)
	}
	for _, k := range policy.OpenPGP {
		all = append(all, k.Set)
	}
	return all
}

func clientNames(t *Typed) (all []string) {
	root, err := os.OpenRoot(filepath.Join(t.mirror(), "current"))
	if err != nil {
		return nil
	}
	defer root.Close()
	folders, err := clientFolders(root)
	if err != nil {
		return nil
	}
	for name := range folders {
		all = append(all, name)
	}
	return all
}

func generationNumbers(t *Typed) (all []string) {
	m, err := unpack.Open(t.mirror(), unpack.Options{})
	if err != nil {
		return nil
	}
	defer m.Close()
	generations, err := m.Generations()
	if err != nil {
		return nil
	}
	for _, g := range generations {
		all = append(all, strconv.Itoa(g.Number))
	}
	return all
}

// writeCandidates prints what the last of words may become, one a line;
// nothing where a path is wanted, which shells know better.
func (p Program) writeCandidates(w io.Writer, words []string, getenv func(string) string) {
	if len(words) == 0 {
		words = []string{""}
	}
	t := &Typed{flags: map[string]string{}, getenv: getenv}
	at, before := t.read(p.Table(), words[:len(words)-1])
	last, prefix := words[len(words)-1], ""
	if last == "=" && before != nil { // bash makes a word of it
		last = ""
	}
	if name, value, ok := strings.Cut(last, "="); ok && before == nil && strings.HasPrefix(name, "--") {
		if before = findFlag(flagsBelow(at), name[2:]); before != nil {
			last, prefix = value, name+"="
		}
	}
	var candidates []string
	switch {
	case before != nil:
		candidates = p.values(before, t)
	case strings.HasPrefix(last, "-"):
		for _, f := range at.Flags {
			candidates = append(candidates, "--"+f.Names()[0])
		}
		candidates = append(candidates, "--help")
	case len(at.Subcommands) > 0:
		candidates = names(at.Subcommands)
	case at.Name == "completion":
		candidates = []string{"bash", "zsh", "fish"}
	case t.Command == "forget" && len(t.args) == 1:
		candidates = sorted(setNames(t))
	}
	for _, c := range candidates {
		if strings.HasPrefix(c, last) && !strings.ContainsFunc(c, isUnsafe) {
			fmt.Fprintln(w, prefix+c)
		}
	}
}

// read takes in the words before the one that is typed, and returns the command and the
// flag whose value comes next; nil: none does.
func (t *Typed) read(root *cli.Command, words []string) (at *cli.Command, waits cli.Flag) {
	at = root
	for i, word := range words {
		switch {
		case waits != nil && word == "=": // bash makes a word of it
		case waits != nil:
			t.flags[waits.Names()[0]], waits = word, nil
		case strings.HasPrefix(word, "-"):
			name, value, has := strings.Cut(strings.TrimLeft(word, "-"), "=")
			f := findFlag(flagsBelow(at), name)
			switch {
			case f == nil || IsSwitch(f) && !(i+1 < len(words) && words[i+1] == "="):
			case has:
				t.flags[f.Names()[0]] = value
			default:
				waits = f
			}
		case len(at.Subcommands) > 0:
			if next := at.Command(word); next != nil {
				at = next
				t.Command = strings.TrimSpace(t.Command + " " + next.Name)
			}
		default:
			t.args = append(t.args, word)
		}
	}
	return at, waits
}

// values returns what a flag may have as its value, sorted, each once.
func (p Program) values(flag cli.Flag, t *Typed) []string {
	if g, ok := flag.(*cli.GenericFlag); ok {
		if c, ok := g.Value.(interface{ candidates() []string }); ok {
			return c.candidates()
		}
	}
	for _, known := range []map[string]Values{p.Values, mirrorValues()} {
		if f := known[flag.Names()[0]]; f != nil {
			return sorted(f(t))
		}
	}
	return nil
}

func sorted(all []string) []string { return slices.Compact(slices.Sorted(slices.Values(all))) }

// isUnsafe reports whether a shell might take a character for something else: bash expands
// candidates once more, and names in a mirror were written by others.
func isUnsafe(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.+@/:", r)
}
