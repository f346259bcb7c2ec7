package files

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// web is a source of files by URL.
type web struct {
	name  string
	pos   strictyaml.Pos
	files []*remote          // no URL twice
	byURL map[string]*remote // while they are read
	sums  []*sums
	keys  []*keyring.Ref // none: signatures are not looked at
}

// remote is one file of an upstream.
type remote struct {
	pos    strictyaml.Pos
	raw    string // the URL as configured
	path   string // below the mount
	pinned bundle.Digest
	sum    upstream.Sum // the spec's checksum by SHA-512; zero: none
	reason string
	// allowKey lets a private key through.
	allowKey bool
	// moving lets the content change.
	moving bool
	// html lets a page through under a name that is not that of a page.
	html bool
	// first is the entry of another source that has the same URL and path, and
	// carries it for both; nil: this one does.
	first  *remote
	source string
}

func newWeb(spec sources.Spec, o options) (*web, error) {
	w := &web{name: spec.Name, pos: o.Pos, byURL: map[string]*remote{}}
	var errs []error
	for _, e := range o.URLs {
		errs = append(errs, w.add(e, spec.Reason(e.URL, "urls")))
	}
	if o.List != "" {
		errs = append(errs, w.addList(spec, o)...)
	}
	for _, e := range o.Checksums {
		s, err := newSums(e)
		w.sums, errs = append(w.sums, s), append(errs, err)
	}
	if o.Keyring != "" {
		w.keys = []*keyring.Ref{{Pos: o.Pos, Option: "keyring", File: sources.Within(spec.Dir, o.Keyring)}}
		if len(o.Checksums) == 0 {
			errs = append(errs, o.Pos.Errorf("keyring: the source has no checksums with a signature to check"))
		}
	}
	for _, name := range o.AllowPrivateKeys {
		if r := w.byURL[name]; r != nil {
			r.allowKey = true
			continue
		}
		errs = append(errs, o.Pos.Errorf("allow-private-keys: %s: is not among the URLs", fetch.Redact(name)))
	}
	w.byURL = nil // a list may have very many
	if err := strictyaml.Join(errs...); err != nil {
		return nil, err
	}
	if len(w.files) == 0 {
		return nil, o.Pos.Errorf("source %s: want urls, list or dir", spec.Name)
	}
	return w, nil
}

// checkURLs looks at the URLs of options that are wrong elsewhere.
func checkURLs(o options) error {
	var errs []error
	for _, e := range o.URLs {
		if e.URL != "" {
			_, err := newRemote(e, "")
			errs = append(errs, err)
		}
	}
	return strictyaml.Join(errs...)
}

// add adds a URL; one that is listed twice is merged.
func (w *web) add(e urlEntry, reason string) error {
	r, err := newRemote(e, reason)
	if err != nil {
		return err
	}
	first := w.byURL[r.raw]
	if first == nil {
		r.source = w.name
		w.byURL[r.raw] = r
		w.files = append(w.files, r)
		return nil
	}
	if first.path != r.path {
		return e.Pos.Errorf("%s: %s has it already, with another path", fetch.Redact(r.raw), first.pos)
	}
	return first.merge(r)
}

// merge adds to r what another entry of the same URL and path has.
func (r *remote) merge(other *remote) error {
	if !r.pinned.IsZero() && !other.pinned.IsZero() && r.pinned != other.pinned {
		return other.pos.Errorf("%s: %s has it already, with another sha256", fetch.Redact(r.raw), r.pos)
	}
	if !r.sum.IsZero() && !other.sum.IsZero() && r.sum != other.sum {
		return other.pos.Errorf("%s: is in %s already, with another sha512", fetch.Redact(r.raw), r.pos)
	}
	if r.pinned.IsZero() {
		r.pinned = other.pinned
	}
	if r.sum.IsZero() {
		r.sum = other.sum
	}
	r.allowKey, r.html, r.moving = r.allowKey || other.allowKey, r.html || other.html, r.moving || other.moving
	return nil
}

// url returns the URL in parts. A list may have very many, so they are not held.
func (r *remote) url() *url.URL {
	u, err := url.Parse(r.raw)
	if err != nil {
		panic(err) // newRemote has parsed it
	}
	return u
}

// where returns the URL without secrets, for errors and evidence.
func (r *remote) where() string { return fetch.Redact(r.raw) }

// newRemote takes an entry of the spec; errors have its place.
func newRemote(e urlEntry, reason string) (*remote, error) {
	r := &remote{pos: e.Pos, raw: e.URL, reason: reason, pinned: bundle.Digest(e.SHA256), sum: upstream.Sum(e.SHA512), html: e.HTML, moving: e.Moving}
	u, err := parseURL(e.URL)
	if err != nil {
		return nil, e.Pos.Errorf("%w", err)
	}
	if e.Path != "" {
		r.path = e.Path
		err = bundle.CheckPath(e.Path)
	} else {
		r.path, err = mirrorPath(u)
		if _, rest, _ := strings.Cut(r.raw, "://"); rest == r.path {
			r.path = rest // held once
		}
	}
	if err == nil && r.moving && (!r.pinned.IsZero() || !r.sum.IsZero()) {
		err = fmt.Errorf("%s: moving: its content cannot change, since a checksum is next to it: %w", r.where(), bundle.ErrUsage)
	}
	if err != nil {
		return nil, e.Pos.Errorf("%w", err)
	}
	return r, nil
}

