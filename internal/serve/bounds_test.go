package serve

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"testing"
	"time"
)

// TestBodyThatNeverComes: the connection of a client that announces a body and sends none is
// given up, whatever it asks for.
func TestBodyThatNeverComes(t *testing.T) {
	server := httptest.NewServer(bounded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.ReadAll(r.Body)
		}
		_, _ = io.WriteString(w, "answer")
	}), 200*time.Millisecond))
	defer server.Close()
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{",
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, request)
		if _, err := io.ReadAll(bufio.NewReader(conn)); err != nil { // ends when the server closes
			t.Errorf("%q: the connection is still there: %v", request, err)
		}
		_ = conn.Close()
	}
}

// TestConnections: what is above a limit is closed, and a place that is given back is free.
func TestConnections(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner, 10, 3)
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	var held []net.Conn
	for range 3 {
		dial()
		held = append(held, <-accepted)
	}
	over := dial()
	if err := over.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := over.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("a fourth connection is kept: %v", err)
	}
	_ = held[0].Close()
	_ = held[0].Close() // a second time gives nothing back
	dial()
	held = append(held, <-accepted)
	if _, ok := held[3].(io.ReaderFrom); !ok {
		t.Error("the kernel's way from file to socket is lost")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	for _, conn := range held {
		_ = conn.Close()
	}
	<-accepted
}

// TestAllConnections: however many addresses they come from, connections together are
// bounded, and one that ends makes room.
func TestAllConnections(t *testing.T) {
	l, ok := limit(nil, 3, 2).(*limited)
	if !ok {
		t.Fatal("another listener")
	}
	at := func(n byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, n}) }
	for n := range byte(3) {
		if !l.take(at(n)) {
			t.Fatalf("connection %d is refused", n)
		}
	}
	if l.take(at(9)) {
		t.Error("a fourth connection is taken")
	}
	l.give(at(1))
	if !l.take(at(9)) || len(l.one) != 3 {
		t.Errorf("after one ended: %v", l.one)
	}
}
