package kubespray

import (
	"context"
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"text/template"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// facts are what the client file depends on besides the names of a source. They travel
// as one annotation: the file has to be a function of the signed lists.
type facts struct {
	Release    string   `json:"release,omitempty"`
	Hosts      []string `json:"hosts,omitempty"`      // of publicHosts
	Registries []string `json:"registries,omitempty"` // sorted
	Argo       string   `json:"argo,omitempty"`       // path of argo-cd's install.yaml below its host
	Cilium     bool     `json:"cilium,omitempty"`
	Busybox    bool     `json:"busybox,omitempty"`
}

// factsKey begins the annotation.
const factsKey = "kubespray-"

// annotations never fail: the facts are bounded by what the tables of names know, and
// by the registries of at most maxRegistries.
func (c *chosen) annotations() map[string]string {
	f := facts{Release: c.release, Cilium: c.cilium != "", Busybox: c.tagOf("library/busybox") != ""}
	for _, p := range c.pins.Files {
		host, rest := hostOf(p.URL)
		if isPublicHost(host) && !slices.Contains(f.Hosts, host) {
			f.Hosts = append(f.Hosts, host)
		}
		if host == "raw.githubusercontent.com" && strings.HasSuffix(rest, "/manifests/install.yaml") && len(rest) < 200 {
			f.Argo = rest
		}
	}
	for _, r := range c.refs {
		if !slices.Contains(f.Registries, r.registry) && len(f.Registries) < maxRegistries {
			f.Registries = append(f.Registries, r.registry)
		}
	}
	slices.Sort(f.Hosts)
	slices.Sort(f.Registries)
	to := map[string]string{}
	if err := sources.Annotate(to, factsKey, []facts{f}); err != nil {
		return nil // the client file then names nothing but the addresses of files
	}
	return to
}

// maxRegistries bounds the registries that the client file configures. Kubespray's
// lists name four.
const maxRegistries = 32

func hostOf(url string) (host, rest string) {
	_, after, _ := strings.Cut(url, "://")
	host, rest, _ = strings.Cut(after, "/")
	return host, rest
}

//go:embed offline.yml.tmpl
var offlineText string

// clients writes offline.yml for each source: the variables that point Kubespray at the
// mirror, under the names that inventory/sample/group_vars/all/offline.yml has.
func clients(_ context.Context, repos []bundle.Repository, _ sources.Tree) ([]sources.ClientFile, error) {
	t, err := template.New("offline.yml").Delims("[[", "]]").Funcs(template.FuncMap{
		"folder": folderOf,
		"server": server,
		"has":    func(list []string, s string) bool { return slices.Contains(list, s) },
	}).Parse(offlineText)
	if err != nil {
		return nil, err
	}
	var all []sources.ClientFile
	for _, r := range repos {
		parts, err := sources.Annotated[facts](r, factsKey)
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		err = t.Execute(&b, struct {
			facts
			Source, Base, Host, Insecure string
		}{parts[0], r.Name, sources.BaseMark, sources.HostMark, sources.InsecureMark})
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", r.Name, err)
		}
		name := "offline.yml"
		if len(repos) > 1 {
			name = path.Join(sources.FileName(r.Name), name)
		}
		all = append(all, sources.ClientFile{Path: name, Content: []byte(b.String())})
	}
	return all, nil
}

// server returns where a registry answers itself: docker.io's name is not its address.
func server(registry string) string {
	if registry == "docker.io" {
		return "https://registry-1.docker.io"
	}
	return "https://" + registry
}