// public returns the hosts whose files the source carries at the paths that they
// have there, and after them the URLs with a path of their own.
func (w *web) public() []sources.Public {
	hosts := map[sources.Public]bool{}
	var others []sources.Public
	for _, r := range w.files {
		u := r.url()
		p, err := bundle.ParsePublic(u.String(), r.path)
		if err != nil {
			continue // with a query: no place on the disk stands for it
		}
		if !inPlace(u, r.path) {
			others = append(others, p)
			continue
		}
		hosts[sources.Public{Scheme: p.Scheme, Host: p.Host, At: hostDir(u)}] = true
	}
	all := slices.SortedFunc(maps.Keys(hosts), func(a, b sources.Public) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Scheme, b.Scheme))
	})
	return append(all, others...)
}

// inPlace reports whether a file is stored where the name of its host leads: at the URL's own
// path, and in index.html if that ends with a slash, since servers answer for a folder with it.
func inPlace(u *url.URL, at string) bool {
	page := *u
	if u.Path == "" || strings.HasSuffix(u.Path, "/") {
		page.Path = strings.TrimSuffix(u.Path, "/") + "/index.html"
		if u.RawPath != "" {
			page.RawPath = strings.TrimSuffix(u.RawPath, "/") + "/index.html"
		}
	}
	own, err := mirrorPath(&page)
	return err == nil && own == at
}

func parseURL(raw string) (*url.URL, error) {
	if err := fetch.CheckURL(raw); err != nil {
		return nil, err
	}
	if strings.Contains(raw, "#") {
		return nil, fmt.Errorf("URL %q: a fragment means nothing here", fetch.Redact(raw))
	}
	return url.Parse(raw)
}

// mirrorPath returns where a URL's content is stored below the mount: host, the port
// after '_' unless it is the scheme's own, and the path, percent-decoded once.
// The address that a client of the mirror requests, decoded by its web server, is that
// path again. A query, a trailing slash and an encoded slash have no such
// path: they need one in the spec.
func mirrorPath(u *url.URL) (string, error) {
	const advice = "set path: for it"
	switch {
	case u.RawQuery != "" || u.ForceQuery:
		return "", fmt.Errorf("URL %q has a query: %s", fetch.Redact(u.String()), advice)
	case u.Path == "" || strings.HasSuffix(u.Path, "/"):
		return "", fmt.Errorf("URL %q ends with a slash: %s", u, advice)
	case strings.Contains(strings.ToLower(u.EscapedPath()), "%2f"):
		return "", fmt.Errorf("URL %q has an encoded slash: %s", u, advice)
	}
	p := hostDir(u) + u.Path
	if err := bundle.CheckPath(p); err != nil {
		return "", fmt.Errorf("URL %q: %w: %s", u, err, advice)
	}
	return p, nil
}

// hostDir returns the folder of a URL's host. Colons, of ports and of addresses,
// become underscores, which host names do not have.
func hostDir(u *url.URL) string {
	dir := strings.ToLower(u.Hostname())
	if port := u.Port(); port != "" && !(u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80") {
		dir += "_" + port
	}
	return strings.ReplaceAll(dir, ":", "_")
}

// addList adds the URLs of the list.
func (w *web) addList(spec sources.Spec, o options) (errs []error) {
	n, reason := 0, "list "+o.List
	err := readList(sources.Within(spec.Dir, o.List), o.List, func(e urlEntry) {
		n++
		if err := w.add(e, reason); err != nil {
			errs = append(errs, err)
		}
	})
	if err != nil {
		errs = append(errs, o.Pos.Errorf("list: %w", err))
	}
	if err == nil && n == 0 {
		errs = append(errs, o.Pos.Errorf("source %s: list %s: no URL is in it", spec.Name, o.List))
	}
	return errs
}

// readList reads a list of URLs; name is the file's name in errors.
func readList(file, name string, each func(urlEntry)) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var urls texts
	for l, err := range sources.Lines(f, name) {
		if err != nil {
			return err
		}
		each(urlEntry{Pos: l.Pos, URL: urls.keep(l.Text)})
	}
	return nil
}

// texts holds many short strings in few buffers.
type texts struct{ last strings.Builder }

const textsSize = 64 << 10 // bytes of a buffer

// keep returns the same text, in a buffer that it shares with others.
func (t *texts) keep(text string) string {
	if t.last.Cap()-t.last.Len() < len(text) {
		t.last.Reset() // strings that were returned keep their buffer
		t.last.Grow(max(textsSize, len(text)))
	}
	start := t.last.Len()
	t.last.WriteString(text)
	return t.last.String()[start:]
}

// claim is a path of the shared mount that an entry of the spec takes.
type claim struct {
	path   string
	origin string // URL, or folder
	pos    strictyaml.Pos
}

// checkPaths refuses two entries of one path with different origins, over all
// sources of the kind. A URL that several sources have is carried by the first.
func (s *source) checkPaths() error {
	var claims []claim
	var errs []error
	owners := map[claim]*remote{}
	for _, w := range s.webs {
		for _, r := range w.files {
			key := claim{path: r.path, origin: r.raw}
			claims = append(claims, claim{r.path, r.raw, r.pos})
			if r.first = owners[key]; r.first == nil {
				owners[key] = r
				continue
			}
			errs = append(errs, r.first.merge(r))
		}
		for _, sums := range w.sums {
			claims = append(claims, sums.claims()...)
		}
	}
	for _, f := range s.folders {
		// Its files are not known yet: it is in conflict with all below it.
		claims = append(claims, claim{f.name, f.dir, f.pos})
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return bundle.ComparePaths(a.path, b.path) })
	for i := 1; i < len(claims); i++ {
		a, b := claims[i-1], claims[i]
		if a.path == b.path && a.origin != b.origin || strings.HasPrefix(b.path, a.path+"/") {
			errs = append(errs, b.pos.Errorf("path %s: %s is in the way of %s (%s)",
				b.path, fetch.Redact(b.origin), fetch.Redact(a.origin), a.pos))
		}
	}
	return strictyaml.Join(errs...)
}
