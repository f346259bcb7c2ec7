package media

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

//go:embed readme.txt
var readmeText string

// readme returns README.txt, for whoever finds the medium, without gapbundle.
func readme(name string) string { return strings.ReplaceAll(readmeText, "@BUNDLE@", name) }

// mediumText returns MEDIUM.txt, which describes what of the bundle is on this medium.
func mediumText(name string, m *medium, media int, all shelves) string {
	var with []string
	for _, s := range all {
		with = append(with, fmt.Sprint(s.medium.number))
	}
	var numbers []int
	for n := range m.volumes {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	var b strings.Builder
	fmt.Fprintf(&b, "Bundle %s, medium %d of %d.\n", name, m.number, media)
	fmt.Fprintf(&b, "The signed root (%s) and the catalogue are on medium %s.\n", bundle.RootName, strings.Join(with, ", "))
	fmt.Fprintf(&b, "Volumes here: %d.\n", len(numbers))
	for _, n := range numbers {
		fmt.Fprintf(&b, "    %s\n", bundle.VolumeName(n))
	}
	return b.String()
}
