package verify

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// checkLists reads every list: order, counts, sizes, that no path is taken
// twice over repositories that share a mount, that the evidence speaks of the
// same files, that every entry of the contents lists stands for a file as the other
// two lists have it, and that every blob is carried or at the receiver.
func (c *opening) checkLists() error {
	repos := c.b.manifest.Repositories
	c.base = bundle.NewDigestSet(c.expectedFromBase())
	paths := make([]bundle.Digest, len(repos)) // over the paths of each file list; zero: not read to its end
	mounts := map[string][]int{}
	for i, r := range repos {
		mounts[r.Mount] = append(mounts[r.Mount], i)
	}
	for i := range repos {
		group := mounts[repos[i].Mount]
		if group[0] != i {
			continue
		}
		if err := c.checkMount(group, paths); err != nil {
			return err
		}
	}
	for i := range repos {
		if err := c.checkEvidence(i, paths[i]); err != nil {
			return err
		}
	}
	c.b.report.count("repositories", int64(len(repos)))
	c.checkFolders()
	if slices.Contains(paths, bundle.Digest{}) {
		c.b.report.notChecked("whether every blob carried is named by a list: not all lists were read")
	} else if err := c.checkStrangers(); err != nil {
		return err
	}
	c.noteBase()
	c.base = nil
	return nil
}

// expectedFromBase foresees how many blobs the volumes leave out, so that the
// set of them need not grow.
func (c *opening) expectedFromBase() int64 {
	if c.b.manifest.Full {
		return 0
	}
	var files, size int64
	for _, r := range c.b.manifest.Repositories {
		files, size = files+r.Count, size+min(r.Files.Size, bundle.MaxTarSize)
	}
	return bundle.Foreseen(files-c.b.carried.Len(), size)
}

// checkMount reads the file lists of repositories with one mount together, as
// one sorted stream. What is wrong with a list ends that list; the error is
// for what is not about the bundle.
func (c *opening) checkMount(group []int, paths []bundle.Digest) error {
	claims, err := c.claimFiles(group)
	if err != nil {
		return err
	}
	var heads merge
	defer func() { heads.stop() }()
	for _, repo := range group {
		if !c.atHand(repo, bundle.CarriedFiles) {
			continue
		}
		next, stop := iter.Pull2(c.checkedFiles(repo, &paths[repo], claims[repo]))
		if err := heads.advance(&head{repo: repo, next: next, stop: stop}); err != nil {
			if err := c.fault(err); err != nil {
				return err
			}
		}
	}
	var last *head
	var folders bundle.Folders
	for n := 0; len(heads) > 0; n++ {
		if n%4096 == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		h := heads[0]
		heads = heads[1:]
		folders.Add(h.file.Path)
		if last != nil && last.repo != h.repo {
			c.checkNeighbours(last, h)
		}
		last = &head{repo: h.repo, file: h.file}
		if err := heads.advance(h); err != nil {
			if err := c.fault(err); err != nil {
				return err
			}
		}
	}
	c.b.folders[c.b.manifest.Repositories[group[0]].Mount] = folders.Count()
	return nil
}

// checkFolders: each folder is an inode of the receiver, which has to know how many.
func (c *opening) checkFolders() {
	var folders, files int64
	for _, n := range c.b.folders {
		folders += n
	}
	for _, r := range c.b.manifest.Repositories {
		files += r.Count
	}
	c.b.report.count("folders", folders)
	if err := bundle.CheckFolders(folders, files); err != nil {
		c.add(err)
	}
}

// head is a file list and its next file.
type head struct {
	repo int
	file bundle.File
	next func() (bundle.File, error, bool)
	stop func()
}

// merge is the lists that have not ended, sorted by their next path.
type merge []*head

// advance puts h back with its next file, or drops it at its end or error.
func (m *merge) advance(h *head) error {
	f, err, more := h.next()
	if err != nil || !more {
		h.stop()
		return err
	}
	h.file = f
	i, _ := slices.BinarySearchFunc(*m, h, func(a, b *head) int { return bundle.ComparePaths(a.file.Path, b.file.Path) })
	*m = slices.Insert(*m, i, h)
	return nil
}

func (m merge) stop() {
	for _, h := range m {
		h.stop()
	}
}

