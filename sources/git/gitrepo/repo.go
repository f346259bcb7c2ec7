// Package gitrepo is the repository in the scratch folder into which the kind
// git fetches what it publishes, and the canonical packs that are made of it.
//
// A repository is fetched whole, or, where the base of a delta has the rest,
// down to a boundary: commits that the base has, which are written to git's
// shallow file so that the server sends nothing below them. The packs do not
// depend on which of the two it was, see Pack.
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
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/gitrun"
	"github.com/gapbundle/gapbundle/sources/git/relay"
)

// maxSmall bounds what git prints where a few lines are expected, in bytes.
const maxSmall = 64 << 20

// Repo is a bare repository in a folder of its own.
type Repo struct {
	git  *gitrun.Git
	path string // of the repository; packs are made next to it
	dir  *gitrun.Dir
}

// Init makes an empty repository at path, which must not be there yet.
func Init(ctx context.Context, git *gitrun.Git, path string) (*Repo, error) {
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, err
	}
	r := &Repo{git: git, path: path, dir: git.In(path, nil)}
	return r, r.dir.Run(ctx, gitrun.Call{Args: []string{"init", "--quiet", "--bare", "--template=", "."}})
}

// Over makes a repository at path whose refs and objects are those of a
// published one, which is only read.
func Over(ctx context.Context, git *gitrun.Git, path, published string) (*Repo, error) {
	r, err := Init(ctx, git, path)
	if err != nil {
		return nil, err
	}
	published, err = filepath.Abs(published)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"HEAD", "packed-refs"} {
		content, err := os.ReadFile(filepath.Join(published, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(path, name), content, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(path, "objects", "info"), 0o700); err != nil {
		return nil, err
	}
	return r, os.WriteFile(filepath.Join(path, "objects", "info", "alternates"), []byte(filepath.Join(published, "objects")+"\n"), 0o600)
}

// Advertised asks the upstream behind a relay for its refs.
func Advertised(ctx context.Context, git *gitrun.Git, from *relay.Relay) (up *gitfile.Advertised, err error) {
	// By protocol 0 the refs come with the first answer.
	config := append(from.Config(), "protocol.version", "0")
	var malformed error
	err = git.In("", config).Read(ctx, gitrun.Call{Args: []string{"ls-remote", "--symref", from.URL()}}, func(r io.Reader) error {
		up, malformed = gitfile.ReadAdvertised(r)
		return malformed
	})
	if malformed != nil {
		return nil, malformed
	}
	return up, cause(from, err)
}

// cause returns why the relay could not answer git, or else git's own error.
func cause(from *relay.Relay, err error) error {
	if err == nil {
		return nil
	}
	if why := from.Err(); why != nil {
		return why
	}
	return err
}

// Remove deletes the repository. Packs that were made of it stay.
func (r *Repo) Remove() error { return os.RemoveAll(r.path) }

// Want is something to fetch: an object, by the ref that names it, or by its
// name alone where Ref is empty.
type Want struct {
	ID  gitfile.ID
	Ref string
}

// localRef returns the ref of this repository that holds on to an object. It is
// named for the object: upstream's names are no names for files.
func localRef(id gitfile.ID) string { return localRefs + id.String() }

const localRefs = "refs/fetched/"

// Fetch fetches what is wanted and is not there. It returns before the objects
// were examined, see Examine.
func (r *Repo) Fetch(ctx context.Context, from *relay.Relay, wants []Want) error {
	var specs bytes.Buffer
	seen := map[gitfile.ID]bool{}
	for _, w := range wants {
		if seen[w.ID] {
			continue
		}
		seen[w.ID] = true
		source := w.Ref
		if source == "" {
			source = w.ID.String()
		}
		fmt.Fprintf(&specs, "+%s:%s\n", source, localRef(w.ID))
	}
	if specs.Len() == 0 {
		return nil
	}
	args := []string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--refmap=", "--stdin", from.URL()}
	err := r.git.In(r.path, from.Config()).Run(ctx, gitrun.Call{Args: args, Stdin: &specs})
	return cause(from, err)
}

// FetchPattern fetches all refs below refs/heads and refs/tags.
func (r *Repo) FetchPattern(ctx context.Context, from *relay.Relay) error {
	args := []string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--refmap=", from.URL(),
		"+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*"}
	return cause(from, r.git.In(r.path, from.Config()).Run(ctx, gitrun.Call{Args: args}))
}

// Hold keeps an object that is there among what the repository's refs name.
func (r *Repo) Hold(ctx context.Context, id gitfile.ID) error {
	return r.dir.Run(ctx, gitrun.Call{Args: []string{"update-ref", localRef(id), id.String()}})
}

// MaxObject bounds an object, in bytes: 16 MB of a pack can hold one of 16 GB,
// which every checkout writes to a disk.
const MaxObject = 16 << 30

// Examine reads every object and follows every link. The faults that it
// returns are tolerated, anything else is an error.
func (r *Repo) Examine(ctx context.Context) (gitrun.Faults, error) {
	if err := r.bounded(ctx, MaxObject); err != nil {
		return nil, err
	}
	return r.dir.Examine(ctx)
}

