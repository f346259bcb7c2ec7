package upstreamtest

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// Public plays hosts of the Internet until the test ends, by https and by plain http: they
// are reached by their own names, through a proxy on loopback that knows them and nobody else.
type Public struct {
	// Proxy is the URL of the proxy.
	Proxy string
	// CA is the PEM file of the authority that vouches for the hosts.
	CA string
}

// NewPublic plays these hosts, each by a handler.
func NewPublic(t testing.TB, hosts map[string]http.Handler) *Public {
	t.Helper()
	a := newAuthority(t)
	certificate := serverTemplate()
	for host := range hosts {
		certificate.DNSNames = append(certificate.DNSNames, host)
	}
	slices.Sort(certificate.DNSNames)
	der, key := a.issue(t, certificate)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts[r.Host].ServeHTTP(w, r)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect && r.URL.Scheme == "http" && hosts[r.URL.Host] != nil {
			hosts[r.URL.Host].ServeHTTP(w, r)
			return
		}
		host, known := strings.CutSuffix(r.Host, ":443")
		if r.Method != http.MethodConnect || !known || hosts[host] == nil {
			t.Errorf("%s %s is asked for, which is not played", r.Method, r.Host)
			http.Error(w, "no such host", http.StatusBadGateway)
			return
		}
		tunnel(w, server.Listener.Addr().String())
	}))
	t.Cleanup(func() {
		server.CloseClientConnections() // ends the tunnels
		server.Close()
		proxy.Close()
	})
	return &Public{Proxy: proxy.URL, CA: a.file}
}

// tunnel joins the connection of a request with one to an address.
func tunnel(w http.ResponseWriter, address string) {
	to, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	from, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		_ = to.Close()
		return
	}
	if _, err := io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_, _ = to.Close(), from.Close()
		return
	}
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(to, buffered)
		_ = to.Close()
		close(done)
	}()
	_, _ = io.Copy(from, to)
	_ = from.Close()
	<-done
}
