package simulation

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// A process that is killed leaves its folders as they are at that moment. So does a copy of
// them, taken in the middle of an operation: the operation then runs to its end in the
// original, which is thrown away, and the copy takes its place. The moments are those at which the
// code asks the clock or whether it was asked to stop.

// seam is a context that does something when it is asked for the n-th time.
type seam struct {
	context.Context
	mu    sync.Mutex
	asked int
	at    int
	do    func()
}

func (s *seam) Err() error {
	s.mu.Lock()
	s.asked++
	if s.asked == s.at {
		s.do()
	}
	s.mu.Unlock()
	return s.Context.Err()
}

// interrupted runs an operation that changes dirs. Now and then it is asked to stop in the
// middle, or killed: then dirs are as they were at that moment.
func (w *world) interrupted(what string, f func(ctx context.Context) error, dirs ...string) (killed bool, err error) {
	how, where := w.r.IntN(10), w.r.Float64()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &seam{Context: ctx, at: 1 + int(where*float64(w.seams[what]))}
	switch {
	case how == 0:
		s.do = cancel
	case how == 1 && w.seams[what] > 0:
		s.do = func() { killed = w.copyAll(dirs) }
	default:
		s.at = -1
	}
	err = f(s)
	w.seams[what] = max(w.seams[what], s.asked)
	if killed {
		for _, dir := range dirs {
			w.must(os.RemoveAll(dir))
			w.must(os.Rename(dir+".killed", dir))
		}
	}
	return killed, err
}

// copyAll copies dirs as they are now. It reports false if something else wrote meanwhile: then
// this is no moment of the folders.
func (w *world) copyAll(dirs []string) bool {
	for range 5 {
		before := fingerprint(dirs)
		for _, dir := range dirs {
			w.must(os.RemoveAll(dir + ".killed"))
			if copyTree(dir, dir+".killed") != nil {
				break
			}
		}
		if before != "" && before == fingerprint(dirs) {
			return true
		}
	}
	for _, dir := range dirs {
		w.must(os.RemoveAll(dir + ".killed"))
	}
	return false
}

// fingerprint changes with every write; "": something vanished on the way.
func fingerprint(dirs []string) string {
	var b strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			fi, err := os.Lstat(name)
			if err == nil {
				fmt.Fprintln(&b, name, fi.Size(), fi.Mode(), fi.ModTime().UnixNano(), fi.Sys().(*syscall.Stat_t).Ctim, fi.Sys().(*syscall.Stat_t).Ino)
			}
			return err
		})
		if err != nil {
			return ""
		}
	}
	return b.String()
}

// copyTree copies a folder with its hard links, links, modes and times.
func copyTree(from, to string) error {
	names := map[uint64]string{} // of files with several names
	var folders []string
	err := filepath.WalkDir(from, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := os.Lstat(name)
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(name, from)
		switch {
		case fi.IsDir():
			folders = append(folders, name)
			return os.Mkdir(target, fi.Mode().Perm()|0o700)
		case fi.Mode()&fs.ModeSymlink != 0:
			link, err := os.Readlink(name)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		}
		sys := fi.Sys().(*syscall.Stat_t)
		if first, ok := names[sys.Ino]; ok {
			return os.Link(first, target)
		}
		if sys.Nlink > 1 {
			names[sys.Ino] = target
		}
		return copyFile(name, target, fi)
	})
	if err != nil {
		return err
	}
	for _, name := range folders {
		fi, err := os.Lstat(name)
		if err != nil {
			return err
		}
		if err := os.Chmod(to+strings.TrimPrefix(name, from), fi.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string, fi fs.FileInfo) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fi.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Chtimes(to, fi.ModTime(), fi.ModTime())
}
