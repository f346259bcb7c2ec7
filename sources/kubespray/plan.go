package kubespray

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/kubespray/checksums"
)

// Files of a source's own repository.
const (
	filesName  = "files.list"
	imagesName = "images.list"
	pinsName   = "pins.json"
)

// pins is the content of pins.json.
type pins struct {
	Release string `json:"release,omitempty"`
	// Files are sorted by URL; Dropped are the lines of the lists that the spec leaves out.
	Files   []pin    `json:"files"`
	Dropped []string `json:"dropped"`
}

// pin is what a file is pinned by. One without a sum is not pinned: the spec names it.
type pin struct {
	URL string `json:"url"`
	Sum string `json:"sum,omitempty"` // sha256:<hex> or sha512:<hex>
	// By is the entry of Kubespray's checksums that has the sum; nil: the spec has it.
	By *checksums.Key `json:"by,omitempty"`
}

// chosen is what a source carries.
type chosen struct {
	entry
	pins   pins
	images []line
	refs   []imageRef
	cilium string // version of the chart that cilium install fetches; empty: not wanted
	notes  []string
}

// Plan chooses what the lists and the spec name, and derives the sources that fetch it.
// It asks nobody.
func (s source) Plan(context.Context, *sources.Env) (*sources.Plan, error) {
	p := &sources.Plan{}
	var errs []error
	for _, e := range s {
		c, err := choose(e)
		if err == nil {
			err = lay(p, c)
		}
		errs = append(errs, err)
	}
	return p, strictyaml.Join(errs...)
}

// choose applies drop, finds what pins each file, and reads the references.
func choose(e entry) (chosen, error) {
	c := chosen{entry: e}
	kept, dropped, err := keep(e.o.Pos, e.o.Drop, e.files, e.images)
	errs := []error{err}
	c.pins = pins{Release: e.release, Files: []pin{}, Dropped: append([]string{}, dropped...)}
	unpinned := map[string]bool{}
	for _, l := range kept[0] {
		p, err := e.pin(l)
		errs = append(errs, err)
		if p.Sum == "" {
			unpinned[l.text] = true
		}
		c.pins.Files = append(c.pins.Files, p)
	}
	for _, u := range e.o.Unpinned {
		if !unpinned[u] && !e.unpinnedAll() {
			errs = append(errs, e.o.Pos.Errorf("unpinned: %s: is not in the lists, or the checksums cover it", fetch.Redact(u)))
		}
	}
	errs = append(errs, c.addFiles())
	c.images = kept[1]
	for _, l := range c.images {
		r, err := parseImage(l)
		c.refs, errs = append(c.refs, r), append(errs, err)
	}
	if err := strictyaml.Join(errs...); err != nil {
		return c, err
	}
	if e.o.Cilium {
		if c.cilium = c.tagOf("cilium/cilium"); c.cilium == "" {
			return c, e.o.Pos.Errorf("cilium-chart: no list names the image cilium/cilium, whose version the chart has")
		}
	}
	c.notes = c.remarks(unpinned)
	return c, nil
}

// pin finds the digest of a file.
func (e *entry) pin(l line) (pin, error) {
	p := pin{URL: l.text}
	if err := checkURL(l); err != nil {
		return p, err
	}
	allowed := e.unpinnedAll() || slices.Contains(e.o.Unpinned, l.text)
	if e.tables == nil {
		return p, nil
	}
	key, sum, err := e.tables.Find(l.text)
	switch {
	case err == nil:
		p.Sum, p.By = sum.Algorithm+":"+sum.Hex, &key
	case !allowed:
		return p, l.pos.Errorf("%s: %w; name it under unpinned to carry it all the same, or under drop", fetch.Redact(l.text), err)
	}
	return p, nil
}

