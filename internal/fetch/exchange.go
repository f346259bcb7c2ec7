package fetch

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/gapbundle/gapbundle/internal/spelling"
)

// Exchange makes a request and reads the answer's body, at most limit bytes of
// it, so that an answer that was cut off is fetched again as well. It repeats a
// request whose body, if it has one, can be read again (http.Request.GetBody).
//
// The Body of the answer is in memory. A status that another attempt might
// have cured, and did not, and one that is about credentials (401, 403, 407),
// is a *StatusError; any other is the caller's to judge.
func (c *Client) Exchange(req *http.Request, limit int64) (resp *http.Response, err error) {
	ctx, a := req.Context(), attempts{c: c}
	for {
		if resp, err = c.exchange(req, limit); err == nil {
			return resp, nil
		}
		if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
			return nil, err
		}
		if err = a.again(ctx, err); err != nil {
			return nil, err
		}
		if req, err = rewound(req); err != nil {
			return nil, err
		}
	}
}

func (c *Client) exchange(req *http.Request, limit int64) (*http.Response, error) {
	url := req.URL.String()
	resp, err := c.once.Do(req)
	if err != nil {
		return nil, failure(req.Context(), url, err)
	}
	switch {
	case transientStatus(resp.StatusCode), resp.StatusCode == http.StatusUnauthorized,
		resp.StatusCode == http.StatusForbidden, resp.StatusCode == http.StatusProxyAuthRequired:
		return nil, c.statusError(resp)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	last := Redact(resp.Request.URL.String())
	switch {
	case err != nil && req.Context().Err() != nil:
		return nil, failure(req.Context(), url, err)
	case err != nil:
		return nil, &brokenError{url: last, err: fmt.Errorf("ended after %s: %w", spelling.Count(len(text), "byte"), err)}
	case int64(len(text)) > limit:
		return nil, fmt.Errorf("%s: more than %s: %w", last, spelling.Count(limit, "byte"), ErrUpstream)
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	return resp, nil
}

// Stream makes a request once and returns an answer of status 200 whose body
// is read as it comes; any other status is a *StatusError. Attempts repeats it.
// The caller closes the body; an error that its Read returns has no class yet.
func (c *Client) Stream(req *http.Request) (*http.Response, error) {
	resp, err := c.once.Do(req)
	if err != nil {
		return nil, failure(req.Context(), req.URL.String(), err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, c.statusError(resp)
	}
	return resp, nil
}

// rewound returns req with its body, if it has one, from the beginning.
func rewound(req *http.Request) (*http.Request, error) {
	again := req.Clone(req.Context())
	if req.GetBody == nil {
		return again, nil
	}
	var err error
	again.Body, err = req.GetBody()
	return again, err
}
