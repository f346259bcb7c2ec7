package sources_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/gapbundle/gapbundle/sources"
)

// TestKeepScratch: what several sources write and read at the same time is whole for
// everyone, and what could not be written leaves nothing.
func TestKeepScratch(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	env := &sources.Env{Scratch: root}
	content := strings.Repeat("whole ", 1000)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				if got, err := root.ReadFile("page"); err == nil && string(got) != content || err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				err := env.KeepScratch("page", func(w io.Writer) error {
					_, err := io.WriteString(w, content[:600])
					if err == nil {
						_, err = io.WriteString(w, content[600:])
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	torn := errors.New("torn")
	if err := env.KeepScratch("other", func(io.Writer) error { return torn }); !errors.Is(err, torn) {
		t.Errorf("got %v", err)
	}
	if all, err := fs.ReadDir(root.FS(), "."); err != nil || len(all) != 1 || all[0].Name() != "page" {
		t.Errorf("left: %v %v", all, err)
	}
}
