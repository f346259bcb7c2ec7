package keys_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/keys"
)

func env(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestPassphraseSources(t *testing.T) {
	set := map[string]string{keys.PassphraseEnv: "from env"}
	for name, c := range map[string]struct {
		p    keys.Passphrase
		want string
		fail string
	}{
		"environment":           {p: keys.Passphrase{Env: keys.PassphraseEnv, LookupEnv: env(set)}, want: "from env"},
		"environment first":     {p: keys.Passphrase{Env: keys.PassphraseEnv, LookupEnv: env(set), Input: strings.NewReader("x\n")}, want: "from env"},
		"another's environment": {p: keys.Passphrase{Env: keys.SitePassphraseEnv, LookupEnv: env(set)}, fail: "no GAPBUNDLE_SITE_PASSPHRASE"},
		"set to empty":          {p: keys.Passphrase{Env: "E", LookupEnv: env(map[string]string{"E": ""})}, want: ""},
		"descriptor":            {p: keys.Passphrase{Input: strings.NewReader("a b \nmore")}, want: "a b "},
		"descriptor, no line":   {p: keys.Passphrase{Input: strings.NewReader("ab")}, want: "ab"},
		"descriptor, CR":        {p: keys.Passphrase{Input: strings.NewReader("ab\r\n")}, want: "ab"},
		"descriptor, empty":     {p: keys.Passphrase{Input: strings.NewReader("\n")}, fail: "empty"},
		"descriptor, nothing":   {p: keys.Passphrase{Input: strings.NewReader("")}, fail: "empty"},
		"descriptor, endless":   {p: keys.Passphrase{Input: strings.NewReader(strings.Repeat("x", 1<<20))}, fail: "more than 4096"},
		"nothing at all":        {p: keys.Passphrase{}, fail: "no terminal"},
	} {
		get := c.p.Func()
		for range 2 { // asked for twice, as for two keys
			got, err := get("passphrase")
			if c.fail != "" {
				if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), c.fail) {
					t.Errorf("%s: want ErrUsage with %q, got %q, %v", name, c.fail, got, err)
				}
				continue
			}
			if err != nil || string(got) != c.want {
				t.Errorf("%s: want %q, got %q, %v", name, c.want, got, err)
			}
			clear(got) // callers do; the next must not see it
		}
	}
	why := errors.New("torn")
	if _, err := (keys.Passphrase{Input: io.MultiReader(strings.NewReader("ab"), failing{why})}).Func()("p"); !errors.Is(err, why) {
		t.Errorf("want %v, got %v", why, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// terminal is a pseudo-terminal: the master is the person's side.
func terminal(t *testing.T) (person, tty *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return person, tty
}

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
			person, tty := terminal(t)
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
