package examples

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/journey"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/gapbundle/gapbundle/unpack/site/settings"
)

// withoutAdvice are the names of settings that no line of a spec brings.
var withoutAdvice = []string{"chrony_config_server", "gcr_image_repo"}

var (
	advisedName = regexp.MustCompile(`^- \{name: ([a-z0-9-]+), `)
	absent      = regexp.MustCompile(`(?m)^# not in this mirror.*\n(?:# .*\n)*`)
)

// advised returns the names of the sources that the lines for a setting have.
func advised(v *settings.Variable) (names []string) {
	for line := range strings.Lines(v.Advice()) {
		if m := advisedName.FindStringSubmatch(line); m != nil {
			names = append(names, m[1])
		}
	}
	return names
}

// TestAdvice exports every line of a spec that the settings advise, all in one spec, with
// stand-ins for all upstreams, and imports it. Nothing may be missing in the settings that the
// mirror writes then. And each setting has to be served by what its own lines brought.
func TestAdvice(t *testing.T) {
	j := siteJourney(t, "deepops-k8s")
	j.Write("slurm-exporter.tar", savedImage(t, "deepops/prometheus-slurm-exporter:2.0.0"))
	table, lines := settings.DeepOps(), map[string]string{}
	j.Spec = "advised.yaml"
	text := "version: 1\nname: site\nsigning: {exporter: keys/exporter.key, site: keys/site.key}\nhosts:\n\ndefaults:\n  oci: {platforms: [linux/amd64]}\nsources:\n"
	for i := range table {
		v := &table[i]
		names := advised(v)
		if (len(names) == 0) != slices.Contains(withoutAdvice, v.Name) || len(names) != strings.Count(v.Advice(), "\n")+1 && v.Advice() != "" {
			t.Errorf("%s %v: lines of a spec: %q", v.Name, v.Public, v.Advice())
		}
		for line := range strings.Lines(v.Advice()) {
			line = strings.TrimSuffix(line, "\n")
			name := advisedName.FindStringSubmatch(line)[1]
			if other, taken := lines[name]; !taken {
				lines[name], text = line, text+line+"\n"
			} else if other != line {
				t.Errorf("two sources have the name %s:\n%s\n%s", name, other, line)
			}
		}
	}
	if len(lines) < 70 {
		t.Errorf("%d lines", len(lines))
	}
	j.Write(j.Spec, []byte(text))
	play(t, j)
	run(j, "export", j.Spec, "--to", "usb")
	run(j, "trust", "add", "--mirror", "mirror", "--role", "exporter", "--set", "site", "--yes", "keys/exporter.pub")
	run(j, "import", "usb", "--to", "mirror", "--accept-keys", "--base-url", "https://mirror.lan")
	for _, file := range []string{"deepops/group_vars.yml", "deepops/extra-vars.yml", "deepops/environment.sh", "env/mirror.env"} {
		for _, about := range absent.FindAllString(string(j.Read("mirror/current/"+site.SettingsDir+"/"+file)), -1) {
			if !slices.ContainsFunc(withoutAdvice, func(name string) bool { return strings.HasSuffix(about, "\n# "+name+":\n") }) {
				t.Errorf("%s, with all lines in one spec:\n%s", file, about)
			}
		}
	}
	followed(j, table)
}

// followed looks, for each setting, at the part of the mirror that the lines for it brought.
func followed(j *journey.Journey, table []settings.Variable) {
	h := hold(j)
	files := filesBySource(j)
	for i := range table {
		v := &table[i]
		if of := advised(v); len(of) > 0 {
			m := h.part(of, files)
			if s := settings.Settle(m, table[i:i+1])[0]; s.State == settings.Missing {
				j.T.Errorf("%s %v (%s) is not in a mirror that has what its lines bring:\n%s", v.Name, v.Public, v.By, v.Advice())
			}
		}
	}
}

// listedFile is a line of a published list of files.
type listedFile struct{ Path, SHA256 string }

// filesBySource returns the web paths and digests of the files of each source, in the order of
// their lists.
func filesBySource(j *journey.Journey) map[string][]listedFile {
	var inventory struct {
		Sets []struct {
			Repositories []struct{ Name, Inventory string }
		}
	}
	if err := json.Unmarshal(j.Read("mirror/current/"+site.Dir+"/inventory.json"), &inventory); err != nil {
		j.T.Fatal(err)
	}
	files := map[string][]listedFile{}
	for _, r := range inventory.Sets[0].Repositories {
		source, _, _ := strings.Cut(r.Name, "/")
		for line := range strings.Lines(string(j.Read("mirror/current" + r.Inventory))) {
			var f listedFile
			if err := json.Unmarshal([]byte(line), &f); err != nil {
				j.T.Fatal(err)
			}
			files[source] = append(files[source], listedFile{strings.TrimPrefix(f.Path, "/"), f.SHA256})
		}
	}
	return files
}

// part returns the mirror as it would be with these sources alone, and the published keys.
func (h *holding) part(sources []string, files map[string][]listedFile) *settings.Mirror {
	isOf := func(name string) bool {
		source, _, _ := strings.Cut(name, "/")
		return slices.Contains(sources, source)
	}
	m := &settings.Mirror{
		Base: "https://mirror.lan", Host: "mirror.lan", Insecure: "false",
		Clients: os.DirFS(filepath.Join(h.j.Dir, "mirror/current", site.ClientsDir)), ClientsAt: site.ClientsDir,
		Open: func(d bundle.Digest) (io.ReadCloser, error) {
			return os.Open(filepath.Join(h.j.Dir, "mirror/blobs/sha256", d.Hex()[:2], d.Hex()))
		},
		Lookup: func(address string) (all []settings.Place, answered bool) {
			_, rest, _ := strings.Cut(address, "://")
			for _, n := range h.names(isOf) {
				if below, fits := strings.CutPrefix(rest, n.Host+n.Path); fits && (below == "" || below[0] == '/') {
					all = append(all, settings.Place{At: n.At + below, Source: n.Source})
				}
			}
			return all, len(all) > 0
		},
	}
	for _, n := range h.names(isOf) {
		m.Names = append(m.Names, n.Host)
	}
	// What two sources have is listed by one of them alone.
	elsewhere := func(path string) bool {
		return slices.ContainsFunc(h.names(isOf), func(n site.PublicName) bool {
			source, _, _ := strings.Cut(n.Source, "/")
			return len(files[source]) == 0 && strings.HasPrefix("/"+path, n.At+"/")
		})
	}
	index, err := m.Index()
	if err != nil {
		h.j.T.Fatal(err)
	}
	for source, list := range files {
		reader := index.Read()
		for _, f := range list {
			if !isOf(source) && !strings.HasPrefix(f.Path, "keys/") && !elsewhere(f.Path) {
				continue
			}
			digest, err := bundle.ParseDigest("sha256:" + f.SHA256)
			if err != nil {
				h.j.T.Fatal(err)
			}
			reader.Add(f.Path, digest)
		}
		index.Merge(reader.Answers())
	}
	return m
}

// names returns the public names that these sources stand for, also where the mirror answers for
// none of several.
func (h *holding) names(of func(source string) bool) (all []site.PublicName) {
	for _, n := range h.public.Names {
		if of(n.Source) {
			all = append(all, n)
		}
	}
	for _, u := range h.public.Unanswered {
		for _, c := range u.Claims {
			if of(c.Source) && strings.HasPrefix(u.Reason, "several sources") {
				all = append(all, site.PublicName{Host: u.Host, Path: u.Path, At: c.At, Source: c.Source})
			}
		}
	}
	return all
}
