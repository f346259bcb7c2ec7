package rpm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// modulesYAML returns a file of streams: "module:stream:version", and its packages.
func modulesYAML(streams ...[]string) string {
	var b strings.Builder
	for i, s := range streams {
		parts := strings.Split(s[0], ":")
		fmt.Fprintf(&b, "---\ndocument: modulemd\nversion: 2\ndata:\n  name: %s\n  stream: \"%s\"\n  version: %s\n  context: c%d\n  arch: x86_64\n  artifacts:\n    rpms:\n    - %s\n...\n",
			parts[0], parts[1], parts[2], i, strings.Join(s[1:], "\n    - "))
	}
	return b.String()
}

// The newest of everything is the newest of each stream, not of all together:
// otherwise the default stream would be gone where there is a newer one.
func TestNewestOfModules(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.Packages = []*rpmtest.Package{a.pkg("node", "20.1", "x86_64"), a.pkg("node", "20.2", "x86_64"), a.pkg("node", "22.1", "x86_64"), a.pkg("node", "16", "x86_64"), a.pkg("node", "14", "x86_64"),
		a.pkg("node-libs", "20.3", "x86_64"), a.pkg("node-libs", "20.2", "x86_64"), a.pkg("plain", "1", "x86_64"), a.pkg("plain", "2", "x86_64")}
	a.Extra = map[string]string{"modules": modulesYAML(
		[]string{"node:20:1", "node-0:20.1-1.el9.x86_64", "node-libs-0:20.3-1.el9.x86_64"},
		[]string{"node:20:2", "node-0:20.2-1.el9.x86_64", "node-libs-0:20.2-1.el9.x86_64"},
		[]string{"node:22:1", "node-0:22.1-1.el9.x86_64"},
	)}
	a.publish()
	env := newEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	for n, want := range map[int]string{
		1: "node-16 node-20.2 node-22.1 node-libs-20.2 node-libs-20.3 plain-2",
		2: "node-14 node-16 node-20.1 node-20.2 node-22.1 node-libs-20.2 node-libs-20.3 plain-1 plain-2",
	} {
		var got []string
		for _, p := range pathsOf(artifacts(t, mustPlan(t, env, a.spec("architectures: [x86_64]", fmt.Sprint("newest: ", n))), "epel")) {
			if name, ok := strings.CutPrefix(p, "Packages/"); ok {
				got = append(got, strings.TrimSuffix(name, "-1.el9.x86_64.rpm"))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("newest %d: %s, want %s", n, got, want)
		}
	}
}
