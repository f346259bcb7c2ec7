package sourcetest

import (
	"maps"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/export"
)

// againSuffix makes the name of the second of two sources that share content.
const againSuffix = "-again"

// again adds a source to a spec's sources that names what the first one names, and
// returns the names of both.
func again(t *testing.T, text string) (both, first, second string) {
	t.Helper()
	at := entry.FindAllStringSubmatchIndex(text, -1)
	if len(at) == 0 {
		t.Fatalf("want an entry that begins with a line \"- name: NAME\", got\n%s", text)
	}
	end := len(text)
	if len(at) > 1 {
		end = at[1][0]
	}
	first = strings.TrimPrefix(text[at[0][4]:at[0][5]], "name: ")
	second = first + againSuffix
	return text + text[at[0][0]:at[0][5]] + againSuffix + text[at[0][5]:end], first, second
}

// sharing: two sources that name the same content: it is fetched once, both are whole,
// and each may be held back while the other moves on.
func sharing(t *testing.T, s Suite) {
	r := newRig(t, s)
	both, first, second := again(t, r.up.Sources)
	r.spec(both)
	once := r.once()
	in := newInside(r)
	in.receive(r.must())
	in.shared(s, first, second)
	for p, content := range r.up.Payload {
		if n := r.up.Server.Bytes(p); once[r.up.Server.URL(p)] && n != int64(len(content)) {
			t.Errorf("%s: %d bytes were downloaded, want its %d once", p, n, len(content))
		}
	}
	both, _, _ = again(t, r.up.Next[0]())
	r.spec(both)
	for _, held := range []string{second, first} {
		before, files := in.mounted(), in.listed()
		res, err := r.export(t.Context(), func(o *export.Options) { o.Hold = []string{held} })
		if err != nil {
			t.Fatal(err)
		}
		if !res.Nothing {
			in.receive(res.Dirs)
		}
		now := in.complete(s)
		for p := range files {
			if _, ok := now[p]; !ok && strings.HasPrefix(p, "keys/") {
				t.Errorf("source %s is held back, and %s, which clients may name, is gone", held, p)
			}
		}
		if got, want := of(in.mounted(), held), of(before, held); !maps.Equal(got, want) {
			t.Errorf("source %s is held back: got\n%v\nwant\n%v", held, got, want)
		}
		if held == second && maps.Equal(of(in.mounted(), first), of(before, first)) {
			t.Errorf("source %s is not held back, and stays", first)
		}
	}
	res, err := r.export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !res.Nothing {
		in.receive(res.Dirs)
	}
	full := newInside(r)
	full.receive(r.must(func(o *export.Options) { o.Full = true }))
	in.shared(s, first, second)
	if got, want := in.complete(s), full.complete(s); !maps.Equal(got, want) {
		t.Errorf("one after the other\n%v\nby a full bundle\n%v", got, want)
	}
}

// of returns the digests of what a source and those that it derived have published, by
// repository, relative to the source, and path.
func of(mounted map[string]map[string]bundle.Digest, source string) map[string]bundle.Digest {
	all := map[string]bundle.Digest{}
	for name, files := range mounted {
		below, derived := strings.CutPrefix(name, source+"/")
		if name != source && !derived {
			continue
		}
		for p, d := range files {
			all[below+" "+p] = d
		}
	}
	return all
}

// once returns the origins of the plan's artifacts that one request is enough for: their
// size or their digest is known, and the kind does not look into them for each source.
func (r *rig) once() map[string]bool {
	r.t.Helper()
	resolved, done := r.resolve()
	defer done()
	all := map[string]bool{}
	for _, repo := range resolved.Repositories {
		for a, err := range repo.Artifacts() {
			if err != nil {
				r.t.Fatal(err)
			}
			if (a.File.Size >= 0 || !a.File.Digest.IsZero()) && a.Known == nil {
				all[a.Evidence.Origin] = true
			}
		}
	}
	return all
}

// shared checks what is published of two sources that name the same content. Derived sources
// are not compared, since the kinds of that decide which of several carries it.
func (in *inside) shared(s Suite, first, second string) {
	in.t.Helper()
	in.complete(s)
	if s.FirstAlone {
		return // the first has it all, and what is served is complete
	}
	one, two := in.mounted()[first], in.mounted()[second]
	if len(one) == 0 || len(one) != len(two) {
		in.t.Errorf("source %s has %d files, source %s %d", first, len(one), second, len(two))
	}
	for p := range one {
		if _, ok := two[p]; !ok {
			in.t.Errorf("source %s: without %s, which source %s has", second, p, first)
		}
	}
}
