package main

import (
	"bufio"
	"context"
	"crypto/subtle"
	"fmt"
	"os"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/keys"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// passphraseOf is where a passphrase comes from: the environment, the
// descriptor that the flag names, or the terminal.
func passphraseOf(c *cli.Context, o *output, flag, env string, twice bool) keys.PassphraseFunc {
	p := keys.Passphrase{Env: env, LookupEnv: os.LookupEnv, Prompt: o.screen, Twice: twice}
	if fd := c.Int(flag); fd >= 0 {
		p.Input = os.NewFile(uintptr(fd), fmt.Sprintf("descriptor %d", fd))
	}
	if f, ok := c.App.Reader.(*os.File); ok {
		p.Terminal = f
	}
	find := p.Func()
	return func(prompt string) (passphrase []byte, err error) {
		atTerminal(c, o, func() { passphrase, err = find(prompt) })
		return passphrase, err
	}
}

// atTerminal waits for a person. A read from a terminal cannot be cancelled,
// and nothing is half done while a question stands: so a signal ends the
// program here at once, with the echo on that a passphrase switched off.
func atTerminal(c *cli.Context, o *output, f func()) {
	fd := terminalOf(c.App.Reader)
	before, err := term.GetState(max(fd, 0))
	stop := context.AfterFunc(c.Context, func() {
		if fd >= 0 && err == nil {
			_ = term.Restore(fd, before)
		}
		fmt.Fprintln(o.screen)
		os.Exit(o.finish(c.Context, c.Context.Err()))
	})
	defer stop()
	o.screen.ask(f)
}

// ask puts a question on the terminal and gives the line that was typed; ok
// is false where there is no terminal to ask on.
func ask(c *cli.Context, o *output, question string) (answer string, ok bool, err error) {
	if terminalOf(c.App.Reader) < 0 {
		return "", false, nil
	}
	var line string
	atTerminal(c, o, func() {
		fmt.Fprint(o.screen, question)
		line, err = bufio.NewReader(c.App.Reader).ReadString('\n')
	})
	if err != nil {
		return "", true, fmt.Errorf("terminal: %w: %w", bundle.ErrUsage, err)
	}
	return strings.TrimSpace(line), true, nil
}

// confirmFingerprint makes sure that a person, or --fingerprint, says of a
// key that it is the one that was told by a second channel.
func confirmFingerprint(c *cli.Context, o *output, what, fingerprint string) error {
	if given := c.String("fingerprint"); given != "" {
		if subtle.ConstantTimeCompare([]byte(plainDigits(given)), []byte(plainDigits(fingerprint))) != 1 {
			return fmt.Errorf("%s: fingerprint %s, --fingerprint says %s: %w", what, fingerprint, given, bundle.ErrUntrusted)
		}
		return nil
	}
	if c.Bool("yes") {
		return nil
	}
	answer, ok, err := ask(c, o, fmt.Sprintf("%s\n  fingerprint %s\nCompare it by a second channel (telephone, paper). Is it the same? Type yes: ", what, fingerprint))
	if err != nil {
		return err
	}
	if !ok {
		return &usageError{what + ": no terminal to confirm the fingerprint on",
			"compare it by a second channel, then add --fingerprint " + fingerprint + " (or --yes)"}
	}
	if answer != "yes" {
		return fmt.Errorf("%s: fingerprint %s was not confirmed: %w", what, fingerprint, bundle.ErrUntrusted)
	}
	return nil
}

// plainDigits takes off what people and tools put into fingerprints.
func plainDigits(s string) string {
	s = strings.TrimPrefix(strings.ToLower(s), "sha256:")
	return strings.NewReplacer(" ", "", ":", "").Replace(s)
}

func confirmFlags() []cli.Flag {
	return []cli.Flag{
		text("fingerprint", "the `FINGERPRINT` that was told by a second channel; another one is refused"),
		toggle("yes", "do not ask: the fingerprint was compared"),
	}
}
