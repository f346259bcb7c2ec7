// Package registry is the one way to talk to a container registry (OCI
// distribution specification 1.1): manifests, blobs, tags and referrers are
// read from it, with the mirrors that are asked before it, and put into it.
//
// Logins, tokens, attempts, certificates, proxies and the rules for redirects
// are those of internal/fetch; the protocol of uploads, mounts and referrers
// is that of oras-go. It does not copy images: its callers decide what belongs
// to an image and which parts of it they want.
//
// Manifest compares content with its digest. Blob does not: it streams, and its
// reader has to compare.
package registry

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"oras.land/oras-go/v2/registry/remote"

	"github.com/gapbundle/gapbundle/internal/fetch"
)

// The limits are for a hostile registry, which must not fill the memory.
const (
	// MaxManifest is the size of a manifest, in bytes, that registries have to
	// take (distribution specification, "Pushing Manifests") and none exceeds.
	MaxManifest = 4 << 20
	// MaxTags is how many tags of one repository are read: the largest public
	// ones have some 100,000.
	MaxTags = 500_000
	// MaxReferrers is how many referrers of one manifest are read.
	MaxReferrers = 10_000
	maxPages     = 5_000    // of one list
	tagPage      = 1_000    // tags asked for at a time
	maxName      = 255      // bytes of a repository's name, with host
	maxAnswer    = 64 << 10 // bytes of an answer that is only a word
)

// Options are the settings of a Client. The zero value is right.
type Options struct {
	// PlainHTTP are the registries, as they are in names ("host" or
	// "host:port"), that are spoken to without TLS.
	PlainHTTP []string
	// Mirrors are, by registry, the base URLs of others that have the same
	// content. They are asked before it, in this order; the registry itself is
	// asked last. A path in the URL goes before the repository's name, as for a
	// proxy project of Harbor: https://harbor.example.org/hub.
	Mirrors map[string][]string
	Log     *slog.Logger // nil: nowhere
}

// Client talks to registries. It is safe for concurrent use.
type Client struct {
	fetch   *fetch.Client
	plain   []string
	mirrors map[string][]endpoint
	log     *slog.Logger
}

// endpoint is where repositories of a registry are found.
type endpoint struct {
	scheme, host string
	prefix       string // of repository names, with its '/'; "": none
}

// New makes a Client on top of c. Errors match fetch.ErrConfig.
func New(c *fetch.Client, o Options) (*Client, error) {
	client := &Client{plain: o.PlainHTTP, mirrors: map[string][]endpoint{}, log: o.Log}
	if client.log == nil {
		client.log = slog.New(slog.DiscardHandler)
	}
	plain := slices.Clone(o.PlainHTTP)
	for registry, mirrors := range o.Mirrors {
		for _, m := range mirrors {
			e, err := mirror(m)
			if err != nil {
				return nil, fmt.Errorf("mirror of %.100q: %w", registry, err)
			}
			if e.scheme == "http" {
				plain = append(plain, e.host) // whoever writes http:// names it
			}
			client.mirrors[registry] = append(client.mirrors[registry], e)
		}
	}
	var err error
	client.fetch, err = c.Registry(fetch.RegistryOptions{PlainHTTP: plain})
	return client, err
}

func mirror(raw string) (endpoint, error) {
	if err := fetch.CheckURL(raw); err != nil {
		return endpoint{}, err
	}
	u, err := url.Parse(raw)
	if err != nil || u.RawQuery != "" || u.Fragment != "" {
		return endpoint{}, fmt.Errorf("URL %.200q: want scheme, host and at most a path: %w", fetch.Redact(raw), fetch.ErrConfig)
	}
	path := strings.Trim(u.Path, "/")
	if path == "v2" {
		path = "" // some write the root of the API
	}
	if path != "" {
		if !validRepository(path) {
			return endpoint{}, fmt.Errorf("URL %.200q: the path is no prefix of repository names: %w", fetch.Redact(raw), fetch.ErrConfig)
		}
		path += "/"
	}
	return endpoint{scheme: u.Scheme, host: u.Host, prefix: path}, nil
}

// dockerHub is where the API of the registry that is called docker.io is found.
const dockerHub = "registry-1.docker.io"

