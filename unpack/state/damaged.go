package state

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
)

// damagedFile has a line for each blob of the store that was found damaged and whose
// published names were not repaired yet: its digest. Lines are appended by many
// goroutines.
const damagedFile = Dir + "/damaged"

// DamagedLog records blobs that were found damaged.
type DamagedLog struct {
	root *os.Root
	mu   sync.Mutex
}

// DamagedLog returns the record of blobs that were found damaged.
func (w *Writer) DamagedLog() *DamagedLog { return &DamagedLog{root: w.root} }

// Add puts a blob on record, durably: its published names have to be repaired even if
// this process ends after it has put the blob right.
func (l *DamagedLog) Add(d bundle.Digest) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := openFile(l.root, damagedFile)
	if err != nil {
		return err
	}
	if err := errors.Join(appendLine(f, []byte(d.Hex())), f.Close()); err != nil {
		return err
	}
	return durable.SyncDir(l.root, Dir)
}

// Damaged returns the blobs that are on record as damaged.
func (s *State) Damaged() ([]bundle.Digest, error) {
	b, err := s.root.ReadFile(damagedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []bundle.Digest
	for line := range bytes.Lines(b) {
		if d, perr := bundle.ParseHex(string(bytes.TrimSuffix(line, []byte{'\n'}))); perr == nil {
			all = append(all, d)
		}
	}
	return all, err
}

// SetDamaged replaces the record.
func (w *Writer) SetDamaged(all []bundle.Digest) error {
	if len(all) == 0 {
		return durable.Remove(w.root, damagedFile)
	}
	var b []byte
	for _, d := range all {
		b = append(append(b, d.Hex()...), '\n')
	}
	return WriteFile(w.root, damagedFile, b)
}
