package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/gapbundle/gapbundle/internal/fetch"
)

// AnswerError is an answer that refuses. It matches fetch.ErrUpstream.
type AnswerError struct {
	URL    string // without secrets
	Status int
	// Codes are the specification's error codes in the answer ("Error Codes").
	// The rest is the registry's own text, and is not repeated.
	Codes []string
}

func (e *AnswerError) Error() string {
	s := fmt.Sprintf("%s: status %d %s", e.URL, e.Status, http.StatusText(e.Status))
	if len(e.Codes) > 0 {
		s += ", " + strings.Join(e.Codes, ", ")
	}
	return s
}

// Unwrap returns fetch.ErrUpstream.
func (e *AnswerError) Unwrap() error { return fetch.ErrUpstream }

// NotFound reports whether err, of this package, is a 404: no such repository,
// manifest or blob, or none that whoever asks may see.
func NotFound(err error) bool {
	var answer *AnswerError
	var status *fetch.StatusError
	return errors.As(err, &answer) && answer.Status == http.StatusNotFound ||
		errors.As(err, &status) && status.Status == http.StatusNotFound
}

// knownCodes are those of the distribution specification and of distribution.
var knownCodes = []string{"BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID",
	"MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "MANIFEST_UNVERIFIED", "NAME_INVALID", "NAME_UNKNOWN",
	"SIZE_INVALID", "TAG_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS", "RANGE_INVALID", "PAGINATION_NUMBER_INVALID"}

func (e *AnswerError) add(code string) {
	if slices.Contains(knownCodes, code) && !slices.Contains(e.Codes, code) {
		e.Codes = append(e.Codes, code)
	}
}

func answerError(resp *http.Response) *AnswerError {
	e := &AnswerError{URL: fetch.Redact(resp.Request.URL.String()), Status: resp.StatusCode}
	var answer struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && json.Unmarshal(text, &answer) == nil {
		for _, one := range answer.Errors {
			e.add(one.Code)
		}
	}
	return e
}

var urls = regexp.MustCompile(`https?://[^\s"]+`)

// fault turns an error of oras into one of ours.
func (p place) fault(ctx context.Context, err error) error {
	var status *fetch.StatusError
	var answer *errcode.ErrorResponse
	switch {
	case err == nil:
		return nil
	case isContext(err) && ctx.Err() != nil:
		return fmt.Errorf("%s: %w", p.base, context.Cause(ctx))
	case errors.As(err, &status):
		return fmt.Errorf("%w", err) // with what was requested
	case errors.As(err, &answer):
		e := &AnswerError{URL: fetch.Redact(answer.URL.String()), Status: answer.StatusCode}
		for _, one := range answer.Errors {
			e.add(one.Code)
		}
		return e
	case errors.Is(err, fetch.ErrUpstream), errors.Is(err, fetch.ErrRefused), errors.Is(err, fetch.ErrConfig):
		return err
	case errors.Is(err, errdef.ErrNotFound):
		return &AnswerError{URL: p.base, Status: http.StatusNotFound}
	}
	return fmt.Errorf("%s: %s: %w", p.base, urls.ReplaceAllStringFunc(err.Error(), fetch.Redact), fetch.ErrUpstream)
}
