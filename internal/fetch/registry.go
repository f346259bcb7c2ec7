package fetch

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// RegistryOptions are the settings of a Client for container registries.
type RegistryOptions struct {
	// PlainHTTP names registries, as "host" or "host:port", that logins may be
	// sent to without TLS.
	PlainHTTP []string
}

// Registry returns c for container registries: the same hosts, limits and
// connections, and what registries need besides (OCI distribution
// specification; distribution's token authentication specification).
//
//   - Logins. Where Options.Hosts name a credential for the registry, that one;
//     otherwise the logins that docker and podman keep. They go to the registry
//     if it asks for them, and to its token service if that is on the
//     registry's own host, is known to belong to it, or is named by
//     HostOptions.TokenService. An answer from another place that asks for
//     them is refused (RedirectError); without a login any service will do.
//   - Tokens, by registry, repository and action, kept as long as they live and
//     fetched again when the registry wants another one.
//   - Redirects. Registries keep blobs in storage whose host changes with
//     region and time. So GET and HEAD may be sent on to any host by https
//     on its usual port, unless HostOptions.RedirectTo of the registry has
//     entries: then those are all. No credential goes along. A host that has
//     a client certificate in Options.Hosts has to be named.
func (c *Client) Registry(o RegistryOptions) (*Client, error) {
	plain, err := hostSet("plain-http", o.PlainHTTP)
	if err != nil {
		return nil, err
	}
	d := *c
	d.logins = &registries{c: &d, plain: plain, asks: map[origin]challenge{},
		found: map[string]*foundLogin{}, tokens: map[tokenKey]*token{}}
	chain := d.hop()
	d.logins.service = &http.Client{Transport: chain, CheckRedirect: sameOriginOnly}
	d.clients(&tokens{r: d.logins, next: chain})
	return &d, nil
}

// sameOriginOnly keeps a request that carries a login where it was sent.
func sameOriginOnly(req *http.Request, via []*http.Request) error {
	first, last := via[0], via[len(via)-1]
	if originOf(first.URL) != originOf(req.URL) || len(via) > maxRedirects {
		return &RedirectError{URL: Redact(last.URL.String()), To: originOf(req.URL).String(), Why: "a token service has to answer by itself", Final: true}
	}
	return nil
}

// registryRedirect returns the rule of Registry for redirects.
func (c *Client) registryRedirect(first *http.Request, to origin) bool {
	if c.logins == nil || first.Method != http.MethodGet && first.Method != http.MethodHead {
		return false
	}
	target := c.hostFor(&url.URL{Scheme: to.scheme, Host: to.address()})
	return len(c.hostFor(first.URL).redirectTo) == 0 && to.scheme == "https" && to.port == "443" &&
		net.ParseIP(to.host) == nil && !target.clientCert
}

// registries is what a Client knows about the registries it has met.
type registries struct {
	c       *Client
	service *http.Client    // one attempt, without logins of its own
	plain   map[string]bool // registries that may have a login without TLS

	mu     sync.Mutex
	asks   map[origin]challenge   // what each wants; scheme "": nothing so far
	found  map[string]*foundLogin // by address and repository
	tokens map[tokenKey]*token
}

// foundLogin is a login, or that there is none, and where from.
type foundLogin struct {
	mu     sync.Mutex
	until  time.Time
	secret secret
	source string // for people
	err    error
}

// login finds the credential for a repository of the registry at o.
func (r *registries) login(ctx context.Context, o origin, repository string) (secret, string, error) {
	h := r.c.hostFor(&url.URL{Scheme: o.scheme, Host: o.address()})
	if h.sendsTo(o) {
		s, err := h.credential.secret(ctx)
		if err != nil {
			err = fmt.Errorf("host %q: %w", h.key, err)
		}
		return s, h.credential.source, err
	}
	if o.scheme != "https" && !r.plain[o.address()] && !(o.port == defaultPort(o.scheme) && r.plain[o.host]) {
		return secret{}, "none, logins are for https", nil
	}
	key := o.address() + "/" + repository
	r.mu.Lock()
	f := r.found[key]
	if f == nil {
		f = &foundLogin{}
		r.found[key] = f
	}
	r.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.After(f.until) {
		f.find(ctx, r.c.options.kept(), nameOf(o, repository))
		f.until = now.Add(helperValid)
		if f.err != nil {
			f.until = time.Time{}
		}
	}
	return f.secret, f.source, f.err
}

