package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkSync makes batches of small files durable, with one syncfs and file by file: on
// a quiet file system, and next to a file that somebody else goes on writing. It needs TMPDIR
// on a disk.
func BenchmarkSync(b *testing.B) {
	for _, others := range []int64{0, 16 << 20} {
		for _, files := range []int{1, 8, 64, 1000} {
			for name, durable := range map[string]func(root *os.Root, names []string) error{"syncfs": syncTogether, "each": syncEach} {
				b.Run(fmt.Sprintf("others=%dMiB/files=%d/%s", others>>20, files, name), func(b *testing.B) {
					benchmarkSync(b, files, others, durable)
				})
			}
		}
	}
}

func benchmarkSync(b *testing.B, files int, others int64, durable func(root *os.Root, names []string) error) {
	root, err := os.OpenRoot(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	defer dirty(b, others)()
	content := make([]byte, 4<<10)
	for round := 0; b.Loop(); round++ {
		var names []string
		for i := range files {
			name := fmt.Sprintf("%d-%d", round, i)
			if err := root.WriteFile(name, content, Mode); err != nil {
				b.Fatal(err)
			}
			names = append(names, name)
		}
		if err := durable(root, names); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*files), "µs/file")
}

func syncTogether(root *os.Root, _ []string) error {
	s, err := NewSyncer(root)
	if err != nil {
		return err
	}
	return errors.Join(s.all(), s.Close())
}

func syncEach(root *os.Root, names []string) error {
	for _, name := range append(names, ".") {
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(unix.Fsync(int(f.Fd())), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// dirty writes a file again and again, size bytes between two looks at whether to end.
func dirty(b *testing.B, size int64) (stop func()) {
	if size == 0 {
		return func() {}
	}
	f, err := os.Create(filepath.Join(b.TempDir(), "others"))
	if err != nil {
		b.Fatal(err)
	}
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		block := make([]byte, size)
		for i := int64(0); ; i++ {
			select {
			case <-end:
				return
			default:
			}
			if _, err := f.WriteAt(block, i%8*size); err != nil {
				b.Error(err)
				return
			}
		}
	})
	return func() {
		close(end)
		done.Wait()
		f.Close()
	}
}
