package fetch

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// errNoLogin: a file or a helper is in order and knows no login for the registry.
var errNoLogin = fmt.Errorf("no login: %w", ErrConfig)

// dockerConfig is the part of docker's config.json, and of podman's auth.json,
// that holds logins.
type dockerConfig struct {
	Auths       map[string]dockerAuth `json:"auths"`
	CredsStore  string                `json:"credsStore"`
	CredHelpers map[string]string     `json:"credHelpers"`
}

type dockerAuth struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// registryName is a registry, or a part of one, as logins are kept under it.
type registryName struct {
	server string   // as a helper is asked for it
	keys   []string // of the files, the most exact first
}

// nameRegistry returns the name of the registry at an address. A repository adds
// the keys of its name spaces, "quay.io/org/image", "quay.io/org", which
// podman keeps logins under as well (containers-auth.json(5)).
func nameRegistry(host, port, repository string) registryName {
	n := registryName{server: mapKey(host, port)}
	hosts := []string{n.server}
	switch n.server {
	case "docker.io", "index.docker.io", "registry-1.docker.io":
		n.server, hosts = dockerHub, []string{"docker.io", "index.docker.io", "registry-1.docker.io"}
	}
	for _, h := range hosts {
		for space := repository; space != ""; {
			n.keys = append(n.keys, h+"/"+space)
			space = space[:max(0, strings.LastIndexByte(space, '/'))]
		}
	}
	n.keys = append(n.keys, hosts...)
	return n
}

// String returns the name for people.
func (n registryName) String() string {
	if n.server == dockerHub {
		return "docker.io"
	}
	return n.server
}

// loginKey returns a key of a file of logins, which may be a URL, in the form of
// registryName's.
func loginKey(s string) string {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://")
	host, rest, _ := strings.Cut(strings.TrimSuffix(s, "/"), "/")
	if host = strings.ToLower(host); rest == "" || rest == "v1" || rest == "v2" {
		return host
	}
	return host + "/" + rest
}

// dockerLogin asks docker's configuration about one registry.
type dockerLogin struct {
	kept kept
	file string
	name registryName

	mu    sync.Mutex
	value secret
	until time.Time
}

func (k kept) dockerCredential(name, port string) *credential {
	l := &dockerLogin{kept: k, file: k.dockerConfigFile(), name: nameRegistry(name, port, "")}
	return &credential{source: "docker config " + l.file, value: l.secret}
}

func (k kept) dockerConfigFile() string {
	dir := k.env("DOCKER_CONFIG")
	if dir == "" {
		dir = filepath.Join(k.home, ".docker")
	}
	return filepath.Join(dir, "config.json")
}

// secret reads the login when it is first needed and not before: a helper may be slow,
// or unlock a key ring.
func (l *dockerLogin) secret(ctx context.Context) (secret, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.After(l.until) {
		value, err := l.kept.readLogin(ctx, l.file, l.name)
		if errors.Is(err, errNoLogin) {
			err = fmt.Errorf("no login for %s: %w", l.name, ErrConfig)
		}
		if err != nil {
			return secret{}, err
		}
		l.value, l.until = value, now.Add(helperValid)
	}
	return l.value, nil
}

