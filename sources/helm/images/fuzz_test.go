package images

import (
	"strings"
	"testing"

	"github.com/distribution/reference"
)

// FuzzDocuments: whatever a chart renders to, what is found is a reference,
// named once, with a place; and nothing panics or runs away.
func FuzzDocuments(f *testing.F) {
	for _, seed := range []string{
		"kind: Pod\nspec: {containers: [{image: nginx}], volumes: [{image: {reference: 'a.b/c:d'}}]}",
		"kind: List\nitems: [{kind: Pod, containers: [{image: &x 'q.io/a:1'}], y: *x}]",
		"a: &a [*a]", "a: &a {b: *a}", "repository: q.io/a\nimage: b\nversion: sha256:0\nenabled: false",
		"apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nspec: {driver: {repository: q.io/a, image: driver, version: '1'}}",
		"- name: X_IMAGE\n  value: a:b\n---\nimage: '{{ .x }}'\n", "x: docker://localhost/a:b, q.io:5000/x/y:1. q.io/z:{{ .v }}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		s := NewScanner()
		if err := s.Documents("x.yaml", content); err != nil {
			return
		}
		_ = s.File("images.txt", content)
		_ = s.File("Images.lock", content)
		last := ""
		for _, i := range s.Found() {
			if i.Image <= last || len(i.Where) == 0 || len(i.Where) > maxWhere {
				t.Errorf("%+v behind %q", i, last)
			}
			last = i.Image
			named, err := reference.ParseNormalizedNamed(i.Image)
			if i.Maybe == "" && (err != nil || reference.IsNameOnly(named)) || err != nil && !strings.Contains(i.Image, "{{") {
				t.Errorf("%+v is no reference: %v", i, err)
			}
		}
	})
}
