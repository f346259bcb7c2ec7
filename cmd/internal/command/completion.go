package command

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// completeCommand is what the shells' scripts call with the words so far; not
// for people, and so not in the table.
const completeCommand = "__complete"

func completionScripts() map[string]string {
	return map[string]string{
		"bash": `_gapbundle() {
    local IFS=$'\n'
    COMPREPLY=($(compgen -W "$(gapbundle ` + completeCommand + ` "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _gapbundle gapbundle
`,
		"zsh": `#compdef gapbundle
_gapbundle() {
    local -a found
    found=("${(@f)$(gapbundle ` + completeCommand + ` "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    found=("${(@)found:#}")
    if (( $#found )); then compadd -- "${found[@]}"; else _files; fi
}
if [ "$funcstack[1]" = "_gapbundle" ]; then _gapbundle "$@"; else compdef _gapbundle gapbundle; fi
`,
		"fish": `function __gapbundle_complete
    set -l words (commandline -opc) (commandline -ct)
    gapbundle ` + completeCommand + ` $words[2..-1] 2>/dev/null
end
complete -c gapbundle -a '(__gapbundle_complete)'
`,
	}
}

// CompletionCommand prints the completion scripts of shells.
func CompletionCommand() *cli.Command {
	return Leaf(&cli.Command{
		Name:      "completion",
		Usage:     "print the completion script of a shell: bash, zsh or fish",
		ArgsUsage: "SHELL",
		UsageText: `source <(gapbundle completion bash)
gapbundle completion zsh > "${fpath[1]}/_gapbundle"
gapbundle completion fish > ~/.config/fish/completions/gapbundle.fish`,
	}, func(c *cli.Context, o *Output) error {
		script, ok := completionScripts()[c.Args().First()]
		if !ok {
			return &UsageError{fmt.Sprintf("shell %q: unknown", c.Args().First()), "want bash, zsh or fish"}
		}
		_, err := io.WriteString(o.stdout, script)
		return err
	})
}

// writeCandidates prints what the last of words may become, one a line;
// nothing where a path is wanted, which shells know better.
func writeCandidates(w io.Writer, root *cli.Command, words []string) {
	if len(words) == 0 {
		words = []string{""}
	}
	at, last := root, words[len(words)-1]
	var before cli.Flag
	for _, word := range words[:len(words)-1] {
		before = nil
		if next := at.Command(word); next != nil {
			at = next
		} else if strings.HasPrefix(word, "-") {
			before = findFlag(flagsBelow(at), strings.TrimLeft(word, "-"))
		}
	}
	var candidates []string
	switch {
	case before != nil && !IsSwitch(before):
		if g, ok := before.(*cli.GenericFlag); ok {
			if c, ok := g.Value.(interface{ candidates() []string }); ok {
				candidates = c.candidates()
			}
		}
	case strings.HasPrefix(last, "-"):
		for _, f := range at.Flags {
			candidates = append(candidates, "--"+f.Names()[0])
		}
		candidates = append(candidates, "--help")
	case len(at.Subcommands) > 0:
		candidates = names(at.Subcommands)
	case at.Name == "completion":
		candidates = []string{"bash", "zsh", "fish"}
	}
	for _, c := range candidates {
		if strings.HasPrefix(c, last) {
			fmt.Fprintln(w, c)
		}
	}
}
