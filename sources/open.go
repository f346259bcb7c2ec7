package sources

import (
	"bytes"
	"context"
	"io"

	"github.com/gapbundle/gapbundle/bundle"
)

// InMemory returns content that is held already; validator is bundle.Content's,
// "" unknown.
func InMemory(content []byte, validator string) bundle.Open {
	return func(context.Context, int64, string) (*bundle.Content, error) {
		return &bundle.Content{Body: io.NopCloser(bytes.NewReader(content)), Validator: validator}, nil
	}
}

// InScratch returns the content of a file that the source put into Env.Scratch.
func (e *Env) InScratch(name string) bundle.Open {
	return func(context.Context, int64, string) (*bundle.Content, error) {
		f, err := e.Scratch.Open(name)
		if err != nil {
			return nil, err
		}
		return &bundle.Content{Body: f}, nil
	}
}
