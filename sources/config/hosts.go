package config

import (
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/spelling"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// host is an entry of hosts as it is written.
type host struct {
	Pos        strictyaml.Pos
	CA         string   `yaml:"ca" doc:"PEM file of authorities that are trusted for this host."`
	ClientCert string   `yaml:"client-cert" doc:"PEM file of the client certificate."`
	ClientKey  string   `yaml:"client-key" doc:"PEM file of the client certificate's key."`
	Auth       string   `yaml:"auth" doc:"Where credentials come from: netrc, docker-config, basic-env, bearer-env or token-env."`
	BearerEnv  string   `yaml:"bearer-env" doc:"Environment variable that holds a bearer token."`
	TokenEnv   string   `yaml:"token-env" doc:"Environment variable that holds a token for Authorization: Token, as private automation hubs want it."`
	BasicEnv   string   `yaml:"basic-env" doc:"Environment variable that holds user:password."`
	Parallel   int      `yaml:"parallel" doc:"Requests at the same time."`
	Rate       Rate     `yaml:"rate" doc:"Bytes a second, such as 20MB/s."`
	RedirectTo []string `yaml:"redirect-to,single" doc:"Hosts this host may redirect to, as in cdn.example.org, or *.example.org for every name below it."`
	Tokens     []string `yaml:"token-service,single" doc:"Hosts of the token service that may be sent this registry's login."`
	Proxy      string   `yaml:"proxy" doc:"URL of the proxy for this host, or direct."`
	Cookies    string   `yaml:"cookies" doc:"File of cookies in Netscape's form, as curl and browsers' add-ons write it; those of this host are sent to it, where its credential would be sent."`
	Addresses  string   `yaml:"addresses" doc:"private: names may lead to private addresses, as where a network's own name service answers for public names. All that *.example.org may have."`
	UserAgent  string   `yaml:"user-agent" doc:"What this host is told about the program, where it answers some programs alone; absent: gapbundle."`
}

// auths are the values of auth.
var auths = [...]string{"netrc", "docker-config", "basic-env", "bearer-env", "token-env"}

const (
	maxParallel  = 64  // requests to one host; more is an attack on it
	maxUserAgent = 256 // bytes
)

func hostOptions(dir string, hosts map[string]host) (map[string]fetch.HostOptions, []error) {
	options := make(map[string]fetch.HostOptions, len(hosts))
	var errs []error
	for name, h := range hosts {
		for _, err := range h.check(name) {
			errs = append(errs, h.Pos.Errorf("hosts: %s: %w", name, err))
		}
		options[name] = fetch.HostOptions{
			CA: sources.Within(dir, h.CA), ClientCert: sources.Within(dir, h.ClientCert), ClientKey: sources.Within(dir, h.ClientKey),
			Auth: h.Auth, BearerEnv: h.BearerEnv, TokenEnv: h.TokenEnv, BasicEnv: h.BasicEnv,
			Parallel: h.Parallel, Rate: int64(h.Rate), RedirectTo: h.RedirectTo, TokenService: h.Tokens, Proxy: h.Proxy, UserAgent: h.UserAgent, Cookies: sources.Within(dir, h.Cookies), Addresses: h.Addresses,
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return options, errs
}

func (h host) check(name string) []error {
	errs := []error{checkHost(strings.TrimPrefix(name, "*."))}
	if pattern := (host{Pos: h.Pos, Addresses: h.Addresses}); strings.HasPrefix(name, "*.") && (h.Addresses == "" || !reflect.DeepEqual(h, pattern)) {
		errs = append(errs, fmt.Errorf("a pattern is for addresses: private, and for nothing else"))
	}
	if h.Addresses != "" && h.Addresses != "private" {
		errs = append(errs, fmt.Errorf("addresses: unknown %q: want private", h.Addresses))
	}
	for _, to := range h.RedirectTo {
		if err := checkHost(withoutPattern(to)); err != nil {
			errs = append(errs, fmt.Errorf("redirect-to: %w", err))
		}
	}
	for _, service := range h.Tokens {
		if err := checkHost(service); err != nil {
			errs = append(errs, fmt.Errorf("token-service: %w", err))
		}
	}
	if h.Auth != "" && !slices.Contains(auths[:], h.Auth) {
		errs = append(errs, fmt.Errorf("auth: unknown %q%s", h.Auth, spelling.Suggest(h.Auth, auths[:])))
	}
	if (h.ClientCert == "") != (h.ClientKey == "") {
		errs = append(errs, fmt.Errorf("client-cert and client-key: want both or none"))
	}
	given := 0
	for way, variable := range map[string]string{"bearer-env": h.BearerEnv, "basic-env": h.BasicEnv, "token-env": h.TokenEnv} {
		if variable != "" {
			given++
		} else if h.Auth == way {
			errs = append(errs, fmt.Errorf("auth: %s: key %q names the variable and is missing", way, way))
		}
		if strings.ContainsAny(variable, "= :$") {
			errs = append(errs, fmt.Errorf("want the name of an environment variable, not a credential"))
		}
	}
	if given > 1 {
		errs = append(errs, fmt.Errorf("bearer-env, basic-env and token-env: want one of them"))
	}
	if h.Parallel < 0 || h.Parallel > maxParallel {
		errs = append(errs, fmt.Errorf("parallel: %d: want 1 to %d", h.Parallel, maxParallel))
	}
	if h.Proxy != "" && h.Proxy != "direct" {
		errs = append(errs, checkProxy(h.Proxy))
	}
	if strings.ContainsFunc(h.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) || len(h.UserAgent) > maxUserAgent {
		errs = append(errs, fmt.Errorf("user-agent: want at most %d printable ASCII characters", maxUserAgent))
	}
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// withoutPattern cuts "*." off a pattern for the names below a domain; fetch refuses one
// that has a port, or is no domain.
func withoutPattern(s string) string {
	if domain, ok := strings.CutPrefix(s, "*."); ok && strings.Contains(domain, ".") && !strings.Contains(domain, ":") {
		return domain
	}
	return s
}

// checkHost wants "host" or "host:port", as fetch.Options.Hosts has them.
func checkHost(s string) error {
	name, port, err := net.SplitHostPort(s)
	if err != nil {
		name, port = strings.Trim(s, "[]"), "1"
	}
	number, err := strconv.ParseUint(port, 10, 16)
	valid := name != "" && name == strings.ToLower(name) && !strings.ContainsAny(name, "/@?# *_") &&
		(!strings.Contains(name, ":") || net.ParseIP(name) != nil)
	if err != nil || number == 0 || !valid {
		return fmt.Errorf("want host or host:port in lower case, without scheme and path")
	}
	return nil
}

func checkProxy(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme):
		return fmt.Errorf("proxy: want direct, or a URL with http, https or socks5")
	case u.User != nil:
		return fmt.Errorf("proxy: a credential in the spec: use the environment (HTTPS_PROXY)")
	}
	return nil
}
