package sourcetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// Manifest is the metadata of the kind Manifests: what an upstream of it has
// at the URL that the spec names, as JSON.
type Manifest struct {
	// Expires is when it must not be believed any more; zero: never.
	Expires time.Time `json:"expires,omitzero"`
	// Files are digests by path, relative to the manifest's own URL.
	Files map[string]bundle.Digest `json:"files"`
	// Parcels are paths, relative likewise, that the kind Parcels is to carry.
	Parcels []string `json:"parcels,omitempty"`
}

const (
	manifestsName = "manifests"
	parcelsName   = "parcels"
	indexName     = "INDEX"
)

// Manifests returns a fake kind that uses the seams of kinds with an index: it
// derives sources of the kind Parcels, knows digests and no sizes, judges
// validity by Env.Now, makes an index late from what was collected, signs it
// by the site key when there is one, and checks that index as a client would.
func Manifests() sources.Kind {
	return sources.Kind{
		Name: manifestsName, Doc: "a fake kind with an index", Derives: true,
		Options: func() any { return new(manifestOptions) },
		New:     newManifests,
		Check:   checkManifests,
		Clients: clientsOf(manifestsName),
	}
}

type manifestOptions struct {
	URL string `yaml:"url,required" doc:"The manifest."`
}

type manifests struct {
	specs []sources.Spec
	urls  []string
}

func newManifests(specs []sources.Spec) (sources.Source, error) {
	m := manifests{specs: specs}
	var errs []error
	for _, s := range specs {
		var o manifestOptions
		errs = append(errs, s.Decode(&o))
		m.urls = append(m.urls, o.URL)
	}
	return m, errors.Join(errs...)
}

func (m manifests) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	var p sources.Plan
	for i, s := range m.specs {
		manifest, err := readManifest(ctx, env, m.urls[i])
		if err != nil {
			return nil, fmt.Errorf("%s: source %s: %w", s.At, s.Name, err)
		}
		repo := sources.Repository{
			Name: s.Name, Mode: "rebuilt", Mount: manifestsName + "/" + s.Name,
			Artifacts: func() iter.Seq2[sources.Artifact, error] { return manifestFiles(env, m.urls[i], manifest) },
			Late: func(ctx context.Context, done sources.Results) ([]sources.Artifact, error) {
				return index(ctx, env, manifest, done)
			},
		}
		public, err := bundle.ParsePublic(base(m.urls[i]), "files")
		if err != nil {
			return nil, fmt.Errorf("%s: source %s: %w", s.At, s.Name, err)
		}
		repo.Public = []sources.Public{public}
		if !manifest.Expires.IsZero() {
			repo.Expires = &manifest.Expires
		}
		if env.Site != nil {
			key, err := siteKey(env.Site)
			if err != nil {
				return nil, err
			}
			repo.Keys = []sources.Key{key}
		}
		p.Repositories = append(p.Repositories, repo)
		if len(manifest.Parcels) > 0 {
			p.Also = append(p.Also, sources.Derived{Spec: sources.Given(s, parcelsName, map[string]any{
				"base": base(m.urls[i]), "names": manifest.Parcels,
			})})
		}
	}
	return &p, nil
}

// base returns a URL without its last part.
func base(url string) string { return url[:strings.LastIndexByte(url, '/')+1] }

func readManifest(ctx context.Context, env *sources.Env, url string) (*Manifest, error) {
	b, _, err := env.Fetch.ReadAll(ctx, url, 1<<20)
	if err != nil {
		return nil, err
	}
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("%s: not a manifest: %w: %w", url, fetch.ErrUpstream, err)
	}
	if !m.Expires.IsZero() && env.Now.After(m.Expires) {
		return nil, fmt.Errorf("%s: expired %s, judged at %s: %w", url,
			m.Expires.Format(time.RFC3339), env.Now.Format(time.RFC3339), fetch.ErrRefused)
	}
	return &m, nil
}

func sortedPaths(m *Manifest) []string {
	paths := make([]string, 0, len(m.Files))
	for p := range m.Files {
		paths = append(paths, p)
	}
	slices.SortFunc(paths, bundle.ComparePaths)
	return paths
}

