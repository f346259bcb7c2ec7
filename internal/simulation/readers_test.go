package simulation

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func ctx() context.Context { return context.Background() }

// reader is a client in the middle of a file: one reads from an open file, as a server does for
// a slow download, and one asks again for the rest, as after a lost connection.
type reader struct {
	path, want, etag string
	begun            int // the step
	file             *os.File
	got              string // by open file
	part             string // by request
	harmed           bool   // by the disk
}

// readOn begins to read a file, or goes on with all that were begun.
func (w *world) readOn() {
	files := w.visible(w.model.current)
	if len(files) == 0 || len(w.readers) > 3 || len(w.readers) > 0 && w.one(3) {
		for _, r := range w.readers {
			w.end(r)
		}
		w.note("%d readers end", len(w.readers))
		w.readers = nil
		return
	}
	path := pick(w.r, slices.Sorted(maps.Keys(files)))
	r := &reader{path: path, want: files[path], begun: w.step}
	if w.model.sick[hexOf(r.want)] {
		return
	}
	var err error
	if r.file, err = os.Open(filepath.Join(w.mirror(), "current", path)); err != nil {
		w.fail("a reader of /%s: %v", path, err)
	}
	head := make([]byte, len(r.want)/2)
	if _, err := io.ReadFull(r.file, head); err != nil {
		w.fail("a reader of /%s: %v", path, err)
	}
	r.got = string(head)
	if len(r.want) > 1 {
		answer := w.get(path, "Range", fmt.Sprintf("bytes=0-%d", len(head)-1))
		r.etag, r.part = answer.Header().Get("ETag"), answer.Body.String()
		if answer.Code != http.StatusPartialContent || r.etag == "" || r.part != r.want[:len(head)] {
			w.fail("a reader of the first half of /%s: status %d, ETag %q, %d bytes", path, answer.Code, r.etag, len(r.part))
		}
	}
	w.readers = append(w.readers, r)
	w.note("a reader begins /%s, %d bytes", path, len(r.want))
}

// end reads the rest.
func (w *world) end(r *reader) {
	rest, err := io.ReadAll(r.file)
	if err != nil || r.file.Close() != nil {
		w.fail("the reader of /%s since step %d: %v", r.path, r.begun, err)
	}
	sick := r.harmed || len(w.model.sick) > 0
	if got := r.got + string(rest); got != r.want && !sick {
		w.fail("the reader of /%s since step %d was given %d bytes %s, want %d bytes %s as they were when it began", r.path, r.begun, len(got), tail(got), len(r.want), tail(r.want))
	}
	if r.etag == "" {
		return
	}
	answer := w.get(r.path, "Range", fmt.Sprintf("bytes=%d-", len(r.part)), "If-Range", r.etag)
	w.count(fmt.Sprintf("reader that goes on: %d", answer.Code))
	switch body := answer.Body.String(); answer.Code {
	case http.StatusPartialContent:
		if r.part+body != r.want && !sick {
			w.fail("the reader of /%s since step %d: the rest is of another version", r.path, r.begun)
		}
	case http.StatusOK:
		w.whole(r.path, body)
	case http.StatusNotFound:
		w.absent(r.path)
	default:
		w.fail("the reader of /%s since step %d: status %d", r.path, r.begun, answer.Code)
	}
}

// visible returns the files of a generation by path, nil: there is none.
func (w *world) visible(n int) map[string]string {
	if g := w.model.gens[n]; g != nil {
		return g.files()
	}
	return nil
}

// whole expects what current has of a path or, if it has none, what servers fall back to.
func (w *world) whole(path, got string) {
	want, ok := w.visible(w.model.current)[path]
	if !ok {
		want, ok = w.visible(w.linked("previous"))[path]
	}
	if (!ok || got != want) && !w.model.sick[hexOf(want)] {
		w.fail("/%s is answered with %d bytes %s, want %v, %d bytes %s", path, len(got), tail(got), ok, len(want), tail(want))
	}
}

func (w *world) absent(path string) {
	for _, n := range []int{w.model.current, w.linked("previous")} {
		if want, ok := w.visible(n)[path]; ok && !w.model.sick[hexOf(want)] {
			w.fail("/%s is answered 404, and generation %d has it", path, n)
		}
	}
}

// read1 asks the server for one file that is there, and for one that may have been there.
func (w *world) read1() {
	if w.model.current == 0 {
		return
	}
	all := map[string]string{}
	for _, e := range w.exporters {
		for _, b := range e.made {
			maps.Copy(all, b.files)
		}
	}
	path := pick(w.r, slices.Sorted(maps.Keys(all)))
	switch answer := w.get(path); answer.Code {
	case http.StatusOK:
		w.whole(path, answer.Body.String())
	case http.StatusNotFound:
		w.absent(path)
	default:
		w.fail("/%s: status %d", path, answer.Code)
	}
}

func (w *world) get(path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/"+path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	if strings.Contains(answer.Header().Get("Content-Type"), "multipart") {
		w.fail("/%s: several ranges", path)
	}
	return answer
}