func (f *foundLogin) find(ctx context.Context, k kept, name registryName) {
	file := ""
	f.secret, file, f.err = k.findLogin(ctx, name)
	if f.source = "login of " + name.String() + " in " + file; f.secret == (secret{}) {
		f.source = "none, no login for " + name.String() + " in " + strings.Join(k.loginFiles(), ", ")
	}
}

func nameOf(o origin, repository string) registryName {
	port := o.port
	if port == defaultPort(o.scheme) {
		port = ""
	}
	return nameRegistry(o.host, port, repository)
}

// source reports for a refused request which credential it had, see StatusError.
func (r *registries) source(req *http.Request) string {
	_, source, err := r.login(req.Context(), originOf(req.URL), repositoryOf(req.URL))
	if err != nil {
		return "none, " + err.Error()
	}
	return source
}

// tokenServices returns registries' own services on other hosts, as their
// operators document them.
func tokenServices() map[string]string {
	return map[string]string{
		"registry-1.docker.io": "auth.docker.io",
		"registry.gitlab.com":  "gitlab.com",
	}
}

// mayAsk reports whether the token service at realm may be asked with the login.
func (r *registries) mayAsk(o origin, realm *url.URL, login secret) error {
	refused := &RedirectError{URL: o.String(), To: originOf(realm).String(), TokenService: true}
	h := r.c.hostFor(&url.URL{Scheme: o.scheme, Host: o.address()})
	to := originOf(realm)
	switch {
	case to.scheme != "https" && o.scheme == "https":
		refused.Why, refused.Final = "a token service without TLS", true
		return refused
	case login == (secret{}), to.host == o.host, h.tokensFrom[to.address()]:
		return nil
	case to.port == defaultPort(to.scheme) && (h.tokensFrom[to.host] || to.scheme == "https" && tokenServices()[o.host] == to.host):
		return nil
	}
	refused.Why = "a token service on another host, which would get the login of " + nameOf(o, "").String() +
		"; token-service of that host does not name it"
	return refused
}

// repositoryOf returns the repository that a URL of the distribution API is about;
// "": none.
func repositoryOf(u *url.URL) string {
	path, ok := strings.CutPrefix(u.Path, "/v2/")
	if !ok {
		return ""
	}
	parts := strings.Split(path, "/")
	for i := len(parts) - 1; i > 0; i-- {
		if slices.Contains([]string{"manifests", "blobs", "tags", "referrers"}, parts[i]) {
			return strings.Join(parts[:i], "/")
		}
	}
	return ""
}

// scopesOf returns the scopes that a request needs, as registries ask for them.
func scopesOf(req *http.Request) []string {
	repository := repositoryOf(req.URL)
	if repository == "" {
		return nil
	}
	actions := "pull"
	switch req.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodDelete:
		actions = "delete"
	default:
		actions = "pull,push"
	}
	scopes := []string{"repository:" + repository + ":" + actions}
	if from := req.URL.Query().Get("from"); from != "" && from != repository {
		scopes = append(scopes, "repository:"+from+":pull")
	}
	return scopes
}

// mergeScopes returns the union, one scope for each resource, in order.
func mergeScopes(lists ...[]string) string {
	actions := map[string][]string{}
	var resources []string
	for _, scope := range slices.Concat(lists...) {
		i := strings.LastIndexByte(scope, ':')
		if i < 0 {
			continue
		}
		resource := scope[:i]
		if _, ok := actions[resource]; !ok {
			resources = append(resources, resource)
		}
		actions[resource] = append(actions[resource], strings.Split(scope[i+1:], ",")...)
	}
	slices.Sort(resources)
	for i, resource := range resources {
		list := slices.Compact(slices.Sorted(slices.Values(actions[resource])))
		resources[i] = resource + ":" + strings.Join(list, ",")
	}
	return strings.Join(resources, " ")
}
