package unpack

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/certs"
	"github.com/gapbundle/gapbundle/unpack/store"
	"github.com/gapbundle/gapbundle/verify"
)

// Bounds of what one set publishes below keys/: each file is read at import.
const (
	maxKeyFiles = 4096
	maxKeyBytes = 64 << 20 // of all key files of a set together
)

const (
	keysMount = "keys"
	// repomdKey is how the path of the key ends that zypper and dnf find next to
	// the metadata of an rpm repository.
	repomdKey = "/repodata/repomd.xml.key"
)

// keyFiles are what a set publishes for clients to trust: what its root declares,
// and the files that the lists have.
type keyFiles struct {
	set      string
	declared map[string]bool     // fingerprints
	at       map[string][]string // declared fingerprints by the path of their file
	files    []bundle.File       // below keys/, with whole paths
}

// listKeys reads which key files the bundle publishes, and refuses what the lists
// alone show: a declared key without its file, and a key of an rpm repository that
// is no key file.
func listKeys(b *verify.Bundle) (*keyFiles, error) {
	m := b.Manifest()
	k := &keyFiles{set: m.Set, declared: map[string]bool{}, at: map[string][]string{}}
	for _, key := range m.Keys {
		k.declared[key.Fingerprint] = true
		k.at[key.Path] = append(k.at[key.Path], key.Fingerprint)
	}
	for i := range m.Repositories {
		if m.Repositories[i].Mount == keysMount {
			if err := k.add(b, i); err != nil {
				return nil, err
			}
		}
	}
	there := map[string]bool{}
	for _, f := range k.files {
		there[f.Path] = true
	}
	for _, key := range m.Keys {
		if !there[key.Path] {
			return nil, k.refuse(key.Path, "declared %s, found no such file", key.Fingerprint)
		}
	}
	return k, k.checkCopies(b)
}

// add takes in the list of a repository below keys/.
func (k *keyFiles) add(b *verify.Bundle, repo int) error {
	var sum int64
	for _, f := range k.files {
		sum += f.Size
	}
	for f, err := range b.Files(repo) {
		if err != nil {
			return err
		}
		f.Path = keysMount + "/" + f.Path
		sum += f.Size
		switch {
		case f.Size > certs.MaxFile:
			return k.refuse(f.Path, "%d bytes, at most %d", f.Size, certs.MaxFile)
		case len(k.files) == maxKeyFiles || sum > maxKeyBytes:
			return k.refuse(f.Path, "a set has at most %d key files, of %d bytes together", maxKeyFiles, int64(maxKeyBytes))
		}
		k.files = append(k.files, f)
	}
	return nil
}

// checkCopies: the key next to the metadata of an rpm repository has the bytes of
// one of the files below keys/, and so is judged with it.
func (k *keyFiles) checkCopies(b *verify.Bundle) error {
	judged := map[bundle.Digest]bool{}
	for _, f := range k.files {
		judged[f.Digest] = true
	}
	for i, r := range b.Manifest().Repositories {
		for f, err := range b.Files(i) {
			if err != nil {
				return err
			}
			path := r.Mount + "/" + f.Path
			if strings.HasSuffix(path, repomdKey) && (f.Filled || !judged[f.Digest]) {
				return k.refuse(path, "want the bytes of a file below %s/, found others: %s", keysMount, f.Digest)
			}
		}
	}
	return nil
}

// judge reads every key file from the store, and requires that each certificate in
// it is declared, and that a file has all that are declared to be in it.
func (k *keyFiles) judge(blobs *store.Store) error {
	for _, f := range k.files {
		content, err := readBlob(blobs, f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		want := k.declaredIn(f.Path)
		found := map[string]bool{}
		undeclared := ""
		err = certs.Each(content, func(fingerprint string) error {
			if !k.declared[fingerprint] {
				undeclared = fingerprint
				return errUndeclared
			}
			found[fingerprint] = true
			return nil
		})
		switch {
		case undeclared != "":
			return k.refuse(f.Path, "declared %s, found the OpenPGP key %s", listed(want), undeclared)
		case err != nil:
			return k.refuse(f.Path, "declared %s, found no file of OpenPGP public keys: %w", listed(want), err)
		}
		for _, fingerprint := range want {
			if !found[fingerprint] {
				return k.refuse(f.Path, "declared %s, found other keys alone", fingerprint)
			}
		}
	}
	return nil
}

var errUndeclared = errors.New("not declared")

// declaredIn are the fingerprints that a file has to have. A file with the ending
// .gpg is the form without armor of the one with .asc.
func (k *keyFiles) declaredIn(path string) []string {
	all := slices.Clone(k.at[path])
	if armored, ok := strings.CutSuffix(path, ".gpg"); ok {
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

func (k *keyFiles) refuse(path, format string, args ...any) error {
	return fmt.Errorf("set %s: published key file %q: %w: %w", k.set, path, fmt.Errorf(format, args...), bundle.ErrUntrusted)
}

// readBlob reads a blob of at most certs.MaxFile bytes and compares its digest.
func readBlob(blobs *store.Store, f bundle.File) (_ []byte, err error) {
	in, err := blobs.Open(f.Digest)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	content, err := io.ReadAll(io.LimitReader(in, certs.MaxFile+1))
	if err != nil {
		return nil, err
	}
	if got := bundle.DigestOf(content); got != f.Digest {
		return nil, fmt.Errorf("digest mismatch: want %s, got %s: %w", f.Digest, got, bundle.ErrCorrupt)
	}
	return content, nil
}

// judgeKeys refuses a bundle whose published OpenPGP keys are not those that its
// root declares, which verify has compared with the policy. All its blobs are in
// the store. A refused bundle waits no longer: nothing could make it good.
func (w *writer) judgeKeys(b *verify.Bundle) error {
	k, err := listKeys(b)
	if err == nil {
		err = k.judge(w.blobs)
	}
	if errors.Is(err, bundle.ErrUntrusted) {
		return errors.Join(err, w.state.DropPending(b.Name()))
	}
	return err
}
