package command

import (
	"bufio"
	"context"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/gapbundle/gapbundle/bundle"
)

// AtTerminal waits for a person. A read from a terminal cannot be cancelled,
// and nothing is half done while a question waits: so a signal ends the
// program here at once, with the echo on that a passphrase switched off.
func AtTerminal(c *cli.Context, o *Output, f func()) {
	fd := TerminalOf(c.App.Reader)
	before, err := term.GetState(max(fd, 0))
	stop := context.AfterFunc(c.Context, func() {
		if fd >= 0 && err == nil {
			_ = term.Restore(fd, before)
		}
		fmt.Fprintln(o.Screen)
		os.Exit(o.finish(c.Context, c.Context.Err()))
	})
	defer stop()
	o.Screen.ask(f)
}

// Ask puts a question on the terminal and returns the line that was typed; ok
// is false where there is no terminal to ask on.
func Ask(c *cli.Context, o *Output, question string) (answer string, ok bool, err error) {
	if TerminalOf(c.App.Reader) < 0 {
		return "", false, nil
	}
	var line string
	AtTerminal(c, o, func() {
		fmt.Fprint(o.Screen, question)
		line, err = bufio.NewReader(c.App.Reader).ReadString('\n')
	})
	if err != nil {
		return "", true, fmt.Errorf("terminal: %w: %w", bundle.ErrUsage, err)
	}
	return strings.TrimSpace(line), true, nil
}

// ConfirmFingerprint makes sure that a person, or --fingerprint, confirms of a
// key that it is the one that was received by a second channel.
func ConfirmFingerprint(c *cli.Context, o *Output, what, fingerprint string) error {
	if given := c.String("fingerprint"); given != "" {
		if subtle.ConstantTimeCompare([]byte(plainDigits(given)), []byte(plainDigits(fingerprint))) != 1 {
			return otherKey(what, fingerprint, given)
		}
		return nil
	}
	if c.Bool("yes") {
		return nil
	}
	answer, ok, err := Ask(c, o, fmt.Sprintf("%s\n  fingerprint %s\nCompare it by a second channel (telephone, paper). Is it the same? Type yes: ", what, fingerprint))
	if err != nil {
		return err
	}
	if !ok {
		return &UsageError{what + ": no terminal to confirm the fingerprint on",
			"compare it by a second channel, then add --fingerprint " + fingerprint + " (or --yes)"}
	}
	if answer != "yes" {
		return fmt.Errorf("%s: fingerprint %s was not confirmed: %w", what, fingerprint, bundle.ErrUntrusted)
	}
	return nil
}

// OtherKeyError refuses a key file whose fingerprint is not the one of --fingerprint. It
// matches bundle.ErrUntrusted.
type OtherKeyError struct{ What, Fingerprint, Given string }

func (e *OtherKeyError) Error() string {
	return fmt.Sprintf("%s: fingerprint %s, --fingerprint is %s: %v", e.What, e.Fingerprint, e.Given, bundle.ErrUntrusted)
}

// Unwrap returns bundle.ErrUntrusted.
func (e *OtherKeyError) Unwrap() error { return bundle.ErrUntrusted }

// Hint returns what a person does who received another fingerprint.
func (e *OtherKeyError) Hint() string {
	return "nothing was changed; this file has another key than the one whose fingerprint you were told: get both again from those who made the key, each by its own way"
}

// otherKey refuses a key with another fingerprint than the given one, and what is no fingerprint.
func otherKey(what, fingerprint, given string) error {
	digits := plainDigits(given)
	if _, err := hex.DecodeString(digits); err != nil || len(digits) != len(plainDigits(fingerprint)) {
		return &UsageError{fmt.Sprintf("%s: --fingerprint %.100q: want %s", what, given, bundle.Count(len(plainDigits(fingerprint)), "hex digit")),
			"give the whole fingerprint, as those who made the key read it to you"}
	}
	return &OtherKeyError{what, fingerprint, given}
}

// plainDigits removes what people and tools put into fingerprints.
func plainDigits(s string) string {
	s = strings.TrimPrefix(strings.ToLower(s), "sha256:")
	return strings.NewReplacer(" ", "", ":", "").Replace(s)
}

// ConfirmFlags returns the flags of a command that calls ConfirmFingerprint.
func ConfirmFlags() []cli.Flag {
	return []cli.Flag{
		Text("fingerprint", "the `FINGERPRINT` that came by a second channel; any other is refused"),
		Toggle("yes", "do not ask: the fingerprint was compared"),
	}
}
