package serve

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// The bounds for what one client, and all of them, may take of the server; docs/serving.md has the figures.
const (
	// bodyTime is how long a request's body may take: the only one that is read is the
	// question of Git LFS, of at most maxBatch bytes.
	bodyTime = 15 * time.Second
	// maxConnections are open at the same time, maxOfOne of them to one address: many
	// clients may share one. Any more are closed at once.
	maxConnections = 4096
	maxOfOne       = 1024
	// maxRanges of one request are answered. More, and those whose answer would be larger
	// than the file, get the file: RFC 9110 section 14.2 allows that.
	maxRanges = 256
	// rangeSize is what a part of such an answer has besides content, about.
	rangeSize = 200 // bytes
	// maxListings are made at the same time; others wait for their turn.
	maxListings = 4
	// maxResolved links of a listing are followed for size and date.
	maxResolved = 500
)

// bounded ends requests whose body does not come: the server would wait for the rest of it
// after the answer.
func bounded(next http.Handler, patience time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// A writer without deadlines is a test's.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience))
			if r.ProtoMajor == 1 {
				w.Header().Set("Connection", "close")
			}
		}
		next.ServeHTTP(w, r)
	})
}

// withRanges returns the request with its ranges, or without them if it has too many for a
// file of that size.
func withRanges(r *http.Request, size int64) *http.Request {
	ranges := strings.Count(r.Header.Get("Range"), ",") + 1
	if ranges == 1 || ranges <= maxRanges && int64(ranges)*rangeSize <= size {
		return r
	}
	whole := r.Clone(r.Context())
	whole.Header.Del("Range")
	return whole
}

// limited is a listener whose connections are counted.
type limited struct {
	net.Listener
	most, ofOne int

	mu  sync.Mutex
	all int
	one map[netip.Addr]int
}

func limit(l net.Listener, most, ofOne int) net.Listener {
	return &limited{Listener: l, most: most, ofOne: ofOne, one: map[netip.Addr]int{}}
}

// Accept returns the next connection that is within the limits.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := addressOf(conn)
		if l.take(from) {
			c := &counted{Conn: conn, release: sync.OnceFunc(func() { l.give(from) })}
			if tcp, ok := conn.(*net.TCPConn); ok {
				return &countedTCP{c, tcp}, nil
			}
			return c, nil
		}
		_ = conn.Close() // nothing was read
	}
}

func addressOf(conn net.Conn) netip.Addr {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

func (l *limited) take(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.most || l.one[from] >= l.ofOne {
		return false
	}
	l.all++
	l.one[from]++
	return true
}

func (l *limited) give(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.one[from]--; l.one[from] == 0 {
		delete(l.one, from)
	}
}

// counted releases its place when it is closed.
type counted struct {
	net.Conn
	release func()
}

func (c *counted) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// countedTCP keeps the kernel's way from file to socket, and the half of a connection that
// net/http closes first.
type countedTCP struct {
	*counted
	tcp *net.TCPConn
}

func (c *countedTCP) ReadFrom(r io.Reader) (int64, error) { return c.tcp.ReadFrom(r) }
func (c *countedTCP) CloseWrite() error                   { return c.tcp.CloseWrite() }
