// Package lfs locates and downloads objects of Git LFS by its batch API
// (git-lfs, docs/api/batch.md and basic-transfers.md): a POST names objects,
// and the answer has the URL of each and the headers to send with the request.
package lfs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
)

const (
	mediaType = "application/vnd.git-lfs+json"
	batchSize = 100     // objects in one question, as git-lfs asks
	maxAnswer = 4 << 20 // bytes
	maxHeader = 20      // fields that an answer may ask for
	// freshFor is how long the address of an object is used: many are signed
	// for a few minutes.
	freshFor = 3 * time.Minute
)

// Object is what a pointer names.
type Object = gitfile.Pointer

// Action is where an object is.
type Action struct {
	href   string
	header http.Header
	at     time.Time
	// Missing is why upstream does not have the object, in its words.
	Missing string
}

// Origin returns the address without secrets.
func (a Action) Origin() string { return fetch.Redact(a.href) }

// Store is the objects of one repository.
type Store struct {
	client   *fetch.Client
	endpoint string

	mu    sync.Mutex
	known map[bundle.Digest]Action
}

// New returns the store of the repository at url.
func New(client *fetch.Client, url string) *Store {
	if !strings.HasSuffix(url, ".git") {
		url += ".git"
	}
	return &Store{client: client, endpoint: url + "/info/lfs/objects/batch", known: map[bundle.Digest]Action{}}
}

// Locate asks where objects are. Errors match fetch.ErrUpstream or fetch.ErrRefused.
func (s *Store) Locate(ctx context.Context, objects []Object) (map[bundle.Digest]Action, error) {
	all := map[bundle.Digest]Action{}
	for len(objects) > 0 {
		n := min(len(objects), batchSize)
		if err := s.batch(ctx, objects[:n], all); err != nil {
			return nil, err
		}
		objects = objects[n:]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for oid, a := range all {
		s.known[oid] = a
	}
	return all, nil
}

type named struct {
	OID  string `json:"oid"`
	Size int64  `json:"size"`
}

type question struct {
	Operation string   `json:"operation"`
	Transfers []string `json:"transfers"`
	Objects   []named  `json:"objects"`
	HashAlgo  string   `json:"hash_algo"`
}

type answer struct {
	Transfer string `json:"transfer"`
	Objects  []struct {
		named
		Actions struct {
			Download *struct {
				Href   string            `json:"href"`
				Header map[string]string `json:"header"`
			} `json:"download"`
		} `json:"actions"`
		Error *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	} `json:"objects"`
}

func (s *Store) batch(ctx context.Context, objects []Object, to map[bundle.Digest]Action) error {
	q := question{Operation: "download", Transfers: []string{"basic"}, HashAlgo: "sha256"}
	for _, o := range objects {
		q.Objects = append(q.Objects, named{o.OID.Hex(), o.Size})
	}
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", mediaType)
	req.Header.Set("Content-Type", mediaType)
	resp, err := s.client.Exchange(req, maxAnswer)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &fetch.StatusError{URL: fetch.Redact(s.endpoint), Status: resp.StatusCode}
	}
	var a answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return s.wrong("not an answer of a batch: %w", err)
	}
	if a.Transfer != "" && a.Transfer != "basic" {
		return s.wrong("transfer %.40q, want basic", a.Transfer)
	}
	return s.read(objects, &a, to)
}

func (s *Store) wrong(format string, args ...any) error {
	return fmt.Errorf("%s: "+format+": %w", append(append([]any{fetch.Redact(s.endpoint)}, args...), fetch.ErrUpstream)...)
}

// read takes the actions for the requested objects out of the answer.
func (s *Store) read(objects []Object, a *answer, to map[bundle.Digest]Action) error {
	asked := map[string]Object{}
	for _, o := range objects {
		asked[o.OID.Hex()] = o
	}
	now := time.Now()
	for _, o := range a.Objects {
		want, ok := asked[o.OID]
		if !ok {
			return s.wrong("object %.80q, which was not asked for", o.OID)
		}
		delete(asked, o.OID)
		switch d := o.Actions.Download; {
		case o.Error != nil:
			to[want.OID] = Action{Missing: fmt.Sprintf("%d %.200q", o.Error.Code, o.Error.Message)}
		case d == nil:
			to[want.OID] = Action{Missing: "the answer has no address for it"}
		default:
			if err := s.client.MayFollow(s.endpoint, d.Href); err != nil {
				return err
			}
			if len(d.Header) > maxHeader {
				return s.wrong("object %s: %s, at most %d", o.OID, bundle.Count(len(d.Header), "header field"), maxHeader)
			}
			header := http.Header{}
			for name, value := range d.Header {
				if strings.ContainsAny(name+value, "\r\n") || strings.EqualFold(name, "Range") || strings.EqualFold(name, "Host") {
					return s.wrong("object %s: the header field %.80q", o.OID, name)
				}
				header.Set(name, value)
			}
			to[want.OID] = Action{href: d.Href, header: header, at: now}
		}
	}
	for oid := range asked {
		return s.wrong("object %s: not in the answer", oid)
	}
	return nil
}

// Open opens an object, at an address that was requested a short time ago.
func (s *Store) Open(o Object) bundle.Open {
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		a, err := s.address(ctx, o)
		if err != nil {
			return nil, err
		}
		body, err := s.client.OpenWanted(ctx, a.href, a.header, at, validator, fetch.SHA256(o.OID[:], o.Size))
		if err != nil {
			return nil, err
		}
		if body.Meta.Size >= 0 && body.Meta.Size != o.Size {
			return nil, errors.Join(fmt.Errorf("%s: %s, want %d: %w", body.Meta.URL, bundle.Count(body.Meta.Size, "byte"), o.Size, fetch.ErrUpstream), body.Close())
		}
		return &bundle.Content{Body: body, At: body.At, Validator: body.Meta.Validator()}, nil
	}
}

func (s *Store) address(ctx context.Context, o Object) (Action, error) {
	s.mu.Lock()
	a, ok := s.known[o.OID]
	s.mu.Unlock()
	if ok && time.Since(a.at) < freshFor {
		return a, nil
	}
	all, err := s.Locate(ctx, []Object{o})
	if err != nil {
		return a, err
	}
	if a = all[o.OID]; a.Missing != "" {
		return a, s.wrong("object %s: %s", o.OID, a.Missing)
	}
	return a, nil
}
