package collect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// maxDerivation bounds how often a derived source may derive again: kinds
// that ask for each other must end in an error, not in an endless plan.
const maxDerivation = 8

// Resolved is everything a set will collect.
type Resolved struct {
	// Repositories are sorted by name.
	Repositories []Planned
	// Scratch is the sum of what the plans announced.
	Scratch int64
}

// Digest identifies what the plan would collect: equal plans have equal ones.
func (r *Resolved) Digest() (bundle.Digest, error) {
	hash := bundle.NewHash()
	for p, err := range r.artifacts() {
		if err != nil {
			return bundle.Digest{}, err
		}
		f := p.artifact.File
		fmt.Fprintf(hash, "%s\x00%s\x00%d\x00%s\x00%s\n", p.source, f.Path, f.Size, f.Digest, p.artifact.Validator)
	}
	return bundle.SumOf(hash), nil
}

// Planned is a repository and the kind it is of.
type Planned struct {
	sources.Repository
	Kind string
	// Compare is that of the kind; nil: versions have no order.
	Compare func(typ, a, b string) int
}

// Resolve plans all sources of a set: kinds that derive others first, again
// for what was derived for them, then each other kind once with everything.
// Conflicts of names and mounts are refused. Errors of several sources are
// joined; a plan is all or nothing.
func Resolve(ctx context.Context, kinds sources.Kinds, specs []sources.Spec, env *sources.Env) (*Resolved, error) {
	sources.NameHosts(env, specs)
	r := &resolver{kinds: kinds, env: env, given: specs, planned: map[string]*sources.Plan{}}
	if err := CheckSpecs(kinds, specs); err != nil {
		_, refused := r.accept(func(sources.Kind) bool { return true })
		return nil, strictyaml.Join(err, refused)
	}
	if err := r.derive(ctx); err != nil {
		return nil, err
	}
	if err := r.plan(ctx, func(k sources.Kind) bool { return !k.Derives }); err != nil {
		return nil, err
	}
	return r.result()
}

type resolver struct {
	kinds   sources.Kinds
	env     *sources.Env
	given   []sources.Spec
	derived []sources.Spec
	planned map[string]*sources.Plan // by kind
}

// CheckSpecs refuses unknown kinds, and names that two sources have. Errors match
// bundle.ErrUsage.
func CheckSpecs(kinds sources.Kinds, specs []sources.Spec) error {
	var errs []error
	names := make(map[string]bool, len(specs))
	for _, s := range specs {
		if _, known := kinds.Lookup(s.Kind); !known {
			errs = append(errs, unknownKind(kinds, s))
		}
		if names[s.Name] {
			errs = append(errs, fmt.Errorf("%s: two sources have this name: %w", where(s), bundle.ErrUsage))
		}
		names[s.Name] = true
	}
	return errors.Join(errs...)
}

func where(s sources.Spec) string {
	if s.At == "" {
		return "source " + s.Name
	}
	return s.At + ": source " + s.Name
}

// specs returns the specs of one kind, derived ones last.
func (r *resolver) specs(kind string) []sources.Spec {
	var specs []sources.Spec
	for _, s := range slices.Concat(r.given, r.derived) {
		if s.Kind == kind {
			specs = append(specs, s)
		}
	}
	return specs
}

// derive plans the kinds that derive until nothing new comes of them. A kind
// for which something was derived is planned again, because it has to see all
// of its specs at once.
func (r *resolver) derive(ctx context.Context) error {
	for range maxDerivation {
		if err := r.plan(ctx, func(k sources.Kind) bool { return k.Derives }); err != nil {
			return err
		}
		before := make(map[string][]string, len(r.kinds))
		for _, kind := range r.kinds {
			before[kind.Name] = specNames(r.specs(kind.Name))
		}
		r.derived = nil
		for _, kind := range r.kinds {
			if p := r.planned[kind.Name]; p != nil {
				for _, d := range p.Also {
					r.derived = append(r.derived, d.Spec)
				}
			}
		}
		if err := CheckSpecs(r.kinds, slices.Concat(r.given, r.derived)); err != nil {
			return err
		}
		again := false
		for _, kind := range r.kinds {
			if kind.Derives && !slices.Equal(before[kind.Name], specNames(r.specs(kind.Name))) {
				delete(r.planned, kind.Name)
				again = true
			}
		}
		if !again {
			return nil
		}
	}
	return fmt.Errorf("source %s: derived through more than %d others: %w",
		r.derived[len(r.derived)-1].Name, maxDerivation, bundle.ErrUsage)
}

func specNames(specs []sources.Spec) []string {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	return names
}

// planning is one kind on its way.
type planning struct {
	kind   sources.Kind
	specs  []sources.Spec
	source sources.Source
	plan   *sources.Plan
	err    error
}