// addFiles takes in the files that the lists lack.
func (c *chosen) addFiles() error {
	var errs []error
	for _, f := range c.o.AddFiles {
		p := pin{URL: f.URL}
		switch {
		case f.SHA256 != "" && f.SHA512 != "":
			errs = append(errs, f.Pos.Errorf("add-files: %s: want sha256 or sha512, not both", fetch.Redact(f.URL)))
		case f.SHA256 != "":
			p.Sum = "sha256:" + f.SHA256
		case f.SHA512 != "":
			p.Sum = "sha512:" + f.SHA512
		}
		if p.Sum != "" {
			if sum, err := checksums.ParseSum(p.Sum); err != nil {
				errs = append(errs, f.Pos.Errorf("add-files: %w", err))
			} else {
				p.Sum = sum.Algorithm + ":" + sum.Hex
			}
		}
		if slices.ContainsFunc(c.pins.Files, func(o pin) bool { return o.URL == f.URL }) {
			errs = append(errs, f.Pos.Errorf("add-files: %s: is in the lists already", fetch.Redact(f.URL)))
		}
		c.pins.Files = append(c.pins.Files, p)
	}
	slices.SortFunc(c.pins.Files, func(a, b pin) int { return strings.Compare(a.URL, b.URL) })
	return strictyaml.Join(errs...)
}

// tagOf returns the tag of the first image with this name, "" if there is none.
func (c *chosen) tagOf(name string) string {
	for _, r := range c.refs {
		if r.name == name {
			return r.tag
		}
	}
	return ""
}

// remarks returns what a person who reads the plan has to know: above all what the playbook
// may ask for that its own lists lack.
func (c *chosen) remarks(unpinned map[string]bool) []string {
	var notes []string
	if n := len(unpinned); n > 0 {
		notes = append(notes, fmt.Sprintf("%d of %s: no checksum of Kubespray's covers them", n, bundle.Count(len(c.pins.Files), "file")))
	}
	if n := len(c.pins.Dropped); n > 0 {
		notes = append(notes, fmt.Sprintf("dropped from the lists: %s", bundle.Count(n, "line")))
	}
	if c.tables != nil && len(c.tables.Unknown) > 0 {
		notes = append(notes, "this program does not know these tables of the checksums: "+strings.Join(c.tables.Unknown, ", "))
	}
	if c.release != "" && before(c.release, oldestOffline) {
		notes = append(notes, fmt.Sprintf("Kubespray %s has no variables for the addresses of github.com and its like, which came with %s: set its *_download_url inside, file by file", c.release, oldestOffline))
	}
	if c.tagOf("cilium/cilium") != "" && c.cilium == "" {
		notes = append(notes, "cilium install fetches a chart that the lists lack: cilium-chart: true carries it, drop: [\"*cilium*\"] says that cilium is not used")
	}
	if c.tagOf("rancher/local-path-provisioner") != "" && c.tagOf("library/busybox") == "" {
		notes = append(notes, "the local path provisioner starts docker.io/library/busybox, which the lists lack: carry it by a source of kind oci")
	}
	var lacking []string
	if !slices.ContainsFunc(c.pins.Files, func(p pin) bool { return strings.Contains(p.URL, "/argo-cd/") }) {
		lacking = append(lacking, "Argo CD's install.yaml and the experimental Gateway API (add-files)")
	}
	lacking = append(lacking, "packages of the system (kinds apt and rpm)", "requirements.txt of the machine that runs Ansible (pypi)", "the checkout (git)", "images of charts that are installed later (helm)")
	return append(notes, "Kubespray's lists name what its download role fetches; if the site uses them, carry as well: "+strings.Join(lacking, ", "))
}

