package serve

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGitPath(t *testing.T) {
	for p, want := range map[string]string{
		"/git/h/a.git/info/refs":              "/git/h/a.git/info/refs",
		"/git/h/a/info/refs":                  "/git/h/a.git/info/refs",
		"/git/h/o/a/objects/pack/pack-1.pack": "/git/h/o/a.git/objects/pack/pack-1.pack",
		"/git/h/a.git/objects/info/packs":     "/git/h/a.git/objects/info/packs",
		"/git/h/a.git/lfs/objects/ab/ab/abc":  "/git/h/a.git/lfs/objects/ab/ab/abc",
		"/git/h/a/HEAD":                       "/git/h/a.git/HEAD",
		"/git/h/a":                            "/git/h/a",
		"/files/h/a/HEAD":                     "/files/h/a/HEAD",
	} {
		if got := gitPath(p); got != want {
			t.Errorf("%s: %s, want %s", p, got, want)
		}
	}
}

// The batch API answers for what the mirror has, and for nothing else.
func TestBatch(t *testing.T) {
	dir := t.TempDir()
	oid := strings.Repeat("ab", 32)
	for name, content := range map[string]string{"HEAD": "ref: refs/heads/main\n", "lfs/objects/ab/ab/" + oid: "object"} {
		file := filepath.Join(dir, "generations", "000001", "git", "h", "a.git", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("generations/000001", filepath.Join(dir, "current")); err != nil {
		t.Fatal(err)
	}
	h, err := New(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	ask := func(path, body string) (int, string) {
		t.Helper()
		resp, err := http.Post(server.URL+path, batchType, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	question := func(operation, oid string) string {
		return `{"operation":"` + operation + `","transfers":["basic"],"objects":[{"oid":"` + oid + `","size":6}]}`
	}
	for _, path := range []string{"/git/h/a.git", "/git/h/a"} {
		status, body := ask(path+"/info/lfs/objects/batch", question("download", oid))
		var got struct {
			Objects []lfsObject `json:"objects"`
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK || len(got.Objects) != 1 {
			t.Fatalf("%s: %d %s %v", path, status, body, err)
		}
		resp, err := http.Get(got.Objects[0].Actions["download"].Href)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(b) != "object" {
			t.Errorf("%s: got %q, %v", got.Objects[0].Actions, b, err)
		}
	}
	for name, test := range map[string]struct {
		path, body string
		status     int
		want       string
	}{
		"an upload":       {"/git/h/a.git/info/lfs/objects/batch", question("upload", oid), http.StatusForbidden, "read-only"},
		"another object":  {"/git/h/a.git/info/lfs/objects/batch", question("download", strings.Repeat("cd", 32)), http.StatusOK, "not in this mirror"},
		"a path":          {"/git/h/a.git/info/lfs/objects/batch", question("download", "../../HEAD"), http.StatusOK, "not the name"},
		"no repository":   {"/git/h/b.git/info/lfs/objects/batch", question("download", oid), http.StatusNotFound, "no such repository"},
		"not JSON":        {"/git/h/a.git/info/lfs/objects/batch", "x", http.StatusUnprocessableEntity, "want a batch"},
		"too much":        {"/git/h/a.git/info/lfs/objects/batch", `{"operation":"download","objects":[` + strings.Repeat(`{},`, maxObjects) + `{}]}`, http.StatusUnprocessableEntity, "want a batch"},
		"another POST":    {"/git/h/a.git/git-upload-pack", "", http.StatusMethodNotAllowed, ""},
		"a batch of apt":  {"/apt/h/a.git/info/lfs/objects/batch", question("download", oid), http.StatusMethodNotAllowed, ""},
		"a hidden folder": {"/git/.h/a.git/info/lfs/objects/batch", question("download", oid), http.StatusMethodNotAllowed, ""},
	} {
		if status, body := ask(test.path, test.body); status != test.status || !strings.Contains(body, test.want) {
			t.Errorf("%s: %d %s, want %d %s", name, status, body, test.status, test.want)
		}
	}
}
