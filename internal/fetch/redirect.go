package fetch

import (
	"fmt"
	"net/http"
	"strings"
)

const maxRedirects = 10

// checkRedirect serves as http.Client's CheckRedirect. The host that was asked first
// decides where its answer may come from; a host on the way adds nothing.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	first, last := via[0], via[len(via)-1]
	refused := &RedirectError{URL: Redact(last.URL.String())}
	if err := checkURL(req.URL); err != nil {
		refused.To, refused.Why, refused.Final = "an unusable URL", err.Error(), true
		return refused
	}
	from, to := originOf(first.URL), originOf(req.URL)
	refused.To = to.String()
	switch {
	case last.URL.Scheme == "https" && to.scheme != "https":
		refused.Why, refused.Final = "from https to http", true
		return refused
	case len(via) > maxRedirects:
		refused.Why, refused.Final, refused.Loop = fmt.Sprintf("more than %d redirects", maxRedirects), true, true
		return refused
	case to == from, upgrade(from, to), c.hostFor(first.URL).mayRedirect(to), ownStore(from, to), c.registryRedirect(first, to):
		return nil
	}
	refused.Why = "a host that redirect-to of " + from.String() + " does not name"
	return refused
}

// MayFollow reports whether what the URL from answered may send its reader on
// to the URL to, by the rules for redirects: for services that name another
// address in their answer (Git LFS). The error is a *RedirectError.
func (c *Client) MayFollow(from, to string) error {
	refused := &RedirectError{URL: Redact(from)}
	first, err := parseURL(from)
	if err != nil {
		return err
	}
	next, err := parseURL(to)
	if err != nil {
		refused.To, refused.Why, refused.Final = "an unusable URL", err.Error(), true
		return refused
	}
	start, end := originOf(first), originOf(next)
	refused.To = end.String()
	switch {
	case first.Scheme == "https" && next.Scheme != "https":
		refused.Why, refused.Final = "from https to http", true
		return refused
	case start == end, upgrade(start, end), c.hostFor(first).mayRedirect(end), ownStore(start, end):
		return nil
	}
	refused.Why = "a host that redirect-to of " + start.String() + " does not name"
	return refused
}

// upgrade reports whether to is the same host by https, both on the usual ports.
func upgrade(from, to origin) bool {
	return from == origin{"http", to.host, "80"} && to == origin{"https", from.host, "443"}
}

// mayRedirect reports whether the spec lets this host's answers come from to. A pattern
// "*.example.org" stands for every name below example.org, on the usual port.
func (h *host) mayRedirect(to origin) bool {
	if h.redirectTo[to.address()] {
		return true
	}
	return to.port == defaultPort(to.scheme) && (h.redirectTo[to.host] || below(h.redirectTo, to.host))
}

// below reports whether a set has a pattern that a name matches.
func below(set map[string]bool, name string) bool {
	for {
		_, parent, found := strings.Cut(name, ".")
		if !found {
			return false
		}
		if set["*."+parent] {
			return true
		}
		name = parent
	}
}

// ownStores are the hosts, by the host that is asked, from which it is known to have its
// files sent: by https on the usual port. They belong to whom the asked host belongs
// to, so nobody is trusted whom the spec does not trust. docs/trust.md lists them.
var ownStores = map[string]map[string]bool{
	"github.com": {
		"codeload.github.com": true, "objects.githubusercontent.com": true, "raw.githubusercontent.com": true, "release-assets.githubusercontent.com": true,
	},
	"dl.k8s.io":           {"cdn.dl.k8s.io": true},
	"ghcr.io":             {"pkg-containers.githubusercontent.com": true},
	"huggingface.co":      {"*.huggingface.co": true, "*.hf.co": true},
	"quay.io":             {"*.quay.io": true},
	"nvcr.io":             {"*.nvcr.io": true, "*.ngc.nvidia.com": true},
	"ngc.nvidia.com":      {"*.ngc.nvidia.com": true},
	"api.ngc.nvidia.com":  {"*.ngc.nvidia.com": true},
	"helm.ngc.nvidia.com": {"*.ngc.nvidia.com": true},
}

// ownStore reports whether a redirect leads to a store of the host that was asked.
func ownStore(from, to origin) bool {
	stores := ownStores[from.host]
	usual := from.scheme == "https" && from.port == "443" && to.scheme == "https" && to.port == "443"
	return usual && (stores[to.host] || below(stores, to.host))
}

// strayed reports whether req is the follow-up of a redirect that has left the
// origin which was asked first, even if it leads back there: what belongs to
// that origin must not be sent any more.
func strayed(req *http.Request) bool {
	here := originOf(req.URL)
	for req.Response != nil {
		req = req.Response.Request
		if originOf(req.URL) != here {
			return true
		}
	}
	return false
}
