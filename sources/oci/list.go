package oci

import (
	"os"

	"github.com/gapbundle/gapbundle/sources"
)

// readList reads a list of references.
func readList(file, name string) ([]sources.Listed, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []sources.Listed
	for l, err := range sources.Lines(f, name) {
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}
