package bundle

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestPublic(t *testing.T) {
	for address, want := range map[string]Public{
		"https://Archive.Example/debian/":     {Scheme: "https", Host: "archive.example", Path: "/debian", At: "x"},
		"http://a.example:80":                 {Scheme: "http", Host: "a.example", At: "x"},
		"https://a.example:80/":               {Scheme: "https", Host: "a.example:80", At: "x"},
		"http://127.0.0.1:8080/with%20blank/": {Scheme: "http", Host: "127.0.0.1:8080", Path: "/with blank", At: "x"},
		"http://[::1]:8080/a":                 {Scheme: "http", Host: "[::1]:8080", Path: "/a", At: "x"},
	} {
		if got, err := ParsePublic(address, "x/"); err != nil || got != want {
			t.Errorf("%s: %+v, %v", address, got, err)
		}
	}
	for _, address := range []string{"ftp://a.example/", "https:///x", "https://a.example/?q", "https://a.example/x/../y", "https://a example/", "/x"} {
		if got, err := ParsePublic(address, ""); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", address, got, err)
		}
	}
	if _, err := ParsePublic("https://a.example/", "../x"); !errors.Is(err, ErrMalformed) {
		t.Errorf("a place outside: %v", err)
	}
}

func TestAnnotatePublic(t *testing.T) {
	var all []Public
	for i := range MaxPublic {
		p, err := ParsePublic(fmt.Sprintf("https://mirror-%03d.example/%s", MaxPublic-i, strings.Repeat("x", 100)), "")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	to := map[string]string{"own": "x"}
	if err := AnnotatePublic(to, append(all, all...)); err != nil {
		t.Fatal(err)
	}
	if err := CheckAnnotations(to); err != nil || len(to) < 3 {
		t.Errorf("%d annotations, %v", len(to), err)
	}
	slices.Reverse(all)
	if back, err := PublicOf(to); err != nil || !slices.Equal(back, all) {
		t.Errorf("%d back, %v", len(back), err)
	}
	if err := AnnotatePublic(to, append(all, Public{Scheme: "https", Host: "one.more"})); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "201 public addresses, at most 200") {
		t.Errorf("too many: %v", err)
	}
	for i := range all {
		all[i].Path = "/" + strings.Repeat(strings.Repeat("x", 250)+"/", 3) + "x"
	}
	if err := AnnotatePublic(map[string]string{}, all); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
}

func FuzzPublic(f *testing.F) {
	f.Add(`[{"host":"a.example","scheme":"https"}]`)
	f.Add(`[{"at":"..","host":"a","path":"x","scheme":"ftp"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := PublicOf(map[string]string{PublicKey + "00": text})
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if err := AnnotatePublic(map[string]string{}, all); err != nil && len(text) < MaxAnnotationSize/2 {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
