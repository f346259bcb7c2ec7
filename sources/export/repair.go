package export

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// asked is what a mirror asks for in a repair request.
type asked struct {
	request *bundle.RepairRequest
	blobs   map[bundle.Digest]bool // true: carried
	lists   map[bundle.Digest]bool
}

// readRequest reads and verifies a repair request, by the key of the destination's
// receipts.
func (s *session) readRequest() error {
	path := s.o.Repair
	if s.o.Full || s.o.Base != "" || len(s.o.Only)+len(s.o.Hold) > 0 {
		return fmt.Errorf("--repair: the request says what the base is; give it without --full, --base, --only and --hold: %w", bundle.ErrUsage)
	}
	b, err := bundle.ReadNamed(path, bundle.MaxRequestSize)
	if err != nil {
		return err
	}
	signed, err := bundle.ParseRequest(b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	key := []byte(s.ledger.Destinations()[s.o.Destination].ReceiptKey)
	pinned := len(key) > 0
	if !pinned {
		if key, err = confirmedKey(signed, s.o.ConfirmReceipt); err != nil {
			return fmt.Errorf("%s: destination %q: %w", path, s.o.Destination, err)
		}
	}
	public, _, err := bundle.ParsePublicKey(key)
	if err != nil {
		return err
	}
	r, err := signed.Verify(public)
	if err != nil && pinned {
		return &OtherMirrorError{path, s.o.Destination, err}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if r.Set != s.spec.Set || r.Stream != s.ledger.Stream() {
		return fmt.Errorf("%s: for set %s, stream %s; this is set %s, stream %s: %w", path, r.Set, r.Stream, s.spec.Set, s.ledger.Stream(), bundle.ErrUsage)
	}
	s.asked = &asked{request: r, blobs: map[bundle.Digest]bool{}, lists: map[bundle.Digest]bool{}}
	for _, d := range r.Blobs {
		s.asked.blobs[d] = false
	}
	for _, d := range r.Lists {
		s.asked.lists[d] = true
	}
	return nil
}

// requestBase is the state that a repair request says the mirror has.
func (s *session) requestBase() (*ledger.Base, error) {
	r := s.asked.request
	m, err := s.ledger.Manifest(r.Sequence)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, bundle.ErrIncomplete) {
		return nil, fmt.Errorf("%s: builds on bundle %d, which the ledger does not keep any more: a full bundle helps, --full: %w", s.o.Repair, r.Sequence, bundle.ErrIncomplete)
	}
	if err != nil {
		return nil, err
	}
	if m.State != r.State {
		return nil, fmt.Errorf("%s: state %s of bundle %d, the ledger has %s: %w", s.o.Repair, r.State.Short(), r.Sequence, m.State.Short(), bundle.ErrUntrusted)
	}
	return &ledger.Base{Manifest: m, Acknowledged: true}, nil
}

// wants reports whether a blob is carried although the base has it. A nil asked wants
// nothing.
func (a *asked) wants(d bundle.Digest) bool {
	if a == nil {
		return false
	}
	_, ok := a.blobs[d]
	return ok
}

func (a *asked) wantsList(d bundle.Digest) bool { return a != nil && a.lists[d] }

// answered counts what is asked for and is carried: what no list names any more is not.
// carriedLists are the digests of the lists in the bundle.
func (j *job) answered(collected []collect.Collected, carriedLists map[bundle.Digest]bool) error {
	a := j.asked
	if a == nil {
		return nil
	}
	for _, c := range collected {
		if err := j.eachCollected(c, func(f bundle.File) {
			if _, ok := a.blobs[f.Digest]; ok {
				a.blobs[f.Digest] = true
			}
		}); err != nil {
			return err
		}
	}
	j.result.Asked = len(a.blobs) + len(a.lists)
	for _, carried := range a.blobs {
		if carried {
			j.result.Answered++
		}
	}
	for d := range a.lists {
		if carriedLists[d] {
			j.result.Answered++
		}
	}
	return nil
}

func (j *job) eachCollected(c collect.Collected, each func(bundle.File)) (err error) {
	list, err := j.scratch.Open(c.FilesName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	for f, err := range bundle.ReadList[bundle.File](io.Reader(list), "source "+c.Repository.Name) {
		if err != nil {
			return err
		}
		each(f)
	}
	return nil
}

// carriedLists are the digests of the lists that a bundle carries.
func carriedLists(repos []bundle.Repository) map[bundle.Digest]bool {
	all := map[bundle.Digest]bool{}
	for _, r := range repos {
		for _, kind := range r.Carried {
			switch {
			case kind == bundle.CarriedEvidence:
				all[digestOf(r.Evidence.Digest.String())] = true
			case kind == bundle.CarriedFiles:
				all[digestOf(r.Files.Digest.String())] = true
			case r.Contents != nil:
				all[digestOf(r.Contents.Digest.String())] = true
			}
		}
	}
	return all
}
