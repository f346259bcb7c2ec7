package main

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/sources/keys"
)

// passphraseOf returns where a passphrase comes from: the environment, the
// descriptor that the flag names, or the terminal.
func passphraseOf(c *cli.Context, o *command.Output, flag, env string, twice bool) keys.PassphraseFunc {
	p := keys.Passphrase{Env: env, LookupEnv: os.LookupEnv, Prompt: o.Screen, Twice: twice}
	if env == keys.SitePassphraseEnv {
		p.Instead = keys.PassphraseEnv
	}
	if fd := c.Int(flag); fd >= 0 {
		p.Input = os.NewFile(uintptr(fd), fmt.Sprintf("descriptor %d", fd))
	}
	if f, ok := c.App.Reader.(*os.File); ok {
		p.Terminal = f
	}
	find := p.Func()
	return func(prompt string) (passphrase []byte, err error) {
		command.AtTerminal(c, o, func() { passphrase, err = find(prompt) })
		return passphrase, err
	}
}
