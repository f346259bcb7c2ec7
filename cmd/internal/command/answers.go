package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/serve"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/unpack/site"
)

const (
	// askedAtOnce is how many paths are handed over together: one by one costs more than
	// the answer.
	askedAtOnce = 256
	// maxUnanswered bounds what is named.
	maxUnanswered = 1000
)

// answers is what the server answered to the paths that are listed.
type answers struct {
	// Paths is how many there are.
	Paths int64 `json:"paths"`
	// Wrong are those that are not answered as they are listed, in no order; More is how
	// many there are besides.
	Wrong []unpack.Damage `json:"wrong,omitempty"`
	More  int64           `json:"more,omitempty"`
}

// failed returns what is wrong with the answers, as an error that matches
// bundle.ErrCorrupt; nil: nothing.
func (a *answers) failed() error {
	if len(a.Wrong) == 0 {
		return nil
	}
	return bundle.About(bundle.AboutMirror, fmt.Errorf("%s have a wrong answer, the first: %s: %s: %w",
		bundle.Count(int64(len(a.Wrong))+a.More, "published path"), a.Wrong[0].Path, a.Wrong[0].Problem, bundle.ErrCorrupt))
}

// askServer asks the handler of serve for every path that a mirror lists, as a client asks
// for it, without a connection: what is published is served. The rules by which it answers
// are those that the configuration for other web servers has too.
func askServer(ctx context.Context, dir string, m *unpack.Mirror) (*answers, error) {
	g, err := m.Current()
	if err != nil {
		return nil, err
	}
	view, err := m.Tree("")
	if err != nil {
		return nil, err
	}
	h, err := serve.New(dir, serve.Options{})
	if err != nil {
		return nil, err
	}
	all := &answers{}
	questions := make(chan []question)
	var wait sync.WaitGroup
	var mu sync.Mutex
	for range runtime.GOMAXPROCS(0) {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for some := range questions {
				wrong := askAll(ctx, h, some)
				mu.Lock()
				all.Paths += int64(len(some))
				room := min(len(wrong), maxUnanswered-len(all.Wrong))
				all.Wrong, all.More = append(all.Wrong, wrong[:room]...), all.More+int64(len(wrong)-room)
				mu.Unlock()
			}
		}()
	}
	err = eachQuestion(ctx, view, g.BaseURL != "", func(some []question) { questions <- some })
	close(questions)
	wait.Wait()
	if err = errors.Join(err, h.Close()); err != nil {
		return nil, err
	}
	return all, all.failed()
}

// question is a path and what its answer has to be.
type question struct {
	set, repository, path string
	size                  int64 // -1: the file has the mirror's address in it
}

// eachQuestion calls ask with all paths that are published, some at a time. addressed: the
// mirror has an address.
func eachQuestion(ctx context.Context, view *unpack.Tree, addressed bool, ask func([]question)) error {
	var some []question
	for _, r := range view.Repositories() {
		for f, err := range view.Files(r.Name) {
			if err != nil {
				return err
			}
			if f.Filled && !addressed {
				continue // waits for the address
			}
			q := question{view.Set(r.Name), r.Name, r.Mount + "/" + f.Path, f.Size}
			if f.Filled || site.Owns(q.path) {
				q.size = -1
			}
			if some = append(some, q); len(some) == askedAtOnce {
				ask(some)
				some = nil
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	ask(some)
	return nil
}

// askAll asks for some paths and returns those that are not answered as they are listed.
func askAll(ctx context.Context, h http.Handler, some []question) (wrong []unpack.Damage) {
	w := &reply{header: http.Header{}}
	for _, q := range some {
		clear(w.header)
		w.status = 0
		r := &http.Request{Method: http.MethodHead, URL: &url.URL{Path: "/" + q.path}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}
		h.ServeHTTP(w, r.WithContext(ctx))
		problem := ""
		switch length := w.header.Get("Content-Length"); {
		case w.status != http.StatusOK:
			problem = fmt.Sprintf("serve answers %d %s", w.status, strings.ToLower(http.StatusText(w.status)))
		case q.size >= 0 && length != strconv.FormatInt(q.size, 10):
			problem = fmt.Sprintf("serve answers with %s bytes, want %d", length, q.size)
		}
		if problem != "" {
			wrong = append(wrong, unpack.Damage{Set: q.set, Repository: q.repository, Path: q.path, Problem: problem})
		}
	}
	return wrong
}

// reply is an answer of which only the head counts.
type reply struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (r *reply) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *reply) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// Write implements http.ResponseWriter.
func (r *reply) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return len(b), nil
}
