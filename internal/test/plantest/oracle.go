package plantest

import (
	"cmp"
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

// Row is a document that is malformed in one way. D is what makes it, as the tests of a
// kind have it.
type Row[D any] struct {
	Document D
	// Reads reports whether the client can use it. A test with the tag clients asks the
	// real client (Table.Client).
	Reads bool
	// Class is that of the error by which a plan refuses it; nil: fetch.ErrUpstream.
	Class error
	// Names are words of the error by which a plan refuses it: what is wrong, and where.
	Names []string
	// Unlike is why a plan decides otherwise than the client. A document that the client
	// cannot use may be carried for such a reason where what is published is made here.
	Unlike string
}

// Table has documents by what is wrong with them. The client's parser is the oracle: what
// is carried, the client can use; what it cannot use is upstream's fault, and named.
type Table[D any] map[string]Row[D]

// carried reports whether a plan is expected to carry the document.
func (r *Row[D]) carried() bool { return r.Reads == (r.Unlike == "") }

// Plan compares what plan does with each document with what the client does with it.
func (rows Table[D]) Plan(t *testing.T, plan func(t *testing.T, document D) error) {
	t.Helper()
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			err := plan(t, row.Document)
			if row.carried() {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			upstream := errors.Is(err, cmp.Or(row.Class, fetch.ErrUpstream)) || row.Unlike != "" && errors.Is(err, fetch.ErrRefused)
			if !upstream || errors.Is(err, bundle.ErrMalformed) {
				t.Fatalf("got %v, want it refused as upstream's fault", err)
			}
			if len(row.Names) == 0 {
				t.Errorf("the row does not say what has to be named: %v", err)
			}
			for _, word := range row.Names {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("got %v, want it to name %s", err, word)
				}
			}
		})
	}
}

// Answer is what a client did with a document, and what it wrote meanwhile.
type Answer struct {
	Reads bool   `json:"reads"`
	Said  string `json:"said"`
}

// Client compares the rows with the real client, which ask asks about all documents.
func (rows Table[D]) Client(t *testing.T, ask func(t *testing.T, documents map[string]D) map[string]Answer) {
	t.Helper()
	all := map[string]D{}
	for name, row := range rows {
		all[name] = row.Document
	}
	answers := ask(t, all)
	for name, row := range rows {
		answer, ok := answers[name]
		if !ok || answer.Reads != row.Reads {
			t.Errorf("%s: the client answered: %v, and can use it: %v, want %v\n%s", name, ok, answer.Reads, row.Reads, answer.Said)
		}
	}
}

// Published asks the real client about what is published of the documents that are carried,
// which laid makes.
func (rows Table[D]) Published(t *testing.T, ask func(t *testing.T, documents map[string]D) map[string]Answer, laid func(t *testing.T, document D) D) {
	t.Helper()
	all := map[string]D{}
	for name, row := range rows {
		if row.carried() {
			all[name] = laid(t, row.Document)
		}
	}
	answers := ask(t, all)
	for name := range all {
		if answer, ok := answers[name]; !ok || !answer.Reads {
			t.Errorf("%s: the client cannot use what is published (it answered: %v)\n%s", name, ok, answer.Said)
		}
	}
}
