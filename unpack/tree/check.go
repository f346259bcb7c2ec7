package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// CheckOptions define how closely to look.
type CheckOptions struct {
	// Data is the part of the files that is hashed again, from 0 to 1, chosen
	// at random: 0.05 every night reads everything within weeks.
	Data float64
	// Made hashes what the publish itself made, whatever Data states.
	Made bool
}

// Damage is something that is not as it was published.
type Damage struct {
	Set        string `json:"set,omitempty"`
	Repository string `json:"repository,omitempty"`
	// Path is relative to the web root.
	Path string        `json:"path,omitempty"`
	Blob bundle.Digest `json:"blob,omitzero"`
	// Problem is what is wrong, with what was expected and what was found.
	Problem string `json:"problem"`
}

// CheckResult is what was looked at, and what was wrong.
type CheckResult struct {
	Generation int   `json:"generation"`
	Files      int64 `json:"files"`
	Bytes      int64 `json:"bytes"`
	// Hashed counts files whose content was read.
	Hashed int64    `json:"hashed"`
	Damage []Damage `json:"damage"`
	// More is how much damage there is besides what Damage names.
	More int64 `json:"more,omitempty"`
	// Waiting are the repositories with files that are not published as long
	// as the mirror does not know its address.
	Waiting []string `json:"waiting,omitempty"`
}

// readable is what the mode of a published file has to allow.
const readable = 0o444

// maxDamage bounds what is named: a mirror whose disk has gone would fill the
// memory otherwise.
const maxDamage = 10_000

// Check compares what is published with its lists: every file is there, is a
// file, has its size, and there is nothing else; with o.Data, some or all of
// the content is hashed. It names everything that is wrong, in the result and,
// in short, in the error, which matches bundle.ErrCorrupt.
func (t *Trees) Check(ctx context.Context, o CheckOptions) (*CheckResult, error) {
	if !(o.Data >= 0 && o.Data <= 1) {
		return nil, fmt.Errorf("check: part %v of the data: want 0 to 1: %w", o.Data, bundle.ErrUsage)
	}
	g, err := t.Current()
	if err != nil {
		return nil, err
	}
	c := &checker{
		Trees: t, ctx: ctx, data: o.Data, hashMade: o.Made || o.Data > 0, generation: g,
		res: &CheckResult{Generation: g.Number, Damage: []Damage{}, Waiting: g.Waiting()},
		bad: map[bundle.Digest]string{}, good: bundle.NewDigestSet(0),
	}
	fi, err := t.root.Lstat(".")
	if err != nil {
		return nil, err
	}
	c.owner = ownerOf(fi)
	defer c.folder.close()
	defer c.typed.close()
	for _, s := range g.Sets {
		for _, r := range s.Repositories {
			if err := c.repository(s.Set, r); err != nil {
				return nil, err
			}
		}
	}
	if err := c.generated(); err != nil {
		return nil, err
	}
	if err := c.shelves(); err != nil {
		return nil, err
	}
	if n := int64(len(c.res.Damage)) + c.res.More; n > 0 {
		return c.res, NewDamagedError(g.Number, n, c.res.Damage[0])
	}
	return c.res, nil
}

type checker struct {
	*Trees
	ctx        context.Context // of the one Check
	data       float64
	hashMade   bool
	owner      int64 // of the mirror's directory
	generation *Generation
	res        *CheckResult
	// bad are blobs that were found damaged, with what is wrong; good were
	// hashed and need not be again.
	bad  map[bundle.Digest]string
	good *bundle.DigestSet
	// folder was looked into last, typed is the same for links of media types.
	folder, typed openFolder
}

// lstat looks at a file; paths come sorted, so mostly in the same folder.
func (c *checker) lstat(name string) (fs.FileInfo, error) { return c.folder.lstat(c.root, name) }

func (c *checker) damage(d Damage) {
	if len(c.res.Damage) < maxDamage {
		c.res.Damage = append(c.res.Damage, d)
	} else {
		c.res.More++
	}
}

// repository checks every path of a list, and that a tree holds nothing else.
func (c *checker) repository(set string, r GenerationRepository) error {
	dir := r.webRoot(generationDir(c.generation.Number))
	if r.Tree != 0 {
		c.link(set, r)
		c.strangers(dir, r.Mount+"/", c.published(set, &r))
	}
	for f, err := range c.Served(set, &r) {
		if err == nil {
			err = c.ctx.Err()
		}
		if errors.Is(err, bundle.ErrCorrupt) || errors.Is(err, bundle.ErrMalformed) || errors.Is(err, fs.ErrNotExist) {
			c.damage(Damage{Set: set, Repository: r.Name, Path: r.Mount, Problem: err.Error()})
			return nil
		}
		if err != nil {
			return err
		}
		c.res.Files++
		c.res.Bytes += f.Size
		d := Damage{Set: set, Repository: r.Name, Path: r.Mount + "/" + f.Path, Blob: f.Digest}
		if d.Problem, err = c.file(dir+"/"+f.Path, d.Path, f); err != nil {
			return err
		}
		if d.Problem != "" {
			c.damage(d)
		}
	}
	return nil
}

