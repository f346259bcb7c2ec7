package kubespray

import (
	"os"
	"path"
	"path/filepath"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/kubespray/checksums"
)

// Name is the kind's name in a spec file, its mount and its part of client paths.
const Name = "kubespray"

// Kind returns the kind of Kubespray deployments.
func Kind() sources.Kind {
	return sources.Kind{
		Name: Name, Doc: "what Kubespray's playbook downloads, from its own lists and checksums", Derives: true,
		Options: func() any { return new(options) },
		New:     newSource,
		Check:   check,
		Clients: clients,
	}
}

// options are the kind's own part of an entry of the spec file.
type options struct {
	Pos       strictyaml.Pos
	Checkout  string      `yaml:"checkout" doc:"Folder with the release of Kubespray that is deployed; its checksums pin the files."`
	Checksums string      `yaml:"checksums" doc:"Kubespray's checksums.yml alone, instead of checkout."`
	Files     []string    `yaml:"files,single" doc:"Lists of URLs, as contrib/offline/generate_list.sh writes them: one for each architecture."`
	Images    []string    `yaml:"images,single" doc:"Lists of images, as generate_list.sh writes them."`
	Unpinned  []string    `yaml:"unpinned,single" doc:"URLs that are carried although the checksums do not cover them; all, where there are no checksums."`
	Drop      []string    `yaml:"drop,single" doc:"Patterns of URLs and images that are left out; * stands for anything."`
	AddFiles  []fileEntry `yaml:"add-files,single" doc:"Files that the lists lack."`
	// The options below are handed to the derived source of kind oci as they are.
	Platforms  []string            `yaml:"platforms,single" doc:"Platforms of the images, as in linux/amd64; absent: all."`
	Signatures string              `yaml:"signatures" doc:"carry, verify or none: what is attached to an image; absent: carry."`
	Keys       []string            `yaml:"keys,single" doc:"Files with the public keys of cosign that may sign, for signatures: verify."`
	Mirrors    map[string][]string `yaml:"mirrors" doc:"By registry: URLs that are asked before it, in this order."`
	PlainHTTP  []string            `yaml:"plain-http,single" doc:"Registries that are spoken to without TLS; recorded."`
	Cilium     bool                `yaml:"cilium-chart" doc:"Carry the chart that cilium install fetches, in the version of the cilium image."`
}

type fileEntry struct {
	Pos    strictyaml.Pos
	URL    string `yaml:"url,required,scalar" doc:"http or https."`
	SHA256 string `yaml:"sha256" doc:"Digest, 64 hexadecimal digits."`
	SHA512 string `yaml:"sha512" doc:"Digest, 128 hexadecimal digits."`
}

// entry is one source, with everything that its checkout and lists state.
type entry struct {
	spec    sources.Spec
	o       options
	release string // version of the checkout, empty: not known
	tables  *checksums.Tables
	files   []line
	images  []line
}

type source []entry

func newSource(specs []sources.Spec) (sources.Source, error) {
	all, err := sources.Entries(specs, newEntry)
	return source(all), err
}

// newEntry reads the checksums and the lists of a source.
func newEntry(spec sources.Spec, o options) (entry, error) {
	e := entry{spec: spec, o: o}
	if len(o.Files)+len(o.Images) == 0 {
		return e, o.Pos.Errorf("source %s: want files or images: run Kubespray's contrib/offline/generate_list.sh, and name the lists that it writes", spec.Name)
	}
	errs := []error{e.readTables()}
	for _, name := range o.Files {
		lines, err := readList(sources.Within(spec.Dir, name), name)
		e.files, errs = append(e.files, lines...), append(errs, err)
	}
	for _, name := range o.Images {
		lines, err := readList(sources.Within(spec.Dir, name), name)
		e.images, errs = append(e.images, lines...), append(errs, err)
	}
	for _, pattern := range o.Drop {
		if _, err := path.Match(pattern, ""); err != nil {
			errs = append(errs, o.Pos.Errorf("drop: %q: %w", pattern, err))
		}
	}
	return e, strictyaml.Join(errs...)
}

// tablePlaces are where releases of Kubespray keep their checksums, the newest first.
var tablePlaces = []string{
	"roles/kubespray_defaults/vars/main/checksums.yml",
	"roles/kubespray-defaults/defaults/main/checksums.yml",
	"roles/download/defaults/main/checksums.yml",
	"roles/download/defaults/main.yml",
}

// readTables reads the checksums of the checkout. Their errors are the spec's: the
// checkout is what the operator deploys.
func (e *entry) readTables() error {
	o := &e.o
	switch {
	case o.Checkout != "" && o.Checksums != "":
		return o.Pos.Errorf("want checkout or checksums, not both")
	case o.Checkout == "" && o.Checksums == "":
		if len(o.Files) > 0 && !e.unpinnedAll() {
			return o.Pos.Errorf("source %s: nothing pins the files: set checkout to the Kubespray that is deployed; unpinned: all carries them all the same", e.spec.Name)
		}
		return nil
	case e.unpinnedAll():
		return o.Pos.Errorf("unpinned: all is for a source without checksums; name the URLs")
	}
	places, name := []string{""}, sources.Within(e.spec.Dir, o.Checksums)
	if o.Checkout != "" {
		places, name = tablePlaces, sources.Within(e.spec.Dir, o.Checkout)
		e.readRelease(name)
	}
	for _, place := range places {
		content, err := bundle.ReadNamed(filepath.Join(name, place), checksums.MaxSize)
		if os.IsNotExist(err) && place != places[len(places)-1] {
			continue
		}
		if os.IsNotExist(err) && o.Checkout != "" {
			return o.Pos.Errorf("checkout: %s: is no checkout of Kubespray: it has none of %v", o.Checkout, tablePlaces)
		}
		if err == nil {
			e.tables, err = checksums.Read(filepath.Join(name, place), content)
		}
		if err != nil {
			return o.Pos.Errorf("checksums: %w", err)
		}
		return nil
	}
	return nil
}

func (e *entry) unpinnedAll() bool {
	return len(e.o.Unpinned) == 1 && e.o.Unpinned[0] == "all"
}

// maxGalaxy bounds galaxy.yml, which states the release.
const maxGalaxy = 1 << 20 // bytes

// readRelease takes the version from galaxy.yml; a checkout without it has none.
func (e *entry) readRelease(checkout string) {
	content, err := bundle.ReadNamed(filepath.Join(checkout, "galaxy.yml"), maxGalaxy)
	if err == nil {
		e.release = releaseOf(content)
	}
}
