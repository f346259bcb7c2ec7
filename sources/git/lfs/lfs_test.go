package lfs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

func newStore(t *testing.T, up *upstreamtest.Server) *Store {
	t.Helper()
	client, err := fetch.New(fetch.Options{
		Env: func(string) string { return "" }, Home: t.TempDir(), Retries: 2,
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	client.Name(up.URL(""))
	return New(client, up.URL("/o/r"))
}

func object(content string) Object {
	return Object{OID: bundle.DigestOf([]byte(content)), Size: int64(len(content))}
}

const endpoint = "/o/r.git/info/lfs/objects/batch"

// What is located is opened with the header that the answer asks for; a
// connection that breaks is taken up again.
func TestStore(t *testing.T) {
	up := upstreamtest.New(t)
	s, want := newStore(t, up), object("content")
	up.Put("/lfs", []byte("content"))
	up.FailAlways("/lfs", upstreamtest.NeedHeader("Authorization", "RemoteAuth secret"))
	up.Fail("/lfs", upstreamtest.Cut(3))
	up.Handle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q question
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Operation != "download" || r.Header.Get("Accept") != mediaType || r.URL.Path != endpoint {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		var all []string
		for _, o := range q.Objects {
			if o.OID == want.OID.Hex() {
				all = append(all, `{"oid":"`+o.OID+`","size":7,"actions":{"download":{"href":"`+up.URL("/lfs?sig=secret")+`","header":{"Authorization":"RemoteAuth secret"}}}}`)
			} else {
				all = append(all, `{"oid":"`+o.OID+`","size":1,"error":{"code":404,"message":"gone"}}`)
			}
		}
		_, _ = io.WriteString(w, `{"objects":[`+strings.Join(all, ",")+`]}`)
	}))
	lost := object("lost")
	found, err := s.Locate(t.Context(), []Object{want, lost})
	if err != nil || found[lost.OID].Missing != `404 "gone"` || strings.Contains(found[want.OID].Origin(), "secret") {
		t.Fatalf("%+v, %v", found, err)
	}
	c, err := s.Open(want)(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c.Body)
	if err := errors.Join(err, c.Body.Close()); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := s.Open(Object{OID: want.OID, Size: 9})(t.Context(), 0, ""); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "7 bytes, want 9") {
		t.Errorf("another size: %v", err)
	}
	if _, err := s.Open(lost)(t.Context(), 0, ""); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "gone") {
		t.Errorf("lost: %v", err)
	}
}

func TestAnswers(t *testing.T) {
	want := object("content")
	oid := want.OID.Hex()
	for name, test := range map[string]struct {
		answer string
		class  error
		text   string
	}{
		"not JSON":           {"<html>", fetch.ErrUpstream, "not an answer"},
		"another transfer":   {`{"transfer":"tus"}`, fetch.ErrUpstream, "tus"},
		"not in it":          {`{"objects":[]}`, fetch.ErrUpstream, "not in the answer"},
		"not asked for":      {`{"objects":[{"oid":"../../x"}]}`, fetch.ErrUpstream, "not asked for"},
		"another host":       {`{"objects":[{"oid":"` + oid + `","actions":{"download":{"href":"http://store.example/x"}}}]}`, fetch.ErrRefused, "store.example"},
		"a file":             {`{"objects":[{"oid":"` + oid + `","actions":{"download":{"href":"file:///etc/passwd"}}}]}`, fetch.ErrRefused, "unusable"},
		"a broken header":    {`{"objects":[{"oid":"` + oid + `","actions":{"download":{"href":"BASE/x","header":{"A":"b\r\nC: d"}}}}]}`, fetch.ErrUpstream, "header"},
		"a header of ours":   {`{"objects":[{"oid":"` + oid + `","actions":{"download":{"href":"BASE/x","header":{"range":"bytes=0-0"}}}}]}`, fetch.ErrUpstream, "header"},
		"without an address": {`{"objects":[{"oid":"` + oid + `"}]}`, nil, ""},
	} {
		up := upstreamtest.New(t)
		up.Handle(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.ReplaceAll(test.answer, "BASE", up.URL("")))
		}))
		found, err := newStore(t, up).Locate(t.Context(), []Object{want})
		if test.class == nil {
			if err != nil || found[want.OID].Missing == "" {
				t.Errorf("%s: %+v, %v", name, found, err)
			}
			continue
		}
		if !errors.Is(err, test.class) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v, want %v with %q", name, err, test.class, test.text)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"objects":[{"oid":"x","size":7,"actions":{"download":{"href":"http://127.0.0.1/x","header":{"A":"b"}}}}]}`))
	client, err := fetch.New(fetch.Options{Env: func(string) string { return "" }, Home: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	s := New(client, "http://127.0.0.1/r")
	f.Fuzz(func(t *testing.T, b []byte) {
		var a answer
		if json.Unmarshal(b, &a) != nil {
			return
		}
		to := map[bundle.Digest]Action{}
		if err := s.read([]Object{object("x")}, &a, to); err != nil {
			return
		}
		for _, action := range to {
			if action.Missing == "" && !strings.HasPrefix(action.href, "http://127.0.0.1/") {
				t.Errorf("leads to %q", action.href)
			}
		}
	})
}