// SplitName takes a name apart: registry host and repository. Errors match
// fetch.ErrConfig.
func SplitName(name string) (host, repository string, err error) {
	host, repository, _ = strings.Cut(name, "/")
	if len(name) > maxName || !validHost(host) || !validRepository(repository) {
		return "", "", fmt.Errorf("name %.300q: want host/repository in lower case: %w", name, fetch.ErrConfig)
	}
	return host, repository, nil
}

func validHost(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, "1"
	}
	return name != "" && port != "" && strings.Trim(port, "0123456789") == "" && fetch.CheckURL("https://"+host) == nil &&
		!strings.ContainsAny(host, "/@?#%")
}

// repositoryForm is the specification's ("Pulling manifests"); Go's regular
// expressions run in linear time.
var repositoryForm = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)

func validRepository(s string) bool { return len(s) <= maxName && repositoryForm.MatchString(s) }

// Repository is a repository of a registry, read through its mirrors.
type Repository struct {
	c    *Client
	name string // host/repository
	// places are where it may be read, in this order; the last one is the
	// registry itself, the only one that is written to.
	places []place
}

// place is the repository at one endpoint.
type place struct {
	base string // URL of the repository, without '/' at the end
	repo *remote.Repository
	seen *seen
}

// seen is what an endpoint turned out to answer, for all who ask it.
type seen struct {
	head        atomic.Bool  // a HEAD of a manifest was answered
	noHead      atomic.Bool  // HEAD is refused where GET is answered
	noReferrers atomic.Int32 // the status by which the question for referrers is refused
}

// Repository returns the one of that name, host/repository: docker.io/library/alpine.
// Nothing is asked before one of its methods is called.
func (c *Client) Repository(name string) (*Repository, error) {
	host, repository, err := SplitName(name)
	if err != nil {
		return nil, err
	}
	own := endpoint{scheme: "https", host: host}
	if slices.Contains(c.plain, host) {
		own.scheme = "http"
	}
	if host == "docker.io" || host == "index.docker.io" {
		own.host = dockerHub
	}
	r := &Repository{c: c, name: name}
	for _, e := range append(slices.Clone(c.mirrors[host]), own) {
		p, err := c.place(e, repository)
		if err != nil {
			return nil, fmt.Errorf("name %.300q: %w", name, err)
		}
		r.places = append(r.places, p)
	}
	return r, nil
}

func (c *Client) place(e endpoint, repository string) (place, error) {
	repository = e.prefix + repository
	repo, err := remote.NewRepository(e.host + "/" + repository)
	if err != nil {
		return place{}, fmt.Errorf("not usable as a reference: %w: %w", fetch.ErrConfig, err)
	}
	repo.Client = exchange{c.fetch}
	repo.PlainHTTP = e.scheme == "http"
	repo.MaxMetadataBytes = MaxManifest
	repo.TagListPageSize, repo.TagListMaxPages = tagPage, maxPages
	repo.ReferrerListMaxPages = maxPages
	repo.SkipReferrersGC = true // nothing is ever deleted in somebody's registry
	return place{base: e.scheme + "://" + e.host + "/v2/" + repository, repo: repo, seen: new(seen)}, nil
}

// Name returns host/repository.
func (r *Repository) Name() string { return r.name }

// own returns the registry itself.
func (r *Repository) own() place { return r.places[len(r.places)-1] }

// each calls f for one place after the other until one succeeds. The error is
// that of the registry itself, with those of its mirrors.
func (r *Repository) each(f func(place) error) error {
	var errs []error
	for i, p := range r.places {
		err := f(p)
		if err == nil {
			return nil
		}
		if isContext(err) {
			return err
		}
		if i < len(r.places)-1 {
			r.c.log.Info(fmt.Sprintf("mirror not used for %s: %v", r.name, err))
			err = fmt.Errorf("mirror: %w", err)
		}
		errs = append(errs, err)
	}
	if len(errs) > 1 {
		slices.Reverse(errs) // what the registry said is the first to be read
	}
	return errors.Join(errs...)
}

// exchange is fetch as oras wants a client.
type exchange struct{ c *fetch.Client }

// Do makes a request. All answers that oras reads are small: content is read
// through fetch.Open, and what is sent is not read.
func (e exchange) Do(req *http.Request) (*http.Response, error) {
	limit := int64(maxAnswer)
	if req.Method == http.MethodGet {
		limit = MaxManifest
	}
	return e.c.Exchange(req, limit)
}
