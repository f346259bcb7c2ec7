// Package relay is the one way by which the git program reaches an upstream:
// a server on loopback that git speaks plain HTTP to, and that asks the
// upstream through fetch.Client.
//
// So the rules for hosts, redirects, credentials, proxies, stalls, attempts
// and rates hold for git as for every other kind, and no credential ever
// reaches git. A relay leads to the paths of one repository that the smart
// protocol (gitprotocol-http) and the dumb one ask for, and nowhere else; who
// has not the relay's secret, which git gets by its environment, is turned
// away. objects/info/alternates is answered with 404: an upstream cannot send
// git to another repository.
package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
)

// Bounds of one exchange.
const (
	// MaxAdvertisement bounds a server's announcement of its refs, in bytes.
	MaxAdvertisement = 64 << 20
	// MaxRequest bounds what git asks for in one request, in bytes.
	MaxRequest = 64 << 20
	// MaxAnswer bounds a pack or another file of upstream, in bytes.
	MaxAnswer = 64 << 30
)

const (
	secretHeader  = "X-Gapbundle-Relay"
	serviceQuery  = "service=git-upload-pack"
	advertisement = "application/x-git-upload-pack-advertisement"
	request       = "application/x-git-upload-pack-request"
	result        = "application/x-git-upload-pack-result"
	headerTimeout = 30 * time.Second
)

// Relay is a relay to one repository. Close it.
type Relay struct {
	client *fetch.Client
	secret string
	server *http.Server
	socket net.Listener
	ended  chan struct{}
	ctx    context.Context // of New: requests of git have no other

	mu       sync.Mutex
	upstream string // URL of the repository, without a slash at its end
	smart    bool
	err      error // the first that an answer ended with
	received int64
}

// New starts a relay to the repository at upstream, which lives until Close or
// the end of ctx.
func New(ctx context.Context, client *fetch.Client, upstream string) (*Relay, error) {
	if err := fetch.CheckURL(upstream); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	socket, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{
		client: client, secret: rand.Text(), socket: socket, ended: make(chan struct{}), ctx: ctx,
		upstream: strings.TrimRight(upstream, "/"),
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: headerTimeout, BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() {
		defer close(r.ended)
		_ = r.server.Serve(socket) // it ends by Close alone
	}()
	return r, nil
}

// URL returns the address that git fetches from.
func (r *Relay) URL() string { return "http://" + r.socket.Addr().String() + "/repository.git" }

// Config returns settings for git: keys and values in turn. It holds the secret.
func (r *Relay) Config() []string {
	return []string{"http.extraHeader", secretHeader + ": " + r.secret, "http.proxy", ""}
}

// Close ends the relay and what is under way.
func (r *Relay) Close() error {
	err := r.server.Close()
	<-r.ended
	return err
}

// Smart reports whether the upstream spoke the smart protocol when it was
// asked for its refs.
func (r *Relay) Smart() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.smart
}

// Received returns how many bytes upstream has sent so far.
func (r *Relay) Received() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.received
}

// Err returns why an answer to git failed since the last call: git itself only
// knows that it did.
func (r *Relay) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.err
	r.err = nil
	return err
}

func (r *Relay) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

// files are the paths that the dumb protocol reads.
var files = regexp.MustCompile(`^/(HEAD|info/refs|objects/info/packs|objects/[0-9a-f]{2}/[0-9a-f]{38}|objects/pack/pack-[0-9a-f]{40}\.(pack|idx))$`)

// ServeHTTP answers git.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path, ok := strings.CutPrefix(req.URL.Path, "/repository.git")
	if subtle.ConstantTimeCompare([]byte(req.Header.Get(secretHeader)), []byte(r.secret)) != 1 {
		http.Error(w, "not for you", http.StatusForbidden)
		return
	}
	switch {
	case ok && req.Method == http.MethodGet && path == "/info/refs" && req.URL.RawQuery == serviceQuery:
		r.refs(w, req)
	case ok && req.Method == http.MethodPost && path == "/git-upload-pack":
		r.uploadPack(w, req)
	case ok && req.Method == http.MethodGet && req.URL.RawQuery == "" && files.MatchString(path):
		r.file(w, req, path)
	default:
		http.NotFound(w, req)
	}
}

func (r *Relay) url(path string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.upstream + path
}

// refs asks for the refs, and remembers where a renamed repository moved: git
// itself would send what follows there, too.
func (r *Relay) refs(w http.ResponseWriter, req *http.Request) {
	const path = "/info/refs?" + serviceQuery
	ask, err := http.NewRequestWithContext(r.ctx, http.MethodGet, r.url(path), nil)
	if err == nil {
		copyHeader(ask.Header, req.Header, "Git-Protocol")
		ask.Header.Set("Accept", "*/*")
		var answer *http.Response
		if answer, err = r.client.Exchange(ask, MaxAdvertisement); err == nil {
			r.advertised(w, answer, path)
			return
		}
	}
	r.refuse(w, err)
}

