package site

import (
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/gapbundle/gapbundle/bundle"
)

// Names of the OCI distribution specification ("Endpoints").
const (
	imagesDir = "v2/"
	manifests = "manifests"
	tagsList  = "tags/list"
)

// imagePath is a path below /v2/ taken apart: <name>/<area>/<reference>.
type imagePath struct {
	name, area, reference string
}

// splitImagePath reads a web path; ok is false for anything but a manifest,
// blob or referrers path. A reference holds no '/', so there is one reading.
func splitImagePath(p string) (imagePath, bool) {
	p, ok := strings.CutPrefix(p, imagesDir)
	dir, reference := path.Split(p)
	name, area := path.Split(strings.TrimSuffix(dir, "/"))
	ip := imagePath{strings.TrimSuffix(name, "/"), area, reference}
	return ip, ok && ip.name != "" && (area == manifests || area == "blobs" || area == "referrers")
}

// tagList is the answer to GET /v2/<name>/tags/list.
type tagList struct {
	Name string   `json:"name"`
	Tags []string `json:"tags"`
}

// images makes tags/list for every image name below /v2/ and, where just one
// registry has an image of that name, the name without registry host. What is
// held in memory is image names, and the tags of one image.
func (w *writer) images() ([]Ambiguous, error) {
	areas := map[string][]string{} // by image name: the folders it has
	list := tagList{}
	flush := func() error {
		if list.Name == "" {
			return nil
		}
		return w.tags(list)
	}
	for p, err := range w.imagePaths() {
		if err != nil {
			return nil, err
		}
		if have := areas[p.name]; !slices.Contains(have, p.area) {
			areas[p.name] = append(have, p.area)
		}
		if p.area != manifests {
			continue
		}
		if p.name != list.Name {
			if err := flush(); err != nil {
				return nil, err
			}
			list = tagList{Name: p.name}
		}
		if !strings.Contains(p.reference, ":") && !slices.Contains(list.Tags[max(0, len(list.Tags)-1):], p.reference) {
			list.Tags = append(list.Tags, p.reference)
		}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return w.aliases(areas)
}

// tags writes one tags/list, in the order that the specification wants.
func (w *writer) tags(list tagList) error {
	list.Tags = slices.Sorted(slices.Values(list.Tags))
	if list.Tags == nil {
		list.Tags = []string{}
	}
	b, err := json.Marshal(list)
	if err != nil {
		return err
	}
	name := imagesDir + list.Name + "/" + tagsList
	if err := w.bytes(name, append(b, '\n')); err != nil {
		return err
	}
	_, err = w.typed(name, jsonType)
	return err
}

// imagePaths is the union of all repositories' paths below /v2/, in the
// order of their lists, so that the manifests of one image stand together
// even when several repositories bring some.
func (w *writer) imagePaths() iter.Seq2[imagePath, error] {
	return func(yield func(imagePath, error) bool) {
		type source struct {
			mount string
			next  func() (bundle.File, error, bool)
			head  string
		}
		var sources []*source
		for _, s := range w.in.Sets {
			for i := range s.Repositories {
				r := &s.Repositories[i]
				if !strings.HasPrefix(webPath(r.Mount, ""), imagesDir) && r.Mount != "" {
					continue
				}
				next, stop := iter.Pull2(r.Files())
				defer stop()
				sources = append(sources, &source{mount: r.Mount, next: next})
			}
		}
		advance := func(s *source) (more bool, err error) {
			f, err, more := s.next()
			s.head = webPath(s.mount, f.Path)
			return more, err
		}
		live := sources[:0]
		for _, s := range sources {
			more, err := advance(s)
			if err != nil {
				yield(imagePath{}, err)
				return
			}
			if more {
				live = append(live, s)
			}
		}
		for len(live) > 0 {
			at := 0
			for i := range live {
				if bundle.ComparePaths(live[i].head, live[at].head) < 0 {
					at = i
				}
			}
			if p, ok := splitImagePath(live[at].head); ok && !yield(p, nil) {
				return
			}
			more, err := advance(live[at])
			if err != nil {
				yield(imagePath{}, err)
				return
			}
			if !more {
				live = slices.Delete(live, at, at+1)
			}
		}
	}
}

// aliases makes /v2/<name without host>/ from links to the folders of the
// one image that has this name; a name that several could mean is not made.
func (w *writer) aliases(areas map[string][]string) ([]Ambiguous, error) {
	claims := map[string][]string{} // by alias: the images that could be meant
	for name := range areas {
		alias := withoutHost(name)
		claims[alias] = append(claims[alias], name)
		if areas[alias] != nil && alias != name { // an image that has this as its full name
			claims[alias] = append(claims[alias], alias)
		}
	}
	var ambiguous []Ambiguous
	for _, alias := range slices.Sorted(maps.Keys(claims)) {
		images := slices.Compact(slices.Sorted(slices.Values(claims[alias])))
		made := images[0] == alias // a name without host in the first place
		if len(images) == 1 && !made {
			var err error
			if made, err = w.alias(alias, images[0], areas[images[0]]); err != nil {
				return nil, err
			}
		}
		if len(images) > 1 || !made {
			ambiguous = append(ambiguous, Ambiguous{Alias: alias, Images: images})
		}
	}
	return ambiguous, nil
}

// alias makes one name, unless a path of it is taken: by an image whose last
// component is "manifests", for instance.
func (w *writer) alias(alias, image string, areas []string) (made bool, err error) {
	for _, area := range areas {
		_, err := w.root.Lstat(imagesDir + alias + "/" + area)
		if err == nil || errors.Is(err, syscall.ENOTDIR) {
			return false, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	for _, area := range areas {
		if err := w.link(imagesDir+image+"/"+area, imagesDir+alias+"/"+area); err != nil {
			return false, err
		}
		types := TypedDir + "/" + imagesDir
		_, err := w.root.Lstat(types + image + "/" + area)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		if err := w.link(types+image+"/"+area, types+alias+"/"+area); err != nil {
			return false, err
		}
	}
	f, err := w.root.Open(imagesDir + image + "/" + tagsList)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // blobs alone: nothing to list
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	var list tagList
	if err := json.NewDecoder(f).Decode(&list); err != nil {
		return false, err
	}
	list.Name = alias
	return true, w.tags(list)
}

// withoutHost cuts the registry host off an image name. As in the reference
// grammar of container tools the first component is a host if it holds a '.'
// or ':' or is "localhost"; a port may also stand behind '_'.
func withoutHost(name string) string {
	host, rest, ok := strings.Cut(name, "/")
	if !ok {
		return name
	}
	i := strings.LastIndexByte(host, '_')
	port := i > 0 && i < len(host)-1 && strings.Trim(host[i+1:], "0123456789") == ""
	if strings.ContainsAny(host, ".:") || host == "localhost" || port {
		return rest
	}
	return name
}
