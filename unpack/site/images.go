package site

import (
	"encoding/json"
	"errors"
	"io"
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
	referrers = "referrers"
	tagsList  = "tags/list"
)

// ImagePath is a path below /v2/ taken apart.
type ImagePath struct {
	Name      string // of the image: no '/' before or after it
	Area      string // manifests, blobs or referrers
	Reference string // a tag or a digest
}

// SplitImagePath reads a path relative to the web root; ok is false for
// anything but a manifest, blob or referrers path. A reference holds no '/',
// so there is one reading. Nothing is said about the form of the parts.
func SplitImagePath(p string) (ImagePath, bool) {
	p, ok := strings.CutPrefix(p, imagesDir)
	dir, reference := path.Split(p)
	name, area := path.Split(strings.TrimSuffix(dir, "/"))
	ip := ImagePath{strings.TrimSuffix(name, "/"), area, reference}
	return ip, ok && ip.Name != "" && (area == manifests || area == "blobs" || area == referrers)
}

// imageFile is a listed file below /v2/.
type imageFile struct {
	ImagePath
	bundle.File // Path is relative to the web root
}

// isTag reports whether the file is a manifest by tag: a digest has a ':'.
func (f imageFile) isTag() bool { return f.Area == manifests && !strings.Contains(f.Reference, ":") }

// tagList is the answer to GET /v2/<name>/tags/list.
type tagList struct {
	Name string   `json:"name"`
	Tags []string `json:"tags"`
}

// Tags reads the tags of a tags/list that Write made, one by one. Errors are
// the reader's or the decoder's.
func Tags(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		d := json.NewDecoder(r)
		for depth, inTags := 0, false; ; {
			token, err := d.Token()
			if err == io.EOF && depth > 0 {
				err = io.ErrUnexpectedEOF
			}
			if err == io.EOF {
				return
			}
			if err != nil {
				yield("", err)
				return
			}
			switch v := token.(type) {
			case json.Delim:
				inTags = v == '['
				if v == '[' || v == '{' {
					depth++
				} else {
					depth--
				}
			case string:
				if inTags && !yield(v, nil) {
					return
				}
			}
		}
	}
}

// images makes, for every image name below /v2/, tags/list, the digest of each
// tag, referrers from tags, and for images of docker.io the name without it. Memory holds image names,
// the tags of one image, and the digests that have a tag for their referrers.
func (w *writer) images() ([]Ambiguous, []Dropped, error) {
	areas := map[string][]string{} // by image name: the folders it has
	add := func(p ImagePath) {
		if have := areas[p.Name]; !slices.Contains(have, p.Area) {
			areas[p.Name] = append(have, p.Area)
		}
	}
	list := tagList{}
	tagged := map[ImagePath]bool{} // paths of referrers that a tag is the substitute of
	for f, err := range w.imageFiles() {
		if err != nil {
			return nil, nil, err
		}
		add(f.ImagePath)
		if f.Area == referrers {
			delete(tagged, f.ImagePath)
		}
		if f.Area != manifests {
			continue
		}
		if f.Name != list.Name {
			if err := w.tags(list); err != nil {
				return nil, nil, err
			}
			list = tagList{Name: f.Name}
		}
		if !f.isTag() || slices.Contains(list.Tags[max(0, len(list.Tags)-1):], f.Reference) {
			continue
		}
		list.Tags = append(list.Tags, f.Reference)
		if err := w.digest(f.File); err != nil {
			return nil, nil, err
		}
		if p, ok := f.referrersPath(); ok {
			tagged[p] = true
		}
	}
	if err := w.tags(list); err != nil {
		return nil, nil, err
	}
	for p := range tagged {
		add(p)
		if err := w.referrers(p); err != nil {
			return nil, nil, err
		}
	}
	return w.aliases(areas)
}

