package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/spelling"
)

// UsageError is a command line that cannot be run: what is wrong and the
// nearest thing that would be right. It matches bundle.ErrUsage.
type UsageError struct{ What, Hint string }

// Usage returns a UsageError.
func Usage(what, hint string) error { return &UsageError{what, hint} }

func (e *UsageError) Error() string { return e.What }
func (e *UsageError) Unwrap() error { return bundle.ErrUsage }

// Invocation is a command line in order: which command, its flags in front,
// its arguments after.
type Invocation struct {
	Path  []string     // names of the command, from below the program's own
	leaf  *cli.Command // nil: no command was named (the program itself, or a group)
	flags []string     // "--name=value", as given, then from the environment
	args  []string
	help  bool
}

// Argv returns what urfave/cli gets to see: every flag before "--" and every
// argument after it, so that it can neither stop too early nor guess.
func (v *Invocation) Argv(program string) []string {
	all := append([]string{program}, v.Path...)
	all = append(append(all, v.flags...), "--")
	return append(all, v.args...)
}

// given reports whether the flag was set, by the command line or by the environment.
func (v *Invocation) given(flag cli.Flag) bool {
	for _, f := range v.flags {
		name, _, _ := strings.Cut(f[2:], "=")
		if name == flag.Names()[0] {
			return true
		}
	}
	return false
}

// Parse reads a command line by the tables of the commands. urfave/cli v2 stops looking for
// flags at the first argument and takes later ones as arguments without an error. Here flags
// may be anywhere before "--", and anything unknown, surplus or missing is refused with the
// nearest valid form. Missing flags are read from GAPBUNDLE_<FLAG>, apart from those that
// override a rule of trust.
func Parse(root *cli.Command, argv []string, getenv func(string) string) (*Invocation, error) {
	v := &Invocation{}
	at := root
	for len(argv) > 0 {
		arg := argv[0]
		argv = argv[1:]
		switch {
		case arg == "--":
			v.args = append(v.args, argv...)
			argv = nil
		case arg == "--help" || arg == "-h":
			v.help = true
		case at == root && arg == "--version": // as every other program has it
			argv = append([]string{"version"}, argv...)
		case len(arg) > 1 && arg[0] == '-':
			rest, err := v.takeFlag(at, arg, argv)
			if err != nil {
				return v, err
			}
			argv = rest
		case at == root && arg == "help":
			v.help = true
		case len(at.Subcommands) > 0:
			next := at.Command(arg)
			if next == nil {
				return v, unknownCommand(at, arg)
			}
			v.Path = append(v.Path, next.Name)
			at = next
		default:
			v.args = append(v.args, arg)
		}
	}
	if len(at.Subcommands) == 0 {
		v.leaf = at
	}
	if v.leaf == nil && len(v.flags) > 0 && !v.help {
		return v, &UsageError{"no command given", "commands: " + strings.Join(names(at.Subcommands), ", ")}
	}
	if v.help = v.help || v.leaf == nil; v.help { // a name alone asks what there is
		return v, nil
	}
	return v, v.complete(getenv)
}

// takeFlag reads the flag arg, with its value from rest where it needs one,
// and returns what is left of rest.
func (v *Invocation) takeFlag(at *cli.Command, arg string, rest []string) ([]string, error) {
	name, value, hasValue := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
	long := strings.HasPrefix(name, "-")
	name = strings.TrimPrefix(name, "-")
	flag := findFlag(flagsBelow(at), name)
	if flag == nil || long != (len(name) > 1) {
		return nil, v.unknownFlag(at, arg, name)
	}
	canonical := "--" + flag.Names()[0]
	switch {
	case hasValue:
	case IsSwitch(flag):
		value = "true"
	case len(rest) == 0 || rest[0] == "--" || isFlag(at, rest[0]):
		return nil, &UsageError{"flag " + arg + ": no value", "give it as " + arg + " " + placeholder(flag)}
	default:
		value, rest = rest[0], rest[1:]
	}
	v.flags = append(v.flags, canonical+"="+value)
	return rest, nil
}

// isFlag reports whether s is spelled like a known flag: then it is not the
// value of the one before it, which was forgotten.
func isFlag(at *cli.Command, s string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(s, "-"), "=")
	return strings.HasPrefix(s, "-") && findFlag(flagsBelow(at), name) != nil
}

// complete checks flags and arguments against the leaf and adds what the
// environment has.
func (v *Invocation) complete(getenv func(string) string) error {
	for _, f := range v.flags {
		name, _, _ := strings.Cut(f[2:], "=")
		if findFlag(v.leaf.Flags, name) == nil {
			return v.unknownFlag(v.leaf, "--"+name, name)
		}
	}
	for _, flag := range v.leaf.Flags {
		if v.given(flag) || byHandOnly(flag.Names()[0]) {
			continue
		}
		for _, value := range fromEnvironment(flag, getenv) {
			v.flags = append(v.flags, "--"+flag.Names()[0]+"="+value)
		}
	}
	for _, flag := range v.leaf.Flags {
		if r, ok := flag.(cli.RequiredFlag); ok && r.IsRequired() && !v.given(flag) {
			name := flag.Names()[0]
			return &UsageError{fmt.Sprintf("gapbundle %s: no --%s given", strings.Join(v.Path, " "), name),
				fmt.Sprintf("give --%s %s, or %s", name, placeholder(flag), EnvName(name))}
		}
	}
	if err := v.checkValues(); err != nil {
		return err
	}
	return v.checkArgs(getenv)
}

