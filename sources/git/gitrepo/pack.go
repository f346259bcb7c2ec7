package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/gitrun"
)

const (
	// MaxCommits bounds the commits that are listed for one pack; the newest are.
	MaxCommits = 10_000
	// window and depth are git's defaults of 2.39, fixed.
	window = "10"
	depth  = "50"
)

// Packed is a pack that was made. Its files are Prefix with ".pack", ".idx"
// and ".commits" after it.
type Packed struct {
	gitfile.Pack
	Prefix string
	// Commits are the newest commits in the pack, at most MaxCommits.
	Commits []gitfile.ID
}

// Pack makes one pack of what the tips lead to and the boundary does not, in
// the folder into. Made is nil if there is nothing of that kind.
//
// The pack is canonical: its bytes depend on the tips, the boundary and the
// versions of git and zlib, and on nothing else. git's own choice of deltas
// depends on how the objects are stored. Therefore the objects are written one
// by one into an empty repository, and packed there in the order of git's walk,
// each with its path, with one thread and without reusing deltas. (Measured:
// without that step, the same objects of two repositories made two packs.) The
// boundary is written to git's shallow file for this, so that a repository
// that was fetched whole looks like one that was fetched down to the boundary.
func (r *Repo) Pack(ctx context.Context, tips []gitfile.Tip, boundary []gitfile.ID, into string) (made *Packed, err error) {
	if err := r.SetBoundary(boundary); err != nil {
		return nil, err
	}
	revisions, err := r.revisions(ctx, tips, boundary)
	if err != nil {
		return nil, err
	}
	objects, err := list(ctx, r.dir, revisions)
	if err != nil || len(objects) == 0 {
		return nil, err
	}
	fresh, err := os.MkdirTemp(into, "loose-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(fresh)) }()
	name, err := r.pack(ctx, objects, filepath.Join(fresh, "repository"), into)
	if err != nil {
		return nil, err
	}
	made = &Packed{Prefix: filepath.Join(into, "pack-"+name)}
	if err := verify(ctx, r.git, made, fresh); err != nil {
		return nil, err
	}
	if made.Commits, err = newest(ctx, r.dir, revisions); err != nil {
		return nil, err
	}
	made.Tips = tips
	return made, writeCommits(made.Prefix+".commits", made.Commits)
}

// revisions returns the tips and what bounds them, as rev-list reads them.
func (r *Repo) revisions(ctx context.Context, tips []gitfile.Tip, boundary []gitfile.ID) (string, error) {
	var b strings.Builder
	for _, t := range tips {
		fmt.Fprintln(&b, t.ID)
	}
	expressions := make([]string, len(boundary))
	for i, c := range boundary {
		expressions[i] = c.String()
	}
	there, err := r.Look(ctx, expressions)
	for _, o := range there {
		if o.Type == "commit" {
			fmt.Fprintf(&b, "^%s\n", o.ID)
		}
	}
	return b.String(), err
}

// named is an object and the path at which it was found first.
type named struct {
	id   gitfile.ID
	path string
}

// list lists the objects in the order of git's walk, newest first. pack-objects
// uses that order to choose which objects to compare. The walk depends on
// commits and their dates, and not on how objects are stored.
func list(ctx context.Context, dir *gitrun.Dir, revisions string) ([]named, error) {
	var all []named
	err := dir.Lines(ctx, gitrun.Call{
		Args: []string{"rev-list", "--objects", "--stdin"}, Stdin: strings.NewReader(revisions),
	}, func(line string) error {
		name, path, _ := strings.Cut(line, " ")
		id, err := gitfile.ParseID(name)
		all = append(all, named{id, path})
		if len(all) > gitfile.MaxObjects {
			return fmt.Errorf("more than %d objects", gitfile.MaxObjects)
		}
		return err
	})
	return all, err
}

// newest lists the newest commits, by their dates and then by their names.
func newest(ctx context.Context, dir *gitrun.Dir, revisions string) ([]gitfile.ID, error) {
	type dated struct {
		at int64
		id gitfile.ID
	}
	var all []dated
	err := dir.Lines(ctx, gitrun.Call{Args: []string{"rev-list", "--timestamp", "--stdin"}, Stdin: strings.NewReader(revisions)}, func(line string) error {
		at, name, _ := strings.Cut(line, " ")
		seconds, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			seconds = 0 // a date that git cannot read either
		}
		id, err := gitfile.ParseID(name)
		all = append(all, dated{seconds, id})
		return err
	})
	slices.SortFunc(all, func(a, b dated) int {
		if a.at != b.at {
			return int(min(max(b.at-a.at, -1), 1))
		}
		return bytes.Compare(a.id[:], b.id[:])
	})
	var ids []gitfile.ID
	for _, d := range all[:min(len(all), MaxCommits)] {
		ids = append(ids, d.id)
	}
	return ids, err
}

