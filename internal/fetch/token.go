package fetch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// maxTokenAnswer bounds what a token service may send: tokens have to fit
	// into a header.
	maxTokenAnswer = 128 << 10
	// tokenLife is the lifetime of a token that does not state its own (distribution,
	// "Token Authentication Specification").
	tokenLife = time.Minute
	// maxTokens is from when on expired tokens are cleared away: there may be
	// one for every repository of a registry.
	maxTokens = 256
)

// tokenKey identifies what a token is for.
type tokenKey struct {
	registry              origin
	realm, service, scope string
	login                 secret
}

type token struct {
	mu    sync.Mutex // held while it is fetched again
	value string
	until time.Time
}

// tokens is the layer that shows registries who asks. It is the only place
// where a Client for registries sets Authorization.
type tokens struct {
	r    *registries
	next http.RoundTripper
}

func (t *tokens) RoundTrip(req *http.Request) (*http.Response, error) {
	if strayed(req) || req.Header.Get("Authorization") != "" {
		return t.next.RoundTrip(req)
	}
	sent, err := t.r.authorization(req)
	if err != nil {
		return nil, abandon(req, err)
	}
	resp, err := t.next.RoundTrip(authorized(req, sent))
	if err != nil {
		return nil, err
	}
	resp.Request = req // without the credential
	if resp.StatusCode != http.StatusUnauthorized {
		return resp, nil
	}
	value, err := t.r.answer(req, resp, sent)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	again, err := req, error(nil)
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return resp, nil // the caller has the body, and now there is a token
		}
		if again, err = rewound(req); err != nil {
			resp.Body.Close()
			return nil, err
		}
	}
	if value == "" {
		return resp, nil
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	resp.Body.Close()
	resp, err = t.next.RoundTrip(authorized(again, value))
	if err == nil {
		resp.Request = req
	}
	return resp, err
}

func authorized(req *http.Request, value string) *http.Request {
	if value == "" {
		return req
	}
	out := req.Clone(req.Context())
	out.Header.Set("Authorization", value)
	return out
}

// authorization returns what is known to open req before it is sent; "": nothing.
func (r *registries) authorization(req *http.Request) (string, error) {
	ctx, o := req.Context(), originOf(req.URL)
	login, source, err := r.login(ctx, o, repositoryOf(req.URL))
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(login.header, "Bearer ") {
		return login.header, nil // somebody's own token
	}
	r.mu.Lock()
	ask, met := r.asks[o]
	r.mu.Unlock()
	if !met && login != (secret{}) {
		// Some registries show less to whoever sends no credential, instead of asking.
		if ask, err = r.ping(ctx, o); err != nil {
			return "", err
		}
	}
	switch ask.scheme {
	case "basic":
		return login.header, nil
	case "bearer":
		return r.bearer(ctx, o, ask, login, source, mergeScopes(scopesOf(req)), "")
	}
	return "", nil
}

// answer returns what opens req after resp has refused it with what was sent; "":
// there is nothing else to show.
func (r *registries) answer(req *http.Request, resp *http.Response, sent string) (string, error) {
	ctx, o := req.Context(), originOf(req.URL)
	login, source, err := r.login(ctx, o, repositoryOf(req.URL))
	if err != nil || strings.HasPrefix(login.header, "Bearer ") {
		return "", err
	}
	ask := r.remember(o, resp)
	switch ask.scheme {
	case "basic":
		if login.header == sent {
			return "", nil
		}
		return login.header, nil
	case "bearer":
		scope := mergeScopes(scopesOf(req), strings.Fields(ask.params["scope"]))
		return r.bearer(ctx, o, ask, login, source, scope, sent)
	}
	return "", nil
}

// remember takes note of what a registry asks for.
func (r *registries) remember(o origin, resp *http.Response) challenge {
	var ask challenge
	for _, c := range parseChallenges(resp.Header.Values("WWW-Authenticate")) {
		if c.scheme == "bearer" && c.params["realm"] != "" || c.scheme == "basic" && ask.scheme == "" {
			ask = c
		}
		if ask.scheme == "bearer" {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asks[o] = ask
	return ask
}

// ping asks the registry what it wants to be shown (distribution
// specification, "Determining Support").
func (r *registries) ping(ctx context.Context, o origin) (ask challenge, err error) {
	u := url.URL{Scheme: o.scheme, Host: o.address(), Path: "/v2/"}
	if o.port == defaultPort(o.scheme) {
		u.Host = o.host
	}
	err = r.c.Attempts(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return fmt.Errorf("registry %s: not usable: %w", o, ErrConfig)
		}
		resp, err := r.service.Do(req)
		if err != nil {
			return failure(ctx, u.String(), err)
		}
		if transientStatus(resp.StatusCode) {
			return r.c.statusError(resp)
		}
		defer resp.Body.Close()
		ask = r.remember(o, resp)
		return nil
	})
	return ask, err
}

