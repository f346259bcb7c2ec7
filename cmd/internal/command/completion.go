package command

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"
)

// completeCommand is what the shells' scripts call with the words so far; not
// for people, and so not in the table.
const completeCommand = "__complete"

func completionScripts() map[string]string {
	return map[string]string{
		"bash": `_gapbundle() {
    local IFS=$'\n' word=${COMP_WORDS[COMP_CWORD]}
    [ "$word" != = ] || word=
    COMPREPLY=($(compgen -W "$(gapbundle ` + completeCommand + ` "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "$word"))
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
