package collect

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// counted is content that counts how often it is opened and closed.
type counted struct{ opened, closed int }

func (n *counted) open(content string, size int64) bundle.Open {
	return func(context.Context, int64, string) (*bundle.Content, error) {
		n.opened++
		return &bundle.Content{Body: counting{strings.NewReader(content), n}, Size: size}, nil
	}
}

type counting struct {
	io.Reader
	of *counted
}

func (c counting) Close() error {
	c.of.closed++
	return nil
}

// TestSpool: content of unknown size is copied once, and not at all if opening it shows its size.
func TestSpool(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", bundle.SpoolBlob/16) + "and more"
	for _, size := range []int64{0, int64(len(content))} {
		dir := t.TempDir()
		scratch, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer scratch.Close()
		n := &counted{}
		c := &collection{o: Options{Scratch: scratch}}
		a := sources.Artifact{File: bundle.File{Path: "a", Size: -1}, Open: n.open(content, size)}
		spooled, err := c.spool(t.Context(), a)
		if err != nil || spooled.size != int64(len(content)) {
			t.Fatalf("%+v, %v", spooled, err)
		}
		names, err := os.ReadDir(dir)
		if err != nil || (len(names) > 0) != (size == 0) {
			t.Errorf("size %d: %d files in scratch, %v", size, len(names), err)
		}
		for range 2 { // whoever reads it may do so again
			body, err := spooled.open(t.Context(), 0, "")
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(body.Body)
			if err != nil || string(got) != content {
				t.Errorf("size %d: %d bytes, %v", size, len(got), err)
			}
			if err := body.Body.Close(); err != nil {
				t.Error(err)
			}
		}
		spooled.remove()
		if want := map[bool]int{true: 2, false: 1}[size > 0]; n.opened != want || n.closed != want {
			t.Errorf("size %d: opened %d times and closed %d times, want %d", size, n.opened, n.closed, want)
		}
		unread, err := c.spool(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		unread.remove()
		if n.opened != n.closed {
			t.Errorf("size %d: opened %d times and closed %d times", size, n.opened, n.closed)
		}
	}
}