// bearer returns a token for scope, from before if it lives and is not the one that
// was refused.
func (r *registries) bearer(ctx context.Context, o origin, ask challenge, login secret, source, scope, refused string) (string, error) {
	key := tokenKey{o, ask.params["realm"], ask.params["service"], scope, login}
	t := r.token(key)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.value != "" && now.Before(t.until) && t.value != refused {
		return t.value, nil
	}
	t.value = ""
	realm, err := parseURL(key.realm)
	if err != nil {
		return "", fmt.Errorf("%s: token service: not a usable URL: %w", o, ErrUpstream)
	}
	if err := r.mayAsk(o, realm, login); err != nil {
		return "", err
	}
	value, life, err := r.askToken(ctx, realm, key, source)
	if err != nil {
		return "", err
	}
	// A tenth is for the way and for a request's own length.
	t.value, t.until = "Bearer "+value, now.Add(life-life/10)
	return t.value, nil
}

func (r *registries) token(key tokenKey) *token {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tokens[key]
	if t == nil {
		if len(r.tokens) >= maxTokens {
			r.clear()
		}
		t = &token{}
		r.tokens[key] = t
	}
	return t
}

// clear forgets tokens that are out of date and not just being requested.
func (r *registries) clear() {
	now := time.Now()
	for key, t := range r.tokens {
		if t.mu.TryLock() {
			if now.After(t.until) {
				delete(r.tokens, key)
			}
			t.mu.Unlock()
		}
	}
}

// askToken has a token from the service at realm.
func (r *registries) askToken(ctx context.Context, realm *url.URL, key tokenKey, source string) (value string, life time.Duration, err error) {
	err = r.c.Attempts(ctx, func() error {
		req, err := tokenRequest(ctx, realm, key)
		if err != nil {
			return err
		}
		resp, err := r.service.Do(req)
		if err != nil {
			return failure(ctx, key.realm, err)
		}
		if resp.StatusCode != http.StatusOK {
			status := r.c.statusError(resp)
			if status.Credential != "" {
				status.Credential = source
			}
			return status
		}
		defer resp.Body.Close()
		value, life, err = readToken(resp)
		return err
	})
	return value, life, err
}

// tokenRequest makes a request by GET, with the login as Basic, or by POST where the login
// is an identity token (distribution, "Oauth2 Token Authentication").
func tokenRequest(ctx context.Context, realm *url.URL, key tokenKey) (*http.Request, error) {
	u := *realm
	if key.login.identity != "" {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {key.login.identity},
			"service": {key.service}, "scope": {key.scope}, "client_id": {defaultUserAgent}}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(form.Encode()))
		if err != nil {
			return nil, fmt.Errorf("token service: not usable: %w", ErrUpstream)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return req, nil
	}
	query := u.Query()
	if key.service != "" {
		query.Set("service", key.service)
	}
	for _, scope := range strings.Fields(key.scope) {
		query.Add("scope", scope)
	}
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("token service: not usable: %w", ErrUpstream)
	}
	if key.login.header != "" {
		req.Header.Set("Authorization", key.login.header)
	}
	return req, nil
}

// readToken reads a service's answer. Nothing of it is repeated in errors.
func readToken(resp *http.Response) (string, time.Duration, error) {
	fail := func(why string) (string, time.Duration, error) {
		return "", 0, fmt.Errorf("%s: %s: %w", Redact(resp.Request.URL.String()), why, ErrUpstream)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer+1))
	switch {
	case err != nil:
		return "", 0, &brokenError{url: Redact(resp.Request.URL.String()), err: err}
	case len(text) > maxTokenAnswer:
		return fail(fmt.Sprintf("more than %d bytes for a token", maxTokenAnswer))
	}
	// A struct would take fields of any case: what is secret in one service's answer must
	// not be sent as a token because its name is like that.
	var answer map[string]json.RawMessage
	if json.Unmarshal(text, &answer) != nil {
		return fail("answer of the token service not readable")
	}
	var value string
	for _, name := range []string{"token", "access_token"} {
		if field, ok := answer[name]; ok && value == "" && json.Unmarshal(field, &value) != nil {
			return fail("answer of the token service not readable")
		}
	}
	if checkSecret(value) != nil {
		return fail("no usable token in the answer of the token service")
	}
	life := tokenLife
	var seconds float64
	if field, ok := answer["expires_in"]; ok && json.Unmarshal(field, &seconds) == nil && seconds > 0 && seconds < 1e6 {
		life = time.Duration(seconds * float64(time.Second))
	}
	return value, life, nil
}