// bounded reports the first object of more than limit bytes. git reads its
// size from the pack, without the content.
func (r *Repo) bounded(ctx context.Context, limit int64) error {
	return r.dir.Lines(ctx, gitrun.Call{Args: []string{"cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname) %(objecttype) %(objectsize)"}}, func(line string) error {
		o, err := parseObject(line)
		if err == nil && o.Size > limit {
			err = fmt.Errorf("%s %s has %s, at most %d", o.Type, o.ID, bundle.Count(o.Size, "byte"), limit)
		}
		return err
	})
}

// SetBoundary makes the commits parents of nothing: git takes a commit whose
// name is in the file shallow for one without parents.
func (r *Repo) SetBoundary(commits []gitfile.ID) error {
	name := filepath.Join(r.path, "shallow")
	if len(commits) == 0 {
		if err := os.Remove(name); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	var b bytes.Buffer
	for _, c := range commits {
		fmt.Fprintln(&b, c)
	}
	return os.WriteFile(name, b.Bytes(), 0o600)
}

// maxDate is the last date that Dates returns: what is after it is nobody's clock.
const maxDate = 253402300799 // seconds: the end of the year 9999

// Dates returns the dates of the objects that were fetched, in Unix time: when a tag was
// made, or else when the commit was that it leads to. An object without a date that can
// be read is left out. The dates are upstream's word.
func (r *Repo) Dates(ctx context.Context) (map[gitfile.ID]int64, error) {
	all := map[gitfile.ID]int64{}
	call := gitrun.Call{Args: []string{"for-each-ref", "--format=%(objectname) %(creatordate:unix) %(*committerdate:unix)", localRefs}}
	err := r.dir.Lines(ctx, call, func(line string) error {
		f := strings.Fields(line)
		if len(f) < 2 {
			return nil // a tree or a blob, or a date that git cannot read
		}
		id, err := gitfile.ParseID(f[0])
		if err != nil {
			return err
		}
		if seconds, err := strconv.ParseInt(f[1], 10, 64); err == nil && seconds > 0 && seconds <= maxDate {
			all[id] = seconds
		}
		return nil
	})
	return all, err
}

// Object is what git reports for an object's name.
type Object struct {
	ID   gitfile.ID // of the object that was looked up, or that it leads to
	Type string     // commit, tree, blob or tag; empty: it is not there
	Size int64      // bytes
}

// Look looks objects up by expressions of gitrevisions(7): an object's name,
// or one with "^{}" after it for what a tag leads to.
func (r *Repo) Look(ctx context.Context, expressions []string) ([]Object, error) {
	var all []Object
	out, err := r.dir.Output(ctx, int64(len(expressions))*200+maxSmall, gitrun.Call{
		Args: []string{"cat-file", "--batch-check"}, Stdin: strings.NewReader(strings.Join(expressions, "\n") + "\n"),
	})
	if err != nil || len(expressions) == 0 {
		return nil, err
	}
	for line := range strings.Lines(string(out)) {
		o, err := parseObject(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	if len(all) != len(expressions) {
		return nil, fmt.Errorf("git cat-file: %s to %s", bundle.Count(len(all), "answer"), bundle.Count(len(expressions), "question"))
	}
	return all, nil
}

func parseObject(line string) (o Object, err error) {
	f := strings.Fields(line)
	if len(f) != 3 {
		return o, nil // "missing", "ambiguous", "submodule"
	}
	if o.ID, err = gitfile.ParseID(f[0]); err != nil {
		return Object{}, nil //nolint:nilerr // a path that is missing can have blanks
	}
	o.Type = f[1]
	o.Size, err = strconv.ParseInt(f[2], 10, 64)
	return o, err
}

// Read reads objects by expressions of gitrevisions(7), each at most limit
// bytes; nil for one that is not there, is larger, or is not of the type.
func (r *Repo) Read(ctx context.Context, kind string, limit int64, expressions []string) ([][]byte, error) {
	var all [][]byte
	err := r.contents(ctx, strings.NewReader(strings.Join(expressions, "\n")+"\n"), limit, func(o Object, content []byte) error {
		if o.Type != kind || o.Size > limit {
			content = nil
		}
		all = append(all, content)
		return nil
	})
	return all, err
}

// contents calls each for the objects that names has a line for; content is
// nil where the object is not there or is larger than limit.
func (r *Repo) contents(ctx context.Context, names io.Reader, limit int64, each func(o Object, content []byte) error) error {
	return r.dir.Read(ctx, gitrun.Call{Args: []string{"cat-file", "--batch"}, Stdin: names}, func(out io.Reader) error {
		return readBatch(bufio.NewReader(out), limit, each)
	})
}

// readBatch reads the output of "git cat-file --batch".
func readBatch(r *bufio.Reader, limit int64, each func(o Object, content []byte) error) error {
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return nil
		}
		if err != nil {
			return err
		}
		o, err := parseObject(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return err
		}
		var content []byte
		if o.Type != "" {
			if o.Size <= limit {
				content = make([]byte, o.Size)
				_, err = io.ReadFull(r, content)
			} else {
				_, err = io.CopyN(io.Discard, r, o.Size)
			}
			if err == nil {
				_, err = r.Discard(1)
			}
		}
		if err != nil {
			return err
		}
		if err := each(o, content); err != nil {
			return err
		}
	}
}