// link checks the link from the generation to the tree of a repository.
func (c *checker) link(set string, r GenerationRepository) {
	name := generationDir(c.generation.Number) + "/" + r.Mount
	target, err := c.root.Readlink(name)
	want := strings.Repeat("../", strings.Count(name, "/")) + treeDir(r.Tree)
	switch {
	case err != nil:
		c.damage(Damage{Set: set, Repository: r.Name, Path: r.Mount, Problem: err.Error()})
	case target != want:
		c.damage(Damage{Set: set, Repository: r.Name, Path: r.Mount, Problem: fmt.Sprintf("links to %q, want %q", target, want)})
	}
}

// file returns what is wrong with one published file and its blob; errors are of
// the disk, not of the file.
func (c *checker) file(name, web string, f bundle.File) (problem string, err error) {
	bfi, err := c.blobs.Lstat(f.Digest)
	if problem = wrong(bfi, err, f.Size); problem == "" {
		problem = c.foreign(bfi)
	}
	if problem != "" {
		return "blob in the store: " + problem, nil
	}
	if f.Filled && c.generation.BaseURL == "" {
		return "", nil // waits for the address; that it is not there is for strangers
	}
	fi, err := c.lstat(name)
	filled := (f.Filled || site.Owns(web)) && c.generation.BaseURL != ""
	size := f.Size
	if filled && err == nil {
		size = fi.Size() // hashed below
	}
	if problem = wrong(fi, err, size); problem == "" {
		problem = c.foreign(fi)
	}
	if problem != "" {
		return problem, nil
	}
	if problem = c.untyped(web, f.MediaType); problem != "" {
		return problem, nil
	}
	if !filled && (c.data == 0 || c.data < 1 && rand.Float64() >= c.data) {
		return c.bad[f.Digest], nil
	}
	c.res.Hashed++
	if err := c.hashBlob(f); err != nil {
		return "", err
	}
	if problem = c.bad[f.Digest]; problem != "" || os.SameFile(fi, bfi) {
		return problem, nil
	}
	return c.compare(name, f.Digest, filled, c.generation.BaseURL)
}

// untyped returns what is wrong with the link by which web servers know the
// media type of a file.
func (c *checker) untyped(web, mediaType string) (problem string) {
	link, marked := site.TypedName(web, mediaType)
	if !marked {
		return ""
	}
	fi, err := c.typed.lstat(c.root, generationDir(c.generation.Number)+"/"+link)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("media type %s: the link %s that says so is gone", mediaType, link)
	case err != nil:
		return err.Error()
	case fi.Mode()&fs.ModeSymlink == 0:
		return fmt.Sprintf("media type %s: %s is no link", mediaType, link)
	}
	return ""
}

// wrong returns what is wrong with a file by its looks. Web servers run as
// another user, so that everybody has to be able to read it.
func wrong(fi fs.FileInfo, err error, size int64) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "gone"
	case err != nil:
		return err.Error()
	case !fi.Mode().IsRegular():
		return "not a file: " + fi.Mode().String()
	case fi.Mode().Perm()&readable != readable:
		return fmt.Sprintf("mode %04o: not readable for everybody", fi.Mode().Perm())
	case fi.Size() != size:
		return fmt.Sprintf("%s, want %d", bundle.Count(fi.Size(), "byte"), size)
	}
	return ""
}

// hashBlob fills good or bad.
func (c *checker) hashBlob(f bundle.File) error {
	if _, done := c.good.Size(f.Digest); done || c.bad[f.Digest] != "" {
		return nil
	}
	err := c.blobs.Verify(f.Digest)
	switch {
	case err == nil:
		c.good.Add(f.Digest, f.Size)
	case errors.Is(err, fs.ErrNotExist):
		return nil // gc, meanwhile
	default:
		c.bad[f.Digest] = "blob in the store: " + err.Error()
	}
	return nil
}

// published returns the file list without the files that wait for the address.
func (c *checker) published(set string, r *GenerationRepository) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		for f, err := range c.Served(set, r) {
			if err == nil && f.Filled && c.generation.BaseURL == "" {
				continue
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

func hashOf(root *os.Root, name string) (bundle.Digest, error) {
	f, err := root.Open(name)
	if err != nil {
		return bundle.Digest{}, err
	}
	defer f.Close()
	h := bundle.NewHash()
	_, err = io.Copy(h, f)
	return bundle.SumOf(h), err
}