// checkNeighbours looks at two files of different repositories, b after a.
func (c *opening) checkNeighbours(a, b *head) {
	repos := c.b.manifest.Repositories
	conflict := func(what string) {
		c.add(fmt.Errorf("path %s/%s: %s in repositories %s and %s: %w", repos[a.repo].Mount, a.file.Path, what,
			repos[a.repo].Name, repos[b.repo].Name, bundle.ErrMalformed))
	}
	switch {
	case a.file.Path == b.file.Path:
		if a.file.Digest != b.file.Digest || a.file.MediaType != b.file.MediaType {
			conflict(fmt.Sprintf("different content (%s and %s)", a.file.Digest, b.file.Digest))
		}
	case strings.HasPrefix(b.file.Path, a.file.Path+"/"):
		conflict("both a file and a folder")
	}
}

// fault adds what is wrong with the bundle to the findings, and returns
// what is not about the bundle.
func (c *opening) fault(err error) error {
	for _, class := range []error{bundle.ErrMalformed, bundle.ErrCorrupt, bundle.ErrUnsupported, bundle.ErrIncomplete} {
		if errors.Is(err, class) {
			c.add(err)
			return nil
		}
	}
	return err
}

// atHand reports whether a list can be read. One that is not is reported.
func (c *opening) atHand(repo int, kind string) bool {
	r := &c.b.manifest.Repositories[repo]
	if slices.Contains(r.Carried, kind) {
		return true
	}
	rc, err := c.b.openList(repo, kind)
	if err == nil {
		rc.Close()
		return true
	}
	switch {
	case !errors.Is(err, bundle.ErrIncomplete):
		c.add(err)
	case c.o.Receiver == nil, c.b.known:
		c.b.report.notChecked(fmt.Sprintf("repository %s: its list of %s, expected at the receiver", r.Name, kind))
	default:
		c.lack(r.Name)
		c.missing.Lists++
	}
	return false
}

// lack notes that something of a repository is missing here.
func (c *opening) lack(repo string) {
	m := c.b.manifest
	if c.missing == nil {
		c.missing = &MissingBaseError{Set: m.Set, Sequence: m.Sequence, Have: c.accepted.Sequence, Base: m.Base}
	}
	if !c.lacking[repo] {
		c.lacking[repo] = true
		c.missing.Repositories = append(c.missing.Repositories, repo)
	}
}

// checkedFiles is the file list with every rule about one list. After the
// last file it sets the digest over all paths. claims are those of the contents
// list about it; nil: there are none.
func (c *opening) checkedFiles(repo int, paths *bundle.Digest, claims *claims) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		r := &c.b.manifest.Repositories[repo]
		var order bundle.PathOrder
		var count, bytes int64
		h := newPathHash()
		for f, err := range c.b.Files(repo) {
			if err == nil {
				if err = order.Next(f.Path); err == nil {
					err = errors.Join(bundle.CheckReserved(f.Path), checkFile(r.Mount, &f))
				}
				if err == nil {
					err = c.checkFilled(r.Mount, &f)
				}
				if err == nil {
					err = c.checkContent(repo, &f)
				}
				if err != nil {
					err = fmt.Errorf("repository %s: %w", r.Name, err)
				}
			}
			if err != nil {
				yield(f, err)
				return
			}
			if count, bytes = count+1, bytes+f.Size; count > r.Count {
				break // somebody else's count bounds what is held in memory
			}
			h.add(f.Path)
			claims.settleFile(&f)
			f.Annotations = nil // checked: one file of each list is held
			if !yield(f, nil) {
				return
			}
		}
		if count != r.Count || bytes != r.Bytes {
			yield(bundle.File{}, fmt.Errorf("repository %s: list of %s with %s, the root says %d with %d: %w",
				r.Name, bundle.Count(count, "file"), bundle.Count(bytes, "byte"), r.Count, r.Bytes, bundle.ErrMalformed))
			return
		}
		if err := c.unsettled(repo, claims, fileClaim); err != nil {
			yield(bundle.File{}, err)
			return
		}
		*paths = h.sum()
		c.b.report.count("files", count)
		c.b.report.count("bytes of files", bytes)
	}
}

// checkFile is what can be said of a line by itself.
func checkFile(mount string, f *bundle.File) error {
	switch {
	case f.Digest.IsZero():
		return fmt.Errorf("path %q: no digest: %w", f.Path, bundle.ErrMalformed)
	case f.Size < 0 || f.Size > bundle.MaxInteger:
		return fmt.Errorf("path %q: size %d: %w", f.Path, f.Size, bundle.ErrMalformed)
	case f.MediaType != "" && !isMediaType(f.MediaType):
		return fmt.Errorf("path %q: media type %.80q: %w", f.Path, f.MediaType, bundle.ErrMalformed)
	case mount == "v2" && strings.HasSuffix(f.Path, "/tags/list"):
		return fmt.Errorf("path %q: the mirror's own name: %w", f.Path, bundle.ErrMalformed)
	}
	if f.Annotations != nil {
		if err := bundle.CheckAnnotations(f.Annotations); err != nil {
			return fmt.Errorf("path %q: annotations: %w", f.Path, err)
		}
	}
	return nil
}

