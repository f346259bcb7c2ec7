package webtest

import (
	"net/http"
	"strings"
	"testing"
)

// testRoles: which of Ansible's roles is meant, a query says; and nothing else of it leads anywhere.
func testRoles(t *testing.T, f mirror, start startFunc) {
	const below = "galaxy/site/v1/roles/"
	page := func(content string) File { return File{Content: content + "\n"} }
	f.Publish(map[string]File{
		below + "index.html":                       page("none"),
		below + "by/acme/ntp/index.html":           page("acme ntp"),
		below + "by/acme/bash/index.html":          page("acme bash"),
		below + "by/a.b/deep-role_2/index.html":    page("a.b deep-role_2"),
		below + "by/.hidden/ntp/index.html":        page("hidden"),
		below + "acme.ntp/versions/index.html":     page("versions"),
		"galaxy/site/index.html":                   page("root"),
		"galaxy/site/v3/collections/index.html":    page("collections"),
		"apt/site/v1/roles/index.html":             page("no galaxy"),
		"apt/site/v1/roles/by/acme/ntp/index.html": page("not to be had by a query"),
	})
	s := start(t, f.Path())
	for path, want := range map[string]string{
		"/" + below: "none",
		"/" + below + "?owner__username=acme&name=ntp":                              "acme ntp",
		"/" + below + "?owner__username=acme&name=bash":                             "acme bash",
		"/" + below + "?owner__username=a.b&name=deep-role_2":                       "a.b deep-role_2",
		"/" + below + "?owner__username=acme&name=gone":                             "none",
		"/" + below + "?owner__username=&name=":                                     "none",
		"/" + below + "?name=ntp":                                                   "none",
		"/" + below + "?owner__username=.hidden&name=ntp":                           "none",
		"/" + below + "?owner__username=..&name=..":                                 "none",
		"/" + below + "?owner__username=acme/..&name=acme":                          "none",
		"/" + below + "?owner__username=acme&name=..%2F..%2F..%2F..":                "none",
		"/" + below + "?owner__username=%2E%2E&name=ntp":                            "none",
		"/" + below + "?owner__username=acme&name=ntp/../bash":                      "none",
		"/" + below + "?owner__username=acme&name=ntp&name=bash":                    "none",
		"/" + below + "?owner__username=" + strings.Repeat("a", 3000) + "&name=ntp": "none",
		"/" + below + "acme.ntp/versions/?page_size=50":                             "versions",
		"/galaxy/site/?owner__username=acme&name=ntp":                               "root",
		"/galaxy/site/v3/collections/?owner__username=acme&name=ntp":                "collections",
		"/apt/site/v1/roles/?owner__username=acme&name=ntp":                         "no galaxy",
	} {
		resp, body := do(t, s, http.MethodGet, path)
		if len(path) > 2000 && resp.StatusCode == http.StatusOK && strings.TrimSpace(body) != want || len(path) <= 2000 && (resp.StatusCode != http.StatusOK || strings.TrimSpace(body) != want) {
			t.Errorf("GET %.200s: status %d, %q, want %q", path, resp.StatusCode, body, want)
		}
	}
}
