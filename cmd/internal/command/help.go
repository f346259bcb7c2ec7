package command

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// Help, the manual page and docs/cli.md are three renderings of one table of
// commands. A command's UsageText holds its examples, one a line.

// ExitCodes explains the exit codes.
const ExitCodes = `  0    done and complete
  1    internal error
  2    usage or configuration
  3    corrupt, malformed, or a format this version does not read
  4    not trusted: signature, pinned digest, role, replay, expiry, redirect
  5    more input needed: a volume, a medium, the base of a delta
  6    environment: no space, input or output, permission
  7    upstream unreachable or inconsistent
  8    busy: another gapbundle is at work (--retry-lock waits)
  130  interrupted (143: terminated); the same command goes on
With several problems, the exit code is the first of 130/143, 1, 2, 8, 4, 3, 6, 5, 7 that applies.
Worth repeating unchanged: 6, 7, 8, 130, 143; 5 after bringing what it names.
`

const flagRules = `Flags may come before, between and after arguments; -- ends them. A flag that is
not given is read from GAPBUNDLE_<FLAG> (--volume-size: GAPBUNDLE_VOLUME_SIZE; a
list has one value a line), then from the spec; --yes, --accept-keys, --accept-expired
and --allow-rollback only from the command line. MIRROR may come from
GAPBUNDLE_MIRROR, SPEC from GAPBUNDLE_SPEC; it is gapbundle.yaml otherwise.
Passphrases: GAPBUNDLE_PASSPHRASE, GAPBUNDLE_SITE_PASSPHRASE (if it is not set, the
first serves the site key too), a descriptor, or asked.
`

// WriteHelp prints the help of the command at the end of path; the program's
// own for an empty path.
func WriteHelp(w io.Writer, root *cli.Command, path []string) {
	c := root
	for _, name := range path {
		c = c.Command(name)
	}
	full := strings.TrimSpace("gapbundle " + strings.Join(path, " "))
	fmt.Fprintf(w, "%s - %s\n", full, c.Usage)
	if len(c.Subcommands) > 0 {
		fmt.Fprintf(w, "\nusage: %s COMMAND [arguments] [flags]\n", full)
	} else {
		fmt.Fprintf(w, "\nusage: %s\n", strings.TrimSpace(full+" "+c.ArgsUsage+" [flags]"))
	}
	if c.Description != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(c.Description))
	}
	if len(c.Subcommands) > 0 {
		fmt.Fprintln(w, "\ncommands:")
		rows := make([][]string, len(c.Subcommands))
		for i, sub := range c.Subcommands {
			rows[i] = []string{"  " + sub.Name, sub.Usage}
		}
		WriteTable(w, rows)
	}
	if len(c.Flags) > 0 {
		fmt.Fprintln(w, "\nflags:")
		for _, f := range c.Flags {
			fmt.Fprintf(w, "  %s\n        %s\n", flagForm(f), flagText(f))
		}
	}
	fmt.Fprintf(w, "\nexamples:\n%s", indent(c.UsageText))
	fmt.Fprintf(w, "\nexit codes:\n%s", ExitCodes)
	if c == root {
		fmt.Fprintf(w, "\n%s", flagRules)
	}
}

// flagForm returns how the flag is written: "-j, --jobs N".
func flagForm(f cli.Flag) string {
	form := "--" + f.Names()[0]
	switch {
	case !IsSwitch(f):
		form += " " + placeholder(f)
	case strings.Contains(usageOf(f), "`"):
		form += "[=" + placeholder(f) + "]"
	}
	if len(f.Names()) > 1 {
		form = "-" + f.Names()[1] + ", " + form
	}
	return form
}

func flagText(f cli.Flag) string {
	text := strings.ReplaceAll(usageOf(f), "`", "")
	if g, ok := f.(*cli.GenericFlag); ok {
		if c, ok := g.Value.(*Choice); ok {
			text += ": " + strings.Join(c.Of, ", ")
		}
	}
	if d, ok := f.(cli.DocGenerationFlag); ok && d.TakesValue() {
		if v := strings.Trim(d.GetValue(), `"`); v != "" && v != "0" && v != fmt.Sprint(NoDescriptor) {
			text += " (default: " + v + ")"
		}
	}
	return text
}

func indent(lines string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n  ") + "\n"
}

// Leaves calls f for every command that can be run, in the order of the table.
func Leaves(c *cli.Command, path []string, f func(path []string, c *cli.Command)) {
	if len(c.Subcommands) == 0 {
		f(path, c)
		return
	}
	for _, sub := range c.Subcommands {
		Leaves(sub, append(path[:len(path):len(path)], sub.Name), f)
	}
}

// WriteMarkdown prints docs/cli.md, which a test compares with the file.
func WriteMarkdown(w io.Writer, root *cli.Command) {
	fmt.Fprintf(w, "# The command line\n\nEvery command and every flag, as `gapbundle help` and `gapbundle COMMAND --help` print them. `gapbundle man --markdown` writes this page; a test compares the two.\n\n```\n")
	WriteHelp(w, root, nil)
	fmt.Fprint(w, "```\n")
	Leaves(root, nil, func(path []string, c *cli.Command) {
		fmt.Fprintf(w, "\n## gapbundle %s\n\n%s.\n\n```\ngapbundle %s %s\n```\n", strings.Join(path, " "), c.Usage, strings.Join(path, " "), strings.TrimSpace(c.ArgsUsage+" [flags]"))
		if c.Description != "" {
			fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(c.Description))
		}
		fmt.Fprintf(w, "\n| flag | meaning |\n| --- | --- |\n")
		for _, f := range c.Flags {
			fmt.Fprintf(w, "| `%s` | %s |\n", flagForm(f), strings.ReplaceAll(flagText(f), "|", "\\|"))
		}
		fmt.Fprintf(w, "\n```sh\n%s\n```\n", strings.TrimSpace(c.UsageText))
	})
}

// writeMan prints the manual page in the macros of man(7).
func writeMan(w io.Writer, root *cli.Command) {
	escape := strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`).Replace
	block := func(s string) {
		fmt.Fprint(w, ".nf\n")
		for _, line := range strings.Split(strings.TrimRight(s, "\n"), "\n") {
			fmt.Fprintf(w, "\\&%s\n", escape(line))
		}
		fmt.Fprint(w, ".fi\n")
	}
	fmt.Fprintf(w, ".TH GAPBUNDLE 1 \"\" \"gapbundle\" \"User Commands\"\n.SH NAME\ngapbundle \\- %s\n", escape(root.Usage))
	fmt.Fprintf(w, ".SH SYNOPSIS\n.B gapbundle\nCOMMAND [arguments] [flags]\n.SH DESCRIPTION\n%s\n", escape(strings.TrimSpace(root.Description)))
	fmt.Fprint(w, ".SH COMMANDS\n")
	Leaves(root, nil, func(path []string, c *cli.Command) {
		fmt.Fprintf(w, ".SS gapbundle %s\n%s.\n", escape(strings.Join(path, " ")+" "+c.ArgsUsage), escape(c.Usage))
		if c.Description != "" {
			fmt.Fprintf(w, ".PP\n%s\n", escape(strings.TrimSpace(c.Description)))
		}
		for _, f := range c.Flags {
			fmt.Fprintf(w, ".TP\n.B %s\n%s\n", escape(flagForm(f)), escape(flagText(f)))
		}
		fmt.Fprint(w, ".PP\n")
		block(c.UsageText)
	})
	fmt.Fprint(w, ".SH ENVIRONMENT\n")
	block(flagRules)
	fmt.Fprint(w, ".SH EXIT STATUS\n")
	block(ExitCodes)
}
