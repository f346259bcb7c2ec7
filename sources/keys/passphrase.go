package keys

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/gapbundle/gapbundle/bundle"
)

// The environment variables that passphrases are read from.
const (
	PassphraseEnv     = "GAPBUNDLE_PASSPHRASE"
	SitePassphraseEnv = "GAPBUNDLE_SITE_PASSPHRASE"
)

// The names of keys in errors (bundle.AboutError).
const (
	KeyExporter = "exporter"
	KeySite     = "site"
)

// maxPassphrase bounds what is read from a descriptor.
const maxPassphrase = 4096 // bytes

// PassphraseFunc returns a passphrase. prompt names its key, without a colon; only
// a terminal shows it. The caller may overwrite the result.
type PassphraseFunc func(prompt string) ([]byte, error)

// Passphrase states where a passphrase comes from: the first of environment,
// descriptor, another key's environment and terminal that there is.
//
// An empty passphrase is refused, except when the environment variable is set
// and empty: nobody types that by mistake, and keys for tests need it.
type Passphrase struct {
	// Env is the name of an environment variable, "" for none.
	Env string
	// Instead is the variable that counts where Env is not set and there is no Input:
	// one passphrase for two keys. "": none.
	Instead string
	// LookupEnv is os.LookupEnv in programs.
	LookupEnv func(string) (string, bool)
	// Input is read up to its first newline, or its end; nil: there is none.
	// It is read once, however often the passphrase is asked for.
	Input io.Reader
	// Terminal is asked without echo, nil: never.
	Terminal *os.File
	// Prompt is where the question goes (stderr).
	Prompt io.Writer
	// Twice asks a terminal two times and compares: for a new key.
	Twice bool
}

// Func returns the function that package keys asks.
func (p Passphrase) Func() PassphraseFunc {
	var kept []byte
	return func(prompt string) ([]byte, error) {
		if p.Env != "" && p.LookupEnv != nil {
			if v, ok := p.LookupEnv(p.Env); ok {
				return []byte(v), nil
			}
		}
		if p.Input != nil {
			if kept == nil {
				line, err := readLine(p.Input)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", prompt, err)
				}
				kept = line
			}
			return bytes.Clone(kept), nil
		}
		if p.Instead != "" && p.LookupEnv != nil {
			if v, ok := p.LookupEnv(p.Instead); ok {
				return []byte(v), nil
			}
		}
		if p.Terminal == nil || !term.IsTerminal(int(p.Terminal.Fd())) {
			return nil, fmt.Errorf("%s: no %s, no descriptor and no terminal to ask on: %w", prompt, p.Env, bundle.ErrUsage)
		}
		return p.ask(prompt)
	}
}

func (p Passphrase) ask(prompt string) ([]byte, error) {
	first, err := p.askOnce(prompt)
	if err != nil || !p.Twice {
		return first, err
	}
	defer func() { clear(first) }()
	second, err := p.askOnce(prompt + ", again")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, fmt.Errorf("%s: the two do not agree: %w", prompt, bundle.ErrUsage)
	}
	return second, nil
}

func (p Passphrase) askOnce(prompt string) ([]byte, error) {
	fmt.Fprintf(p.Prompt, "%s: ", prompt)
	b, err := term.ReadPassword(int(p.Terminal.Fd()))
	fmt.Fprintln(p.Prompt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", prompt, bundle.ErrUsage, err)
	}
	if len(b) == 0 {
		return nil, fmt.Errorf("%s: empty: %w", prompt, bundle.ErrUsage)
	}
	return b, nil
}

// maxTries bounds how often a passphrase is asked for.
const maxTries = 3

// opened calls open with the passphrase of a key file; key is KeyExporter or KeySite. After
// a wrong one it asks again: a person at a terminal has another answer then. The same
// answer twice is final, as it is from an environment variable. open may not keep the
// passphrase.
func opened(key, path string, pass PassphraseFunc, open func(passphrase []byte) error) error {
	var last []byte
	var why error
	defer func() { clear(last) }()
	for try, prompt := 1, "passphrase of "+path; ; try++ {
		passphrase, err := pass(prompt)
		if err != nil {
			return &bundle.AboutError{Thing: bundle.AboutPassphrase, Name: key, Err: err}
		}
		if try > 1 && bytes.Equal(passphrase, last) {
			clear(passphrase)
			return wrong(key, path, why)
		}
		clear(last)
		last = bytes.Clone(passphrase)
		why = open(passphrase)
		clear(passphrase)
		if why == nil || try == maxTries {
			return wrong(key, path, why)
		}
		prompt = fmt.Sprintf("wrong, or the key is damaged; passphrase of %s", path)
	}
}

func wrong(key, path string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: wrong passphrase, or damaged: %w: %w", path, bundle.ErrUsage, err)
	return &bundle.AboutError{Thing: bundle.AboutPassphrase, Name: key, Err: err}
}

// readLine reads byte by byte, so that nothing after the line is taken from
// a descriptor that somebody else goes on reading.
func readLine(r io.Reader) ([]byte, error) {
	var line []byte
	var b [1]byte
	for len(line) <= maxPassphrase {
		n, err := r.Read(b[:])
		if n == 1 && b[0] != '\n' {
			line = append(line, b[0])
		}
		if n == 1 && b[0] == '\n' || err == io.EOF {
			if line = bytes.TrimSuffix(line, []byte{'\r'}); len(line) == 0 {
				return nil, fmt.Errorf("passphrase from a descriptor: empty: %w", bundle.ErrUsage)
			}
			return line, nil
		}
		if err != nil {
			return nil, fmt.Errorf("passphrase from a descriptor: %w", err)
		}
	}
	return nil, fmt.Errorf("passphrase from a descriptor: more than %d bytes: %w", maxPassphrase, bundle.ErrUsage)
}
