// Package standin plays the upstreams of the examples of the kind pypi: two indexes of Python
// packages.
package standin

import (
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/journey"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

// Examples returns the examples of the kind.
func Examples() []journey.Example {
	return []journey.Example{{Spec: "pypi.yaml", Start: func(*testing.T) journey.Upstream {
		return journey.Upstream{Adopt: adopt, Clients: []string{"pip", "uv", "poetry", "pdm"}, Base: "https://mirror.lan"}
	}}}
}

// The indexes of the example, as it has them and as stand-ins of other tests do.
var (
	mainIndex   = regexp.MustCompile(`(?:https://|http://[^/\s"]+/)packages\.example\.org`)
	vendorIndex = regexp.MustCompile(`(?:https://|http://[^/\s"]+/)packages\.vendor\.example`)
)

// adopt points the spec at stand-ins for both indexes, which have what
// the example asks for.
func adopt(j *journey.Journey) {
	t := j.T
	t.Helper()
	index := &piptest.Index{Server: upstreamtest.New(t), Projects: map[string][]*piptest.File{}}
	for _, w := range []piptest.Wheel{
		{Name: "ansible-core", Version: "2.18.6", RequiresPython: ">=3.11", Requires: []string{"jinja2>=3.0.0", "cryptography"}},
		{Name: "ansible-core", Version: "2.17.0", Requires: []string{"jinja2>=3.0.0", "cryptography"}}, {Name: "ansible-core", Version: "2.20.0"},
		{Name: "jinja2", Version: "3.1.6", Requires: []string{"markupsafe>=2"}}, {Name: "markupsafe", Version: "3.0.2", Tag: "cp312-cp312-manylinux2014_x86_64"},
		{Name: "markupsafe", Version: "3.0.2", Tag: "cp39-cp39-manylinux2014_x86_64"}, {Name: "markupsafe", Version: "3.0.2", Tag: "cp39-cp39-manylinux2014_aarch64"},
		{Name: "cryptography", Version: "45.0", Tag: "cp37-abi3-manylinux2014_x86_64"}, {Name: "cryptography", Version: "45.0", Tag: "cp37-abi3-manylinux2014_aarch64"},
		{Name: "kubernetes", Version: "31.0", Extras: []string{"adal"}, Requires: []string{`adal>=1.0.2; extra == "adal"`}}, {Name: "adal", Version: "1.2.7"},
		{Name: "netaddr", Version: "1.3.0"}, {Name: "jmespath", Version: "1.0.1"}, {Name: "ipykernel", Version: "6.29.5"},
	} {
		index.Projects[w.Name] = append(index.Projects[w.Name], w.Build(t))
	}
	index.Put()
	vendor := &piptest.Index{Server: upstreamtest.New(t), Projects: map[string][]*piptest.File{"nvidia-ml-py": {piptest.Wheel{Name: "nvidia-ml-py", Version: "12.570.86"}.Build(t)}}}
	vendor.Put()
	change := func(text string) string {
		text = mainIndex.ReplaceAllLiteralString(text, index.Server.URL(""))
		text = vendorIndex.ReplaceAllLiteralString(text, vendor.Server.URL(""))
		return strings.ReplaceAll(text, strings.Repeat("0123456789abcdef", 4), index.Projects["ipykernel"][0].Digest())
	}
	for _, name := range []string{"pypi.yaml", "pypi/pylock.toml"} {
		j.Rewrite(name, change)
	}
}
