package examples

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/journey"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// thing is what a deployment fetches: a line of testdata/deepops.tsv.
type thing struct {
	deployments, kind, address, how string
}

func things(t *testing.T, deployment string) (all []thing) {
	t.Helper()
	text, err := os.ReadFile("testdata/deepops.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(cells) != 4 {
			t.Fatalf("%q: want four cells", line)
		}
		if slices.Contains(strings.Split(cells[0], ","), deployment) {
			all = append(all, thing{cells[0], cells[1], cells[2], cells[3]})
		}
	}
	return all
}

// holding is a mirror, as far as coverage goes.
type holding struct {
	j       *journey.Journey
	public  site.PublicNames
	entries map[string]bool // "source name" and "source name version" of contents lists
}

func hold(j *journey.Journey) *holding {
	j.T.Helper()
	h := &holding{j: j, entries: map[string]bool{}}
	if err := json.Unmarshal(j.Read("mirror/current/"+site.HostsPath), &h.public); err != nil {
		j.T.Fatal(err)
	}
	root, err := os.OpenRoot(filepath.Join(j.Dir, "mirror/current"))
	if err != nil {
		j.T.Fatal(err)
	}
	defer root.Close()
	all, err := site.ReadPublished(root)
	if err != nil {
		j.T.Fatal(err)
	}
	for _, r := range all {
		for e, err := range r.Read(root) {
			if err != nil {
				j.T.Fatal(err)
			}
			h.entries[r.Name+" "+e.Name], h.entries[r.Name+" "+e.Name+" "+e.Version] = true, true
		}
	}
	return h
}

func (h *holding) has(at string) bool {
	_, err := os.Stat(filepath.Join(h.j.Dir, "mirror/current", filepath.FromSlash(at)))
	return err == nil
}

// carried reports whether the mirror has a thing.
func (h *holding) carried(x thing) bool {
	words := strings.Fields(x.address)
	switch x.kind {
	case "apt":
		return !slices.ContainsFunc(words[1:], func(name string) bool { return !h.entries[words[0]+" "+name] })
	case "pypi":
		source, rest, found := strings.Cut(x.address, ": ")
		if !found {
			source, rest = "setup", x.address
		}
		return h.entries[source+" "+rest]
	case "galaxy":
		return h.entries["galaxy "+x.address] || h.entries["galaxy "+strings.Replace(x.address, " v", " ", 1)]
	case "chart":
		return h.entries["charts "+x.address]
	case "image":
		name, tag, _ := strings.Cut(x.address, ":")
		return h.has("v2/" + name + "/manifests/" + tag)
	case "registry":
		return h.has("v2/" + x.address)
	case "git":
		return h.has(path.Join("git", strings.TrimPrefix(x.address, "https://"), "info/refs"))
	case "file", "key":
		_, at, ok := h.public.LookupURL(x.address)
		return ok && h.has(at)
	}
	h.j.T.Errorf("a thing of the kind %q", x.kind)
	return false
}

// reachable reports whether a machine inside is made to ask the mirror for it.
func (h *holding) reachable(x thing) bool {
	settings := func(file, line string) bool {
		text := h.j.Read("mirror/current/" + site.SettingsDir + "/deepops/" + file)
		return regexp.MustCompile(`(?m)^` + line).Match(text)
	}
	way, what, _ := strings.Cut(x.how, " ")
	switch way {
	case "var":
		return settings("group_vars.yml", what+":")
	case "extra":
		return settings("extra-vars.yml", what+":")
	case "env":
		return settings("environment.sh", "export "+what+"=")
	case "nodes":
		return h.has(site.SettingsDir + "/ansible/roles/gapbundle_mirror/files/Debian/etc/apt/sources.list.d/" + what)
	case "name":
		address := x.address
		if x.kind == "image" {
			registry, name, _ := strings.Cut(x.address, "/")
			name, tag, _ := strings.Cut(name, ":")
			address = "https://" + registry + "/v2/" + name + "/manifests/" + tag
		}
		_, at, ok := h.public.LookupURL(address)
		return ok && h.has(at)
	}
	return false
}

