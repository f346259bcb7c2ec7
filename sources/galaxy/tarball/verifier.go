package tarball

import (
	"errors"
	"io"
)

// Verifier reads an archive that is written to it piece by piece, while its bytes go elsewhere too.
type Verifier struct {
	in   *io.PipeWriter
	done chan struct{}
	// These are set when done is closed.
	collection *Collection
	err        error
}

// NewVerifier makes a Verifier, which Close ends.
func NewVerifier() *Verifier {
	out, in := io.Pipe()
	v := &Verifier{in: in, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		v.collection, v.err = Read(out)
		_ = out.CloseWithError(errJudged) // what follows is not needed any more
	}()
	return v
}

var errJudged = errors.New("judged already")

// Write never fails: what is wrong with the archive is said by Verdict.
func (v *Verifier) Write(p []byte) (int, error) {
	_, _ = v.in.Write(p) // errJudged, when the archive was refused
	return len(p), nil
}

// Verdict returns the result of Read for all bytes that were written.
func (v *Verifier) Verdict() (*Collection, error) {
	_ = v.in.Close()
	<-v.done
	return v.collection, v.err
}

// Close ends the Verifier, at whatever point it is.
func (v *Verifier) Close() { _, _ = v.Verdict() }
