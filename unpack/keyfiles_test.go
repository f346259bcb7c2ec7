package unpack_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/internal/test/settest"
	"github.com/gapbundle/gapbundle/unpack"
)

// keyed returns a repository and key files, with the entries of those that the root does
// not name; keyedOptions is what the root declares.
func keyed(files map[string]string, entries ...map[string]map[string]string) []bundletest.Repository {
	repos := []bundletest.Repository{apt(map[string]string{"a": "content"})}
	if files != nil {
		keys := bundletest.Repository{Name: "_keys", Kind: "gapbundle", Mount: "keys", Files: files}
		if len(entries) > 0 {
			keys.Marks = entries[0]
		}
		repos = append(repos, keys)
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
	one, two, six := settest.NewKey(t, false), settest.NewKey(t, false), settest.NewKey(t, true)
	declared := keyedOptions(one.At("one.asc", "apt/debs"), two.At("both.asc", "apt/debs"), six.At("six.asc", "apt/debs"))
	files := map[string]string{
		"one.asc": one.Armored, "one.gpg": one.Binary, "six.asc": six.Armored, "six.gpg": six.Binary,
		// The root has a fingerprint once: two sources with a key in common.
		"both.asc": one.Armored + "\n" + two.Armored, "both.gpg": one.Binary + two.Binary, "again.asc": two.Armored,
	}
	accept := unpack.ImportOptions{AcceptKeys: true}
	for i := range 3 {
		if i == 2 {
			files["more.gpg"] = one.Binary
		}
		rpm := bundletest.Repository{Name: "rpms", Kind: "rpm", Mount: "rpm/el", Files: map[string]string{"repodata/repomd.xml.key": one.Armored, "repomd.xml.key": "another name"}}
		made := e.Export(t, append(keyed(files, map[string]map[string]string{"again.asc": reach.Entry([]string{two.Fingerprint})}), rpm), declared)
		if _, err := r.Receive(t.Context(), made.Dirs, accept); err != nil {
			t.Fatal(err)
		}
		accept = unpack.ImportOptions{}
		want := map[string]string{"apt/debs/a": "content", "rpm/el/repodata/repomd.xml.key": one.Armored, "rpm/el/repomd.xml.key": "another name"}
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
	debian, other, six, evil := settest.NewKey(t, false), settest.NewKey(t, false), settest.NewKey(t, true), settest.NewKey(t, false)
	evil6 := settest.NewKey(t, true)
	good := map[string]string{"debian.asc": debian.Armored, "debian.gpg": debian.Binary, "other.asc": other.Armored, "six.asc": six.Armored}
	declared := []bundle.PublishedKey{debian.At("debian.asc", "apt/debs"), other.At("other.asc", "apt/debs"), six.At("six.asc", "apt/debs")}
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
		many[fmt.Sprint("again/", i, ".asc")] = debian.Armored
	}
	for name, c := range map[string]struct {
		files map[string]string
		more  []bundletest.Repository
		want  []string // in the error
		entry []string // of extra.asc
	}{
		"more keys than the entry says":             {files: with("extra.asc", debian.Armored+"\n"+other.Armored), entry: []string{debian.Fingerprint}, want: []string{"keys/extra.asc", debian.Fingerprint, other.Fingerprint}},
		"fewer keys than the entry says":            {files: with("extra.asc", debian.Armored), entry: []string{debian.Fingerprint, other.Fingerprint}, want: []string{"keys/extra.asc", other.Fingerprint}},
		"another key under a trusted fingerprint":   {files: with("debian.asc", evil.Armored), want: []string{"keys/debian.asc", debian.Fingerprint, evil.Fingerprint}},
		"another key of version 6":                  {files: with("six.asc", evil6.Armored), want: []string{"keys/six.asc", six.Fingerprint, evil6.Fingerprint}},
		"a file that no entry names":                {files: with("unlisted.asc", evil.Armored), want: []string{"keys/unlisted.asc", "no entry names"}},
		"a file without armor that no entry names":  {files: with("unlisted.gpg", evil.Binary), want: []string{"keys/unlisted.gpg"}},
		"another key in the form without armor":     {files: with("debian.gpg", evil.Binary), want: []string{"keys/debian.gpg", debian.Fingerprint, evil.Fingerprint}},
		"a second key next to the declared one":     {files: with("debian.asc", debian.Armored+"\n"+evil.Armored), want: []string{"keys/debian.asc", evil.Fingerprint}},
		"a second key in the same stream":           {files: with("debian.gpg", debian.Binary+evil.Binary), want: []string{"keys/debian.gpg", evil.Fingerprint}},
		"a key that is declared for another file":   {files: with("debian.asc", other.Armored), want: []string{"keys/debian.asc", debian.Fingerprint}},
		"the same in the form without armor":        {files: with("debian.gpg", other.Binary), want: []string{"keys/debian.gpg", debian.Fingerprint}},
		"a secret key":                              {files: with("debian.gpg", debian.Secret), want: []string{"keys/debian.gpg", "secret key"}},
		"a secret key that no entry names":          {files: with("x", evil.Secret), want: []string{"keys/x", "no entry names"}},
		"garbage":                                   {files: with("debian.asc", "\x99garbage"), want: []string{"keys/debian.asc", debian.Fingerprint}},
		"a text":                                    {files: with("README", "read me\n"), want: []string{"keys/README", "no entry names"}},
		"an empty file":                             {files: with("debian.asc", ""), want: []string{"keys/debian.asc", debian.Fingerprint}},
		"a key file missing":                        {files: without("other.asc"), want: []string{"keys/other.asc", other.Fingerprint}},
		"no key file at all":                        {want: []string{"found no such file"}},
		"too many files":                            {files: many, want: []string{"keys/", "at most 4096 key files"}},
		"a file that is too large":                  {files: with("large.asc", strings.Repeat("\n", 17<<20)), want: []string{"keys/large.asc", "at most"}},
		"a key of an rpm repository":                {files: good, more: []bundletest.Repository{rpm(evil.Armored, false)}, want: []string{"rpm/el/el/9/repodata/repomd.xml.key", "keys/"}},
		"the trusted key of an rpm repository, but": {files: good, more: []bundletest.Repository{rpm(debian.Armored+"\n", false)}, want: []string{"repomd.xml.key"}},
		"one that import fills in":                  {files: good, more: []bundletest.Repository{rpm(debian.Armored, true)}, want: []string{"repomd.xml.key"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := bundletest.New(t, "site")
			r := newRig(t, e)
			first := e.Export(t, keyed(good), keyedOptions(declared...))
			if _, err := r.Receive(t.Context(), first.Dirs, unpack.ImportOptions{AcceptKeys: true}); err != nil {
				t.Fatal(err)
			}
			before := r.served()
			bad := e.Export(t, append(keyed(c.files, map[string]map[string]string{"extra.asc": reach.Entry(c.entry)}), c.more...), keyedOptions(declared...))
			r.reopen(unpack.Options{DryRun: true})
			if _, err := r.Receive(t.Context(), bad.Dirs, unpack.ImportOptions{}); !errors.Is(err, bundle.ErrUntrusted) {
				t.Errorf("dry run: %v, want what an import says", err)
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
			r.receive(e.Export(t, keyed(with("more.asc", other.Armored)), func() bundletest.Options {
				o := keyedOptions(declared...)
				o.Base = 1
				return o
			}()).Dirs...)
		})
	}
}
