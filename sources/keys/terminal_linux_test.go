package keys_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/pty"
	"github.com/gapbundle/gapbundle/sources/keys"
)

func TestPassphraseFromTerminal(t *testing.T) {
	for name, c := range map[string]struct {
		twice bool
		typed []string
		fail  string
	}{
		"once":       {typed: []string{"open sesame"}},
		"twice":      {twice: true, typed: []string{"open sesame", "open sesame"}},
		"not agreed": {twice: true, typed: []string{"open sesame", "open sesam"}, fail: "do not agree"},
		"empty":      {typed: []string{""}, fail: "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			person, tty := pty.Open(t)
			prompts, shown := io.Pipe()
			defer shown.Close()
			typing := make(chan error, 1)
			go func() { // types an answer whenever a prompt was shown
				r := bufio.NewReader(prompts)
				for _, s := range c.typed {
					if _, err := r.ReadString(':'); err != nil {
						typing <- err
						return
					}
					if _, err := io.WriteString(person, s+"\n"); err != nil {
						typing <- err
						return
					}
				}
				_, err := io.Copy(io.Discard, r)
				typing <- err
			}()
			p := keys.Passphrase{Env: "E", LookupEnv: env(nil), Terminal: tty, Prompt: shown, Twice: c.twice}
			got, err := p.Func()("passphrase of exporter.key")
			shown.Close()
			if e := <-typing; e != nil {
				t.Fatal(e)
			}
			if c.fail != "" {
				if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), c.fail) || strings.Contains(err.Error(), "sesam") {
					t.Errorf("want ErrUsage with %q and no passphrase, got %v", c.fail, err)
				}
				return
			}
			if err != nil || !bytes.Equal(got, []byte("open sesame")) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	_, err := (keys.Passphrase{Terminal: openNull(t)}).Func()("p")
	if !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("not a terminal: want ErrUsage, got %v", err)
	}
}

func openNull(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
