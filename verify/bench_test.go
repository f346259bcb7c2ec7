package verify_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

// BenchmarkStreamWritten reads volumes of 64 MiB, half of them compressible, and writes what
// is in them, as an import does. BenchmarkStream is the same without writing.
func BenchmarkStreamWritten(b *testing.B) {
	const total, frame = 64 << 20, 4 << 20
	for name, size := range map[string]int{"long": total / 2, "small": 16 << 10} {
		files := map[string]string{}
		noise := make([]byte, size)
		random := rand.NewChaCha8([32]byte{1})
		for i := range total / size {
			if i%2 == 0 {
				files[fmt.Sprint(i)] = text(fmt.Sprint(i), size)
				continue
			}
			_, _ = random.Read(noise)
			files[fmt.Sprint(i)] = string(noise)
		}
		made, _ := opened(b, forgery{frame: frame, repos: []repo{{name: "r", mount: "files", files: files}}})
		sink := &folder{dir: b.TempDir()}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(total)
			for b.Loop() {
				if err := made.Stream(b.Context(), 0, sink, verify.StreamOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// folder is a sink that writes each blob to a file and removes it again.
type folder struct {
	dir  string
	next atomic.Int64
}

func (f *folder) Create(bundle.Blob) (verify.BlobWriter, error) {
	file, err := os.Create(filepath.Join(f.dir, fmt.Sprint(f.next.Add(1))))
	return fileBlob{file}, err
}

type fileBlob struct{ *os.File }

func (f fileBlob) Commit() error {
	f.Abort()
	return nil
}

func (f fileBlob) Abort() {
	_ = f.Close()
	_ = os.Remove(f.Name())
}
