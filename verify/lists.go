package verify

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// lists are the checks of all lists of a bundle, and what they have found that later ones compare with.
type lists struct {
	b      *Bundle
	found  *findings
	relied *reliance
	filled int64 // filled lines of all lists
	named  int64 // distinct blobs of the volumes that a list names
	// contents are the repositories whose contents list was read to its end.
	contents map[int]bool
}

// check reads every list: order, counts, sizes, that no path is taken
// twice over repositories that share a mount, that the evidence speaks of the
// same files, that every entry of the contents lists stands for a file as the other
// two lists have it, and that every blob is carried or at the receiver.
func (l *lists) check(ctx context.Context) error {
	repos := l.b.manifest.Repositories
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
		if err := l.checkMount(ctx, group, paths); err != nil {
			return err
		}
	}
	for i := range repos {
		if err := l.checkEvidence(ctx, i, paths[i]); err != nil {
			return err
		}
	}
	l.b.report.count("repositories", int64(len(repos)))
	if err := checkFolders(l.b); err != nil {
		l.found.add(err)
	}
	if slices.Contains(paths, bundle.Digest{}) {
		l.b.report.notChecked("whether every blob carried is named by a list: not all lists were read")
	} else if err := l.checkStrangers(); err != nil {
		return err
	}
	l.relied.note(l.b.report)
	return nil
}

// checkMount reads the file lists of repositories with one mount together, as
// one sorted stream. A fault of a list ends that list; the error is
// for what is not about the bundle.
func (l *lists) checkMount(ctx context.Context, group []int, paths []bundle.Digest) error {
	claims, err := l.claimFiles(ctx, group)
	if err != nil {
		return err
	}
	var heads merge
	defer func() { heads.stop() }()
	for _, repo := range group {
		if !l.atHand(repo, bundle.CarriedFiles) {
			continue
		}
		next, stop := iter.Pull2(l.checkedFiles(repo, &paths[repo], claims[repo]))
		if err := heads.advance(&head{repo: repo, next: next, stop: stop}); err != nil {
			if err := l.found.fault(err); err != nil {
				return err
			}
		}
	}
	var last *head
	var folders bundle.Folders
	for n := 0; len(heads) > 0; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		h := heads[0]
		heads = heads[1:]
		folders.Add(h.file.Path)
		if last != nil && last.repo != h.repo {
			l.checkNeighbours(last, h)
		}
		last = &head{repo: h.repo, file: h.file}
		if err := heads.advance(h); err != nil {
			if err := l.found.fault(err); err != nil {
				return err
			}
		}
	}
	l.b.folders[l.b.manifest.Repositories[group[0]].Mount] = folders.Count()
	return nil
}

// checkFolders: each folder is an inode of the receiver, which has to know how many.
func checkFolders(b *Bundle) error {
	var folders, files int64
	for _, n := range b.folders {
		folders += n
	}
	for _, r := range b.manifest.Repositories {
		files += r.Count
	}
	b.report.count("folders", folders)
	return bundle.CheckFolders(folders, files)
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
func (l *lists) checkNeighbours(a, b *head) {
	repos := l.b.manifest.Repositories
	conflict := func(what string) {
		l.found.add(fmt.Errorf("path %s/%s: %s in repositories %s and %s: %w", repos[a.repo].Mount, a.file.Path, what,
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

// atHand reports whether a list can be read. One that is not is reported.
func (l *lists) atHand(repo int, kind string) bool {
	r := &l.b.manifest.Repositories[repo]
	if slices.Contains(r.Carried, kind) {
		return true
	}
	rc, err := l.b.openList(repo, kind)
	if err == nil {
		rc.Close()
		return true
	}
	switch {
	case !errors.Is(err, bundle.ErrIncomplete):
		l.found.add(err)
	case l.relied.unknown:
		l.b.report.notChecked(fmt.Sprintf("repository %s: its list of %s, expected at the receiver", r.Name, kind))
	default:
		l.relied.lack(r.Name)
		l.relied.missing.Lists++
	}
	return false
}

// checkedFiles returns the file list with every rule about one list. After the
// last file it sets the digest over all paths. claims are those of the contents
// list about it; nil: there are none.
func (l *lists) checkedFiles(repo int, paths *bundle.Digest, claims *claims) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		r := &l.b.manifest.Repositories[repo]
		var order bundle.PathOrder
		var count, bytes int64
		h := newPathHash()
		for f, err := range l.b.Files(repo) {
			if err == nil {
				if err = order.Next(f.Path); err == nil {
					err = errors.Join(bundle.CheckReserved(f.Path), checkFile(r.Mount, &f))
				}
				if err == nil {
					err = l.checkFilled(r.Mount, &f)
				}
				if err == nil {
					err = l.checkContent(repo, &f)
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
		if err := claims.unsettled(l.b, repo, fileClaim); err != nil {
			yield(bundle.File{}, err)
			return
		}
		*paths = h.sum()
		l.b.report.count("files", count)
		l.b.report.count("bytes of files", bytes)
	}
}

// checkFile checks what one line can show by itself.
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
func (l *lists) checkFilled(mount string, f *bundle.File) error {
	if !f.Filled {
		return nil
	}
	l.filled++
	switch {
	case !slices.Contains(l.b.manifest.Requires, bundle.FeatureFilled):
		return fmt.Errorf("path %q: filled, and the root does not require %q: %w", f.Path, bundle.FeatureFilled, bundle.ErrMalformed)
	case l.filled > bundle.MaxFilled:
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
// in a delta, at the receiver. Missing blobs are counted, each blob once.
func (l *lists) checkContent(repo int, f *bundle.File) error {
	if size, ok := l.b.carried.Size(f.Digest); ok {
		if size != f.Size {
			return fmt.Errorf("path %q: size %d, its blob %s has %d: %w", f.Path, f.Size, f.Digest, size, bundle.ErrMalformed)
		}
		if first, _ := l.b.carried.Mark(f.Digest); first {
			l.named++
		}
		return nil
	}
	if l.b.manifest.Full {
		return fmt.Errorf("path %q: blob %s is in no volume of a full bundle: %w", f.Path, f.Digest, bundle.ErrMalformed)
	}
	return l.relied.check(l.b.manifest.Repositories[repo].Name, f)
}

// checkStrangers refuses blobs that no list names: they would be stored, and
// nothing would ever show why.
func (l *lists) checkStrangers() error {
	if l.named == l.b.carried.Len() {
		return nil
	}
	for _, v := range l.b.volumes {
		for blob, err := range l.b.catalog.Blobs(v.Volume) {
			if err != nil {
				return err
			}
			if first, _ := l.b.carried.Mark(blob.Digest); first {
				l.found.add(fmt.Errorf("%s: blob %s (%s): named by no list: %w", v.Name, blob.Digest, bundle.Count(blob.Size, "byte"), bundle.ErrMalformed))
			}
		}
	}
	return nil
}
