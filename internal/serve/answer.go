package serve

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// writePiece is how much a client has to take within writeTime.
const writePiece = 1 << 20 // bytes

// answer counts what is written and gives up on a client that stopped reading.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	piece   time.Duration
	status  int
	bytes   int64
}

func newAnswer(w http.ResponseWriter, piece time.Duration) *answer {
	a := &answer{ResponseWriter: w, control: http.NewResponseController(w), piece: piece}
	a.extend()
	return a
}

// extend sets the deadline of the next piece. A writer without deadlines is a test's.
func (a *answer) extend() { _ = a.control.SetWriteDeadline(time.Now().Add(a.piece)) }

func (a *answer) code() int { return cmp.Or(a.status, http.StatusOK) }

func (a *answer) WriteHeader(status int) {
	a.status = cmp.Or(a.status, status)
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.extend()
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// ReadFrom copies piece by piece and keeps the kernel's way from file to
// socket, which wants a file in at most one io.LimitedReader.
func (a *answer) ReadFrom(r io.Reader) (total int64, err error) {
	left := int64(1<<63 - 1)
	limited, ok := r.(*io.LimitedReader)
	if ok {
		r, left = limited.R, limited.N
	}
	for left > 0 {
		a.extend()
		want := min(left, writePiece)
		n, err := io.Copy(a.ResponseWriter, &io.LimitedReader{R: r, N: want})
		total += n
		left -= n
		a.bytes += n
		if err != nil || n < want {
			break
		}
	}
	if ok {
		limited.N = left
	}
	return total, err
}

// refuse answers without a file: in the form of the OCI distribution
// specification ("Error Codes") below /v2/, in one line of text elsewhere.
func refuse(a *answer, r *http.Request, status int) {
	if status == http.StatusMethodNotAllowed {
		a.Header().Set("Allow", "GET, HEAD")
	}
	text := fmt.Sprintf("%d %s\n", status, strings.ToLower(http.StatusText(status)))
	a.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if strings.HasPrefix(r.URL.Path, "/v2/") && status >= 400 {
		a.Header().Set("Content-Type", "application/json")
		text = registryError(r.URL.Path, status)
	}
	a.Header().Set("Content-Length", fmt.Sprint(len(text)))
	a.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(a, text)
	}
}

// logLine writes one request in the combined form of Apache and nginx.
func (h *Handler) logLine(a *answer, r *http.Request) {
	if h.log == nil {
		return
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = cmp.Or(r.RemoteAddr, "-")
	}
	line := fmt.Sprintf("%s - - [%s] \"%s %s %s\" %d %d \"%s\" \"%s\"\n",
		host, time.Now().Format("02/Jan/2006:15:04:05 -0700"),
		logText(r.Method), logText(r.RequestURI), logText(r.Proto), a.code(), a.bytes,
		logText(r.Referer()), logText(r.UserAgent()))
	h.logMu.Lock()
	defer h.logMu.Unlock()
	_, _ = io.WriteString(h.log, line)
}

// logText keeps a client from writing lines of its own: all but printable
// ASCII is spelt out, as the other servers do it.
func logText(s string) string {
	if s == "" {
		return "-"
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			fmt.Fprintf(&b, `\x%02X`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
