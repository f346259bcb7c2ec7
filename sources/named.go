package sources

import (
	"io"
	"os"
	"path/filepath"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

// maxNaming bounds a file of the spec's folder that is looked through for hosts.
const maxNaming = 4 << 20 // bytes

// NameHosts records in the client which hosts the spec names, with their ports: an upstream leads
// nobody to another address of this machine or of a network within (fetch.AddressError).
// It covers every value of the entries, and the content of the lists that they name:
// of apt's and dnf's own files, and of lists of URLs and images,
// Kubespray's too, and of Ansible's requirements. A derived source names
// nothing, because what it has is upstream's word.
func NameHosts(env *Env, specs []Spec) {
	if env.Fetch == nil {
		return
	}
	for _, s := range specs {
		if s.Decode == nil || s.From != "" {
			continue
		}
		var node *strictyaml.Node
		if err := s.Decode(&node); err != nil || node == nil {
			continue // the kind reports what is wrong with it
		}
		for text := range node.Texts() {
			env.Fetch.Name(text)
			if text := listOf(s, text); text != "" {
				env.Fetch.Name(text)
			}
		}
	}
}

// listOf returns the content of a list that a value names; empty where it is something else.
func listOf(s Spec, name string) string {
	switch s.Kind {
	case "apt", "files", "galaxy", "kubespray", "oci", "rpm":
	default: // a lock file of pip or uv is made from what an index states
		return ""
	}
	path := Within(s.Dir, name)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || filepath.Ext(path) == ".key" {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // read-only
	content, err := io.ReadAll(io.LimitReader(f, maxNaming))
	if err != nil {
		return ""
	}
	return string(content)
}