// checkValues looks at the values of flags whose types would name no value that is wanted.
func (v *Invocation) checkValues() error {
	for _, f := range v.flags {
		name, value, _ := strings.Cut(f[2:], "=")
		switch flag := findFlag(v.leaf.Flags, name).(type) {
		case *cli.BoolFlag:
			if _, err := strconv.ParseBool(value); err != nil {
				return &UsageError{fmt.Sprintf("flag --%s: value %q is neither true nor false", name, value),
					fmt.Sprintf("--%s, or %s=true or false", name, EnvName(name))}
			}
		case *cli.IntFlag:
			if n, err := strconv.Atoi(value); err != nil || n < 0 {
				return &UsageError{fmt.Sprintf("invalid value %q for flag --%s: want a whole number, 0 or more", value, name), v.seeHelp()}
			}
		case *cli.GenericFlag:
			if !IsSwitch(flag) {
				continue // the flag library's own text is good
			}
			if err := flag.Value.Set(value); err != nil {
				return &UsageError{fmt.Sprintf("invalid value %q for flag --%s: %v", value, name, err), v.seeHelp()}
			}
		}
	}
	return nil
}

func (v *Invocation) seeHelp() string {
	return "see gapbundle " + strings.Join(v.Path, " ") + " --help"
}

// checkArgs counts the arguments by the leaf's ArgsUsage ("MIRROR", "[SPEC]",
// "PATH..."). A MIRROR or SPEC that is not given comes from the environment,
// the SPEC then from its usual name.
func (v *Invocation) checkArgs(getenv func(string) string) error {
	words := strings.Fields(v.leaf.ArgsUsage)
	least, most := 0, len(words)
	for _, w := range words {
		if !strings.HasPrefix(w, "[") {
			least++
		}
		if strings.HasSuffix(strings.TrimSuffix(w, "]"), "...") {
			most = len(v.args)
		}
	}
	if mirror := getenv("GAPBUNDLE_MIRROR"); mirror != "" && least > 0 && strings.HasPrefix(words[0], "MIRROR") && len(v.args) == least-1 {
		v.args = append([]string{mirror}, v.args...)
	}
	if most == 1 && words[0] == "[SPEC]" && len(v.args) == 0 {
		v.args = []string{FirstOf(getenv("GAPBUNDLE_SPEC"), DefaultSpec)}
	}
	command := "gapbundle " + strings.Join(v.Path, " ")
	usage := "usage: " + strings.TrimSpace(command+" "+v.leaf.ArgsUsage)
	switch {
	case len(v.args) < least:
		return &UsageError{fmt.Sprintf("%s: no %s given", command, strings.TrimSuffix(words[len(v.args)], "...")), usage}
	case len(v.args) > most:
		return &UsageError{fmt.Sprintf("%s: stray argument %q", command, v.args[most]), usage}
	}
	return nil
}

// DefaultSpec is the spec file that export and plan read when none is named.
const DefaultSpec = "gapbundle.yaml"

// FirstOf returns the first of values that is not empty.
func FirstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// EnvName returns the environment variable of a flag.
func EnvName(flag string) string {
	return "GAPBUNDLE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment returns the flag's value in the environment, none when it is
// empty. A list has its values on separate lines: any other separator would
// cut a path in two.
func fromEnvironment(flag cli.Flag, getenv func(string) string) []string {
	value := getenv(EnvName(flag.Names()[0]))
	if s, ok := flag.(*cli.StringFlag); ok && value == "" && len(s.EnvVars) > 0 {
		value = getenv(s.EnvVars[0])
	}
	if value == "" {
		return nil
	}
	if _, ok := flag.(*cli.StringSliceFlag); ok {
		return strings.Split(strings.Trim(value, "\n"), "\n")
	}
	return []string{value}
}

// IsSwitch reports whether the flag may stand without a value.
func IsSwitch(flag cli.Flag) bool {
	switch f := flag.(type) {
	case *cli.BoolFlag:
		return true
	case *cli.GenericFlag:
		b, ok := f.Value.(interface{ IsBoolFlag() bool })
		return ok && b.IsBoolFlag()
	}
	return false
}

func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				return f
			}
		}
	}
	return nil
}

// flagsBelow returns the flags that may be meant before the command is known: a
// name means the same kind of flag in every command, which a test holds.
func flagsBelow(c *cli.Command) []cli.Flag {
	all := c.Flags
	for _, sub := range c.Subcommands {
		all = append(all[:len(all):len(all)], flagsBelow(sub)...)
	}
	return all
}

func (v *Invocation) unknownFlag(at *cli.Command, given, name string) error {
	given, _, _ = strings.Cut(given, "=")
	command := strings.TrimSpace("gapbundle " + strings.Join(v.Path, " "))
	e := &UsageError{fmt.Sprintf("flag %s: unknown to %s", given, command), command + " --help lists the flags"}
	var all []string
	for _, f := range flagsBelow(at) {
		if long := f.Names()[0]; !slices.Contains(all, "--"+long) {
			all = append(all, "--"+long)
		}
	}
	if near, ok := strings.CutPrefix(spelling.Suggest("--"+name, all), "; did you mean "); ok {
		e.Hint = "did you mean " + strings.ReplaceAll(near, `"`, "")
	}
	return e
}

func unknownCommand(at *cli.Command, name string) error {
	e := &UsageError{What: fmt.Sprintf("command %q: unknown", strings.TrimSpace(at.Name+" "+name))}
	e.Hint = strings.ReplaceAll(strings.TrimPrefix(spelling.Suggest(name, names(at.Subcommands)), "; "), `"`, "")
	return e
}

func names(commands []*cli.Command) []string {
	all := make([]string, len(commands))
	for i, c := range commands {
		all[i] = c.Name
	}
	return all
}
