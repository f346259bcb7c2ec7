package fetch

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Meta is what an upstream reports about some content besides its bytes. It is
// the upstream's word: only a digest proves anything.
type Meta struct {
	URL          string // where it came from in the end, redacted
	Size         int64  // bytes of the whole content; -1: not known
	ETag         string // as sent, a weak one with its W/; "": none
	LastModified string // an HTTP date (RFC 9110 section 5.6.7); "": none
	ContentType  string
	Coding       string // content coding of what is sent, although none was requested; "": none
	Secure       bool   // https on every hop

	// fresh: Last-Modified is so close to the answer's Date that the content
	// may change once more without it changing (RFC 9110 section 8.8.2.2).
	fresh bool
	// decoded: the content is not what was sent, so no validator of the upstream's names it.
	decoded bool
}

// Validator names this version of the content: the ETag if it is a strong one,
// else date of last modification and size, else "", which means that nothing
// can be said about another answer. Two equal validators of one URL mean equal
// content, as far as the upstream keeps HTTP's rules.
func (m Meta) Validator() string {
	switch {
	case m.decoded:
		return ""
	case strings.HasPrefix(m.ETag, `"`):
		return m.ETag
	case m.LastModified != "" && m.Size >= 0 && !m.fresh:
		return m.LastModified + " " + strconv.FormatInt(m.Size, 10)
	}
	return ""
}

// isValidator reports whether s has a form that Validator returns. Callers keep
// validators in files, and those of other kinds of origin next to them.
func isValidator(s string) bool {
	if strings.HasPrefix(s, `"`) {
		return true
	}
	date, size, ok := cutLast(s)
	_, err := http.ParseTime(date)
	_, isNumber := number(size)
	return ok && err == nil && isNumber
}

// cutLast cuts at the last blank.
func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, ' ')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// ifRange returns the value of the If-Range header for a Validator.
func ifRange(validator string) string {
	if strings.HasPrefix(validator, `"`) {
		return validator
	}
	date, _, _ := cutLast(validator)
	return date
}

// denies reports whether m is the description of another version than validator
// names. A partial answer need not repeat what it was asked by (RFC 9110
// section 15.3.7), so silence denies nothing.
func (m Meta) denies(validator string) bool {
	if strings.HasPrefix(validator, `"`) {
		return m.ETag != "" && m.ETag != validator
	}
	date, size, _ := cutLast(validator)
	return m.LastModified != "" && m.LastModified != date || m.Size >= 0 && strconv.FormatInt(m.Size, 10) != size
}

// adopt fills in what a partial answer left out.
func (m *Meta) adopt(validator string) {
	if strings.HasPrefix(validator, `"`) {
		m.ETag = validator
	} else {
		m.LastModified, m.fresh = ifRange(validator), false
	}
}

func metaOf(resp *http.Response) Meta {
	m := Meta{
		URL:         Redact(resp.Request.URL.String()),
		Size:        resp.ContentLength,
		ETag:        resp.Header.Get("ETag"),
		ContentType: resp.Header.Get("Content-Type"),
		Coding:      codingOf(resp.Header),
		Secure:      secure(resp.Request),
	}
	if modified, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
		m.LastModified = modified.UTC().Format(http.TimeFormat)
		date, err := http.ParseTime(resp.Header.Get("Date"))
		m.fresh = err == nil && date.Sub(modified) < 2*time.Second
	}
	return m
}

// uncode leaves out what is not true of the content if the answer's coding is to be undone,
// which without a digest the names of the file decide.
func (m *Meta) uncode(resp *http.Response) {
	if m.Coding != "" && !ownCodingOf(m.Coding, resp.Request) {
		m.Size, m.decoded = -1, true
	}
}

// secure walks back over the redirects that led to req.
func secure(req *http.Request) bool {
	for ; req.Response != nil; req = req.Response.Request {
		if req.URL.Scheme != "https" {
			return false
		}
	}
	return req.URL.Scheme == "https"
}

// contentRange reads "bytes first-last/total" (RFC 9110 section 14.4), and
// "bytes */total" of a 416 as first and last -1. A total of "*" is -1.
func contentRange(s string) (first, last, total int64, err error) {
	malformed := fmt.Errorf("Content-Range not readable: %w", ErrUpstream)
	spec, ok := strings.CutPrefix(s, "bytes ")
	if !ok {
		return 0, 0, 0, malformed
	}
	span, size, ok := strings.Cut(spec, "/")
	if !ok {
		return 0, 0, 0, malformed
	}
	first, last, total = -1, -1, -1
	if size != "*" {
		if total, ok = number(size); !ok {
			return 0, 0, 0, malformed
		}
	}
	if span == "*" {
		return first, last, total, nil
	}
	a, b, _ := strings.Cut(span, "-") // without one, b is no number
	if first, ok = number(a); !ok {
		return 0, 0, 0, malformed
	}
	if last, ok = number(b); !ok || last < first || total >= 0 && last >= total {
		return 0, 0, 0, malformed
	}
	return first, last, total, nil
}

// number reads digits alone: ParseInt would take a sign as well.
func number(s string) (int64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
