package keys_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/keys"
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
		"the other key's":       {p: keys.Passphrase{Env: keys.SitePassphraseEnv, Instead: keys.PassphraseEnv, LookupEnv: env(set)}, want: "from env"},
		"descriptor before it":  {p: keys.Passphrase{Env: keys.SitePassphraseEnv, Instead: keys.PassphraseEnv, LookupEnv: env(set), Input: strings.NewReader("x\n")}, want: "x"},
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

// TestWrongPassphraseAsksAgain: a person is asked again, three times at most; an
// environment variable, which has no other answer, is not.
func TestWrongPassphraseAsksAgain(t *testing.T) {
	private, _, _, err := keys.GenerateExporter([]byte("right"))
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, "exporter.key", private)
	for _, c := range []struct {
		typed []string
		asked int
		ok    bool
	}{
		{[]string{"right"}, 1, true},
		{[]string{"wrong", "right"}, 2, true},
		{[]string{"wrong", "other", "right"}, 3, true},
		{[]string{"wrong", "other", "third", "right"}, 3, false},
		{[]string{"wrong", "wrong", "right"}, 2, false},
	} {
		asked := 0
		signer, err := keys.LoadSigner(path, func(prompt string) ([]byte, error) {
			asked++
			if again := strings.HasPrefix(prompt, "wrong"); again != (asked > 1) {
				t.Errorf("%q: prompt %d is %q", c.typed, asked, prompt)
			}
			return []byte(c.typed[asked-1]), nil
		})
		if (err == nil) != c.ok || asked != c.asked || (signer != nil) != c.ok {
			t.Errorf("%q: asked %d times, %v", c.typed, asked, err)
		}
		if about, _ := bundle.ThingOf(err); !c.ok && (about != bundle.AboutPassphrase || !errors.Is(err, bundle.ErrUsage)) {
			t.Errorf("%q: %v is about %d", c.typed, err, about)
		}
	}
}
