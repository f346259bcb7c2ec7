package fetch

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// The values of HostOptions.Auth.
const (
	authNetrc     = "netrc"
	authDocker    = "docker-config"
	authBasicEnv  = "basic-env"
	authBearerEnv = "bearer-env"
	authTokenEnv  = "token-env"
)

// credential is what identifies to a host who asks.
type credential struct {
	source string // where it comes from, for people; never what it is
	value  func(ctx context.Context) (secret, error)
}

// secret is what a credential holds.
type secret struct {
	header string // of Authorization; "": there is none to send
	// identity is a token for a registry's token service and nothing else;
	// sent as it is, it opens nothing. "": none.
	identity string
}

// secret returns the credential's own, for a request that is about to be made.
func (c *credential) secret(ctx context.Context) (secret, error) {
	s, err := c.value(ctx)
	if err != nil {
		return secret{}, fmt.Errorf("%s: %w", c.source, err)
	}
	return s, nil
}

// kept is where this machine keeps credentials: variables, and files of the user and of programs.
type kept struct {
	env  func(string) string
	home string
}

func (o *Options) kept() kept { return kept{env: o.Env, home: o.Home} }

// newCredential reads what o names. It is nil where o names nothing.
func (k kept) newCredential(o HostOptions, name, port string) (*credential, error) {
	auth, err := o.auth()
	if err != nil {
		return nil, err
	}
	switch auth {
	case authBearerEnv:
		return k.tokenCredential(o.BearerEnv, "Bearer")
	case authTokenEnv:
		return k.tokenCredential(o.TokenEnv, "Token")
	case authBasicEnv:
		user, password, ok := strings.Cut(k.env(o.BasicEnv), ":")
		source := "variable " + o.BasicEnv + " (basic)"
		if !ok || user == "" {
			return nil, fmt.Errorf("%s: not set, or not user:password: %w", source, ErrConfig)
		}
		return fixed(source, basic(user, password)), nil
	case authNetrc:
		return k.netrcCredential(name, port)
	case authDocker:
		return k.dockerCredential(name, port), nil
	}
	return nil, nil
}

// tokenCredential returns a token in a variable, sent under a scheme.
func (k kept) tokenCredential(variable, scheme string) (*credential, error) {
	token := k.env(variable)
	source := "variable " + variable + " (" + strings.ToLower(scheme) + ")"
	if err := checkSecret(token); err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return fixed(source, scheme+" "+token), nil
}

// auth returns Auth, or what the other fields imply; two ways for one host are an
// error, because which one goes first would be a guess.
func (o HostOptions) auth() (string, error) {
	implied := ""
	for way, variable := range map[string]string{authBearerEnv: o.BearerEnv, authBasicEnv: o.BasicEnv, authTokenEnv: o.TokenEnv} {
		switch {
		case variable == "":
		case implied != "":
			return "", fmt.Errorf("credentials in two variables: %w", ErrConfig)
		default:
			implied = way
		}
	}
	switch o.Auth {
	case "", implied:
		return implied, nil
	case authNetrc, authDocker:
		if implied == "" {
			return o.Auth, nil
		}
		return "", fmt.Errorf("auth %s and a credential by %s: %w", o.Auth, implied, ErrConfig)
	case authBasicEnv, authBearerEnv, authTokenEnv:
		return "", fmt.Errorf("auth %s names no variable, or the other form's: %w", o.Auth, ErrConfig)
	}
	return "", fmt.Errorf("auth %.40q: want %s, %s, %s, %s or %s: %w", o.Auth, authNetrc, authDocker, authBasicEnv, authBearerEnv, authTokenEnv, ErrConfig)
}

func fixed(source, value string) *credential {
	return &credential{source: source, value: func(context.Context) (secret, error) { return secret{header: value}, nil }}
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// checkSecret refuses what a header cannot have. It does not repeat it.
func checkSecret(s string) error {
	if s == "" {
		return fmt.Errorf("not set or empty: %w", ErrConfig)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return fmt.Errorf("a blank, control or non-ASCII character at byte %d: %w", i, ErrConfig)
		}
	}
	return nil
}

// sendsTo reports whether the host's credential may be sent to o, which its settings
// were found for: by https, or in the clear where the port was named and
// nothing else speaks of https. An upstream's index that names the same host
// by http must not be able to draw the credential out into the open.
func (h *host) sendsTo(o origin) bool { return h.credential != nil && h.mayKnow(o) }

// mayKnow reports whether what the settings hold in secret may be sent to o.
func (h *host) mayKnow(o origin) bool {
	if h.port == "" {
		return o.scheme == "https" && o.port == "443"
	}
	return o.scheme == "https" || !h.tls
}

// credentialSource reports for a refused request which credential it carried.
func (c *Client) credentialSource(req *http.Request) string {
	h := c.hostFor(req.URL)
	switch {
	case strayed(req):
		return "none, a redirect has left the origin"
	case c.logins != nil:
		return c.logins.source(req)
	case h.credential == nil:
		return "none, the host has none set"
	case !h.sendsTo(originOf(req.URL)) && h.port == "":
		return fmt.Sprintf("none, %s of host %q is for https on port 443", h.credential.source, h.key)
	case !h.sendsTo(originOf(req.URL)):
		return fmt.Sprintf("none, %s of host %q is for https", h.credential.source, h.key)
	}
	return h.credential.source
}
