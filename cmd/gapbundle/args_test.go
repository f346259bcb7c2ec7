package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/cmd/internal/command"
)

func noEnv(string) string { return "" }

// sampleValues returns values that a flag accepts, and what the command sees.
func sampleValues(f cli.Flag) ([]string, string) {
	switch f := f.(type) {
	case *cli.BoolFlag:
		return []string{"true"}, "true"
	case *cli.IntFlag:
		return []string{"3"}, "3"
	case *cli.StringSliceFlag:
		return []string{"a,b", "c d"}, "[a,b c d]"
	case *cli.GenericFlag:
		switch v := f.Value.(type) {
		case *command.Choice:
			return []string{v.Of[len(v.Of)-1]}, v.Of[len(v.Of)-1]
		case *command.Share:
			return []string{"5%"}, "5%"
		case *command.ChangeCount:
			return []string{"7"}, "7"
		case *command.Span:
			return []string{"10m"}, "10m0s"
		case *byteSize:
			return []string{"2MiB"}, "2.0 MiB"
		}
	}
	return []string{"x,y=z"}, "x,y=z"
}

// sampleArgs returns arguments for every word of an ArgsUsage.
func sampleArgs(usage string) []string {
	var args []string
	for i := range strings.Fields(usage) {
		args = append(args, fmt.Sprintf("arg%d", i))
	}
	return args
}

// requiredExcept gives the required flags of c but one, so that the line is valid.
func requiredExcept(c *cli.Command, name string) []string {
	var out []string
	for _, f := range c.Flags {
		if r, ok := f.(cli.RequiredFlag); ok && r.IsRequired() && f.Names()[0] != name {
			values, _ := sampleValues(f)
			out = append(out, "--"+f.Names()[0]+"="+values[0])
		}
	}
	return out
}

// TestFlagsStandAnywhere walks every flag of every command: before, between
// and after arguments, glued and apart, by every name, and from the
// environment. What the command's action sees is compared.
func TestFlagsStandAnywhere(t *testing.T) {
	command.Leaves(program(), nil, func(path []string, c *cli.Command) {
		for _, f := range c.Flags {
			values, want := sampleValues(f)
			name := f.Names()[0]
			var apart, glued, short []string
			env := map[string]string{command.EnvName(name): strings.Join(values, "\n")}
			for _, v := range values {
				glued = append(glued, "--"+name+"="+v)
				if command.IsSwitch(f) {
					apart = append(apart, "--"+name)
				} else {
					apart = append(apart, "--"+name, v)
				}
				if n := f.Names(); len(n) > 1 && command.IsSwitch(f) {
					short = append(short, "-"+n[1])
				} else if len(n) > 1 {
					short = append(short, "-"+n[1], v)
				}
			}
			wantApart := want
			if _, ok := f.(*cli.GenericFlag); ok && command.IsSwitch(f) {
				wantApart = "100%" // --data alone
				if name != "data" {
					wantApart = "" // an override for the only bundle at hand
				}
			}
			fromEnvironment := want
			if slices.Contains([]string{"yes", "accept-keys", "accept-expired", "allow-rollback"}, name) {
				fromEnvironment = ""
				if name == "yes" {
					fromEnvironment = "false" // only somebody who types them sets a rule aside
				}
			}
			args, required := sampleArgs(c.ArgsUsage), requiredExcept(c, name)
			line := func(parts ...[]string) []string { return slices.Concat(parts...) }
			cut := min(1, len(args))
			dashed := make([]string, len(args))
			for i := range args {
				dashed[i] = "--" + args[i]
			}
			for what, one := range map[string]struct {
				argv []string
				want string
				args []string
			}{
				"behind, glued":     {line(path, args, required, glued), want, args},
				"before, glued":     {line(path, glued, args, required), want, args},
				"between, apart":    {line(path, args[:cut], apart, required, args[cut:]), wantApart, args},
				"behind, apart":     {line(path, required, args, apart), wantApart, args},
				"before command":    {line(glued, path, args, required), want, args},
				"by its short name": {line(path, short, args, required), wantApart, args},
				"by environment":    {line(path, args, required), fromEnvironment, args},
				"behind --":         {line(path, glued, required, []string{"--"}, dashed), want, dashed},
			} {
				getenv := noEnv
				if what == "by environment" {
					getenv = func(k string) string { return env[k] }
				}
				if what == "by its short name" && short == nil {
					continue
				}
				got, gotArgs, err := seen(one.argv, getenv, name)
				if err != nil || got != one.want || !slices.Equal(gotArgs, expectedArgs(c, one.args)) {
					t.Errorf("%s of --%s: gapbundle %q: value %q, arguments %q, error %v; want %q, %q",
						what, name, one.argv, got, gotArgs, err, one.want, one.args)
				}
			}
		}
	})
}

func expectedArgs(c *cli.Command, args []string) []string {
	if len(args) == 0 && strings.HasPrefix(c.ArgsUsage, "[SPEC]") {
		return []string{command.DefaultSpec}
	}
	return args
}

// seen runs a command line up to the action and gives what that sees.
func seen(argv []string, getenv func(string) string, flag string) (value string, args []string, err error) {
	root := program()
	command.Leaves(root, nil, func(_ []string, c *cli.Command) {
		c.Action = func(ctx *cli.Context) error {
			args = ctx.Args().Slice()
			if s := ctx.StringSlice(flag); s != nil {
				value = fmt.Sprint(s)
			} else if g, ok := ctx.Generic(flag).(cli.Generic); ok {
				value = g.String()
			} else {
				value = fmt.Sprint(ctx.Value(flag))
			}
			return nil
		}
	})
	inv, err := command.Parse(root, argv, getenv)
	if err != nil {
		return "", nil, err
	}
	err = command.NewApp(root).Run(inv.Argv("gapbundle"))
	return value, args, err
}

