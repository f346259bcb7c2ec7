package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"go.uber.org/goleak"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/decompress"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/config"
)

// entry is the first line of the first entry of a spec's sources.
var entry = regexp.MustCompile(`(?m)^(\s*)- (name: \S+)$`)

// strictConfig: an option that a kind does not know is refused with its place,
// and the upstream is asked for nothing.
func strictConfig(t *testing.T, s Suite) {
	r := newRig(t, s)
	at := entry.FindStringSubmatchIndex(r.up.Sources)
	if at == nil {
		t.Fatalf("Sources: want an entry that begins with a line \"- name: NAME\", got\n%s", r.up.Sources)
	}
	indent := r.up.Sources[at[2]:at[3]]
	wrong := r.up.Sources[:at[1]] + "\n" + indent + "  no-such-option: 1" + r.up.Sources[at[1]:]
	r.spec(wrong)
	line := 5 + strings.Count(r.up.Sources[:at[0]], "\n") + 1
	r.refused(bundle.ErrUsage, fmt.Sprintf("%s:%d:%d: unknown key \"no-such-option\"", specName, line, len(indent)+3))
	if n := r.up.Server.AllRequests(); n != 0 {
		t.Errorf("%d requests although the spec is refused", n)
	}
}

// seen is what a plan states about an artifact.
type seen struct {
	File      bundle.File
	Evidence  bundle.Evidence
	Validator string
	Kind      string
}

// planTwice: the same upstream leads to the same plan, and no payload is read.
func planTwice(t *testing.T, s Suite) {
	r := newRig(t, s)
	first := r.plan()
	second := r.plan()
	if len(first) == 0 {
		t.Fatal("the plan is empty")
	}
	if !reflect.DeepEqual(first, second) {
		t.Errorf("two plans of one upstream differ:\n%+v\n%+v", first, second)
	}
	for p := range r.up.Payload {
		if n := r.up.Server.Bytes(p); n != 0 {
			t.Errorf("%s: the plan read %d bytes of payload", p, n)
		}
	}
	if _, err := os.Stat(filepath.Join(r.dir, sources.LockName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: the plan wrote it: %v", sources.LockName, err)
	}
}

// resolve plans without an exporter around it; done ends what it needs.
func (r *rig) resolve() (resolved *collect.Resolved, done func()) {
	r.t.Helper()
	spec, err := config.Load(filepath.Join(r.dir, specName))
	if err != nil {
		r.t.Fatal(err)
	}
	env, done := r.env()
	if resolved, err = collect.Resolve(r.t.Context(), r.s.Kinds, spec.Sources, env); err != nil {
		done()
		r.t.Fatal(err)
	}
	return resolved, done
}

func (r *rig) plan() []seen {
	r.t.Helper()
	resolved, done := r.resolve()
	defer done()
	var all []seen
	for _, repo := range resolved.Repositories {
		var order bundle.PathOrder
		for a, err := range repo.Artifacts() {
			if err == nil {
				err = order.Next(a.File.Path)
			}
			if err != nil {
				r.t.Fatalf("source %s: %v", repo.Name, err)
			}
			if a.Open == nil || a.Evidence.Vouched == "" {
				r.t.Errorf("source %s, %s: without Open, or not said how it is vouched for", repo.Name, a.File.Path)
			}
			all = append(all, seen{a.File, a.Evidence, a.Validator, repo.Kind})
		}
	}
	return all
}

// env returns what a source gets that has no base.
func (r *rig) env() (*sources.Env, func()) {
	r.t.Helper()
	client, err := fetch.New(fetch.Options{Env: func(string) string { return "" }, Home: r.dir, Decode: decompress.Coding})
	if err != nil {
		r.t.Fatal(err)
	}
	lock, err := sources.OpenLock(filepath.Join(r.dir, sources.LockName), false)
	if err != nil {
		r.t.Fatal(err)
	}
	scratch, err := os.OpenRoot(r.t.TempDir())
	if err != nil {
		r.t.Fatal(err)
	}
	env := &sources.Env{
		Set: "site", Program: r.s.Program, Fetch: client, Dir: r.dir, Now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		Scratch: scratch, Lock: lock, Log: slog.New(slog.DiscardHandler),
	}
	if r.s.Site { // not open, as for a plan
		ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(r.s.site.public))
		if err != nil {
			r.t.Fatal(err)
		}
		env.Site = ring[0]
	}
	return env, func() {
		client.Close()
		if err := scratch.Close(); err != nil {
			r.t.Error(err)
		}
	}
}

// cancels: an export that is cancelled while a plan asks, or while payload
// comes, ends and leaves no goroutine running.
func cancels(t *testing.T, s Suite) {
	for name, test := range map[string]struct {
		method string
		paths  func(*Upstream) []string
	}{
		"plan":    {"", func(*Upstream) []string { return []string{upstreamtest.Any} }},
		"payload": {http.MethodGet, func(u *Upstream) []string { return slices.Collect(maps.Keys(u.Payload)) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, s)
			before := goleak.IgnoreCurrent()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for _, p := range test.paths(r.up) {
				r.up.Server.FailAlways(p, hang(test.method, cancel))
			}
			if _, err := r.export(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
			if left := signed(t, r.medium); len(left) > 0 {
				t.Errorf("cancelled, and there is %v", left)
			}
			goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("net/http.(*conn).serve"))
		})
	}
}

// hang answers requests of a method (empty: all) with nothing, after cancel.
func hang(method string, cancel func()) upstreamtest.Fault {
	return func(right http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if method != "" && r.Method != method {
				right.ServeHTTP(w, r)
				return
			}
			cancel()
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		})
	}
}
