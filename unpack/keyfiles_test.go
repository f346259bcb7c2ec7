package unpack_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// pgpKey is an OpenPGP key in the forms that a bundle may have it.
type pgpKey struct{ fingerprint, armored, binary, secret string }

func newKey(t testing.TB, v6 bool) pgpKey {
	t.Helper()
	e, err := openpgp.NewEntity("Example", "", "a@example.org", &packet.Config{Algorithm: packet.PubKeyAlgoEd25519, V6Keys: v6})
	if err != nil {
		t.Fatal(err)
	}
	var public, secret, text bytes.Buffer
	if err := e.Serialize(&public); err != nil {
		t.Fatal(err)
	}
	if err := e.SerializePrivate(&secret, nil); err != nil {
		t.Fatal(err)
	}
	w, err := armor.Encode(&text, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(public.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return pgpKey{fmt.Sprintf("%X", e.PrimaryKey.Fingerprint), text.String(), public.String(), secret.String()}
}

// at declares the key in a file below keys/.
func (k pgpKey) at(file string) bundle.PublishedKey {
	return bundle.PublishedKey{Fingerprint: k.fingerprint, Mounts: []string{"apt/debs"}, Path: "keys/" + file, Role: "upstream"}
}

// keyed are a repository and key files, keyedOptions what the root declares.
func keyed(files map[string]string) []bundletest.Repository {
	repos := []bundletest.Repository{apt(map[string]string{"a": "content"})}
	if files != nil {
		repos = append(repos, bundletest.Repository{Name: "_keys", Kind: "gapbundle", Mount: "keys", Files: files})
	}
	return repos
}

func keyedOptions(keys ...bundle.PublishedKey) bundletest.Options {
	slices.SortFunc(keys, func(a, b bundle.PublishedKey) int { return strings.Compare(a.Fingerprint, b.Fingerprint) })
	return bundletest.Options{Keys: keys}
}

// TestKeyFilesArePublished: what honest exporters write, in one import after the
// other; what a delta leaves out is read from the store.
func TestKeyFilesArePublished(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	one, two, six := newKey(t, false), newKey(t, false), newKey(t, true)
	declared := keyedOptions(one.at("one.asc"), two.at("both.asc"), six.at("six.asc"))
	files := map[string]string{
		"one.asc": one.armored, "one.gpg": one.binary, "six.asc": six.armored, "six.gpg": six.binary,
		// The root has a fingerprint once: two sources with a key in common.
		"both.asc": one.armored + "\n" + two.armored, "both.gpg": one.binary + two.binary, "again.asc": two.armored,
	}
	accept := unpack.ImportOptions{AcceptKeys: true}
	for i := range 3 {
		if i == 2 {
			files["more.gpg"] = one.binary
		}
		rpm := bundletest.Repository{Name: "rpms", Kind: "rpm", Mount: "rpm/el", Files: map[string]string{"repodata/repomd.xml.key": one.armored, "repomd.xml.key": "another name"}}
		made := e.Export(t, append(keyed(files), rpm), declared)
		if _, err := r.Receive(t.Context(), made.Dirs, accept); err != nil {
			t.Fatal(err)
		}
		accept = unpack.ImportOptions{}
		want := map[string]string{"apt/debs/a": "content", "rpm/el/repodata/repomd.xml.key": one.armored, "rpm/el/repomd.xml.key": "another name"}
		for name, content := range files {
			want["keys/"+name] = content
		}
		r.expect(want)
	}
	r.intact()
}

// TestKeyFilesOfHostileBundles: a bundle that is rightly signed, declares keys
// that the mirror trusts, and publishes others.
func TestKeyFilesOfHostileBundles(t *testing.T) {
	debian, other, six, evil := newKey(t, false), newKey(t, false), newKey(t, true), newKey(t, false)
	evil6 := newKey(t, true)
	good := map[string]string{"debian.asc": debian.armored, "debian.gpg": debian.binary, "other.asc": other.armored, "six.asc": six.armored}
	declared := []bundle.PublishedKey{debian.at("debian.asc"), other.at("other.asc"), six.at("six.asc")}
	with := func(name, content string) map[string]string {
		files := maps.Clone(good)
		files[name] = content
		return files
	}
	without := func(name string) map[string]string {
		files := maps.Clone(good)
		delete(files, name)
		return files
	}
	rpm := func(content string, filled bool) bundletest.Repository {
		const path = "el/9/repodata/repomd.xml.key"
		return bundletest.Repository{Name: "rpms", Kind: "rpm", Mount: "rpm/el", Files: map[string]string{path: content}, Filled: map[string]bool{path: filled}}
	}
	many := maps.Clone(good)
	for i := range 4096 {
		many[fmt.Sprint("again/", i, ".asc")] = debian.armored
	}
	for name, c := range map[string]struct {
		files map[string]string
		more  []bundletest.Repository
		want  []string // in the error
		dry   bool     // the lists alone show it
	}{
		"another key under a trusted fingerprint":   {files: with("debian.asc", evil.armored), want: []string{"keys/debian.asc", debian.fingerprint, evil.fingerprint}},
		"another key of version 6":                  {files: with("six.asc", evil6.armored), want: []string{"keys/six.asc", six.fingerprint, evil6.fingerprint}},
		"a file that no entry names":                {files: with("unlisted.asc", evil.armored), want: []string{"keys/unlisted.asc", "declared nothing", evil.fingerprint}},
		"a file without armor that no entry names":  {files: with("unlisted.gpg", evil.binary), want: []string{"keys/unlisted.gpg", evil.fingerprint}},
		"another key in the form without armor":     {files: with("debian.gpg", evil.binary), want: []string{"keys/debian.gpg", debian.fingerprint, evil.fingerprint}},
		"a second key next to the declared one":     {files: with("debian.asc", debian.armored+"\n"+evil.armored), want: []string{"keys/debian.asc", evil.fingerprint}},
		"a second key in the same stream":           {files: with("debian.gpg", debian.binary+evil.binary), want: []string{"keys/debian.gpg", evil.fingerprint}},
		"a key that is declared for another file":   {files: with("debian.asc", other.armored), want: []string{"keys/debian.asc", debian.fingerprint}},
		"the same in the form without armor":        {files: with("debian.gpg", other.binary), want: []string{"keys/debian.gpg", debian.fingerprint}},
		"a secret key":                              {files: with("debian.gpg", debian.secret), want: []string{"keys/debian.gpg", "secret key"}},
		"a secret key that no entry names":          {files: with("x", evil.secret), want: []string{"keys/x", "secret key"}},
		"garbage":                                   {files: with("debian.asc", "\x99garbage"), want: []string{"keys/debian.asc", debian.fingerprint}},
		"a text":                                    {files: with("README", "read me\n"), want: []string{"keys/README", "no file of OpenPGP public keys"}},
		"an empty file":                             {files: with("debian.asc", ""), want: []string{"keys/debian.asc", debian.fingerprint}},
		"a key file missing":                        {files: without("other.asc"), want: []string{"keys/other.asc", other.fingerprint}, dry: true},
		"no key file at all":                        {want: []string{"found no such file"}, dry: true},
		"too many files":                            {files: many, want: []string{"keys/", "at most 4096 key files"}, dry: true},
		"a file that is too large":                  {files: with("large.asc", strings.Repeat("\n", 17<<20)), want: []string{"keys/large.asc", "at most"}, dry: true},
		"a key of an rpm repository":                {files: good, more: []bundletest.Repository{rpm(evil.armored, false)}, want: []string{"rpm/el/el/9/repodata/repomd.xml.key", "keys/"}, dry: true},
		"the trusted key of an rpm repository, but": {files: good, more: []bundletest.Repository{rpm(debian.armored+"\n", false)}, want: []string{"repomd.xml.key"}, dry: true},
		"one that import fills in":                  {files: good, more: []bundletest.Repository{rpm(debian.armored, true)}, want: []string{"repomd.xml.key"}, dry: true},
	} {
		t.Run(name, func(t *testing.T) {
			e := bundletest.New(t, "site")
			r := newRig(t, e)
			first := e.Export(t, keyed(good), keyedOptions(declared...))
			if _, err := r.Receive(t.Context(), first.Dirs, unpack.ImportOptions{AcceptKeys: true}); err != nil {
				t.Fatal(err)
			}
			before := r.served()
			bad := e.Export(t, append(keyed(c.files), c.more...), keyedOptions(declared...))
			r.reopen(unpack.Options{DryRun: true})
			if _, err := r.Receive(t.Context(), bad.Dirs, unpack.ImportOptions{}); (err != nil) != c.dry {
				t.Errorf("dry run: %v, refused there: %v", err, c.dry)
			}
			r.reopen(unpack.Options{})
			res, err := r.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, bad.Dirs...)
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v: does not have %q", err, want)
				}
			}
			if got := outcomes(res); !slices.Equal(got, []string{"site-000002 refused"}) {
				t.Errorf("outcomes %v", got)
			}
			if !maps.Equal(r.served(), before) {
				t.Error("something else is served")
			}
			// It waits no longer, and the next good one is taken.
			if st, err := r.Status(t.Context()); err != nil || len(st.Pending) > 0 {
				t.Errorf("pending: %v, %v", st.Pending, err)
			}
			r.receive(e.Export(t, keyed(with("more.asc", other.armored)), func() bundletest.Options {
				o := keyedOptions(declared...)
				o.Base = 1
				return o
			}()).Dirs...)
		})
	}
}
