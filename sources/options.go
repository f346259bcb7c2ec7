package sources

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

// Checks collects what is wrong with the options of an entry of the spec, with its place.
type Checks struct {
	Pos  strictyaml.Pos
	errs []error
}

// Refuse adds what is wrong with an option.
func (c *Checks) Refuse(format string, args ...any) {
	c.errs = append(c.errs, c.Pos.Errorf(format, args...))
}

// Add adds errors that have a place of their own; nil is none.
func (c *Checks) Add(errs ...error) { c.errs = append(c.errs, errs...) }

// Word checks an option that is one of two or more words. The first word is written into value
// where the spec leaves the option out.
func (c *Checks) Word(key string, value *string, words ...string) {
	if *value == "" {
		*value = words[0]
	}
	if !slices.Contains(words, *value) {
		last := len(words) - 1
		c.Refuse("%s: want %s or %s, got %q", key, strings.Join(words[:last], ", "), words[last], *value)
	}
}

// Newest checks how many versions are wanted: 0 where the spec leaves it open, and at most most
// if that is not 0.
func (c *Checks) Newest(n, most int) {
	switch {
	case n >= 0 && (most == 0 || n <= most):
	case most == 0:
		c.Refuse("newest: want 1 or more, got %d", n)
	default:
		c.Refuse("newest: want 1 to %d, got %d", most, n)
	}
}

// Base checks the address of a folder of upstream (see CheckBaseURL), and returns it with a slash
// at its end.
func (c *Checks) Base(key, address string) string {
	if err := CheckBaseURL(address); err != nil {
		c.Refuse("%s: %w", key, err)
	}
	return strings.TrimSuffix(address, "/") + "/"
}

// Err returns all that is wrong.
func (c *Checks) Err() error { return strictyaml.Join(c.errs...) }

// CheckBaseURL reports what is wrong with a URL that names are added to: it has to be one that
// fetch.CheckURL accepts, without a query and a fragment. Errors match fetch.ErrConfig.
func CheckBaseURL(address string) error {
	if err := fetch.CheckURL(address); err != nil {
		return err
	}
	if u, err := url.Parse(address); err != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(address, "#") {
		return fmt.Errorf("URL %.200q: what names are added to has no query and no fragment: %w", fetch.Redact(address), fetch.ErrConfig)
	}
	return nil
}

// Planned is what a kind plans for one source.
type Planned struct {
	Repository Repository
	Also       []Derived
	Scratch    int64 // as Plan has it
}

// PlanEach plans n sources that know nothing of each other, several at the same time.
func PlanEach(ctx context.Context, n int, plan func(ctx context.Context, i int) (Planned, error)) (*Plan, error) {
	all := make([]Planned, n)
	err := Each(ctx, n, func(ctx context.Context, i int) (err error) {
		all[i], err = plan(ctx, i)
		return err
	})
	whole := &Plan{}
	for _, p := range all {
		whole.Repositories = append(whole.Repositories, p.Repository)
		whole.Also = append(whole.Also, p.Also...)
		whole.Scratch += p.Scratch
	}
	return whole, err
}