func manifestFiles(env *sources.Env, url string, m *Manifest) iter.Seq2[sources.Artifact, error] {
	return func(yield func(sources.Artifact, error) bool) {
		for _, p := range sortedPaths(m) {
			a := sources.Artifact{
				File:     bundle.File{Path: "files/" + p, Size: -1, Digest: m.Files[p]},
				Evidence: bundle.Evidence{Origin: base(url) + p, Vouched: bundle.VouchedNone, Reason: "in the manifest"},
				Open:     download(env, base(url)+p),
				Entries:  sources.NewEntries(sources.Entry{Name: p, Type: bundle.TypeFile}),
			}
			if !yield(a, nil) {
				return
			}
		}
	}
}

func download(env *sources.Env, url string) bundle.Open {
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		b, err := env.Fetch.Open(ctx, url, at, validator)
		if err != nil {
			return nil, err
		}
		return &bundle.Content{Body: b, At: b.At, Validator: b.Meta.Validator()}, nil
	}
}

// index lists what was collected, with the sizes that nobody knew before.
func index(ctx context.Context, env *sources.Env, m *Manifest, done sources.Results) ([]sources.Artifact, error) {
	var b bytes.Buffer
	for _, p := range sortedPaths(m) {
		f, ok, err := done.Lookup(ctx, "files/"+p)
		if err == nil && !ok {
			err = fmt.Errorf("files/%s: not collected: %w", p, bundle.ErrIncomplete)
		}
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s %d %s\n", f.Digest.Hex(), f.Size, f.Path)
	}
	late := []sources.Artifact{made(indexName, b.Bytes())}
	if env.Site == nil {
		return late, nil
	}
	var signature bytes.Buffer
	plain := false // the same selection has the same bytes
	err := openpgp.ArmoredDetachSign(&signature, env.Site, bytes.NewReader(b.Bytes()), &packet.Config{
		Time:                                  func() time.Time { return env.Site.PrimaryKey.CreationTime },
		NonDeterministicSignaturesViaNotation: &plain,
	})
	return append(late, made(indexName+".asc", signature.Bytes())), err
}

func made(p string, content []byte) sources.Artifact {
	return sources.Artifact{
		File:     bundle.File{Path: p, Size: int64(len(content)), Digest: bundle.DigestOf(content)},
		Evidence: bundle.Evidence{Vouched: bundle.VouchedNone, Reason: "index of what nobody vouches for"},
		Open: func(context.Context, int64, string) (*bundle.Content, error) {
			return &bundle.Content{Body: io.NopCloser(bytes.NewReader(content))}, nil
		},
	}
}

func siteKey(e *openpgp.Entity) (sources.Key, error) {
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		return sources.Key{}, err
	}
	if err := errors.Join(e.Serialize(w), w.Close()); err != nil {
		return sources.Key{}, err
	}
	return sources.Key{
		Fingerprint: fmt.Sprintf("%X", e.PrimaryKey.Fingerprint), Role: "site", Armored: b.Bytes(), Path: "site.asc",
	}, nil
}

// checkManifests asks for the index and then for everything in it.
func checkManifests(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
	var count int64
	var errs []error
	for _, r := range t.Repositories() {
		listed := map[string]bundle.File{}
		for f, err := range t.Files(r.Name) {
			if err != nil {
				return nil, err
			}
			listed[f.Path] = f
		}
		content, err := t.Open(ctx, r.Name, indexName)
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(content)
		if err := errors.Join(err, content.Close()); err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(b)) {
			var digest, p string
			var size int64
			if _, err := fmt.Sscan(line, &digest, &size, &p); err != nil {
				return nil, fmt.Errorf("source %s: index: %w: %w", r.Name, bundle.ErrCorrupt, err)
			}
			count++
			if f, ok := listed[p]; !ok || f.Digest.Hex() != digest || f.Size != size {
				errs = append(errs, fmt.Errorf("source %s, %s: in the index and not in the mirror: %w", r.Name, p, bundle.ErrIncomplete))
			}
		}
	}
	return []bundle.CheckCount{{Name: "index entries", Count: count}}, errors.Join(errs...)
}

