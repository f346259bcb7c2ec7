package reach

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/certs"
)

// Bounds of what one set publishes below keys/: each file is read.
const (
	maxKeyFiles = 4096
	maxKeyBytes = 64 << 20 // of all key files of a set together
)

const (
	keysMount = "keys"
	keyFile   = "published key file"
	// repomdKey is how the path of the key ends that zypper and dnf find next to
	// the metadata of an rpm repository.
	repomdKey = "/repodata/repomd.xml.key"
)

// EntryKey begins the names of the annotations of a line below keys/ that state which
// keys the file has, by their fingerprints, separated by spaces; two digits follow.
// The root names one file for each key. Where two sources have a key in common, the
// other files are named by these.
const EntryKey = "keys-"

// maxEntry is how many fingerprints one annotation has.
const maxEntry = bundle.MaxAnnotationSize / 65

// Entry returns the annotations of a file below keys/ with these keys.
func Entry(fingerprints []string) map[string]string {
	all := map[string]string{}
	sorted := slices.Compact(slices.Sorted(slices.Values(fingerprints)))
	for part := range slices.Chunk(sorted, maxEntry) {
		all[fmt.Sprintf("%s%02d", EntryKey, len(all))] = strings.Join(part, " ")
	}
	return all
}

// entryOf reads back what Entry wrote. nil: the line has none.
func entryOf(annotations map[string]string) (fingerprints []string) {
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		if strings.HasPrefix(name, EntryKey) {
			fingerprints = append(fingerprints, strings.Fields(annotations[name])...)
		}
	}
	return fingerprints
}

// Fingerprints returns the fingerprints of all certificates in a key file, in their order.
func Fingerprints(content []byte) (all []string, err error) {
	err = certs.Each(content, func(fingerprint string) error {
		all = append(all, fingerprint)
		return nil
	})
	return all, err
}

// keyFiles are what a set publishes for clients to trust: what its root declares,
// and the files that the lists have.
type keyFiles struct {
	keys     []bundle.PublishedKey
	declared map[string]bool     // fingerprints
	at       map[string][]string // declared fingerprints by the path of their file
	files    []bundle.File       // below keys/, with whole paths
	bytes    int64
	copies   []bundle.File // keys next to the metadata of rpm repositories
}

func (k *keyFiles) declare(keys []bundle.PublishedKey) {
	k.keys, k.declared, k.at = keys, map[string]bool{}, map[string][]string{}
	for _, key := range keys {
		k.declared[key.Fingerprint] = true
		k.at[key.Path] = append(k.at[key.Path], key.Fingerprint)
	}
}

// noteKeyFile takes in a line below keys/.
func (s *Survey) noteKeyFile(f bundle.File) {
	k := &s.keys
	switch {
	case f.Size > certs.MaxFile:
		s.refuse(keyFile, f.Path, "%s, at most %d", bundle.Count(f.Size, "byte"), certs.MaxFile)
	case len(k.files) == maxKeyFiles || k.bytes+f.Size > maxKeyBytes:
		s.refuse(keyFile, f.Path, "a set has at most %d key files, of %d bytes together", maxKeyFiles, int64(maxKeyBytes))
	default:
		k.files, k.bytes = append(k.files, f), k.bytes+f.Size
	}
}

// noteCopy takes in a key next to the metadata of an rpm repository.
func (s *Survey) noteCopy(f *bundle.File) {
	if !strings.HasSuffix(f.Path, repomdKey) {
		return
	}
	if len(s.keys.copies) == bundle.MaxRepositories {
		s.refuse(keyFile, f.Path, "a set has at most %d of them", bundle.MaxRepositories)
		return
	}
	s.keys.copies = append(s.keys.copies, *f)
}

// lookAtKeys compares the entries with the files: every entry has its file, and every
// file has an entry or the bytes of one that has.
func (s *Survey) lookAtKeys() {
	k := &s.keys
	there, named := map[string]bool{}, map[bundle.Digest]bool{}
	for _, f := range k.files {
		there[f.Path] = true
		if len(k.declaredIn(&f)) > 0 {
			named[f.Digest] = true
		}
	}
	for _, key := range k.keys {
		if !there[key.Path] {
			s.refuse(keyFile, key.Path, "declared %s, found no such file", key.Fingerprint)
		}
	}
	for _, f := range k.files {
		if !named[f.Digest] {
			s.refuse(keyFile, f.Path, "declared nothing, found a file that no entry names")
		}
	}
	judged := map[bundle.Digest]bool{}
	for _, f := range k.files {
		judged[f.Digest] = true
	}
	for _, f := range k.copies {
		if f.Filled || !judged[f.Digest] {
			s.refuse(keyFile, f.Path, "want the bytes of a file below %s/, found others: %s", keysMount, f.Digest)
		}
	}
}

// judgeKeys requires that each certificate in a key file is declared, and that a file
// has the keys that its entry names: all of them and, where the entry names every key,
// no other.
func (s *Survey) judgeKeys(open Open) error {
	for _, f := range s.keys.files {
		content, err := s.read(open, f)
		if err != nil {
			return err
		}
		if content == nil {
			continue
		}
		s.judgeKeyFile(&f, content)
	}
	return nil
}

func (s *Survey) judgeKeyFile(f *bundle.File, content []byte) {
	want, entry := s.keys.declaredIn(f), entryOf(f.Annotations)
	found := map[string]bool{}
	undeclared := ""
	err := certs.Each(content, func(fingerprint string) error {
		if !s.keys.declared[fingerprint] || entry != nil && !slices.Contains(want, fingerprint) {
			undeclared = fingerprint
			return errUndeclared
		}
		found[fingerprint] = true
		return nil
	})
	switch {
	case undeclared != "":
		s.refuse(keyFile, f.Path, "declared %s, found the OpenPGP key %s", listed(want), undeclared)
		return
	case err != nil:
		s.refuse(keyFile, f.Path, "declared %s, found no file of OpenPGP public keys: %w", listed(want), err)
		return
	}
	for _, fingerprint := range want {
		if !found[fingerprint] {
			s.refuse(keyFile, f.Path, "declared %s, found other keys alone", fingerprint)
		}
	}
}

var errUndeclared = errors.New("not declared")

// declaredIn returns the fingerprints that a file has to have. A file with the ending
// .gpg is the form without armor of the one with .asc.
func (k *keyFiles) declaredIn(f *bundle.File) []string {
	all := append(slices.Clone(k.at[f.Path]), entryOf(f.Annotations)...)
	if armored, ok := strings.CutSuffix(f.Path, ".gpg"); ok {
		all = append(all, k.at[armored+".asc"]...)
	}
	return all
}

// listed names a few fingerprints.
func listed(fingerprints []string) string {
	const enough = 3
	switch n := len(fingerprints); {
	case n == 0:
		return "nothing"
	case n > enough:
		return fmt.Sprintf("%s and %d more", strings.Join(fingerprints[:enough], ", "), n-enough)
	}
	return strings.Join(fingerprints, ", ")
}
