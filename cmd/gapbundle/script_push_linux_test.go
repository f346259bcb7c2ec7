package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/internal/test/registrytest"
)

// registry VAR [plain] [strict] [login] [token] starts an empty registry, sets
// VAR to its host and VAR_CA to the file of its authority. login wants
// user:pass by Basic; token by a token service on another host name.
func (w *world) registry(ts *testscript.TestScript, _ bool, args []string) {
	var o registrytest.Options
	for _, word := range args[1:] {
		switch word {
		case "plain":
			o.Plain = true
		case "strict":
			o.Strict = true
		case "login":
			o.User, o.Password = "user", "pass"
		case "token":
			o.Realm = "https://elsewhere.test/token"
		default:
			ts.Fatalf("registry: %s?", word)
		}
	}
	r := registrytest.New(w.t, o)
	w.mu.Lock()
	w.upstreams[ts.Name()+args[0]] = r.Server
	w.mu.Unlock()
	ts.Setenv(args[0], r.Host())
	if !o.Plain {
		ts.Setenv(args[0]+"_CA", r.CA())
	}
}

// images SET DIR [public] NAME[:TAG]... writes a signed bundle of a set with images into
// DIR, and the exporter's key into DIR/exporter.pub. A name that ends with '!'
// gets an index too, tagged "all", of which a platform was left out. With public, the mirror can
// answer under the name of the first image's registry.
func (w *world) images(ts *testscript.TestScript, _ bool, args []string) {
	e := bundletest.New(w.t, args[0])
	repo := bundletest.Repository{Name: "images", Mount: "v2", Kind: "oci", Files: map[string]string{}, MediaTypes: map[string]string{}}
	names := args[2:]
	if names[0] == "public" {
		names = names[1:]
		folder, _, _ := strings.Cut(names[0], "/")
		host := strings.Replace(folder, "docker.io", "registry-1.docker.io", 1)
		public, err := bundle.ParsePublic("https://"+host+"/v2", folder)
		ts.Check(err)
		repo.Annotations = map[string]string{}
		ts.Check(bundle.AnnotatePublic(repo.Annotations, []bundle.Public{public}))
	}
	put := func(path, text, mediaType string) { repo.Files[path], repo.MediaTypes[path] = text, mediaType }
	for _, arg := range names {
		arg, sparse := strings.CutSuffix(arg, "!")
		name, tag, _ := strings.Cut(arg, ":")
		digest := func(s string) string { return registrytest.Digest([]byte(s)) }
		layer := "layer of " + arg
		put(name+"/blobs/"+digest("{}"), "{}", "")
		put(name+"/blobs/"+digest(layer), layer, "")
		const manifestType, indexType = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
		manifest := fmt.Sprintf(`{"schemaVersion":2,"config":{"digest":%q,"size":2},"layers":[{"digest":%q,"size":%d}]}`, digest("{}"), digest(layer), len(layer))
		put(name+"/manifests/"+digest(manifest), manifest, manifestType)
		put(name+"/manifests/"+tag, manifest, manifestType)
		if sparse {
			index := fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"digest":%q,"size":%d},{"digest":%q,"size":9}]}`, digest(manifest), len(manifest), digest("left out"))
			put(name+"/manifests/"+digest(index), index, indexType)
			put(name+"/manifests/all", index, indexType)
		}
	}
	dir := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(dir, 0o755))
	e.Export(w.t, []bundletest.Repository{repo}, bundletest.Options{Targets: []string{dir}})
	ts.Check(os.WriteFile(filepath.Join(dir, "exporter.pub"), e.Signer.PublicPEM(), 0o644))
}