func clientsOf(kind string) func(context.Context, []bundle.Repository, sources.Tree) ([]sources.ClientFile, error) {
	return func(_ context.Context, repos []bundle.Repository, _ sources.Tree) ([]sources.ClientFile, error) {
		var b strings.Builder
		for _, r := range repos {
			fmt.Fprintf(&b, "%s %s/%s/\n", r.Name, sources.BaseMark, r.Mount)
		}
		return []sources.ClientFile{{Path: kind + ".conf", Content: []byte(b.String())}}, nil
	}
}

// Parcels returns a fake kind that knows least: neither sizes nor digests, only
// that upstream reports a version. It looks at all of its sources together (a
// parcel that two of them want is carried by the first alone) and uses
// scratch.
func Parcels() sources.Kind {
	return sources.Kind{
		Name: parcelsName, Doc: "a fake kind without digests",
		Options: func() any { return new(parcelOptions) },
		New:     newParcels,
		Clients: clientsOf(parcelsName),
	}
}

type parcelOptions struct {
	Base  string   `yaml:"base,required" doc:"URL that names are relative to."`
	Names []string `yaml:"names,required" doc:"Paths."`
}

type parcels struct {
	specs   []sources.Spec
	options []parcelOptions
}

func newParcels(specs []sources.Spec) (sources.Source, error) {
	p := parcels{specs: specs, options: make([]parcelOptions, len(specs))}
	var errs []error
	for i, s := range specs {
		err := s.Decode(&p.options[i])
		if err == nil && len(p.options[i].Names) == 0 {
			err = fmt.Errorf("source %s: names: none of the parcels below %s: %w", s.Name, p.options[i].Base, bundle.ErrUsage)
		}
		errs = append(errs, err)
	}
	return p, errors.Join(errs...)
}

func (p parcels) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	plan := &sources.Plan{Scratch: 4 << 10}
	if err := env.Scratch.WriteFile("parcels", make([]byte, 4<<10), 0o600); err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	for i, s := range p.specs {
		var artifacts []sources.Artifact
		for _, name := range slices.SortedFunc(slices.Values(p.options[i].Names), bundle.ComparePaths) {
			url := p.options[i].Base + name
			if taken[url] {
				continue
			}
			taken[url] = true
			meta, err := env.Fetch.Stat(ctx, url)
			if err != nil {
				return nil, fmt.Errorf("source %s: %w", s.Name, err)
			}
			artifacts = append(artifacts, sources.Artifact{
				File:      bundle.File{Path: name, Size: -1},
				Evidence:  bundle.Evidence{Origin: url, Vouched: bundle.VouchedNone, Reason: "named"},
				Validator: meta.Validator(), Open: download(env, url),
				Entries: sources.NewEntries(sources.Entry{Name: name, Type: bundle.TypeFile}),
			})
		}
		public, err := bundle.ParsePublic(p.options[i].Base, "")
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", s.Name, err)
		}
		plan.Repositories = append(plan.Repositories, sources.Repository{
			Public: []sources.Public{public},
			Name:   s.Name, Mount: parcelsName + "/" + strings.ReplaceAll(s.Name, "/", "-"),
			Artifacts: func() iter.Seq2[sources.Artifact, error] { return recall(env, s.Name, artifacts) },
		})
	}
	return plan, nil
}

// recall fills in what the base recorded of unchanged parcels.
func recall(env *sources.Env, repo string, artifacts []sources.Artifact) iter.Seq2[sources.Artifact, error] {
	return func(yield func(sources.Artifact, error) bool) {
		cursor := env.Cursor(repo)
		defer cursor.Close()
		for _, a := range artifacts {
			r, ok, err := cursor.Lookup(a.File.Path)
			if err == nil && ok && r.Validator == a.Validator && a.Validator != "" {
				a.File.Digest, a.File.Size = r.File.Digest, r.File.Size
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}