// checkFilled requires that the root announces filled lines: an importer that
// does not know them must not get as far as the lists.
func (c *opening) checkFilled(mount string, f *bundle.File) error {
	if !f.Filled {
		return nil
	}
	c.filled++
	switch {
	case !slices.Contains(c.b.manifest.Requires, bundle.FeatureFilled):
		return fmt.Errorf("path %q: filled, and the root does not require %q: %w", f.Path, bundle.FeatureFilled, bundle.ErrMalformed)
	case c.filled > bundle.MaxFilled:
		return fmt.Errorf("path %q: more than %d filled files: %w", f.Path, bundle.MaxFilled, bundle.ErrMalformed)
	}
	return bundle.CheckFilled(mount, f)
}

// isMediaType allows what can be in a configuration of a web server without
// quotes: type/subtype (RFC 6838, section 4.2) with at most one parameter.
func isMediaType(s string) bool {
	const name, parameter = "!#$&^_.+-", "=-_."
	main, param, has := strings.Cut(s, "; ")
	typ, subtype, ok := strings.Cut(main, "/")
	return ok && len(s) <= 200 && isToken(typ, name) && isToken(subtype, name) &&
		(!has || isToken(param, parameter) && strings.Count(param, "=") == 1)
}

func isToken(s, others string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') && !strings.ContainsRune(others, r) {
			return false
		}
	}
	return s != ""
}

// checkContent requires that the blob of a file is carried with its size, or,
// in a delta, at the receiver. What is missing there is counted, each blob once.
func (c *opening) checkContent(repo int, f *bundle.File) error {
	if size, ok := c.b.carried.Size(f.Digest); ok {
		if size != f.Size {
			return fmt.Errorf("path %q: size %d, its blob %s has %d: %w", f.Path, f.Size, f.Digest, size, bundle.ErrMalformed)
		}
		if first, _ := c.b.carried.Mark(f.Digest); first {
			c.named++
		}
		return nil
	}
	if c.b.manifest.Full {
		return fmt.Errorf("path %q: blob %s is in no volume of a full bundle: %w", f.Path, f.Digest, bundle.ErrMalformed)
	}
	if !c.base.Add(f.Digest, f.Size) {
		if size, _ := c.base.Size(f.Digest); size != f.Size {
			return fmt.Errorf("path %q: size %d, another path with %s has %d: %w", f.Path, f.Size, f.Digest, size, bundle.ErrMalformed)
		}
		if c.base.Marked(f.Digest) {
			c.lack(c.b.manifest.Repositories[repo].Name)
		}
		return nil
	}
	c.fromBase.count, c.fromBase.bytes = c.fromBase.count+1, c.fromBase.bytes+f.Size
	if c.o.Receiver == nil || c.b.known {
		return nil
	}
	has, err := c.o.Receiver.HasBlob(f.Digest, f.Size)
	if err != nil {
		return fmt.Errorf("blob %s at the receiver: %w", f.Digest, err)
	}
	if !has {
		c.base.Mark(f.Digest)
		c.lack(c.b.manifest.Repositories[repo].Name)
		c.missing.Count, c.missing.Bytes = c.missing.Count+1, c.missing.Bytes+f.Size
	}
	return nil
}

func (c *opening) noteBase() {
	switch n := c.fromBase; {
	case n.count == 0:
	case c.o.Receiver == nil || c.b.known:
		c.b.report.notChecked(fmt.Sprintf("%s (%s) expected at the receiver", bundle.Count(n.count, "blob"), bundle.Count(n.bytes, "byte")))
	default:
		c.b.report.count("blobs of the base, by name and size", n.count)
	}
}

// checkStrangers refuses blobs that no list names: they would be stored, and
// nothing would ever show why.
func (c *opening) checkStrangers() error {
	if c.named == c.b.carried.Len() {
		return nil
	}
	for _, v := range c.b.volumes {
		for blob, err := range c.b.catalog.Blobs(v.Volume) {
			if err != nil {
				return err
			}
			if first, _ := c.b.carried.Mark(blob.Digest); first {
				c.add(fmt.Errorf("%s: blob %s (%s): named by no list: %w", v.Name, blob.Digest, bundle.Count(blob.Size, "byte"), bundle.ErrMalformed))
			}
		}
	}
	return nil
}