// names returns what pack-objects reads. It is closed by whoever reads it.
func names(objects []named) *io.PipeReader {
	r, w := io.Pipe()
	go func() {
		b := bufio.NewWriter(w)
		for _, o := range objects {
			if _, err := fmt.Fprintf(b, "%s %s\n", o.id, o.path); err != nil {
				break
			}
		}
		w.CloseWithError(b.Flush())
	}()
	return r
}

// pack writes the objects into the empty repository at fresh and packs them.
func (r *Repo) pack(ctx context.Context, all []named, fresh, into string) (name string, err error) {
	empty, err := Init(ctx, r.git, fresh)
	if err != nil {
		return "", err
	}
	objects, stream := io.Pipe()
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		list := names(all)
		defer list.Close()
		err := r.dir.Run(groupCtx, gitrun.Call{Args: []string{"pack-objects", "--quiet", "--stdout", "--delta-base-offset"}, Stdin: list, Stdout: stream})
		stream.CloseWithError(err)
		return err
	})
	group.Go(func() error {
		err := empty.dir.Run(groupCtx, gitrun.Call{Args: []string{"-c", "receive.fsckObjects=false", "-c", "transfer.fsckObjects=false", "unpack-objects", "-q"}, Stdin: objects})
		objects.CloseWithError(err)
		return err
	})
	if err := group.Wait(); err != nil {
		return "", err
	}
	list := names(all)
	defer list.Close()
	out, err := empty.dir.Output(ctx, maxSmall, gitrun.Call{Args: []string{
		"pack-objects", "--quiet", "--threads=1", "--no-reuse-delta", "--no-reuse-object", "--delta-base-offset",
		"--window=" + window, "--depth=" + depth, filepath.Join(into, "pack"),
	}, Stdin: list})
	return strings.TrimSpace(string(out)), err
}

// verify has git read the whole pack again, and compares its index.
func verify(ctx context.Context, git *gitrun.Git, made *Packed, fresh string) error {
	again := filepath.Join(fresh, "again.idx")
	if err := git.In("", nil).Run(ctx, gitrun.Call{Args: []string{"index-pack", "-o", again, made.Prefix + ".pack"}}); err != nil {
		return err
	}
	var have [2]gitfile.Index
	var sums [2]bundle.Digest
	for i, name := range []string{made.Prefix + ".idx", again} {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		h := bundle.NewHash()
		have[i], err = gitfile.ReadIndex(io.TeeReader(f, h), nil)
		sums[i] = bundle.SumOf(h)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if sums[0] != sums[1] {
		return fmt.Errorf("pack %s: its index is not the one that git makes of it: %w", have[0].Pack, bundle.ErrCorrupt)
	}
	made.Name, made.Count, made.Names = have[0].Pack, have[0].Count, have[0].Names
	return nil
}

func writeCommits(name string, ids []gitfile.ID) error {
	var b bytes.Buffer
	for _, id := range ids {
		fmt.Fprintln(&b, id)
	}
	return os.WriteFile(name, b.Bytes(), 0o600)
}
