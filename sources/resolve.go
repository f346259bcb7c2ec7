package sources

import "context"

// Kinds are the kinds a program knows; package all lists them.
type Kinds []Kind

// Resolved is everything a set will collect.
type Resolved struct {
	// Repositories are sorted by name.
	Repositories []Planned
	// Scratch is the sum of what the plans announced.
	Scratch int64
}

// Planned is a repository and the kind it is of.
type Planned struct {
	Repository
	Kind string
}

// Resolve plans all sources of a set: kinds that derive others first, then
// each other kind once with everything that was derived. Conflicts of names
// and mounts are refused. Errors of several sources are joined.
func Resolve(ctx context.Context, kinds Kinds, specs []Spec, env *Env) (*Resolved, error) {
	return nil, nil
}

// Given is a derived spec over a value that the deriving kind built: a map or
// a struct with yaml tags, of what the other kind's part of a spec may hold.
func Given(name, kind string, value any) Spec { return Spec{Name: name, Kind: kind} }
