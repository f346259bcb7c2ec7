package fetch

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// dockerHub is the name under which docker keeps the logins of its own registry.
	dockerHub = "https://index.docker.io/v1/"
	// helperValid is how long the answer of a helper is used: its tokens may
	// live for no more than an hour, and it is asked for every request.
	helperValid = 5 * time.Minute
	// helperTimeout ends a helper that waits for somebody who is not there.
	helperTimeout = time.Minute
	maxHelperSize = 1 << 20 // bytes
)

// dockerConfig is the part of docker's config.json that holds logins.
type dockerConfig struct {
	Auths map[string]struct {
		Auth          string `json:"auth"`
		Username      string `json:"username"`
		Password      string `json:"password"`
		RegistryToken string `json:"registrytoken"`
	} `json:"auths"`
	CredsStore  string            `json:"credsStore"`
	CredHelpers map[string]string `json:"credHelpers"`
}

// dockerLogin asks docker's configuration about one registry.
type dockerLogin struct {
	c    *Client
	file string
	name string // the registry as docker names it

	mu    sync.Mutex
	value string
	until time.Time
}

func (c *Client) dockerCredential(name, port string) *credential {
	dir := c.options.Env("DOCKER_CONFIG")
	if dir == "" {
		dir = filepath.Join(c.options.Home, ".docker")
	}
	l := &dockerLogin{c: c, file: filepath.Join(dir, "config.json"), name: mapKey(name, port)}
	switch l.name {
	case "docker.io", "index.docker.io", "registry-1.docker.io":
		l.name = dockerHub
	}
	return &credential{source: "docker config " + l.file, value: l.authorization}
}

// authorization is read when it is first needed and not before: a helper may
// be slow, or unlock a key ring.
func (l *dockerLogin) authorization(ctx context.Context) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.After(l.until) {
		value, err := l.read(ctx)
		if err != nil {
			return "", err
		}
		l.value, l.until = value, now.Add(helperValid)
	}
	return l.value, nil
}

func (l *dockerLogin) read(ctx context.Context) (string, error) {
	text, err := os.ReadFile(l.file)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrConfig, err)
	}
	var config dockerConfig
	if json.Unmarshal(text, &config) != nil {
		return "", fmt.Errorf("not readable as docker's: %w", ErrConfig) // the cause may repeat a value
	}
	for key, helper := range config.CredHelpers {
		if l.is(key) {
			return l.ask(ctx, helper)
		}
	}
	for key, auth := range config.Auths {
		if !l.is(key) {
			continue
		}
		switch {
		case auth.RegistryToken != "":
			return "Bearer " + auth.RegistryToken, checkSecret(auth.RegistryToken)
		case auth.Username != "":
			return basic(auth.Username, auth.Password), nil
		case auth.Auth != "":
			// docker itself pads with NUL bytes.
			pair, err := base64.StdEncoding.DecodeString(auth.Auth)
			user, password, ok := strings.Cut(strings.TrimRight(string(pair), "\x00"), ":")
			if err != nil || !ok {
				return "", fmt.Errorf("auth of %s: not base64 of user:password: %w", l.name, ErrConfig)
			}
			return basic(user, password), nil
		}
	}
	if config.CredsStore != "" {
		return l.ask(ctx, config.CredsStore)
	}
	return "", fmt.Errorf("no login for %s: %w", l.name, ErrConfig)
}

// is compares a key of the configuration, which may be a URL, with the registry.
func (l *dockerLogin) is(key string) bool {
	bare := func(s string) string {
		s = strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://")
		s, _, _ = strings.Cut(s, "/")
		return strings.ToLower(s)
	}
	return bare(key) == bare(l.name) || l.name == dockerHub && bare(key) == "docker.io"
}

// ask runs docker-credential-<helper> get: the registry goes in by stdin, a
// JSON object comes out. Nothing of its output is ever repeated.
func (l *dockerLogin) ask(ctx context.Context, helper string) (string, error) {
	program := "docker-credential-" + helper
	fail := func(why string) error { return fmt.Errorf("%q for %s: %s: %w", program, l.name, why, ErrConfig) }
	if helper == "" || strings.ContainsAny(helper, `/\`) {
		return "", fail("not the name of a helper")
	}
	where, err := l.find(program)
	if err != nil {
		return "", fail("not found in PATH")
	}
	patience, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	cmd := exec.CommandContext(patience, where, "get")
	cmd.Stdin = strings.NewReader(l.name)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("%q: %w", program, context.Cause(ctx))
	case patience.Err() != nil:
		return "", fail("no answer in " + helperTimeout.String())
	case errors.As(err, &exit):
		return "", fail(fmt.Sprintf("no login (exit status %d)", exit.ExitCode()))
	case err != nil:
		return "", fail("cannot be run")
	}
	var answer struct{ Username, Secret string }
	if len(out) > maxHelperSize || json.Unmarshal(out, &answer) != nil || answer.Username == "" {
		return "", fail("answer not readable")
	}
	if answer.Username == "<token>" {
		// An identity token is for the registry's token service, which the
		// registry's answer names; sent as it is, it opens nothing.
		return "", nil
	}
	return basic(answer.Username, answer.Secret), nil
}

// find looks program up in the PATH of Options.Env.
func (l *dockerLogin) find(program string) (string, error) {
	for _, dir := range filepath.SplitList(l.c.options.Env("PATH")) {
		if !filepath.IsAbs(dir) {
			continue // a helper in the current folder is somebody else's
		}
		if where, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return where, nil
		}
	}
	return "", exec.ErrNotFound
}
