//go:build clients

package rpm

import (
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// usesScript lets dnf use one repository after the other, each in a process of its own: it
// makes the cache with everything that it loads, reads groups and modules, and downloads
// each package by its name.
const usesScript = `
import json, logging, os, sys
import dnf, dnf.exceptions, dnf.module.module_base
logging.disable(logging.CRITICAL)
NAMES = ["data", "hello", "libhello", "other"]

def use(root, url):
    base = dnf.Base()
    base.conf.installroot = root
    base.conf.cachedir = root + "/cache"
    base.conf.logdir = base.conf.persistdir = root
    base.conf.pluginpath = []
    base.conf.substitutions.update(arch="x86_64", basearch="x86_64", releasever="9")
    base.conf.gpgcheck = False
    base.repos.add_new_repo("r", base.conf, baseurl=[url], skip_if_unavailable=False)
    base.fill_sack(load_system_repo=False)
    base.read_comps()
    said = "groups %s" % sorted(g.id for g in base.comps.groups)
    module = dnf.module.module_base.ModuleBase(base)
    found, _ = module._get_modules("*")
    said += ", modules %s" % sorted("%s:%s" % (m.getName(), m.getStream()) for m in found)
    query = base.sack.query().available()
    said += ", packages %s" % sorted(str(p) for p in query)
    said += ", files %s" % sorted(f for p in query for f in p.files)
    for name in NAMES:
        packages = list(query.filter(name=name))
        if len(packages) == 0:
            return False, said + ", not found: " + name
        base.download_packages(packages[:1])
    return True, said

answers = {}
for name, row in json.load(sys.stdin).items():
    r, w = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(r)
        os.dup2(2, 1)
        try:
            reads, said = use(row["root"], row["url"])
        except Exception as e:
            reads, said = False, "%s: %s" % (type(e).__name__, e)
        with os.fdopen(w, "w") as out:
            json.dump({"reads": reads, "said": said}, out)
        os._exit(0)
    os.close(w)
    with os.fdopen(r) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    answers[name] = json.loads(text) if text else {"reads": False, "said": "dnf died"}
json.dump(answers, sys.stdout)
`

// askDNF asks the real dnf about repositories.
func askDNF(t *testing.T, documents map[string]malformedIn) map[string]plantest.Answer {
	type row struct {
		Root string `json:"root"`
		URL  string `json:"url"`
	}
	rows := map[string]row{}
	for name, m := range documents {
		files, at := m.files, "/r"
		server := upstreamtest.New(t)
		if files == nil {
			a := malformedArchive(t, m)
			a.publish()
			files, at, server = a.files, a.at, a.server
		}
		server.Handle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // as web servers take "//"
			content, ok := files[strings.TrimPrefix(path.Clean(r.URL.Path), at+"/")]
			if !ok {
				http.NotFound(w, r)
				return
			}
			_, _ = w.Write(content)
		}))
		rows[name] = row{t.TempDir(), server.URL(at)}
	}
	return rpmtest.DNF[map[string]plantest.Answer](t, usesScript, rows)
}

// TestDNFOfMalformed asks the real dnf about each row.
func TestDNFOfMalformed(t *testing.T) {
	malformed().Client(t, askDNF)
}

// TestDNFOfRebuilt asks it about what is made here of those that are carried.
func TestDNFOfRebuilt(t *testing.T) {
	malformedRebuilt().Published(t, askDNF, func(t *testing.T, m malformedIn) malformedIn {
		r, err := planMalformed(t, m, "mode: rebuilt", "architectures: [x86_64]")
		if err != nil {
			t.Fatal(err)
		}
		return malformedIn{files: plantest.CollectAll(t, r).Contents["epel"]}
	})
}
