// Package reach determines what a set may have: of what its signed root and its lists
// claim, which files a client would take as somebody's word, and whether they are the
// set's own.
//
//   - Files below keys/ are OpenPGP keys that the root declares, judged by their bytes
//     (keys.go).
//   - Client files name to clients the set's own mounts and keys (clients.go).
//   - Below v2/ there is nothing but what a registry has, at names with a registry
//     (images.go).
//   - Media types are few, and of a form that web servers take (types.go).
//
// Exporters ask before they sign, verify and import before anything is published, and
// status about what was published before there was a rule. All of it is a function of
// lists and bytes; nothing here writes, and there is no network within reach.
package reach

import (
	"errors"
	"fmt"
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
)

// Set is what a signed root states about its set, with the file lists that it names.
type Set struct {
	Name         string
	Keys         []bundle.PublishedKey
	Repositories []bundle.Repository
	// Files is the list of a repository, by its index; it may be read more than once.
	// It yields ErrNotAtHand where the list is not available here.
	Files func(repository int) iter.Seq2[bundle.File, error]
}

// Open returns the whole content of a listed file, compared with its digest. The size
// that the list states was looked at before: at most MaxFile. ErrNotAtHand means that the
// content is not available here.
type Open func(f bundle.File) ([]byte, error)

// ErrNotAtHand is for a side that has not all lists or not all content. Anything that would
// be compared with that is not judged.
var ErrNotAtHand = errors.New("not at hand here")

// Rules numbers the rules of this package: what was judged by fewer is judged again
// where it matters.
const Rules = 2

// MaxFile bounds the key files and client files whose bytes are judged; each is in
// memory as a whole.
const MaxFile = 16 << 20 // bytes

// Error is something that a set has and may not have. It matches bundle.ErrUntrusted,
// or bundle.ErrMalformed where no honest exporter writes such a thing.
type Error struct {
	Set string
	// Path is the web path of the file.
	Path string
	// Problem states what was expected and what was found.
	Problem error

	what  string // the file, for people
	class error
}

func (e *Error) Error() string {
	return fmt.Sprintf("set %s: %s %q: %v", e.Set, e.what, e.Path, e.Problem)
}

// Is makes it one class of package bundle.
func (e *Error) Is(target error) bool { return target == e.class }

// maxErrors bounds how much is reported of a set that is wrong all over.
const maxErrors = 100

// Survey is what the lists of a set show.
type Survey struct {
	set     *Set
	keys    keyFiles
	clients clientFiles
	types   mediaTypes
	errs    []error
	allowed []string
	scripts []string
	absent  []string // files and lists that were not at hand
	noKeys  bool     // the list of key files was not
}

// Look reads the lists of a set once. The error is of reading them; what is wrong with
// the set is in Wrong.
func Look(of Set) (*Survey, error) {
	s := &Survey{set: &of, types: newMediaTypes()}
	s.keys.declare(of.Keys)
	s.clients.know(of.Repositories)
	for i := range of.Repositories {
		if err := s.look(i); err != nil {
			return nil, err
		}
	}
	if !s.noKeys {
		s.lookAtKeys()
	}
	return s, nil
}

// look reads one list.
func (s *Survey) look(repository int) error {
	r := &s.set.Repositories[repository]
	for f, err := range s.set.Files(repository) {
		if errors.Is(err, ErrNotAtHand) {
			s.absent = append(s.absent, r.Mount)
			s.noKeys = s.noKeys || r.Mount == keysMount
			return nil
		}
		if err != nil {
			return err
		}
		relative := f.Path
		f.Path = r.Mount + "/" + f.Path
		s.lookAtType(&f)
		s.lookAtFolders(&f)
		s.noteCopy(&f)
		switch r.Mount {
		case keysMount:
			s.noteKeyFile(f)
		case clientsMount:
			s.noteClientFile(f, relative)
		case imagesMount:
			s.lookAtImageFile(&f, relative)
		}
	}
	return nil
}

// Wrong returns what the lists alone show: errors of the type Error, some of them if
// there are very many.
func (s *Survey) Wrong() []error { return s.errs }

// Judge reads every key file and every client file, and returns all that is wrong with
// the set, joined, or the error of open.
func (s *Survey) Judge(open Open) error {
	for _, judge := range []func(Open) error{s.judgeKeys, s.judgeClients} {
		if err := judge(open); err != nil {
			return err
		}
	}
	return errors.Join(s.errs...)
}

// Contents returns the digests of the files that Judge reads.
func (s *Survey) Contents() map[bundle.Digest]bool {
	all := map[bundle.Digest]bool{}
	for _, f := range s.keys.files {
		all[f.Digest] = true
	}
	for _, f := range s.clients.files {
		all[f.Digest] = true
	}
	return all
}

// Allowed returns, after Judge, what client files do without a signature because the root
// states that the source allows it: a line for people each.
func (s *Survey) Allowed() []string { return s.allowed }

// Scripts returns, after Judge, the web paths of client files that are programs. For what
// they do the exporter is trusted.
func (s *Survey) Scripts() []string { return s.scripts }

// NotJudged returns, after Judge, the web paths of the files that were not at hand, and the
// mounts whose lists were not.
func (s *Survey) NotJudged() []string { return s.absent }

// read opens a file; nil without an error: it is not at hand.
func (s *Survey) read(open Open, f bundle.File) ([]byte, error) {
	content, err := open(f)
	if errors.Is(err, ErrNotAtHand) {
		s.absent = append(s.absent, f.Path)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	if content == nil {
		content = []byte{}
	}
	return content, nil
}

// add notes what is wrong with a file.
func (s *Survey) add(class error, what, path, format string, args ...any) {
	if len(s.errs) < maxErrors {
		s.errs = append(s.errs, &Error{Set: s.set.Name, Path: path, Problem: fmt.Errorf(format, args...), what: what, class: class})
	}
}

func (s *Survey) refuse(what, path, format string, args ...any) {
	s.add(bundle.ErrUntrusted, what, path, format, args...)
}

func (s *Survey) malformed(what, path, format string, args ...any) {
	s.add(bundle.ErrMalformed, what, path, format, args...)
}