// TestOneNameOneKind: a flag may be before its command, so its name alone
// has to say whether a value follows.
func TestOneNameOneKind(t *testing.T) {
	switches := map[string]bool{}
	command.Leaves(program(), nil, func(path []string, c *cli.Command) {
		for _, f := range c.Flags {
			for _, n := range f.Names() {
				// export answers a request in a file, check leads to the command.
				if was, known := switches[n]; known && was != command.IsSwitch(f) && n != "repair" {
					t.Errorf("%s --%s: takes a value in one command and none in another", strings.Join(path, " "), n)
				}
				switches[n] = command.IsSwitch(f)
			}
			if d, ok := f.(cli.DocGenerationFlag); !ok || d.GetUsage() == "" {
				t.Errorf("%s %s: no usage text", strings.Join(path, " "), f.Names()[0])
			}
		}
	})
}

// TestBadLines: every way to get a line wrong is an error of usage that names
// what was wrong and what would be right.
func TestBadLines(t *testing.T) {
	for _, c := range []struct {
		line, env, what, hint string
	}{
		{"--json", "", "no command", "commands: "},
		{"versoin", "", `command "versoin"`, "did you mean version?"},
		{"xyzzyplugh", "", `command "xyzzyplugh"`, "valid: check, "},
		{"version --jsom", "", "flag --jsom", "--json"},
		{"version -json", "", "flag -json", "--json"},
		{"version --q", "", "flag --q", ""},
		{"version stray", "", `stray argument "stray"`, "usage: gapbundle version"},
		{"version -- --json", "", `stray argument "--json"`, "usage: gapbundle version"},
		{"version --log-format", "", "flag --log-format: no value", "--log-format FORMAT"},
		{"version --log-format --json", "", "flag --log-format: no value", "--log-format FORMAT"},
		{"version --json=perhaps", "", `value "perhaps"`, "true or false"},
		{"version", "GAPBUNDLE_JSON=yes", `value "yes"`, "GAPBUNDLE_JSON"},
		{"completion", "", "no SHELL given", "usage: gapbundle completion SHELL"},
		{"man --log-format=yaml", "", `invalid value "yaml" for flag --log-format: want text, json`, "--help"},
	} {
		getenv := func(k string) string {
			v, _ := strings.CutPrefix(c.env, k+"=")
			if v == c.env {
				return ""
			}
			return v
		}
		_, _, err := seen(strings.Fields(c.line), getenv, "json")
		var usage *command.UsageError
		if !errors.As(err, &usage) || !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("gapbundle %s: error %v, want one of usage", c.line, err)
			continue
		}
		if !strings.Contains(usage.What, c.what) || !strings.Contains(usage.Hint, c.hint) {
			t.Errorf("gapbundle %s: %q, hint %q; want %q, %q", c.line, usage.What, usage.Hint, c.what, c.hint)
		}
	}
}

// TestArgumentsFromEnvironment: MIRROR and SPEC may come from the
// environment, and what is given on the line goes before it.
// TestByHandAlone: what overrides a rule, or confirms it, is typed: an environment that was
// set once would do so for every bundle.
func TestByHandAlone(t *testing.T) {
	const imports, trusts = "import usb --to m", "trust add --mirror m --role exporter --set s x.pub"
	for flag, c := range map[string]struct{ line, value string }{
		"accept-keys": {imports, "7"}, "allow-rollback": {imports, "7"}, "accept-expired": {imports, "7"}, "yes": {trusts, "true"},
	} {
		env := map[string]string{command.EnvName(flag): c.value}
		got, _, err := seen(strings.Fields(c.line), func(k string) string { return env[k] }, flag)
		if err != nil || got == c.value {
			t.Errorf("%s: %q from the environment, %v", flag, got, err)
		}
		typed := append(strings.Fields(c.line), "--"+flag+"="+c.value)
		if got, _, err = seen(typed, func(string) string { return "" }, flag); err != nil || got != c.value {
			t.Errorf("%s: %q from the command line, %v", flag, got, err)
		}
	}
}

func TestArgumentsFromEnvironment(t *testing.T) {
	env := map[string]string{"GAPBUNDLE_MIRROR": "/srv/mirror", "GAPBUNDLE_SPEC": "site.yaml"}
	for line, want := range map[string]string{
		"status":             "/srv/mirror",
		"status other":       "other",
		"forget tools":       "/srv/mirror tools",
		"forget other tools": "other tools",
		"export --to usb":    "site.yaml",
		"plan other.yaml":    "other.yaml",
		"import usb":         "usb",
	} {
		_, args, err := seen(strings.Fields(line), func(k string) string { return env[k] }, "json")
		if got := strings.Join(args, " "); err != nil || got != want {
			t.Errorf("gapbundle %s: arguments %q, error %v; want %q", line, got, err, want)
		}
	}
	to, _, err := seen([]string{"import", "usb"}, func(k string) string { return env[k] }, "to")
	if err != nil || to != "/srv/mirror" {
		t.Errorf("gapbundle import: --to %q, error %v; want the mirror of the environment", to, err)
	}
}
