//go:build clients

package oci

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// TestEntriesAreWhatSkopeoLists: the contents list has the tags that skopeo list-tags
// prints of each image.
func TestEntriesAreWhatSkopeoLists(t *testing.T) {
	r := newTrip(t)
	images := r.fill()
	var list strings.Builder
	for _, i := range images {
		fmt.Fprintf(&list, "%s/%s:%s\n", r.registry, i.Alias, i.Tag)
	}
	r.run("crane", "tag", "--insecure", r.registry+"/"+images[0].Alias+":"+images[0].Tag, "latest")
	fmt.Fprintf(&list, "%s/%s:latest\n", r.registry, images[0].Alias)
	r.Write(filepath.Join(r.Dir, "images.list"), []byte(list.String()))
	r.carry("- name: images\n  kind: oci\n  plain-http: HOST\n  list: images.list\n")
	entries, names := map[string]bool{}, map[string]bool{}
	r.Entries(func(_ string, e bundle.Entry) {
		entries[e.Name+" "+e.Version], names[e.Name] = true, true
	})
	host := strings.TrimPrefix(webtest.Start(t, webtest.Serve, r.Mirror).URL, "http://")
	listed := map[string]bool{}
	for name := range names {
		var answer struct{ Tags []string }
		out := r.run("skopeo", "list-tags", "--tls-verify=false", "docker://"+host+"/"+strings.Replace(name, r.registry, hostFolder(r.registry), 1))
		r.Check(json.Unmarshal([]byte(out), &answer))
		for _, tag := range answer.Tags {
			if !isAttachedTag(tag) {
				listed[name+" "+tag] = true
			}
		}
	}
	if len(listed) != len(images)+1 || !maps.Equal(entries, listed) {
		t.Errorf("the contents list has\n%v\nskopeo list-tags prints\n%v", entries, listed)
	}
}