// tags writes one tags/list, in the order that the specification wants.
func (w *writer) tags(list tagList) error {
	if list.Name == "" {
		return nil
	}
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

// imageFiles returns the union of all repositories' files below /v2/, in the order
// of their lists, so that the manifests of one image stand together even when
// several repositories bring some.
func (w *writer) imageFiles() iter.Seq2[imageFile, error] {
	return func(yield func(imageFile, error) bool) {
		type source struct {
			mount string
			next  func() (bundle.File, error, bool)
			head  bundle.File // its path is relative to the web root
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
			s.head = f
			s.head.Path = webPath(s.mount, f.Path)
			return more, err
		}
		live := sources[:0]
		for _, s := range sources {
			more, err := advance(s)
			if err != nil {
				yield(imageFile{}, err)
				return
			}
			if more {
				live = append(live, s)
			}
		}
		for len(live) > 0 {
			at := 0
			for i := range live {
				if bundle.ComparePaths(live[i].head.Path, live[at].head.Path) < 0 {
					at = i
				}
			}
			if p, ok := SplitImagePath(live[at].head.Path); ok && !yield(imageFile{p, live[at].head}, nil) {
				return
			}
			more, err := advance(live[at])
			if err != nil {
				yield(imageFile{}, err)
				return
			}
			if !more {
				live = slices.Delete(live, at, at+1)
			}
		}
	}
}

// dockerHub is the one registry that clients ask for by names without a registry:
// "docker pull alpine" asks a mirror of docker.io for library/alpine.
const dockerHub = "docker.io/"

// aliasOf returns the name of an image of docker.io without that; empty: it has none. A name
// that would look like one of another registry is no alias.
func aliasOf(name string) string {
	rest, ok := strings.CutPrefix(name, dockerHub)
	if !ok || bundle.ImageAlias(rest) != rest || !strings.Contains(rest, "/") {
		return ""
	}
	return rest
}

// aliases makes /v2/<name without docker.io>/ from links to the folders of the image,
// unless a list has that name itself, as older mirrors may.
func (w *writer) aliases(areas map[string][]string) (ambiguous []Ambiguous, dropped []Dropped, err error) {
	names := slices.Sorted(maps.Keys(areas))
	for _, name := range names {
		alias := aliasOf(name)
		if alias == "" {
			continue
		}
		made := areas[alias] == nil
		if made {
			if made, err = w.alias(alias, name, areas[name]); err != nil {
				return nil, nil, err
			}
		}
		if !made {
			ambiguous = append(ambiguous, Ambiguous{Alias: alias, Images: slices.Sorted(slices.Values([]string{alias, name}))})
		}
	}
	for _, name := range names {
		old, err := w.droppedAlias(name, areas[name])
		if err != nil {
			return nil, nil, err
		}
		if old != "" && len(dropped) < maxDropped {
			dropped = append(dropped, Dropped{Alias: old, Image: name})
		}
	}
	return ambiguous, dropped, nil
}

// maxDropped bounds the names that a report has.
const maxDropped = 1000

// droppedAlias returns the name without its registry that the generation before made for an
// image; empty: none, or this generation has it too.
func (w *writer) droppedAlias(name string, areas []string) (string, error) {
	alias := bundle.ImageAlias(name)
	if w.in.Previous == nil || alias == name {
		return "", nil
	}
	for _, area := range areas {
		at := imagesDir + alias + "/" + area
		target, err := w.in.Previous.Readlink(at)
		if err != nil || path.Join(path.Dir(at), target) != imagesDir+name+"/"+area {
			continue // it had none, or that of another image
		}
		if _, err := w.root.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		return alias, nil
	}
	return "", nil
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
		for _, dir := range []string{TypedDir, DigestsDir} {
			dir += "/" + imagesDir
			_, err := w.root.Lstat(dir + image + "/" + area)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return false, err
			}
			if err := w.link(dir+image+"/"+area, dir+alias+"/"+area); err != nil {
				return false, err
			}
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
