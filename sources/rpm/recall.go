package rpm

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/replay"
	"github.com/gapbundle/gapbundle/sources/stock"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// absentKey is the annotation of a repomd.xml that has the types that it lists and
// upstream lacks.
const absentKey = "absent"

// planVersion changes when the same repomd.xml and configuration lead to another list of
// files than before.
const planVersion = 3

// configuration identifies what a repository was planned for, and by what.
func (l *loaded) configuration(h *head) string {
	return replay.Configuration(struct {
		Version                             int
		Bases                               []string
		Mirrorlist, Metalink, Folder, Trust string
		Signature, Keys                     string
	}{planVersion, h.bases, h.mirrorlist, h.metalink, h.folder, l.trust.mark, bundle.DigestOf(h.signature).Hex(), bundle.DigestOf(l.trust.published).Hex()})
}

// recall finds the sources whose files the base has: then its list is the plan, and
// upstream is asked for nothing more. Where packages are chosen, the choice in one source
// depends on every other: all of them are recalled, or none.
func recall(env *sources.Env, r *reading) (err error) {
	if r.mark, err = markOf(env, r.all); err != nil || env.Base == nil {
		return err
	}
	same := true
	recalled := make([]*loaded, len(r.all))
	for i, l := range r.all {
		if recalled[i], err = l.recall(env, r.mark); err != nil {
			return err
		}
		same = same && recalled[i] != nil
	}
	for i, l := range recalled {
		if l != nil && (same || !r.chooses()) {
			r.all[i] = l
		}
	}
	return nil
}

// recall returns the source as the base has it if the base was made from the same repomd.xml
// files that were just verified, for the same configuration and with the same choice;
// otherwise nil. The ledger has the mark of the choice as the validator of each repomd.xml
// that was made here.
func (l *loaded) recall(env *sources.Env, mark string) (*loaded, error) {
	memory, err := replay.Recall(env, l.name, reasonMetadata)
	if err != nil {
		return nil, err
	}
	decisive := map[string]bundle.Digest{}
	for _, repo := range l.repos {
		decisive[l.configuration(repo.head)] = bundle.DigestOf(repo.repomd)
	}
	if len(decisive) < len(l.repos) || !memory.Decided(decisive) || l.rebuilt && !memory.Made(mark, len(l.repos)) {
		return nil, nil
	}
	known := &loaded{entry: l.entry, trust: l.trust, unchanged: true}
	if l.rebuilt {
		known.scratch = memory.Remake
	}
	for _, repo := range l.repos {
		r, _ := memory.Marked(l.configuration(repo.head))
		dir := strings.TrimPrefix(strings.TrimSuffix(r.File.Path, nameRepomd), upstreamFolder)
		known.repos = append(known.repos, &loadedRepo{head: repo.head, dir: dir, absent: list(r.File.Annotations[absentKey])})
	}
	return known, nil
}

// markOf identifies everything that the choice over all sources is a function of: every
// repomd.xml, what the spec asks for, the site's key, and this program. It is empty if
// nothing is chosen.
func markOf(env *sources.Env, all []*loaded) (string, error) {
	type sourceMark struct {
		Name    string
		Rebuilt bool
		Options options
		Repos   []string
	}
	var marks []sourceMark
	chooses := false
	for _, l := range all {
		chooses = chooses || l.rebuilt
		m := sourceMark{Name: l.name, Rebuilt: l.rebuilt, Options: l.options}
		m.Options.Pos, m.Options.GPGKey = strictyaml.Pos{}, nil
		for _, repo := range l.repos {
			m.Repos = append(m.Repos, l.configuration(repo.head), bundle.DigestOf(repo.repomd).Hex())
		}
		marks = append(marks, m)
	}
	if !chooses {
		return "", nil
	}
	return replay.Mark(env, struct {
		Version int
		Sources []sourceMark
	}{planVersion, marks})
}

// layUnchanged lays out a source whose upstream is what the base has.
func layUnchanged(env *sources.Env, l *loaded, again *replay.Again) (sources.Repository, error) {
	dirs := make([]string, len(l.repos))
	under := ""
	if l.rebuilt {
		under = upstreamFolder
	}
	var fresh []stock.File
	for i, repo := range l.repos {
		dirs[i] = repo.dir
		fresh = append(fresh, repo.signedFiles(under+repo.dir)...)
		key, err := l.keyFile(env, repo, repo.dir)
		if err != nil {
			return sources.Repository{}, err
		}
		fresh = append(fresh, key...)
	}
	repo, err := l.repository(env, dirs)
	if l.rebuilt {
		repo.Notes = append(repo.Notes, "nothing changed since the last export: its choice stands")
	}
	finish := func(r sources.Recorded, a *sources.Artifact) error {
		l.finishRecalled(env, r, a)
		return nil
	}
	repo.Artifacts = replay.Plan{Fresh: fresh, Again: again, Finish: finish}.Artifacts(env, l.name)
	return repo, err
}

// finishRecalled completes an artifact that the base recorded: it has several addresses,
// and a package is checked as it was then.
func (l *loaded) finishRecalled(env *sources.Env, r sources.Recorded, a *sources.Artifact) {
	place := upstream.At(l.mirrors(r)...)
	if !strings.HasPrefix(r.Validator, l.trust.mark) {
		a.Open = place.Open(env, upstream.Want{Sum: upstream.SHA256(r.File.Digest), Size: r.File.Size})
		return
	}
	want := upstream.Want{Sum: upstream.SHA256(r.File.Digest), Size: r.File.Size}
	a.Validator, a.Open = r.Validator, l.trust.open(env, place, "", want, "", r.Validator)
}

// mirrors returns the addresses of a file that the base recorded: where it came from then,
// and where its repository is now.
func (l *loaded) mirrors(r sources.Recorded) []string {
	urls := []string{r.Origin}
	for _, repo := range l.repos {
		name, ok := strings.CutPrefix(strings.TrimPrefix(r.File.Path, upstreamFolder), repo.folder)
		if !ok || strings.HasPrefix(name, foreignFolder) {
			continue
		}
		rel, err := filepath.Rel("/"+strings.TrimPrefix(repo.dir, repo.folder), "/"+name)
		if err != nil {
			continue
		}
		for _, base := range repo.place.Bases() {
			if u := upstream.At(base).URL(filepath.ToSlash(rel)); !slices.Contains(urls, u) {
				urls = append(urls, u)
			}
		}
	}
	return urls
}