// readLogin looks into a file of logins. Where it holds none for the registry
// the error matches errNoLogin, where there is no such file fs.ErrNotExist.
func (k kept) readLogin(ctx context.Context, file string, name registryName) (secret, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return secret{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	var config dockerConfig
	if json.Unmarshal(text, &config) != nil {
		return secret{}, fmt.Errorf("not readable as docker's: %w", ErrConfig) // the cause may repeat a value
	}
	helpers, auths := map[string]string{}, map[string]dockerAuth{}
	for key, helper := range config.CredHelpers {
		helpers[loginKey(key)] = helper
	}
	for key, auth := range config.Auths {
		auths[loginKey(key)] = auth
	}
	for _, key := range name.keys {
		if helper, ok := helpers[key]; ok {
			return k.ask(ctx, helper, name)
		}
		if s, err := auths[key].secret(); err != nil || s != (secret{}) {
			if err != nil {
				err = fmt.Errorf("auth of %s: %w", key, err)
			}
			return s, err
		}
	}
	if config.CredsStore != "" {
		return k.ask(ctx, config.CredsStore, name)
	}
	return secret{}, errNoLogin
}

// secret returns the secret of an entry. It is the zero value for an entry that has
// none, which only records that a credential helper has it.
func (a dockerAuth) secret() (secret, error) {
	switch {
	case a.IdentityToken != "":
		return secret{identity: a.IdentityToken}, nil
	case a.RegistryToken != "":
		return secret{header: "Bearer " + a.RegistryToken}, checkSecret(a.RegistryToken)
	case a.Username != "":
		return secret{header: basic(a.Username, a.Password)}, nil
	case a.Auth != "":
		// docker itself pads with NUL bytes.
		pair, err := base64.StdEncoding.DecodeString(a.Auth)
		user, password, ok := strings.Cut(strings.TrimRight(string(pair), "\x00"), ":")
		if err != nil || !ok {
			return secret{}, fmt.Errorf("not base64 of user:password: %w", ErrConfig)
		}
		return secret{header: basic(user, password)}, nil
	}
	return secret{}, nil
}

// ask runs docker-credential-<helper> get: the registry goes in by stdin, a
// JSON object comes out. Nothing of its output is ever repeated.
func (k kept) ask(ctx context.Context, helper string, name registryName) (secret, error) {
	program := "docker-credential-" + helper
	fail := func(why string) (secret, error) {
		return secret{}, fmt.Errorf("%q for %s: %s: %w", program, name, why, ErrConfig)
	}
	if helper == "" || strings.ContainsAny(helper, `/\`) {
		return fail("not the name of a helper")
	}
	where, err := k.find(program)
	if err != nil {
		return fail("not found in PATH")
	}
	patience, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	cmd := exec.CommandContext(patience, where, "get")
	cmd.Stdin = strings.NewReader(name.server)
	cmd.Env = helperEnvironment(os.Environ())
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return secret{}, fmt.Errorf("%q: %w", program, context.Cause(ctx))
	case patience.Err() != nil:
		return fail("no answer in " + helperTimeout.String())
	case errors.As(err, &exit) && strings.HasPrefix(string(out), "credentials not found"):
		return secret{}, fmt.Errorf("%q for %s: %w (exit status %d)", program, name, errNoLogin, exit.ExitCode())
	case errors.As(err, &exit):
		return fail(fmt.Sprintf("no login (exit status %d)", exit.ExitCode()))
	case err != nil:
		return fail("cannot be run")
	}
	var answer struct{ Username, Secret string }
	if len(out) > maxHelperSize || json.Unmarshal(out, &answer) != nil || answer.Username == "" {
		return fail("answer not readable")
	}
	if answer.Username == "<token>" {
		return secret{identity: answer.Secret}, nil
	}
	return secret{header: basic(answer.Username, answer.Secret)}, nil
}

// The variables of the environment that a credential helper gets: what it needs to find its store, the
// user's session, and the clouds whose helpers take logins from variables. Passphrases and
// credentials of other hosts, which are in variables too, are not among it.
var (
	helperNames = []string{
		"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM", "DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS",
		"GNUPGHOME", "GPG_TTY", "GPG_AGENT_INFO", "SSH_AUTH_SOCK", "PASSWORD_STORE_DIR", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"SYSTEMROOT", "WINDIR", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "TEMP", "TMP", "COMSPEC", "PATHEXT", // Windows
	}
	helperPrefixes = []string{"LC_", "XDG_", "AWS_", "ECR_", "GOOGLE_", "CLOUDSDK_", "AZURE_", "ACR_"}
)

func helperEnvironment(all []string) []string {
	kept := []string{}
	for _, entry := range all {
		name, _, _ := strings.Cut(entry, "=")
		name = strings.ToUpper(name)
		begins := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if slices.Contains(helperNames, name) || slices.ContainsFunc(helperPrefixes, begins) {
			kept = append(kept, entry)
		}
	}
	return kept
}

// find looks program up in the PATH of Options.Env.
func (k kept) find(program string) (string, error) {
	for _, dir := range filepath.SplitList(k.env("PATH")) {
		if !filepath.IsAbs(dir) {
			continue // a helper in the current folder is somebody else's
		}
		if where, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return where, nil
		}
	}
	return "", exec.ErrNotFound
}

// loginFiles returns the files that docker and podman keep logins in, in the order
// in which podman and skopeo look (containers-auth.json(5)).
func (k kept) loginFiles() []string {
	if file := k.env("REGISTRY_AUTH_FILE"); file != "" {
		return []string{file}
	}
	run := k.env("XDG_RUNTIME_DIR")
	if run == "" {
		run = fmt.Sprintf("/run/containers/%d", os.Getuid())
	} else {
		run = filepath.Join(run, "containers")
	}
	config := k.env("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(k.home, ".config")
	}
	return []string{filepath.Join(run, "auth.json"), filepath.Join(config, "containers", "auth.json"), k.dockerConfigFile()}
}

// findLogin looks into all files of logins. It returns the zero value where
// none holds one: then one asks without.
func (k kept) findLogin(ctx context.Context, name registryName) (s secret, file string, err error) {
	for _, file := range k.loginFiles() {
		s, err := k.readLogin(ctx, file, name)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNoLogin):
		case err != nil:
			return secret{}, file, fmt.Errorf("%s: %w", file, err)
		default:
			return s, file, nil
		}
	}
	return secret{}, "", nil
}
