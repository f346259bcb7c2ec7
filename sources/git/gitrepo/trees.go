package gitrepo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/gitrun"
)

// Submodules returns the submodules that commits record: sections of .gitmodules whose path
// is a commit in the tree. unnamed counts paths that a .gitmodules names and
// its tree does not have, or not as a submodule.
func (r *Repo) Submodules(ctx context.Context, commits []gitfile.ID) (pins map[gitfile.ID][]gitfile.Pin, unnamed int, err error) {
	expressions := make([]string, len(commits))
	for i, c := range commits {
		expressions[i] = c.String() + ":.gitmodules"
	}
	files, err := r.Read(ctx, "blob", gitfile.MaxModulesFile, expressions)
	if err != nil {
		return nil, 0, err
	}
	pins = map[gitfile.ID][]gitfile.Pin{}
	for i, c := range commits {
		if files[i] == nil {
			continue
		}
		modules, err := gitfile.ParseModules(files[i])
		if err != nil {
			return nil, 0, fmt.Errorf("commit %s: %w", c, err)
		}
		missing := 0
		if pins[c], missing, err = r.pins(ctx, c, modules); err != nil {
			return nil, 0, err
		}
		unnamed += missing
	}
	return pins, unnamed, nil
}

// pins looks up the paths of submodules in the tree of a commit.
func (r *Repo) pins(ctx context.Context, commit gitfile.ID, modules []gitfile.Submodule) (pins []gitfile.Pin, unnamed int, err error) {
	args := []string{"--literal-pathspecs", "ls-tree", "-z", "--full-tree", commit.String(), "--"}
	for _, m := range modules {
		args = append(args, m.Path)
	}
	if len(modules) == 0 {
		return nil, 0, nil
	}
	out, err := r.dir.Output(ctx, maxSmall, gitrun.Call{Args: args})
	if err != nil {
		return nil, 0, err
	}
	links := map[string]gitfile.ID{}
	for entry := range strings.SplitSeq(string(out), "\x00") {
		about, path, _ := strings.Cut(entry, "\t")
		if name, ok := strings.CutPrefix(about, "160000 commit "); ok {
			if links[path], err = gitfile.ParseID(name); err != nil {
				return nil, 0, err
			}
		}
	}
	for _, m := range modules {
		pin, ok := links[m.Path]
		if !ok || m.URL == "" {
			unnamed++
			continue
		}
		pins = append(pins, gitfile.Pin{Commit: commit, Pin: pin, Path: m.Path, URL: m.URL})
	}
	return pins, unnamed, nil
}

// Found is a pointer of Git LFS: the blob that it is, and a path of it.
type Found struct {
	gitfile.Stored
	Blob gitfile.ID
}

// Pointers returns the pointers of Git LFS in the trees of commits: of these
// alone, or with history of all that they lead to above the boundary. One is
// returned for each object, with the lowest path.
func (r *Repo) Pointers(ctx context.Context, commits []gitfile.ID, history bool) ([]Found, error) {
	args := []string{"rev-list", "--objects", "--stdin"}
	if !history {
		args = append(args, "--no-walk")
	}
	var small bytes.Buffer
	if err := r.listSmall(ctx, args, commits, &small); err != nil {
		return nil, err
	}
	paths := map[gitfile.ID]string{}
	for line := range strings.Lines(small.String()) {
		id, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		parsed, err := gitfile.ParseID(id)
		if err != nil {
			return nil, err
		}
		paths[parsed] = path
	}
	best := map[string]Found{}
	var names bytes.Buffer
	for id := range paths {
		fmt.Fprintln(&names, id)
	}
	if names.Len() == 0 {
		return nil, nil
	}
	err := r.contents(ctx, &names, gitfile.MaxPointer, func(o Object, content []byte) error {
		p, ok := gitfile.ParsePointer(content)
		if !ok {
			return nil
		}
		f := Found{Stored: gitfile.Stored{Pointer: p, Path: paths[o.ID]}, Blob: o.ID}
		if have, known := best[p.OID.Hex()]; !known || f.Path < have.Path {
			best[p.OID.Hex()] = f
		}
		return nil
	})
	var all []Found
	for _, f := range best {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Found) int { return bytes.Compare(a.OID[:], b.OID[:]) })
	return all, err
}

// listSmall writes the blobs that can be pointers, by their size, to out: a
// line for each with its name and a path.
func (r *Repo) listSmall(ctx context.Context, args []string, commits []gitfile.ID, out *bytes.Buffer) error {
	var stdin bytes.Buffer
	for _, c := range commits {
		fmt.Fprintln(&stdin, c)
	}
	objects, toCheck := io.Pipe()
	checked, toFilter := io.Pipe()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := r.dir.Run(ctx, gitrun.Call{Args: args, Stdin: &stdin, Stdout: toCheck})
		toCheck.CloseWithError(err)
		return err
	})
	group.Go(func() error {
		err := r.dir.Run(ctx, gitrun.Call{Args: []string{"cat-file", "--batch-check=%(objecttype) %(objectsize) %(objectname) %(rest)"}, Stdin: objects, Stdout: toFilter})
		objects.CloseWithError(err)
		toFilter.CloseWithError(err)
		return err
	})
	group.Go(func() error {
		err := filterSmall(checked, out)
		checked.CloseWithError(err)
		return err
	})
	return group.Wait()
}

// smallest is below the size of every pointer: its version line and an oid.
const smallest = 100

func filterSmall(r io.Reader, out *bytes.Buffer) error {
	return gitrun.EachLine(r, func(line string) error {
		var size int
		var id string
		if n, _ := fmt.Sscanf(line, "blob %d %s", &size, &id); n != 2 || size < smallest || size > gitfile.MaxPointer {
			return nil
		}
		_, path, _ := strings.Cut(line, id+" ")
		fmt.Fprintf(out, "%s %s\n", id, path)
		return nil
	})
}

// CommitWith returns a commit above the boundary that leads to a blob, for an error.
func (r *Repo) CommitWith(ctx context.Context, blob gitfile.ID) (string, error) {
	out, err := r.dir.Output(ctx, maxSmall, gitrun.Call{Args: []string{"log", "-1", "--format=%H", "--all", "--find-object=" + blob.String()}})
	return strings.TrimSpace(string(out)), err
}