func (r *Relay) advertised(w http.ResponseWriter, answer *http.Response, path string) {
	if answer.StatusCode != http.StatusOK {
		r.refuse(w, &fetch.StatusError{URL: fetch.Redact(answer.Request.URL.String()), Status: answer.StatusCode})
		return
	}
	r.mu.Lock()
	r.smart = answer.Header.Get("Content-Type") == advertisement
	if moved, ok := strings.CutSuffix(answer.Request.URL.String(), path); ok {
		r.upstream = moved
	}
	r.mu.Unlock()
	r.pass(w, answer.Header, answer.Body)
}

// uploadPack asks for objects. The request is held in memory, so that it can
// be made again while nothing was answered.
func (r *Relay) uploadPack(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, MaxRequest))
	if err != nil {
		r.refuse(w, fmt.Errorf("request of git: %w", err))
		return
	}
	var answer *http.Response
	err = r.client.Attempts(r.ctx, func() error {
		ask, err := http.NewRequestWithContext(r.ctx, http.MethodPost, r.url("/git-upload-pack"), bytes.NewReader(body))
		if err != nil {
			return err
		}
		copyHeader(ask.Header, req.Header, "Git-Protocol", "Content-Type", "Content-Encoding")
		ask.Header.Set("Accept", result)
		answer, err = r.client.Stream(ask)
		return err
	})
	if err != nil {
		r.refuse(w, err)
		return
	}
	defer answer.Body.Close()
	if got := answer.Header.Get("Content-Type"); got != result {
		r.refuse(w, fmt.Errorf("%s: answer of type %.60q, want %s: %w", fetch.Redact(answer.Request.URL.String()), got, result, fetch.ErrUpstream))
		return
	}
	r.pass(w, answer.Header, answer.Body)
}

// file hands on a file of the dumb protocol. It is resumed where it breaks.
func (r *Relay) file(w http.ResponseWriter, _ *http.Request, path string) {
	body, err := r.client.Open(r.ctx, r.url(path), 0, "")
	var status *fetch.StatusError
	switch {
	case errors.As(err, &status) && status.Status < 500 && status.Status != http.StatusTooManyRequests:
		http.Error(w, "not there", status.Status) // git asks for much that need not be there
	case err != nil:
		r.refuse(w, err)
	default:
		defer body.Close()
		r.pass(w, http.Header{"Content-Type": {body.Meta.ContentType}}, body)
	}
}

// pass hands on an answer. One that breaks is broken off for git, too.
func (r *Relay) pass(w http.ResponseWriter, header http.Header, body io.Reader) {
	copyHeader(w.Header(), header, "Content-Type")
	w.Header().Set("Cache-Control", "no-cache")
	n, err := io.Copy(flusher{w, http.NewResponseController(w)}, io.LimitReader(counted{body, r}, MaxAnswer+1))
	if n > MaxAnswer {
		err = fmt.Errorf("%s: more than %d bytes: %w", fetch.Redact(r.url("")), int64(MaxAnswer), fetch.ErrUpstream)
	}
	if err != nil {
		var write *writeError
		if !errors.As(err, &write) { // git went away: its own error has the reason
			r.failed(r.upstreamError(err))
		}
		panic(http.ErrAbortHandler)
	}
}

// upstreamError returns err with a class. The transport's own error about a
// broken body has none.
func (r *Relay) upstreamError(err error) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	if errors.Is(err, fetch.ErrUpstream) || errors.Is(err, fetch.ErrRefused) || errors.Is(err, fetch.ErrConfig) {
		return err
	}
	return fetch.Broken(r.url(""), err)
}

// refuse records why the request failed and answers git with an error.
func (r *Relay) refuse(w http.ResponseWriter, err error) {
	r.failed(fetch.RedactError(err))
	http.Error(w, "no answer from upstream", http.StatusBadGateway)
}

func copyHeader(to, from http.Header, names ...string) {
	for _, name := range names {
		if v := from.Get(name); v != "" {
			to.Set(name, v)
		}
	}
}

// counted counts what upstream sends while it comes.
type counted struct {
	io.Reader
	relay *Relay
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.relay.mu.Lock()
	c.relay.received += int64(n)
	c.relay.mu.Unlock()
	return n, err
}

// flusher sends each part on as it comes.
type flusher struct {
	w    io.Writer
	ctrl *http.ResponseController
}

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.ctrl.Flush()
	}
	if err != nil {
		return n, &writeError{err}
	}
	return n, nil
}

// writeError is that git no longer listens.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }
