package bundle

import "context"

// RunWriter writes the blobs of one run. Always Close it.
type RunWriter struct{}

type Item struct {
	Key    string
	Digest Digest
	Size   int64
	Open   Open
	Drop   func(Digest) bool
}
type Written struct {
	Digest    Digest
	Size      int64
	Carried   bool
	Validator string
}

func (rw *RunWriter) Done(key string) (Written, bool)                      { panic("not yet") }
func (rw *RunWriter) Append(ctx context.Context, it Item) (Written, error) { panic("not yet") }
func (rw *RunWriter) Close(ctx context.Context) error                      { panic("not yet") }