// accept makes sources of those kinds that are chosen, have specs and are not
// planned yet. All errors in their specs are reported.
func (r *resolver) accept(chosen func(sources.Kind) bool) ([]*planning, error) {
	var all []*planning
	var errs []error
	for _, kind := range r.kinds {
		specs := r.specs(kind.Name)
		if len(specs) == 0 || !chosen(kind) || r.planned[kind.Name] != nil {
			continue
		}
		source, err := kind.New(specs)
		errs = append(errs, inSpec(kind.Name, err))
		all = append(all, &planning{kind: kind, specs: specs, source: source})
	}
	return all, strictyaml.Join(errs...)
}

// plan plans what accept makes. No network is used before all kinds accept
// their specs.
func (r *resolver) plan(ctx context.Context, chosen func(sources.Kind) bool) error {
	all, err := r.accept(chosen)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	for _, p := range all {
		group.Go(func() {
			if p.plan, p.err = p.source.Plan(ctx, r.env); p.err == nil {
				p.err = checkPlan(p.kind, p.specs, p.plan)
			}
			p.err = inPlan(p.kind.Name, p.err)
		})
	}
	group.Wait()
	var errs []error
	for _, p := range all {
		errs = append(errs, p.err)
		r.planned[p.kind.Name] = p.plan
	}
	return errors.Join(errs...)
}

// checkPlan holds a kind to its contract.
func checkPlan(kind sources.Kind, specs []sources.Spec, p *sources.Plan) error {
	if len(p.Repositories) != len(specs) {
		return fmt.Errorf("kind %s: %s for %s", kind.Name, bundle.Count(len(p.Repositories), "repository"), bundle.Count(len(specs), "source"))
	}
	for i, repo := range p.Repositories {
		if repo.Name != specs[i].Name {
			return fmt.Errorf("kind %s: repository %q for source %q", kind.Name, repo.Name, specs[i].Name)
		}
		if err := bundle.CheckRepositoryName(repo.Name); err != nil {
			return fmt.Errorf("source %s: %w", repo.Name, err)
		}
		if err := annotate(&p.Repositories[i], specs[i].Public); err != nil {
			return fmt.Errorf("source %s: %w: %s", repo.Name, bundle.ErrUsage, err.Error())
		}
	}
	if len(p.Also) > 0 && !kind.Derives {
		return fmt.Errorf("kind %s: derives sources and does not say so", kind.Name)
	}
	return nil
}

// annotate puts the public addresses of a repository into its annotations, and
// checks all of them. They are told apart from the kind's own by their names.
func annotate(repo *sources.Repository, first bool) error {
	annotations := maps.Clone(repo.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	if err := annotatePublic(annotations, repo); err != nil {
		return err
	}
	if first {
		annotations[bundle.PublicFirstKey] = "true"
	}
	if len(annotations) == 0 {
		return nil
	}
	repo.Annotations = annotations
	return bundle.CheckAnnotations(annotations)
}

func (r *resolver) result() (*Resolved, error) {
	var res Resolved
	for _, kind := range r.kinds {
		p := r.planned[kind.Name]
		if p == nil {
			continue
		}
		res.Scratch += p.Scratch
		for _, repo := range p.Repositories {
			res.Repositories = append(res.Repositories, Planned{Repository: repo, Kind: kind.Name, Compare: kind.Compare})
		}
	}
	slices.SortFunc(res.Repositories, func(a, b Planned) int { return strings.Compare(a.Name, b.Name) })
	if len(res.Repositories) > bundle.MaxRepositories {
		return nil, fmt.Errorf("sources: %s, at most %d: %w", bundle.Count(len(res.Repositories), "repository"), bundle.MaxRepositories, bundle.ErrUsage)
	}
	notePublic(res.Repositories)
	return &res, checkMounts(res.Repositories)
}

// checkMounts refuses mounts that one path could belong to twice: only
// repositories of one kind may share one, where the format has it, and none
// may lie in another.
func checkMounts(repos []Planned) error {
	sorted := slices.SortedFunc(slices.Values(repos), func(a, b Planned) int {
		return bundle.ComparePaths(a.Mount, b.Mount)
	})
	var errs []error
	for i := 1; i < len(sorted); i++ {
		a, b := sorted[i-1], sorted[i]
		switch {
		case a.Mount == b.Mount && a.Kind == b.Kind && bundle.IsSharedMount(a.Mount):
		case a.Mount == b.Mount, strings.HasPrefix(b.Mount, a.Mount+"/"):
			errs = append(errs, fmt.Errorf("sources %s (%s) and %s (%s): mounts %s and %s overlap: %w",
				a.Name, a.Kind, b.Name, b.Kind, a.Mount, b.Mount, bundle.ErrUsage))
		}
	}
	for _, repo := range repos {
		first, _, _ := strings.Cut(repo.Mount, "/")
		err := bundle.CheckMount(repo.Mount)
		if err == nil && (first == "keys" || strings.HasPrefix(first, "_")) {
			err = fmt.Errorf("mount %s: the mirror's own name", repo.Mount)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("source %s: %w: %w", repo.Name, err, bundle.ErrUsage))
		}
	}
	return errors.Join(errs...)
}
