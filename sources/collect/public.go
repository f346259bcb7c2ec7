package collect

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// annotatePublic puts the public addresses of a repository into annotations, as many as there
// is room for. The plan names those that no mirror will answer for.
func annotatePublic(annotations map[string]string, repo *sources.Repository) error {
	for _, p := range repo.Public {
		if !bundle.Answerable(p.Path) || !bundle.Answerable(p.At) {
			repo.Notes = append(slices.Clip(repo.Notes), fmt.Sprintf("%s://%s%s: the mirror does not answer by this public name: it has characters that cannot be written into a web server's configuration", p.Scheme, p.Host, p.Path))
		}
	}
	fit, left := bundle.FitPublic(repo.Public)
	if left > 0 {
		repo.Notes = append(slices.Clip(repo.Notes), fmt.Sprintf("the mirror cannot answer for %d of %s, which do not fit into its record: make several sources of it", left, bundle.Count(len(fit)+left, "public address")))
		repo.Public = fit
	}
	return bundle.AnnotatePublic(annotations, fit)
}

// standing is a source that stands for a public address at a place of the mirror.
type standing struct {
	repository int
	at         string
}

// notePublic notes public addresses that several sources stand for at different places. Inside
// the gap such a name is answered by the place that alone has "public: true", or by none.
func notePublic(repos []Planned) {
	all := map[string][]standing{}
	var order []string
	for i, repo := range repos {
		for _, p := range repo.Public {
			address := p.Host + p.Path
			if all[address] == nil {
				order = append(order, address)
			}
			all[address] = append(all[address], standing{i, publicPlace(&repo, p)})
		}
	}
	for _, address := range order {
		noteAddress(repos, address, all[address])
	}
}

// publicPlace returns where a source has an address. Files with the same keys are one place.
func publicPlace(repo *Planned, p bundle.Public) string {
	if !p.Key {
		return path.Join(repo.Mount, p.At)
	}
	for _, key := range repo.Keys {
		if key.Path == p.At || sources.DearmoredPath(key.Path) == p.At {
			return "keys/" + bundle.DigestOf(key.Armored).Hex() + path.Ext(p.At)
		}
	}
	return path.Join("keys", p.At)
}

func noteAddress(repos []Planned, address string, all []standing) {
	places := map[string]bool{}
	first := map[string]bool{}
	var names []string
	for _, s := range all {
		places[s.at] = true
		if repos[s.repository].Annotations[bundle.PublicFirstKey] == "true" {
			first[s.at] = true
		}
		if name := repos[s.repository].Name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(places) < 2 {
		return
	}
	answer := "the mirror does not answer by this public name; say public: true in one of them"
	if len(first) == 1 {
		answer = "the mirror answers by this public name with what says public: true"
	}
	note := fmt.Sprintf("%s: sources %s have it at different places: %s", address, strings.Join(names, ", "), answer)
	for i := range repos {
		if slices.Contains(names, repos[i].Name) {
			repos[i].Notes = append(slices.Clip(repos[i].Notes), note)
		}
	}
}
