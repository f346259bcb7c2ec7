package reach

import (
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// setOf returns a set with sources of apt and rpm, images, and one client file.
func setOf(files map[string][]bundle.File) Set {
	s := Set{Name: "site", Repositories: []bundle.Repository{
		{Name: "debs", Kind: "apt", Mount: "apt/debs"}, {Name: "rpms", Kind: "rpm", Mount: "rpm/rpms", Annotations: map[string]string{bundle.ClientIDsKey: "powertools crb"}},
		{Name: "more", Kind: "rpm", Mount: "rpm/more"}, {Name: "open", Kind: "apt", Mount: "apt/open", Annotations: map[string]string{bundle.AllowedKey: "anything"}},
		{Name: "images", Kind: "oci", Mount: "v2"}, {Name: "_clients", Kind: "gapbundle", Mount: clientsMount},
	}}
	s.Files = func(i int) iter.Seq2[bundle.File, error] {
		return func(yield func(bundle.File, error) bool) {
			for _, f := range files[s.Repositories[i].Mount] {
				if !yield(f, nil) {
					return
				}
			}
		}
	}
	return s
}

// judged returns what is wrong with a client file of these bytes.
func judged(t testing.TB, path string, content []byte) error {
	t.Helper()
	s, err := Look(setOf(map[string][]bundle.File{clientsMount: {{Path: path, Size: int64(len(content)), Digest: bundle.DigestOf(content)}}}))
	if err != nil {
		t.Fatal(err)
	}
	return s.Judge(func(bundle.File) ([]byte, error) { return content, nil })
}

// TestClientForms: what apt and dnf would read in other ways than a plain reader.
func TestClientForms(t *testing.T) {
	const uris, baseurl = "URIs: @BASE@/apt/debs/\n", "[rpms]\nbaseurl=@BASE@/rpm/rpms/\n"
	for content, good := range map[string]bool{
		uris:                                             true,
		"uris:@BASE@/apt/debs\nTypes: deb\n":             true,
		"# Trusted: yes\n" + uris:                        true,
		uris + "Trusted: no\n":                           true,
		uris + "Trusted:\n yes\n":                        false,
		uris + "Trusted: no\nTrusted: yes\n":             false,
		uris + "TRUSTED:yes":                             false,
		uris + "#x\n Trusted: yes\n":                     false,
		uris + "\r\nTrusted: yes\r\n":                    false,
		"URIs:\n @BASE@/apt/debs/\n @BASE@/apt/other/\n": false,
		" continued\n":                                   false, "no field\n": false, "URIs: @BASE@\n": false, "URIs: @BASE@/\n": false, "URIs: @BASE@/apt\n": false,
		"URIs: @BASE@.evil.example/apt/debs/\n": false, "URIs: mirror+file:/x\n": false, "URIs: @BASE@/apt/debs/../other/\n": false, "URIs: @BASE@/apt/debs-other/\n": false,
	} {
		if err := judged(t, "apt/debs.sources", []byte(content)); (err == nil) != good {
			t.Errorf("%q: %v", content, err)
		}
	}
	const line = "deb @BASE@/apt/debs/ s main"
	for content, good := range map[string]bool{
		line: true, "\t deb-src\t@BASE@/apt/debs s\n\n# deb http://x s\n": true, "deb [ arch=amd64,arm64 lang=en by-hash=yes check-valid-until=no ] @BASE@/apt/debs/stable/$(ARCH)/ / \n": true,
		"deb [trusted=no] @BASE@/apt/debs s": true, "deb [trusted=yes] @BASE@/apt/open s": true, "deb [trusted=yes] @BASE@/apt/debs s": false, "deb [TRUSTED=yes] @BASE@/apt/debs s": false,
		line + "\ndeb [arch=amd64 allow-insecure=1] @BASE@/apt/debs s\n": false, "deb [trusted=] @BASE@/apt/debs s": false, "deb [trusted+=yes] @BASE@/apt/debs s": false, "deb [snapshot=x] @BASE@/apt/debs s": false,
		"deb [arch=amd64 trusted] @BASE@/apt/debs s": false, "deb [a=b][trusted=yes] @BASE@/apt/debs s": false, "deb [arch=amd64]@BASE@/apt/debs s": false, "deb[trusted=yes] @BASE@/apt/debs s": false,
		"deb [signed-by=/usr/share/keyrings/other.gpg] @BASE@/apt/debs s": false, "deb http://a.example/ s": false, "deb @BASE@/apt/other/ s": false, "deb @BASE@/apt/debs/../open s": false,
		"deb \"@BASE@/apt/debs/\" s": false, "deb @BASE@/apt/debs/%2e%2e/open s": false, "deb @BASE@/apt/debs/": false, "rpm @BASE@/apt/debs/ s": false, line + " # trusted": false, line + "\v": false,
		"deb cdrom:[x]/ s": false, "deb mirror+file:/x s": false, "deb @BASE@.evil.example/apt/debs s": false, "Types: deb": false, line + "\x00": false,
	} {
		if err := judged(t, "apt/debs.list", []byte(content)); (err == nil) != good {
			t.Errorf("%q: %v", content, err)
		}
	}
	for content, good := range map[string]bool{
		"[powertools]\nbaseurl=@BASE@/rpm/rpms/\ngpgcheck=1\n[crb]\ngpgcheck=1\nbaseurl=@BASE@/rpm/rpms/x/\n[rpms]\nbaseurl=@BASE@/rpm/rpms/\ngpgcheck=1\n": true,
		"[powertools]\nbaseurl=@BASE@/rpm/more/\ngpgcheck=1\n":                                                 false,
		"[powertools]\nbaseurl=@BASE@/rpm/rpms/ @BASE@/rpm/more/\ngpgcheck=1\n":                                false,
		"[powertools]\ngpgcheck=1\n":                                                                           false,
		"[power]\nbaseurl=@BASE@/rpm/rpms/\ngpgcheck=1\n":                                                      false,
		"[powertools]\nbaseurl=@BASE@/rpm/rpms/\ngpgcheck=1\n[baseos]\nbaseurl=@BASE@/rpm/rpms/\ngpgcheck=1\n": false,
		baseurl + "gpgcheck = 1\n":                                                                             true, "; gpgcheck=0\n" + baseurl + "gpgcheck=1\n": true, baseurl + "gpgcheck=TRUE\n": true,
		baseurl: false, baseurl + "repo_gpgcheck=1\n": false, baseurl + "#gpgcheck=1\n": false, baseurl + "gpgcheck=1\n[rpms-2]\nbaseurl=@BASE@/rpm/rpms/\n": false,
		baseurl + "gpgcheck=0\n": false, baseurl + "gpgcheck=1\ngpgcheck = no\n": false, baseurl + "gpgcheck=\n": false, baseurl + "gpgcheck=\n  0\n": false, baseurl + "pkg_gpgcheck=0\n": false,
		baseurl + "sslverify=0\n": false, baseurl + "include=/x\n": false, baseurl + "mirrorlist=@BASE@/rpm/rpms/x\n": false, "[other]\nbaseurl=@BASE@/rpm/rpms/\n": false,
		"[rpms]\nbaseurl=@BASE@/rpm/rpms/ https://evil.example/\n": false, "[rpms]\nbaseurl=@BASE@/rpm/other/\n": false, "no option\n": false, " x=1\n": false,
		baseurl + "gpgkey=file:///etc/key\n": false, baseurl + "gpgkey=@BASE@/keys/x.asc\n": false,
	} {
		if err := judged(t, "rpm/dnf/rpms.repo", []byte(content)); (err == nil) != good {
			t.Errorf("%q: %v", content, err)
		}
	}
	if err := judged(t, "rpm/dnf/debs-x.repo", []byte("[rpms-2]\n")); err != nil {
		t.Error(err)
	}
	for path, good := range map[string]bool{
		"rpm/dnf/rpms/epel.repo": true, "rpm/dnf/rpms-x86_64/epel.repo": true, "apt/debs/cuda.list": true, "apt/debs/x.sources": true, "apt/debs-2.list": true,
		"rpm/dnf/other/epel.repo": false, "rpm/dnf/rpmsx/epel.repo": false, "apt/cuda.list": false, "apt/other.sources": false, "apt/debs/elsewhere/x.list": false,
	} {
		if err := judged(t, path, []byte("\n")); (err == nil) != good {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestNotAtHand: a file whose content is not available is named, and is no refusal.
func TestNotAtHand(t *testing.T) {
	s, err := Look(setOf(map[string][]bundle.File{clientsMount: {{Path: "apt/debs.sources"}}}))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Judge(func(bundle.File) ([]byte, error) { return nil, ErrNotAtHand }); err != nil || len(s.NotJudged()) != 1 {
		t.Errorf("%v, %v", err, s.NotJudged())
	}
	broken := errors.New("a disk")
	if err := s.Judge(func(bundle.File) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestImageNames: names by the reference grammar, with a registry.
func TestImageNames(t *testing.T) {
	x := bundle.DigestOf([]byte("x"))
	for path, good := range map[string]bool{
		"docker.io/library/alpine/manifests/3.20": true, "registry.lan_5000/a/manifests/latest": true, "localhost/a/manifests/1": true, "localhost_5000/a/b_c/d__e/f--g.h/manifests/1": true,
		"ghcr.io/fluxcd/manifests/podinfo/manifests/1": true, "a.example/x/blobs/" + x.String(): true, "a.example/x/referrers/sha256:" + strings.Repeat("0", 64): true,
		"a.example/tags/manifests/1": true, "a.example/x/manifests/sha256-" + strings.Repeat("0", 64) + ".sig": true,
		"library/alpine/manifests/1": false, "a.example/manifests/1": false, "a.example/x/manifests/sha256:" + strings.Repeat("0", 64): false, "a.example/x/referrers/tag": false,
		"a.example/x/manifests": false, "manifests/1": false, "a.example//manifests/1": false, "a.example/x_/manifests/1": false, "A.example/x/manifests/1": false, "a_b/x/manifests/1": false,
		"a.example/x/tags/list/manifests/1": false, "a.example/x/manifests/a:b": false, "a.example/" + strings.Repeat("n", 256) + "/manifests/1": false, "a.example/x/other/1": false,
	} {
		s, err := Look(setOf(map[string][]bundle.File{"v2": {{Path: path, Digest: x}}}))
		if err != nil {
			t.Fatal(err)
		}
		if (len(s.Wrong()) == 0) != good {
			t.Errorf("%s: %v", path, s.Wrong())
		}
	}
}

// FuzzClientFile: a file that is in order has no line by which apt or dnf would go
// elsewhere or take what nobody signed, read in the plainest way.
func FuzzClientFile(f *testing.F) {
	f.Add("URIs: @BASE@/apt/debs/\nTrusted: no\n", uint8(1))
	f.Add("[rpms]\nbaseurl=@BASE@/rpm/rpms/\ngpgcheck=1\n", uint8(0))
	f.Add("URIs: @BASE@/apt/debs/../x\n Trusted: yes\n", uint8(1))
	f.Add("deb [arch=amd64 trusted=no signed-by=/usr/share/keyrings/x] @BASE@/apt/debs/$(ARCH) s main\n", uint8(2))
	f.Add("deb [ trusted=yes ] @BASE@/apt/debs s\n#deb http://a.example s\n", uint8(2))
	f.Fuzz(func(t *testing.T, content string, form uint8) {
		path := []string{"rpm/dnf/rpms.repo", "apt/debs.sources", "apt/debs.list"}[form%3]
		if judged(t, path, []byte(content)) != nil {
			return
		}
		for line := range strings.SplitSeq(content, "\n") {
			line = strings.ToLower(line)
			var bad bool
			switch form % 3 {
			case 0:
				bad = strings.HasPrefix(line, "gpgcheck=0") || strings.HasPrefix(line, "baseurl=") && strings.Contains(line, "://")
			case 1:
				bad = strings.HasPrefix(line, "trusted:") && strings.Contains(line, "yes") || strings.HasPrefix(line, "uris:") && strings.Contains(line, "://")
			default:
				bad = !strings.HasPrefix(strings.Trim(line, " \t"), "#") && (strings.Contains(line, "trusted=yes") || strings.Contains(line, "://"))
			}
			if bad {
				t.Errorf("%q is taken", line)
			}
		}
	})
}