// cover compares a mirror with what its deployment fetches. want is how many things are
// reachable; all of them have to be carried.
func cover(j *journey.Journey, deployment string, count, want int) {
	h := hold(j)
	carried, reachable := 0, 0
	all := things(j.T, deployment)
	for _, x := range all {
		if h.carried(x) {
			carried++
		} else {
			j.T.Errorf("not carried: %s %s", x.kind, x.address)
		}
		if h.reachable(x) {
			reachable++
		} else {
			j.T.Logf("not reachable: %s %s (%s)", x.kind, x.address, x.how)
		}
	}
	j.T.Logf("%s: %d things, %d carried (%d %%), %d reachable without editing DeepOps (%d %%)", deployment, len(all), carried, 100*carried/len(all), reachable, 100*reachable/len(all))
	if len(all) != count || reachable < want {
		j.T.Errorf("%s: %d things, %d reachable; want %d and at least %d", deployment, len(all), reachable, count, want)
	}
}

// TestSites takes the specs of whole sites along, with stand-ins for all their upstreams
// under their own names, and counts what of a default deployment is there.
func TestSites(t *testing.T) {
	for _, c := range []struct {
		name, deployment string
		count, reachable int
	}{{"deepops-slurm", "slurm", 55, 55}, {"deepops-k8s", "k8s", 74, 74}} {
		t.Run(c.name, func(t *testing.T) {
			j := siteJourney(t, c.name)
			play(t, j)
			run(j, "plan", j.Spec, "--offline")
			run(j, "export", j.Spec, "--to", "usb")
			run(j, "verify", "usb", "--pub", "keys/exporter.pub")
			run(j, "trust", "add", "--mirror", "mirror", "--role", "exporter", "--set", c.name, "--yes", "keys/exporter.pub")
			run(j, "import", "usb", "--to", "mirror", "--accept-keys", "--base-url", "https://mirror.lan")
			run(j, "check", "mirror", "--data")
			run(j, "clients", "mirror")
			run(j, "clients", "mirror", "--for", "deepops", "--out", "config")
			cover(j, c.deployment, c.count, c.reachable)
			listed(j, c.deployment)
			audited(j)
		})
	}
}

// listed reports what a deployment installs by name and the mirror does not have: packages of
// Ubuntu, and what DeepOps' list of roles and collections names.
func listed(j *journey.Journey, deployment string) {
	h := hold(j)
	text, err := os.ReadFile("testdata/packages.txt")
	if err != nil {
		j.T.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(cells) != 3 || !slices.Contains(strings.Split(cells[0], ","), deployment) {
			continue
		}
		for name := range strings.FieldsSeq(cells[2]) {
			if !h.entries["ubuntu "+name] {
				j.T.Errorf("%s: the package %s, which %s installs, is not in the mirror", deployment, name, cells[1])
			}
		}
	}
	wanted := string(j.Read("deepops/roles/requirements.yml"))
	for _, of := range []*regexp.Regexp{collection, role} {
		for _, m := range of.FindAllStringSubmatch(wanted, -1) {
			if x := (thing{kind: "galaxy", address: m[1] + "." + m[2] + " " + m[3]}); !h.carried(x) {
				j.T.Errorf("%s: %s of DeepOps' list is not in the mirror", deployment, x.address)
			}
		}
	}
	for _, m := range roleByGit.FindAllStringSubmatch(wanted, -1) {
		if x := (thing{kind: "git", address: "https://github.com/" + m[1] + ".git"}); !h.carried(x) {
			j.T.Errorf("%s: the role %s of DeepOps' list is not in the mirror", deployment, m[1])
		}
	}
}

// audited looks for every public name that the mirror answers for where an auditor looks: in what
// status prints, and in the portal.
func audited(j *journey.Journey) {
	public := hold(j).public
	status, portal := output(j, "status", "mirror"), string(j.Read("mirror/current/index.html"))
	if len(public.Hosts()) < 10 {
		j.T.Errorf("public names: %v", public.Hosts())
	}
	for _, host := range public.Hosts() {
		if !strings.Contains(status, "  "+host) || !strings.Contains(portal, "<code>"+host+"</code>") {
			j.T.Errorf("status or the portal does not have the public name %s\n%s", host, status)
		}
	}
}