// lay adds the repository of a source and the sources derived from it.
func lay(p *sources.Plan, c chosen) error {
	content, err := json.MarshalIndent(c.pins, "", "  ")
	if err != nil {
		return err
	}
	var files, images strings.Builder
	for _, f := range c.pins.Files {
		files.WriteString(f.URL + "\n")
	}
	for _, l := range c.images {
		images.WriteString(l.text + "\n")
	}
	content = append(content, '\n')
	if err := c.readBack(content, []byte(files.String()), []byte(images.String())); err != nil {
		return sources.InSource(c.o.Pos, c.spec.Name, err)
	}
	pinned := sources.Made(pinsName, content, "what the files are pinned by")
	pinned.Entries = sources.NewEntries(sources.Entry{
		Name: Name, Type: bundle.TypeDeployment, Version: c.release, Summary: fmt.Sprintf("%s, %s", bundle.Count(len(c.pins.Files), "file"), bundle.Count(len(c.images), "image")),
	})
	repo := sources.Repository{
		Name: c.spec.Name, Mount: path.Join(Name, sources.FileName(c.spec.Name)), Notes: c.notes, Annotations: c.annotations(), Lines: c.lines(),
		Artifacts: sources.List([]sources.Artifact{
			sources.Made(filesName, []byte(files.String()), "the files that Kubespray downloads"),
			sources.Made(imagesName, []byte(images.String()), "the images that Kubespray pulls"),
			pinned,
		}),
	}
	p.Repositories = append(p.Repositories, repo)
	p.Also = append(p.Also, c.derived()...)
	return nil
}

// lines returns the lines of the lists, with the places that the kinds files and oci report
// them. Images of one name in several versions have one place, and one line.
func (c *chosen) lines() []sources.Line {
	var all []sources.Line
	for _, f := range c.pins.Files {
		u, err := url.Parse(f.URL)
		if err != nil {
			continue // such a URL was refused
		}
		all = append(all, sources.Line{Text: f.URL, Paths: []string{"files/" + folderOf(strings.ToLower(u.Host)) + u.Path}})
	}
	at := map[string]int{}
	for i, r := range c.refs {
		place := "v2/" + folderOf(r.registry) + "/" + r.name + "/"
		if before, ok := at[place]; ok {
			all[before].Text += " " + c.images[i].text
			continue
		}
		at[place] = len(all)
		all = append(all, sources.Line{Text: c.images[i].text, Paths: []string{place + "blobs/", place + "manifests/"}})
	}
	return all
}

// folderOf returns the folder of a host in the mirror.
func folderOf(host string) string { return strings.ReplaceAll(host, ":", "_") }

// derived returns the sources that fetch what a source names.
func (c *chosen) derived() []sources.Derived {
	var all []sources.Derived
	give := func(kind string, value any) {
		spec := sources.Given(c.spec, kind, value)
		spec.Reasons = map[string]string{"": strings.TrimSpace(Name + " " + c.release)}
		all = append(all, sources.Derived{Spec: spec})
	}
	var urls []map[string]string
	for _, f := range c.pins.Files {
		entry := map[string]string{"url": f.URL}
		if algorithm, digits, ok := strings.Cut(f.Sum, ":"); ok {
			entry[algorithm] = digits
		}
		urls = append(urls, entry)
	}
	if len(urls) > 0 {
		give("files", map[string]any{"urls": urls})
	}
	if len(c.images) > 0 {
		value := map[string]any{}
		var names []string
		for _, l := range c.images {
			names = append(names, l.text)
		}
		value["images"] = names
		set := func(key string, of any, present bool) {
			if present {
				value[key] = of
			}
		}
		set("platforms", c.o.Platforms, len(c.o.Platforms) > 0)
		set("signatures", c.o.Signatures, c.o.Signatures != "")
		set("keys", c.o.Keys, len(c.o.Keys) > 0)
		set("mirrors", c.o.Mirrors, len(c.o.Mirrors) > 0)
		set("plain-http", c.o.PlainHTTP, len(c.o.PlainHTTP) > 0)
		give("oci", value)
	}
	if c.cilium != "" {
		give("helm", map[string]any{
			"charts": []map[string]any{{"repo": ciliumCharts, "chart": "cilium", "version": strings.TrimPrefix(c.cilium, "v")}},
			"images": map[string]any{"mode": "none"}, // the lists name them
		})
	}
	return all
}

// ciliumCharts is where cilium install fetches its chart from (cilium-cli, defaults.HelmRepository).
const ciliumCharts = "https://helm.cilium.io"
