package upstreamtest

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"strconv"
)

// Packed packs the content of the right answer by a content coding, whether it was asked for
// or not. Like servers that do so it knows no ranges; its ETag is that of the file.
func Packed(coding string, pack func([]byte) []byte) Fault {
	return func(right http.Handler) http.Handler {
		return NoRange(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			whole := r.Clone(r.Context())
			if r.Method == http.MethodHead {
				whole.Method = http.MethodGet
			}
			plain := httptest.NewRecorder()
			right.ServeHTTP(plain, whole)
			for name, values := range plain.Header() {
				w.Header()[name] = values
			}
			content := plain.Body.Bytes()
			if plain.Code == http.StatusOK {
				content = pack(content)
				w.Header().Set("Content-Encoding", coding)
				w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			}
			w.WriteHeader(plain.Code)
			if r.Method != http.MethodHead {
				_, _ = bytes.NewReader(content).WriteTo(w) // a client that has gone is the test's doing
			}
		}))
	}
}

// Gzip packs content.
func Gzip(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(content) // into memory
	_ = w.Close()
	return b.Bytes()
}
