package serve

import (
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
)

// Metrics counts what a handler does and shows it in Prometheus' text form
// (version 0.0.4). The zero value is ready; it belongs to one handler, and is
// meant for an address of its own.
type Metrics struct {
	mu       sync.Mutex
	mirror   *mirror
	requests map[int]int64 // by status
	bytes    int64
	inFlight int64
}

func (m *Metrics) watch(mirror *mirror) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mirror = mirror
}

func (m *Metrics) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight++
}

func (m *Metrics) end(status int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.requests == nil {
		m.requests = map[int]int64{}
	}
	m.requests[status]++
	m.bytes += bytes
	m.inFlight--
}

// ServeHTTP answers every path with the numbers.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	m.mu.Lock()
	metric(&b, "gapbundle_http_requests_total", "counter", "Requests answered, by status.")
	for _, status := range slices.Sorted(maps.Keys(m.requests)) {
		fmt.Fprintf(&b, "gapbundle_http_requests_total{code=\"%d\"} %d\n", status, m.requests[status])
	}
	metric(&b, "gapbundle_http_response_bytes_total", "counter", "Bytes of bodies sent.")
	fmt.Fprintf(&b, "gapbundle_http_response_bytes_total %d\n", m.bytes)
	metric(&b, "gapbundle_http_requests_in_flight", "gauge", "Requests being answered.")
	fmt.Fprintf(&b, "gapbundle_http_requests_in_flight %d\n", m.inFlight)
	mirror := m.mirror
	m.mu.Unlock()
	metric(&b, "gapbundle_mirror_generation", "gauge", "Number of the published generation, 0 if there is none.")
	fmt.Fprintf(&b, "gapbundle_mirror_generation %s\n", publishedNumber(mirror))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write([]byte(b.String()))
}

func metric(b *strings.Builder, name, kind, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// publishedNumber returns the number of the generation that is current.
func publishedNumber(m *mirror) string {
	if m == nil {
		return "0"
	}
	name, err := m.root.Readlink(current)
	if err != nil || !isNumbered(name, "generations/") {
		return "0"
	}
	if n := strings.TrimLeft(path.Base(name), "0"); n != "" {
		return n
	}
	return "0"
}
